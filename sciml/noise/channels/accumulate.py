"""One pass over a recording: moments of its channels, what is missing, a subsample; or the values where they fit."""

from typing import Any

import numpy as np

from sciml._typing import AnyArray, BoolArray, FloatArray, IntArray
from sciml.linalg import Moments
from sciml.noise.channels.subsample import Subsampler
from sciml.noise.channels.whole_numbers import WholeNumbers

__all__ = ["ChannelAccumulator"]

NO_GAPS = np.zeros(0, np.int64)
ROWS_AT_ONCE = 4096  # products in single precision are summed in double at least this often


class ChannelAccumulator:
    """Accumulates what a noise floor is made of from blocks, in units of a pilot offset and standard deviation.

    With `hold` the blocks themselves are kept, in double precision; else their Gram matrix, in single precision where
    the data have no more digits, and a subsample. After the first block all work is done in place, and no value is
    looked at more often than it must.

    Parameters
    ----------
    n_channels
        N.
    hold
        Keep the values.
    growing
        The recording still grows, and its first block may be a single sample: no standard deviation is taken from
        it, and all work is done in double precision.
    memory
        Number of samples after which a sample weighs 1/e; None forgets nothing.
    span
        Only the last so many samples matter to the subsample; None lets all matter alike.
    """

    def __init__(
        self,
        n_channels: int,
        *,
        hold: bool,
        growing: bool = False,
        memory: float | None = None,
        span: int | None = None,
    ) -> None:
        self.hold, self.growing, self.span = hold, growing, span
        self.n_read = self.n_kept = 0
        self.count: IntArray = np.zeros(n_channels, np.int64)
        self.moments = Moments(n_channels, gram=not hold, memory=memory)
        self.whole_numbers = WholeNumbers()
        self._present_total: AnyArray = np.zeros(n_channels)
        self._present_weight: FloatArray = np.zeros(n_channels)
        self._held: list[AnyArray] = []
        self._missing: list[tuple[int, BoolArray]] = []  # the first row of a held block, and where it has no value
        self._breaks: list[int] = []

    def add(self, values: AnyArray, gaps: IntArray = NO_GAPS) -> None:
        """Add a block (n, N); samples at which most channels are missing are left out, others count as the mean.

        The clock has a gap before each of the samples `gaps` of the block.
        """
        self.n_read += len(values)
        present = _present(values)
        self.whole_numbers.add(values, present)
        values, present = self._mostly_present(values, present, gaps)
        if not len(values):
            return
        if self.n_kept == 0:
            self._choose_pilot(values, present)
        self.moments.compare(values, present)
        if self.hold:
            self._hold(values, present)
            return
        for start in range(0, len(values), ROWS_AT_ONCE):  # small enough to stay in a processor's cache
            part = slice(start, start + ROWS_AT_ONCE)
            y, total = self._filled(values[part], None if present is None else present[part])
            self.subsampler.add(y)
            self.n_kept += len(y)
            self.moments.accumulate(y, total=None if self.moments.memory else total)

    def cut(self) -> None:
        """Let no segment of the subsample go on: the next samples come after a gap."""
        if self.n_kept:
            self.subsampler.cut()

    @property
    def breaks(self) -> IntArray:
        """The samples kept that do not follow the one before."""
        return np.array(self._breaks, np.int64)

    def _mostly_present(
        self, values: AnyArray, present: BoolArray | None, gaps: IntArray
    ) -> tuple[AnyArray, BoolArray | None]:
        """Return the samples at which most channels are present, and where (None: everywhere)."""
        if present is None:
            self._breaks.extend(self.n_kept + gaps)
            return values, None
        n_present = present.sum(axis=1)
        keep = n_present > 0.5 * np.median(n_present[n_present > 0]) if n_present.any() else n_present > 0
        after = np.concatenate([gaps, np.flatnonzero(~keep)])
        self._breaks.extend(self.n_kept + np.cumsum(np.append(0, keep))[after])
        if keep.all():
            return values, present
        return values[keep], present[keep]

    def _hold(self, values: AnyArray, present: BoolArray | None) -> None:
        self._held.append(self._filled(values, present)[0])
        if present is not None:
            self._missing.append((self.n_kept, ~present))
        self.n_kept += len(values)

    def _choose_pilot(self, values: AnyArray, present: BoolArray | None) -> None:
        """Choose offset, unit and precision from the first block."""
        self.precision = _working_type(values.dtype, exact=self.hold or self.growing)
        few = values[:ROWS_AT_ONCE].astype(np.result_type(values.dtype, np.float64), copy=False)
        here = np.ones(few.shape, np.bool_) if present is None else present[:ROWS_AT_ONCE]
        n = np.maximum(here.sum(axis=0), 1)
        # Rounded to the precision of the work, so that taking it off is exact where a value is near it.
        self.offset: AnyArray = (np.where(here, few, 0).sum(axis=0) / n).astype(self.precision)
        spread = np.sqrt((np.abs(np.where(here, few - self.offset, 0)) ** 2).sum(axis=0) / n)
        self.unit = np.ones(len(spread)) if self.growing else _units(spread)
        self.per_unit = (1 / self.unit).astype(self.offset.real.dtype)
        self.subsampler = Subsampler(values.shape[1], self.precision, span=self.span)

    def _filled(self, values: AnyArray, present: BoolArray | None) -> tuple[AnyArray, AnyArray]:
        """Return values in pilot units, missing ones filled with the mean of their channel so far, and column sums."""
        y = np.empty(values.shape, self.precision)
        np.subtract(values, self.offset, out=y, casting="same_kind")
        y *= self.per_unit
        if present is None:
            total = _column_sums(y)
            self._note_present(y, total, None)
            return y, total
        y[~present] = 0
        self._note_present(y, _column_sums(y), present)
        y = np.where(present, y, (self._present_total / np.maximum(self._present_weight, 1)).astype(y.dtype))
        return y, _column_sums(y)

    def _note_present(self, y: AnyArray, total: AnyArray, present: BoolArray | None) -> None:
        """Keep count and sum of the values that are present: the sum as samples weigh, where old ones are forgotten."""
        count = len(y) if present is None else present.sum(axis=0)
        self.count += count
        memory = self.moments.memory
        if memory is None:
            self._present_total = self._present_total + total
            self._present_weight = self._present_weight + count
            return
        weights, fade = np.exp(-np.arange(len(y))[::-1] / memory), np.exp(-len(y) / memory)
        own = weights.sum() if present is None else weights @ present
        self._present_total = self._present_total * fade + weights @ y
        self._present_weight = self._present_weight * fade + own

    def centered(self) -> tuple[AnyArray | None, AnyArray, FloatArray]:
        """Return the held values about their mean (None where only moments are), the mean, the scatter of each."""
        if not self.hold:
            return None, self.moments.mean, self.moments.scatter
        values = np.concatenate(self._held) if len(self._held) > 1 else self._held[0]
        self._held = []
        mean = self._present_total / np.maximum(self.count, 1)
        values -= mean
        for start, missing in self._missing:
            values[start : start + len(missing)][missing] = 0
        return values, mean, _squares(values)

    @property
    def dof(self) -> FloatArray | float:
        """Expected scatter of samples of variance one."""
        return float(self.n_kept - 1) if self.hold else self.moments.dof


