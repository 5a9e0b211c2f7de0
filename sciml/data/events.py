"""What a table of events tells of each: a class, or numbers; and how much each event counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.wording import natural

__all__ = ["Classes", "Numbers", "because", "column_of", "told_of", "weights_of"]


@dataclass(frozen=True, eq=False)
class Classes:
    """A class of each event, None where it is missing."""

    names: Sequence[str | int | None]
    column: str

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which events have no class, shape (n,)."""
        return np.array([name is None for name in self.names], dtype=np.bool_)

    def frequent(self, kept: NDArray[np.int64], least: int, dropped: Counter[str]) -> NDArray[np.int64]:
        """Return the kept events without those of classes that fewer than `least` have, which are counted by name."""
        counts = Counter(self.names[k] for k in kept)
        rare = {name for name, count in counts.items() if count < least}
        dropped.update({f"class {name}, of which there are fewer than {least}": counts[name] for name in rare})
        return kept[[self.names[k] not in rare for k in kept]]

    def of(self, kept: NDArray[np.int64], dropped: Mapping[str, int]) -> dict[str, Any]:
        """Return labels as indices into the sorted classes: at least two classes, each of at least two windows."""
        names = [self.names[k] for k in kept]
        counts = Counter(names)
        classes = sorted(counts, key=lambda name: natural(str(name)))
        if len(classes) < 2 or min(counts.values()) < 2:
            listing = ", ".join(f"{name}: {counts[name]}" for name in classes)
            raise DataError(
                f"expected at least two classes of at least two windows each in column {self.column!r}, got {listing}"
                f"{because(dropped)}; choose another column, or leave rare classes out with data.labels_min"
            )
        number = {name: k for k, name in enumerate(classes)}
        labels = np.array([number[name] for name in names], dtype=np.int64)
        return {"labels": labels, "classes": tuple(str(name) for name in classes)}


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of each event, shape (n, k), NaN where they are missing."""

    values: NDArray[np.float64]
    names: tuple[str, ...]
    units: tuple[str, ...]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which events lack a number, shape (n,)."""
        return np.asarray(~np.isfinite(self.values).all(axis=1))

    def frequent(self, kept: NDArray[np.int64], least: int, dropped: Counter[str]) -> NDArray[np.int64]:  # noqa: ARG002
        """Return all kept events: a number is not rare."""
        return kept

    def of(self, kept: NDArray[np.int64], dropped: Mapping[str, int]) -> dict[str, Any]:
        """Return the numbers of the kept events, which must vary."""
        values = self.values[kept].astype(np.float32)
        same = [name for name, column in zip(self.names, values.T, strict=True) if np.ptp(column) == 0]
        if same:
            raise DataError(
                f"expected numbers that vary in column {same[0]!r}, got one and the same in all "
                f"{len(kept)} windows{because(dropped)}; choose another column"
            )
        return {"targets": values, "target_names": self.names, "target_units": self.units}


def told_of(events: xr.Dataset, label: str | Sequence[str], *, numbers: bool) -> Classes | Numbers:
    """Return what the named columns tell of each event.

    Raises
    ------
    DataError
        A column that is not there, or holds other things than classes, or numbers.
    """
    names = [label] if isinstance(label, str) else [*label]
    if not numbers:
        if len(names) > 1:
            raise DataError(f"expected one column of classes, got {', '.join(names)}; choose one")
        return Classes(_classes(column_of(events, names[0]), names[0]), names[0])
    values = np.stack([_numbers(column_of(events, name), name) for name in names], axis=1)
    return Numbers(values, tuple(names), tuple(str(events[name].attrs.get("units", "")) for name in names))


def weights_of(events: xr.Dataset, name: str) -> NDArray[np.float64]:
    """Return how much each event counts, shape (n,); NaN where it is missing.

    Raises
    ------
    DataError
        No such column, or one with other things than numbers of at least 0, some above.
    """
    weights = _numbers(column_of(events, name), name)
    if np.any(weights < 0) or not np.any(weights > 0):
        raise DataError(
            f"expected weights of at least 0, some above, in column {name!r}, got {np.nanmin(weights):g} to "
            f"{np.nanmax(weights):g}; choose another column"
        )
    return weights


def column_of(events: xr.Dataset, name: str) -> NDArray[Any]:
    """Return a column of the events table, or say which there are."""
    if name not in events.variables:
        raise DataError(f"expected a column {name!r} in the events table, got {sorted(map(str, events.variables))}")
    column = np.asarray(events[name].values)
    if column.ndim != 1 or not len(column):
        raise DataError(
            f"expected one value an event in column {name!r}, got shape {column.shape}; choose another column"
        )
    return column


def because(dropped: Mapping[str, int]) -> str:
    """Return the reasons for which windows were left out, in parentheses; empty where none was."""
    return f" (dropped {', '.join(f'{count} {text}' for text, count in sorted(dropped.items()))})" if dropped else ""


def _numbers(column: NDArray[Any], name: str) -> NDArray[np.float64]:
    if column.dtype.kind not in "iufb":
        raise DataError(
            f"expected numbers in column {name!r}, got values of dtype {column.dtype}; choose a column "
            "of numbers, or task = 'classify'"
        )
    return np.where(np.isfinite(column), column, np.nan).astype(np.float64)


def _classes(column: NDArray[Any], label: str) -> list[str | int | None]:
    """Return the labels as strings or integers, None where missing."""
    if column.dtype.kind in "iub":
        return [int(value) for value in column]
    if column.dtype.kind == "f":
        known = column[np.isfinite(column)]
        if np.any(known != np.round(known)):
            raise DataError(
                f"expected classes (strings or integers) in column {label!r}, got numbers such as "
                f"{known[known != np.round(known)][0]:g}; choose a column of classes, or task = 'regress'"
            )
        return [int(value) if np.isfinite(value) else None for value in column]
    if column.dtype.kind not in "OUST":
        raise DataError(f"expected strings or integers in column {label!r}, got values of dtype {column.dtype}")
    texts = [value.decode() if isinstance(value, bytes) else value for value in column.tolist()]
    return [None if value is None or value != value or value == "" else _plain(value) for value in texts]


def _plain(value: object) -> str | int:
    return int(value) if isinstance(value, int) else str(value)
