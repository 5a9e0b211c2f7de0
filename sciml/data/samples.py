"""The samples of a recording as a table: which of them are there, and the values where they fit in memory."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sciml.data.recordings.channels import channel_names
from sciml.data.shared import shared_bytes
from sciml.errors import DataError
from sciml.recording import (
    GAP,
    TIME,
    blocks,
    check,
    clock_blocks,
    n_features,
    sampling_rate,
    seconds,
    segments,
    unread_clock,
)

__all__ = ["MEMORY", "Missing", "Samples", "as_samples", "cut_windows", "read_samples", "table_bytes", "unread_samples"]

MEMORY = 2**31  # bytes; a recording whose float32 copy fits is read once and kept, else windows are read on demand
BLOCK_BYTES, LEAST_BYTES = 2**27, 2**20  # of one block of a pass, as float64: at most, and where memory is short
MEMORY_PER_BLOCK = 8  # parts of the memory, one of which is a block
GAP_BYTES = 2**16  # between windows, that are cheaper to read and drop than to seek over

Missing = Literal["drop", "mask"]


@dataclass(frozen=True, eq=False)
class Samples:
    """The recording as a table (time, channel), NaN where a value is missing, masked or infinite.

    Attributes
    ----------
    recording, rate
        The recording and its sampling rate in Hz.
    valid, some
        Which samples have a value in all channels, and which in any, shape (time,); None where nothing was read yet.
    values
        The values, shape (time, channel), where they fit in memory.
    memory
        Bytes that may be held of it.
    """

    recording: xr.DataArray
    rate: float
    valid: NDArray[np.bool_] | None = None
    some: NDArray[np.bool_] | None = None
    values: NDArray[np.float32] | None = None
    memory: int = MEMORY

    def __len__(self) -> int:
        return int(self.recording.sizes[TIME])

    @property
    def n_channels(self) -> int:
        """Channels of the table: the features of the recording."""
        return n_features(self.recording)

    @property
    def block_rows(self) -> int:
        """Samples of all channels that a pass reads at a time."""
        return _block_rows(self.n_channels, self.memory)

    @property
    def chunk_rows(self) -> int:
        """Samples in a chunk of the file, which are decompressed together; 1 where that is not known."""
        return max(1, int(self.recording.encoding.get("preferred_chunks", {}).get(TIME, 1)))

    @cached_property
    def clock(self) -> NDArray[np.float64]:
        """Time of each sample in seconds."""
        if (times := seconds(self.recording)) is not None:
            return times
        return np.arange(len(self)) / self.rate

    @cached_property
    def segment(self) -> NDArray[np.int64]:
        """Number of the segment (between gaps) of each sample."""
        number = np.zeros(len(self), dtype=np.int64)
        for k, each in enumerate(segments(self.recording)):
            number[each] = k
        return number

    @property
    def _is_regular(self) -> bool:
        """Whether the clock has one rate and no gap, so that nothing of it need be read to find a sample."""
        kind = self.recording[TIME].dtype.kind if TIME in self.recording.coords else "f"
        return "sampling_rate" in self.recording.attrs and kind in "iuf"

    def times(self, samples: ArrayLike) -> NDArray[np.float64]:
        """Return the times of samples in seconds; of a regular clock nothing else is read."""
        chosen = np.asarray(samples, dtype=np.int64)
        if "clock" in self.__dict__ or not (self._is_regular or unread_clock(self.recording)):
            return self.clock[chosen]
        if TIME not in self.recording.coords:
            return chosen / self.rate
        return np.asarray(self.recording[TIME].isel({TIME: chosen}).values, dtype=np.float64)

    def nearest(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the sample nearest to each time, the earlier of two that are equally near."""
        last = len(self) - 1
        if "clock" not in self.__dict__ and self._is_regular:
            first = float(self.times([0])[0])
            about = np.clip(np.round((times - first) * self.rate), 0, last).astype(np.int64)
            around = np.clip(about[:, None] + np.arange(-1, 2), 0, last)
            far = np.abs(self.times(around.ravel()).reshape(around.shape) - times[:, None])
            return np.asarray(around[np.arange(len(times)), far.argmin(axis=1)])
        if "clock" not in self.__dict__ and unread_clock(self.recording):
            return self._nearest_unread(times)
        right = np.clip(np.searchsorted(self.clock, times), 1, max(last, 1))
        left, right = right - 1, np.minimum(right, last)
        nearer = times - self.clock[left] <= self.clock[right] - times
        return np.where(nearer, left, right).astype(np.int64)

    def _nearest_unread(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the nearest samples by one pass over the clock, of which little is held."""
        found, distance = np.zeros(len(times), np.int64), np.full(len(times), np.inf)
        for start, clock in clock_blocks(self.recording):
            right = np.minimum(np.searchsorted(clock, times), len(clock) - 1)
            left = np.maximum(right - 1, 0)
            near = np.where(times - clock[left] <= clock[right] - times, left, right)
            nearer = np.abs(times - clock[near]) < distance
            found[nearer], distance[nearer] = start + near[nearer], np.abs(times - clock[near])[nearer]
        return found

    def cross_gap(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether a gap of the clock lies between two samples."""
        if "sampling_rate" in self.recording.attrs:
            return np.zeros(len(first), np.bool_)
        if "segment" not in self.__dict__ and unread_clock(self.recording):
            clocks = (self.times(np.arange(one, other + 1)) for one, other in zip(first, last, strict=True))
            return np.array([bool((np.diff(clock) > GAP / self.rate).any()) for clock in clocks], np.bool_)
        return np.asarray(self.segment[first] != self.segment[last])

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return samples `start` to `stop` as an array (time, channel)."""
        if self.values is not None:
            return self.values[start:stop]
        part = self.recording.isel({TIME: slice(start, stop)})
        with _scheduler(part):
            [(_, block)] = blocks(part, stop - start, across_gaps=True)
        return _single(block)

    def stack(self, starts: NDArray[np.int64], span: int) -> NDArray[np.float32]:
        """Return the windows of `span` samples that begin at `starts` as an array (n, channel, time)."""
        if self.values is not None:
            rows = np.minimum(starts[:, None] + np.arange(span), len(self.values) - 1)
            return np.asarray(self.values[rows]).transpose(0, 2, 1)
        table, begins, counts = self.covering(starts, starts + span)
        return cut_windows(repeat(table), begins, counts, (len(starts), self.n_channels, span))

    def covering(
        self, starts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows that intervals of samples cover, each read once, in the order of the file.

        Beside the rows (row, channel) come, of each interval, the row that it begins at and how many there are of it:
        none beyond the end of the recording.
        """
        if not len(starts):
            return np.empty((0, self.n_channels), np.float32), starts, starts
        stops = np.minimum(stops, len(self))
        order = np.argsort(starts, kind="stable")
        first, reach = starts[order], np.maximum.accumulate(stops[order])
        gap = GAP_BYTES // (4 * self.n_channels)
        begins = np.flatnonzero(np.concatenate([[True], first[1:] > reach[:-1] + gap]))
        run_starts, run_stops = first[begins], reach[np.append(begins[1:], len(first)) - 1]
        places = np.concatenate([[0], np.cumsum(run_stops - run_starts)])
        rows = self._of_runs(list(zip(run_starts.tolist(), run_stops.tolist(), strict=True)))
        run = np.searchsorted(run_starts, starts, side="right") - 1
        return rows, places[run] + starts - run_starts[run], stops - starts

    def _of_runs(self, runs: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Return the rows of runs of samples, one after the other."""
        parts = [
            (first, min(first + self.block_rows, stop))
            for start, stop in runs
            for first in range(start, stop, self.block_rows)
        ]
        if len(parts) == 1:
            return self.rows(*parts[0])
        rows, place = np.empty((sum(stop - start for start, stop in runs), self.n_channels), np.float32), 0
        for first, stop in parts:
            rows[place : place + stop - first] = self.rows(first, stop)
            place += stop - first
        return rows


def cut_windows(
    rows: Iterable[NDArray[np.float32]], begins: NDArray[np.int64], counts: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return windows of a `shape` (n, channel, time), each from the rows (row, channel) that it lies in.

    Behind those that have fewer rows than that is NaN.
    """
    windows = np.empty(shape, dtype=np.float32)
    for window, table, begin, count in zip(windows, rows, begins.tolist(), counts.tolist(), strict=False):
        window[:, :count] = table[begin : begin + count].T
        window[:, count:] = np.nan
    return windows


def _scheduler(recording: xr.DataArray) -> AbstractContextManager[Any]:
    """Let dask compute in this thread where the process is a worker: the threads that it was forked with are gone."""
    data = sys.modules.get("torch.utils.data")  # without which there are no workers
    if recording.chunks is None or data is None or data.get_worker_info() is None:
        return nullcontext()
    import dask

    return dask.config.set(scheduler="synchronous")


def _block_rows(channels: int, memory: int) -> int:
    n_bytes = max(LEAST_BYTES, min(BLOCK_BYTES, memory // MEMORY_PER_BLOCK))
    return max(1, n_bytes // (8 * channels))


def unread_samples(recording: xr.DataArray) -> Samples:
    """Return the table of a recording of which nothing is read until windows of it are."""
    recording = check(recording, minimum=1, needs_clock=True)
    if recording.dtype.kind == "c":
        raise DataError(
            f"expected real values, got {recording.dtype}; a net takes real numbers: "
            "pass abs(recording), or its real and imaginary parts as two channels"
        )
    return Samples(recording, sampling_rate(recording))


def as_samples(recording: xr.DataArray | Samples, missing: Missing = "drop") -> Samples:
    """Return the table of a recording, which is read for it; one that is a table already is not read again."""
    return recording if isinstance(recording, Samples) else read_samples(recording, missing)


def read_samples(recording: xr.DataArray, missing: Missing = "drop", *, memory: int = MEMORY) -> Samples:
    """Pass over the recording once: find the samples that are there, and keep the values where they fit.

    Parameters
    ----------
    recording
        Real values.
    missing
        "mask" allows channels without a sample.
    memory
        Bytes that the values may take, as float32.

    Raises
    ------
    DataError
        Complex values, a clock that steps back, or a channel without any sample, of which `missing` "mask" allows some.
    """
    recording = unread_samples(recording).recording
    n, channels = recording.sizes[TIME], n_features(recording)
    held = 4 * n * channels if 4 * n * channels <= memory else 0
    has_samples = np.zeros(channels, dtype=np.bool_)

    def fill(content: NDArray[np.uint8]) -> None:
        _read_into(recording, *_tables(content, n, channels, held), has_samples, _block_rows(channels, memory))
        _check_present(recording, has_samples, missing)

    what = f"{recording.name} {recording.attrs.get('sha256')} {recording.dtype} {recording.shape} {missing} {memory}"
    values, valid, some = _tables(shared_bytes(held + 2 * n, fill, what=what), n, channels, held)
    samples = Samples(recording, sampling_rate(recording), valid, some, values, memory)
    if _steps_back(samples):
        raise DataError("expected a clock that advances, got times that step back; sort the recording by time")
    return samples


Tables = tuple[NDArray[np.float32] | None, NDArray[np.bool_], NDArray[np.bool_]]


def _tables(content: NDArray[np.uint8], n: int, channels: int, held: int) -> Tables:
    """Return bytes as values (time, channel), None where none are held, and which samples are there, in all and any."""
    values = content[:held].view(np.float32).reshape(n, channels) if held else None
    return values, content[held : held + n].view(np.bool_), content[held + n :].view(np.bool_)


def _read_into(
    recording: xr.DataArray,
    values: NDArray[np.float32] | None,
    valid: NDArray[np.bool_],
    some: NDArray[np.bool_],
    has_samples: NDArray[np.bool_],
    rows: int,
) -> None:
    """Pass over the recording, block by block."""
    for part, block in blocks(recording, rows):
        single = _single(block)
        there = ~np.isnan(single)
        valid[part], some[part] = there.all(axis=1), there.any(axis=1)
        has_samples |= there.any(axis=0)
        if values is not None:
            values[part] = single


def table_bytes(recording: xr.DataArray) -> int:
    """Return the bytes of all samples of a recording as float32."""
    return 4 * int(recording.size)


def _single(block: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return values in single precision, NaN where they are not finite there."""
    with np.errstate(over="ignore"):  # beyond the range of float32 counts as missing
        single = block.astype(np.float32, copy=False)
    infinite = np.isinf(single)
    return np.where(infinite, np.float32(np.nan), single) if infinite.any() else single


def _steps_back(samples: Samples) -> bool:
    """Return whether the clock does; of one in numbers little is held at a time."""
    recording = samples.recording
    if TIME not in recording.coords:
        return False
    if recording[TIME].dtype.kind in "iuf" and recording[TIME].dims == (TIME,):
        return any(bool((np.diff(times) < 0).any()) for _, times in clock_blocks(recording, overlap=1))
    return bool((np.diff(samples.clock) < 0).any())


def _check_present(recording: xr.DataArray, has_samples: NDArray[np.bool_], missing: Missing) -> None:
    """Refuse channels without a sample; with a mask, a recording of which no channel has any."""
    empty = np.flatnonzero(~has_samples)
    if not len(empty) or (missing == "mask" and len(empty) < len(has_samples)):
        return
    numbers = f"{', '.join(map(str, empty[:10]))}{', ...' if len(empty) > 10 else ''}"
    known = channel_names(recording)
    names = f": {', '.join(known[k] for k in empty[:10])}" if known else ""
    remedy = "leave them out" if missing == "mask" else "leave them out, or set data.missing = 'mask'"
    raise DataError(
        f"expected every channel to have samples, got {len(empty)} of {len(has_samples)} channels masked or missing "
        f"throughout (numbers {numbers}){names}; {remedy}"
    )