def _units(spread: FloatArray) -> FloatArray:
    """Return the standard deviations, a typical one where a channel has none."""
    typical = float(np.median(spread[spread > 0])) if spread.any() else 1.0
    return np.where(spread > 0, spread, typical)


def _present(values: AnyArray) -> BoolArray | None:
    """Return where values are finite, or None if all are: one sum tells, and infinities of both signs make it NaN."""
    if values.dtype.kind in "biu":
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(values.sum()):
            return None
    finite = np.isfinite(values)
    return None if finite.all() else finite


def _column_sums(y: AnyArray) -> AnyArray:
    """Return the sum of each column, in double precision beyond `ROWS_AT_ONCE` rows."""
    ones = np.ones(min(len(y), ROWS_AT_ONCE), y.dtype)
    parts = [y[start : start + ROWS_AT_ONCE] for start in range(0, len(y), ROWS_AT_ONCE)]
    return np.asarray(
        np.sum([ones[: len(part)] @ part for part in parts], axis=0, dtype=np.result_type(y.dtype, np.float64))
    )


def _squares(values: AnyArray) -> FloatArray:
    """Return the sum of |x|² down each column."""
    parts = (values[start : start + ROWS_AT_ONCE] for start in range(0, len(values), ROWS_AT_ONCE))
    return np.asarray(sum((np.einsum("tn,tn->n", part, part.conj()).real for part in parts), start=np.zeros(1)))


def _working_type(dtype: np.dtype[Any], *, exact: bool) -> np.dtype[Any]:
    """Return double precision where it is asked for; for long recordings of few digits, single for the products."""
    is_complex = dtype.kind == "c"
    if not exact and dtype.itemsize <= (8 if is_complex else 4):
        return np.dtype(np.complex64 if is_complex else np.float32)
    return np.dtype(np.complex128 if is_complex else np.float64)
