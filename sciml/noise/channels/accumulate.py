"""Sums over the blocks of a recording: moments, scatter, what is missing; or the values themselves where they fit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.noise.channels.subsample import Excerpts

__all__ = ["Sums", "usable"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROWS_AT_ONCE = 4096  # products in single precision are summed in double at least this often


class Sums:
    """Sums over blocks, in units of a pilot offset and standard deviation from the first block.

    With `hold` the blocks themselves are kept, in double precision; else their Gram matrix, in single precision where
    the data have no more digits, and an excerpt.
    After the first block all work is done in place, and no value is looked at more often than it must.
    """

    def __init__(self, n_channels: int, *, hold: bool) -> None:
        self.hold = hold
        self.n_read = self.n_kept = 0
        self.count = np.zeros(n_channels, np.int64)
        self.constant = np.ones(n_channels, np.bool_)
        self.known: NDArray[Any] = np.zeros(n_channels)
        self.held: list[NDArray[Any]] = []
        self.holes: list[tuple[int, Mask]] = []  # the first row of a held block, and where it has no value

    def add(self, values: NDArray[Any]) -> None:
        """Add one block (n, N); a sample at which most channels are missing is left out, other holes count as mean."""
        self.n_read += len(values)
        values, present = usable(values)
        if not len(values):
            return
        if self.n_kept == 0:
            self._pilot(values, present)
        self._compare(values, present)
        if self.hold:
            self._hold(values, present)
            return
        for start in range(0, len(values), ROWS_AT_ONCE):  # small enough to stay in a processor's cache
            part = slice(start, start + ROWS_AT_ONCE)
            y, total = self._filled(values[part], None if present is None else present[part])
            self.excerpts.add(y)
            self._accumulate(y, total)

    def _hold(self, values: NDArray[Any], present: Mask | None) -> None:
        self.held.append(self._filled(values, present)[0])
        if present is not None:
            self.holes.append((self.n_kept, ~present))
        self.n_kept += len(values)

    def _pilot(self, values: NDArray[Any], present: Mask | None) -> None:
        """Choose offset, unit and precision from the first block."""
        self.precision = working_type(values.dtype, hold=self.hold)
        few = values[:ROWS_AT_ONCE].astype(np.result_type(values.dtype, np.float64), copy=False)
        here = np.ones(few.shape, np.bool_) if present is None else present[:ROWS_AT_ONCE]
        n = np.maximum(here.sum(axis=0), 1)
        # Rounded to the precision of the work, so that taking it off is exact where a value is near it.
        self.offset = (np.where(here, few, 0).sum(axis=0) / n).astype(self.precision)
        spread = np.sqrt((np.abs(np.where(here, few - self.offset, 0)) ** 2).sum(axis=0) / n)
        typical = float(np.median(spread[spread > 0])) if spread.any() else 1.0
        self.unit = np.where(spread > 0, spread, typical)
        self.per_unit = (1 / self.unit).astype(self.offset.real.dtype)
        self.first = np.full(values.shape[1], np.nan, few.dtype)
        self.total = np.zeros(values.shape[1], np.result_type(self.precision, np.float64))
        self.known = self.total.copy()
        self.excerpts = Excerpts(values.shape[1], self.precision)
        self.gram: NDArray[Any] = np.zeros((0, 0) if self.hold else (values.shape[1],) * 2, self.total.dtype)

    def _compare(self, values: NDArray[Any], present: Mask | None) -> None:
        """Strike off the channels that take a second value."""
        for start in range(0, len(values), ROWS_AT_ONCE):
            still = np.flatnonzero(self.constant)
            if not len(still):
                return
            part = values[start : start + ROWS_AT_ONCE, still]
            here = np.ones(part.shape, np.bool_) if present is None else present[start : start + ROWS_AT_ONCE, still]
            seen = here.any(axis=0) & np.isnan(self.first[still])
            self.first[still[seen]] = part[here.argmax(axis=0), np.arange(len(still))][seen]
            self.constant[still] = ((part == self.first[still]) | ~here).all(axis=0)

    def _filled(self, values: NDArray[Any], present: Mask | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return values in pilot units, each hole filled with the mean of its channel so far, and their column sums."""
        y = np.empty(values.shape, self.precision)
        np.subtract(values, self.offset, out=y, casting="same_kind")
        y *= self.per_unit
        if present is None:
            total = _column_sums(y)
            self.count += len(y)
            self.known += total
            return y, total
        y[~present] = 0
        self.count += present.sum(axis=0)
        self.known += _column_sums(y)
        y = np.where(present, y, (self.known / np.maximum(self.count, 1)).astype(y.dtype))
        return y, _column_sums(y)

    def _accumulate(self, y: NDArray[Any], total: NDArray[Any]) -> None:
        """Add the scatter about the running mean (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
        mean = total / len(y)
        y -= mean.astype(y.dtype)
        self.gram += y.conj().T @ y
        if self.n_kept:
            shift = mean - self.total / self.n_kept
            weight = self.n_kept * len(y) / (self.n_kept + len(y))
            self.gram += np.outer((weight * shift).conj(), shift)
        self.total += total
        self.n_kept += len(y)

    def centered(self) -> tuple[NDArray[Any] | None, NDArray[Any], Array]:
        """Return the held values about their mean (None where only sums are), the mean, and the scatter of each."""
        if not self.hold:
            return None, self.total / self.n_kept, np.diagonal(self.gram).real.copy()
        values = np.concatenate(self.held) if len(self.held) > 1 else self.held[0]
        self.held = []
        mean = self.known / np.maximum(self.count, 1)
        values -= mean
        for start, missing in self.holes:
            values[start : start + len(missing)][missing] = 0
        return values, mean, _squares(values)


def usable(values: NDArray[Any]) -> tuple[NDArray[Any], Mask | None]:
    """Return the samples at which most channels are present, and where (None: everywhere)."""
    present = _present(values)
    if present is None:
        return values, None
    n_present = present.sum(axis=1)
    keep = n_present > 0.5 * np.median(n_present[n_present > 0]) if n_present.any() else n_present > 0
    return (values, present) if keep.all() else (values[keep], present[keep])


def _present(values: NDArray[Any]) -> Mask | None:
    """Return where values are finite, or None if all are: one sum tells, and infinities of both signs make it NaN."""
    if values.dtype.kind in "biu":
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(values.sum()):
            return None
    finite = np.isfinite(values)
    return None if finite.all() else finite


def _column_sums(y: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of each column, in double precision beyond stretches of `ROWS_AT_ONCE`."""
    ones = np.ones(min(len(y), ROWS_AT_ONCE), y.dtype)
    parts = [y[start : start + ROWS_AT_ONCE] for start in range(0, len(y), ROWS_AT_ONCE)]
    return np.asarray(
        np.sum([ones[: len(part)] @ part for part in parts], axis=0, dtype=np.result_type(y.dtype, np.float64))
    )


def _squares(values: NDArray[Any]) -> Array:
    """Return the sum of |x|² down each column."""
    parts = (values[start : start + ROWS_AT_ONCE] for start in range(0, len(values), ROWS_AT_ONCE))
    return np.asarray(sum((np.einsum("tn,tn->n", part, part.conj()).real for part in parts), start=np.zeros(1)))


def working_type(dtype: np.dtype[Any], *, hold: bool) -> np.dtype[Any]:
    """Return double precision for what is held; for long recordings of few digits, single for the products."""
    is_complex = dtype.kind == "c"
    if not hold and dtype.itemsize <= (8 if is_complex else 4):
        return np.dtype(np.complex64 if is_complex else np.float32)
    return np.dtype(np.complex128 if is_complex else np.float64)
