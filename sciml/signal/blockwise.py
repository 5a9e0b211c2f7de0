"""Steps over time applied to recordings: lazily, block by block, each regular segment by itself.

A block is computed from its samples and a margin on both sides, so that it is what it would be in the whole. Missing
and masked samples stay missing. For the samples about them they count as the line between their neighbors, or as the
nearer of these where the other is out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

from sciml._typing import AnyArray
from sciml.errors import DataError
from sciml.io.arrays import LazyArray, lazy
from sciml.recording import TIME, check, sampling_rate, seconds, segments, unread_clock

__all__ = ["Step", "apply", "noted", "regular_rate"]

BLOCK_VALUES = 2**22  # computed at a time
UNEVEN = 0.1  # of a step, by which steps of a clock may differ from their median


class Step(Protocol):
    """What is done with values (time, ...), of which each result depends on those up to `margin` away.

    `up` and `down`, without a common divisor: the results are `up` in `down` samples.
    """

    @property
    def margin(self) -> int:
        """Samples on either side that a result depends on."""

    @property
    def up(self) -> int:
        """Results for each `down` samples."""

    @property
    def down(self) -> int:
        """Samples for each `up` results."""

    def __call__(self, values: AnyArray) -> AnyArray:
        """Return the results of values whose first is a multiple of `down`."""


class Blockwise(LazyArray):
    """The results of a step on a variable whose first dim is time; `whole`: each needs all channels of its sample."""

    def __init__(
        self,
        values: xr.Variable,
        mask: xr.Variable | None,
        parts: list[slice],
        step: Step,
        dtype: DTypeLike,
        *,
        whole: bool = False,
    ) -> None:
        self.values, self.mask, self.parts, self.step, self.whole = values, mask, parts, step, whole
        self.sizes = [_n_results(part.stop - part.start, step) for part in parts]
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self.shape = (int(self.starts[-1]), *values.shape[1:])
        self.dtype = np.dtype(dtype)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        rows = np.arange(self.shape[0])[key[0]]
        if not rows.ndim:
            return np.asarray(self._rows(int(rows), int(rows) + 1, key[1:])[0])
        found = [self._rows(start, stop, key[1:])[chosen] for start, stop, chosen in self._blocks(rows)]
        return np.concatenate(found) if found else self._rows(0, 1, key[1:])[:0]

    def _blocks(self, rows: NDArray[np.intp]) -> Iterator[tuple[int, int, NDArray[np.intp]]]:
        """Yield first and last result of each block to compute, and which of them are asked for."""
        longest = max(BLOCK_VALUES // max(int(np.prod(self.shape[1:])), 1), 4 * self.step.margin, 1)
        number = np.searchsorted(self.starts, rows, side="right")
        far = (np.diff(rows) > 2 * self.step.margin + 1) | (np.diff(number) > 0)
        for group in np.split(rows, np.flatnonzero(far) + 1):
            block = (group - group[0]) // longest if len(group) else group
            for part in np.split(group, np.flatnonzero(np.diff(block)) + 1):
                if len(part):
                    yield int(part[0]), int(part[-1]) + 1, part - part[0]

    def _rows(self, start: int, stop: int, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return results `start` to `stop`, which lie in one segment."""
        number = int(np.searchsorted(self.starts, start, side="right")) - 1
        part, first = self.parts[number], int(self.starts[number])
        inner = (slice(None),) * len(key) if self.whole else key
        results = self._of_segment(part, start - first, stop - first, inner)
        for axis in reversed(range(len(key))) if self.whole else ():
            results = results[(slice(None),) * (axis + 1) + (key[axis],)]
        return results.astype(self.dtype, copy=False)

    def _of_segment(self, part: slice, a: int, b: int, key: tuple[Any, ...]) -> AnyArray:
        step, n = self.step, part.stop - part.start
        up, down, margin = step.up, step.down, step.margin
        low = (a * down // up - margin) // down * down
        high = -(-(b - 1) * down // up) + 1 + margin
        inside = slice(max(low, 0), min(high, n))
        values, missing = self._filled(part, inside, key)
        before, after = inside.start - low, high - inside.stop
        if before or after:
            pads = [(before, after)] + [(0, 0)] * (values.ndim - 1)
            values = np.pad(values, pads, mode="reflect" if len(values) > 1 else "edge")
        results = np.array(step(values)[a - low // down * up : b - low // down * up])
        if missing is not None:
            nearest = np.minimum((np.arange(a, b) * down + up // 2) // up, n - 1) - inside.start
            results[missing[nearest]] = np.nan
        return results

    def _filled(self, part: slice, inside: slice, key: tuple[Any, ...]) -> tuple[AnyArray, NDArray[np.bool_] | None]:
        """Return samples of a segment with what is missing filled in, and which those are; None if there are none."""
        kind = self.values.dtype.kind
        reach = self.step.margin if kind in "fc" or self.mask is not None else 0
        wide = slice(max(inside.start - reach, 0), min(inside.stop + reach, part.stop - part.start))
        rows = slice(part.start + wide.start, part.start + wide.stop)
        values = np.asarray(self.values[(rows, *key)].values)
        values = values.astype(np.result_type(values.dtype, np.float64))
        if self.mask is not None:
            values[self._masked(rows, key)] = np.nan
        missing = np.isnan(values)
        kept = slice(inside.start - wide.start, inside.stop - wide.start)
        if not missing.any():
            return values[kept], None
        return (fill(values, reach) if self.step.margin else values)[kept], missing[kept]

    def _masked(self, rows: slice, key: tuple[Any, ...]) -> NDArray[np.bool_]:
        assert self.mask is not None  # noqa: S101
        mask: Any = self.mask.isel({TIME: rows}) if TIME in self.mask.dims else self.mask
        sizes = {**self.values.sizes, TIME: rows.stop - rows.start}
        every = mask.set_dims(sizes).transpose(*self.values.dims)
        return np.asarray(every[(slice(None), *key)].values, bool)


def fill(values: AnyArray, reach: int) -> AnyArray:
    """Return values (time, ...) with missing ones on the line between the nearest others within `reach`, or as zero.

    Examples
    --------
    >>> fill(np.array([1.0, np.nan, 3.0, np.nan, np.nan]), 1).tolist()
    [1.0, 2.0, 3.0, 3.0, 0.0]
    """
    n, valid = len(values), ~np.isnan(values)
    at = np.arange(n).reshape(-1, *([1] * (values.ndim - 1)))
    before = np.maximum.accumulate(np.where(valid, at, -reach - 1), axis=0)
    after = np.minimum.accumulate(np.where(valid, at, n + reach)[::-1], axis=0)[::-1]
    has_before, has_after = at - before <= reach, after - at <= reach
    first = np.take_along_axis(values, np.clip(before, 0, n - 1), axis=0)
    last = np.take_along_axis(values, np.clip(after, 0, n - 1), axis=0)
    line = first + (last - first) * ((at - before) / np.maximum(after - before, 1))
    one = np.where(has_before, first, np.where(has_after, last, 0.0))
    return np.where(valid, values, np.where(has_before & has_after, line, one))


def _n_results(n: int, step: Step) -> int:
    return -(-n * step.up // step.down)


def regular_rate(recording: xr.DataArray) -> float:
    """Return the sampling rate in Hz of a recording whose clock is regular but for gaps.

    Raises
    ------
    DataError
        There is no clock, or steps between samples differ by more than a tenth.
    """
    rate = sampling_rate(recording)
    if "sampling_rate" in recording.attrs or unread_clock(recording) or (times := seconds(recording)) is None:
        return rate
    steps = np.concatenate([np.diff(times[part]) for part in segments(recording)])
    if len(steps) and np.abs(steps * rate - 1).max() > UNEVEN:
        raise DataError(
            f"expected samples at equal steps but for gaps, got steps of {steps.min():g} to {steps.max():g} s; "
            "interpolate first: recording.interp(time=np.arange(start, stop, 1 / rate))"
        )
    return rate


def apply(
    recording: xr.DataArray, step: Step, said: str, *, whole: bool = False, attrs: Mapping[str, Any] | None = None
) -> xr.DataArray:
    """Return a recording after a step: lazy where it was, else computed; `said` is its line of history.

    Parameters
    ----------
    recording
        Dims `time` and any others.
    step
        What is done along time.
    said
        What was done, in words.
    whole
        Each result needs all channels of its sample.
    attrs
        Attributes that change.
    """
    ordered = check(recording, minimum=1).transpose(TIME, ...)
    parts = segments(ordered)
    mask = ordered["mask"].variable if "mask" in ordered.coords else None
    dtype = np.result_type(ordered.dtype, np.float32)
    array = Blockwise(ordered.variable, mask, parts, step, dtype, whole=whole)
    held = isinstance(ordered.variable._data, np.ndarray)
    data = array.read((slice(None),) * ordered.ndim) if held else lazy(array)
    result = xr.DataArray(xr.Variable(ordered.dims, data), _coords(ordered, array), name=ordered.name)
    result = result.assign_attrs(noted(recording, said, **(attrs or {}))).transpose(*recording.dims)
    return result if recording.chunks is None else result.chunk(_chunks(recording, array))


def _chunks(recording: xr.DataArray, array: Blockwise) -> dict[Any, Any]:
    same = array.shape[0] == recording.sizes[TIME]
    return {dim: sizes if same or dim != TIME else "auto" for dim, sizes in recording.chunksizes.items()}


def _coords(recording: xr.DataArray, array: Blockwise) -> dict[Any, Any]:
    """Return the coordinates of the results: the same, or for another rate those of the nearest samples."""
    step = array.step
    if step.up == step.down:
        return dict(recording.coords)
    parts = zip(array.parts, array.sizes, strict=True)
    nearest = [np.minimum(p.start + (np.arange(n) * step.down + step.up // 2) // step.up, p.stop - 1) for p, n in parts]
    moved = recording.coords.to_dataset().isel({TIME: np.concatenate(nearest)}, missing_dims="ignore")
    times = seconds(recording)
    if times is not None:
        scale = step.down / (step.up * sampling_rate(recording))
        starts = [times[part.start] + np.arange(n) * scale for part, n in zip(array.parts, array.sizes, strict=True)]
        moved = moved.assign_coords({TIME: (TIME, np.concatenate(starts), recording[TIME].attrs)})
    return dict(moved.coords)


def noted(recording: xr.DataArray, said: str, **attrs: Any) -> dict[str, Any]:
    """Return the attributes of a recording with a line of history added, and others changed."""
    history = recording.attrs.get("history", "")
    before = history if isinstance(history, str) else "\n".join(history)
    line = f"sciml.signal.{said}; sciml {version('sciml')}"
    return {**recording.attrs, **attrs, "history": f"{before}\n{line}".strip()}
