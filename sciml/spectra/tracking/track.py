"""What was followed: one row a step, as arrays over (step, layer, index)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._typing import FloatArray

__all__ = ["Row", "SpectrumTrack", "Variable", "Variables"]

Variable = tuple[tuple[str, ...], NDArray[Any], dict[str, str]]
Variables = dict[str, Variable]
STEP = "step"


@dataclass(frozen=True, eq=False)
class Row:
    """What was measured after one step: variables without the dim step."""

    step: int
    values: Variables


@dataclass(frozen=True, repr=False, eq=False)
class SpectrumTrack:
    """Spectra at some steps of training, in the order of the steps.

    Attributes
    ----------
    rows
        One a step.
    """

    rows: tuple[Row, ...] = ()

    @property
    def steps(self) -> list[int]:
        """The steps at which something was measured; 0 is before the first."""
        return [row.step for row in self.rows]

    def __repr__(self) -> str:
        return f"SpectrumTrack({self.summary()})"

    def summary(self) -> str:
        """Return how much there is in a line."""
        if not self.rows:
            return "nothing measured"
        names = sorted({name for row in self.rows for name in row.values})
        return f"{len(self.rows)} steps from {self.steps[0]} to {self.steps[-1]}: {', '.join(names)}"

    def before(self, step: int) -> "SpectrumTrack":
        """Return the rows up to a step, itself included."""
        return SpectrumTrack(tuple(row for row in self.rows if row.step <= step))

    def with_row(self, row: Row) -> "SpectrumTrack":
        """Return the track with one row more; values of a step that is there already are put together."""
        same = [each for each in self.rows if each.step == row.step]
        merged = Row(row.step, {name: value for each in (*same, row) for name, value in each.values.items()})
        others = [each for each in self.rows if each.step != row.step]
        return SpectrumTrack(tuple(sorted((*others, merged), key=lambda each: each.step)))

    def series(self, name: str) -> tuple[FloatArray, NDArray[Any]]:
        """Return the steps at which a variable was measured, and its values, step first."""
        found = [(row.step, row.values[name][1]) for row in self.rows if name in row.values]
        return np.array([step for step, _ in found], dtype=np.float64), _stacked([value for _, value in found])

    def variables(self) -> Variables:
        """Return arrays over (step, ...), NaN where nothing was measured at a step."""
        found: Variables = {STEP: ((STEP,), np.array(self.steps, dtype=np.int64), {"long_name": "optimizer step"})}
        for name in dict.fromkeys(name for row in self.rows for name in row.values):
            given = [row.values.get(name) for row in self.rows]
            dims, _, attrs = next(each for each in given if each is not None)
            if (
                len(dims) == 1 and dims[0] == name
            ):  # a coordinate, such as the names of the layers: the same at all steps
                found[name] = next(each for each in given if each is not None)
            else:
                found[name] = ((STEP, *dims), _stacked([None if each is None else each[1] for each in given]), attrs)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: {"dims": list(dims), "values": _plain(x)} for name, (dims, x, _) in self.variables().items()}

    @classmethod
    def from_variables(cls, variables: Mapping[str, Variable]) -> "SpectrumTrack":
        """Return the track that `variables` was made of."""
        if STEP not in variables:
            return cls()
        steps = variables[STEP][1]
        rows = []
        for i, step in enumerate(steps):
            at_step = _at(variables, i)
            rows.append(Row(int(step), at_step))
        return cls(tuple(rows))


def _at(variables: Mapping[str, Variable], i: int) -> Variables:
    found: Variables = {}
    for name, (dims, values, attrs) in variables.items():
        if name == STEP:
            continue
        if STEP not in dims:
            found[name] = (dims, values, attrs)
        elif not _is_missing(values[i]):
            found[name] = (dims[1:], values[i], attrs)
    return found


def _is_missing(values: NDArray[Any]) -> bool:
    return np.issubdtype(np.asarray(values).dtype, np.floating) and bool(np.isnan(values).all())


def _stacked(values: Sequence[NDArray[Any] | None]) -> NDArray[Any]:
    """Return arrays of one number of dims as one, filled with NaN."""
    known = [np.asarray(each) for each in values if each is not None]
    if not known:
        return np.empty(0)
    shape = tuple(max(sizes) for sizes in zip(*(each.shape for each in known), strict=True))
    table = np.full((len(values), *shape), np.nan)
    if not shape:
        return np.array([np.nan if value is None else float(value) for value in values])
    for i, value in enumerate(values):
        if value is not None:
            table[i][tuple(slice(size) for size in np.asarray(value).shape)] = value
    return table


def _plain(values: NDArray[Any]) -> Any:
    """Return lists with None for NaN."""
    x = np.asarray(values)
    if not np.issubdtype(x.dtype, np.floating):
        return x.tolist()
    return _without_nan(x.tolist())


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if value != value else value
