"""Whether a recording may hold counts: learned while it is read, so that nothing is read twice to find out."""

import numpy as np

from sciml._typing import AnyArray, BoolArray

__all__ = ["WholeNumbers"]

ROWS_AT_ONCE = 4096


class WholeNumbers:
    """Tells whether all values so far are whole numbers of zero or more, none of them missing."""

    def __init__(self) -> None:
        self.problem = ""

    def add(self, values: AnyArray, present: BoolArray | None) -> None:
        """Add a block; `present` is None where nothing is missing."""
        if values.dtype.kind == "c":
            self.problem = "values are complex"
        elif present is not None:
            self.problem = "values are missing"
        elif not self.problem and not _are_whole(values):
            self.problem = "values are negative or not whole"


def _are_whole(values: AnyArray) -> bool:
    parts = (values[start : start + ROWS_AT_ONCE] for start in range(0, len(values), ROWS_AT_ONCE))
    return not any((part < 0).any() or (part.dtype.kind == "f" and (part != np.round(part)).any()) for part in parts)
