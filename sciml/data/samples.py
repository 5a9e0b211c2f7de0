"""The samples of a recording as a table: which of them may be used, and the values where they fit in memory."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.recording import TIME, blocks, check, n_features, sampling_rate, seconds, segments

__all__ = ["MEMORY_BUDGET", "Samples", "read_samples", "rows_of_block"]

MEMORY_BUDGET = (
    2**31
)  # bytes; a recording whose float32 copy fits is read once and kept, else windows are read on demand


BLOCK_BYTES = 2**27  # bytes of one block of the first pass, as float64


@dataclass(frozen=True, eq=False)
class Samples:
    """The recording as a table (time, channel): which samples may be used, and the values where they fit in memory."""

    recording: xr.DataArray
    rate: float
    valid: NDArray[np.bool_]
    values: NDArray[np.float32] | None

    @cached_property
    def clock(self) -> NDArray[np.float64]:
        """Time of each sample in seconds."""
        if (times := seconds(self.recording)) is not None:
            return times
        return np.arange(len(self.valid)) / self.rate

    @cached_property
    def segment(self) -> NDArray[np.int64]:
        """Number of the segment (between gaps) of each sample."""
        number = np.zeros(len(self.valid), dtype=np.int64)
        for k, each in enumerate(segments(self.recording)):
            number[each] = k
        return number

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return samples `start` to `stop` as an array (time, channel)."""
        if self.values is not None:
            return self.values[start:stop]
        part = self.recording.isel({TIME: slice(start, stop)}).transpose(TIME, ...)
        return np.asarray(part.values).reshape(stop - start, -1).astype(np.float32)

    def stack(self, starts: NDArray[np.int64], span: int) -> NDArray[np.float32]:
        """Return the windows of `span` samples that begin at `starts` as an array (n, channel, time)."""
        if self.values is not None:
            return np.asarray(self.values[starts[:, None] + np.arange(span)]).transpose(0, 2, 1)
        stacked = np.empty((len(starts), n_features(self.recording), span), dtype=np.float32)
        for row, start in enumerate(starts.tolist()):
            stacked[row] = self.rows(start, start + span).T
        return stacked


def rows_of_block(channels: int) -> int:
    """Return how many samples of all channels are read at a time."""
    return max(1, BLOCK_BYTES // (8 * channels))


def read_samples(recording: xr.DataArray) -> Samples:
    """Pass over the recording once: find the samples that may be used, and keep the values where they fit."""
    recording = check(recording, minimum=1, needs_clock=True)
    if recording.dtype.kind == "c":
        raise DataError(
            f"expected real values, got {recording.dtype}; a net takes real numbers: "
            "pass abs(recording), or its real and imaginary parts as two channels"
        )
    n, channels = recording.sizes[TIME], n_features(recording)
    values = np.empty((n, channels), dtype=np.float32) if 4 * n * channels <= MEMORY_BUDGET else None
    valid = np.empty(n, dtype=np.bool_)
    has_samples = np.zeros(channels, dtype=np.bool_)
    for part, block in blocks(recording, rows_of_block(channels)):
        with np.errstate(over="ignore"):  # beyond the range of float32 counts as missing
            single = block.astype(np.float32)
        finite = np.isfinite(single)
        valid[part] = finite.all(axis=1)
        has_samples |= finite.any(axis=0)
        if values is not None:
            values[part] = single
    if not has_samples.all():
        empty = np.flatnonzero(~has_samples)
        named = f"{', '.join(map(str, empty[:10]))}{', ...' if len(empty) > 10 else ''}"
        raise DataError(
            f"expected every channel to have samples, got {len(empty)} of {channels} channels masked or missing "
            f"throughout (numbers {named}); leave them out"
        )
    samples = Samples(recording, sampling_rate(recording), valid, values)
    if np.any(np.diff(samples.clock) < 0):
        raise DataError("expected a clock that advances, got times that step back; sort the recording by time")
    return samples
