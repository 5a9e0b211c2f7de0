"""A recording read once, in blocks: held where it fits, else only what its noise floor is made of is."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from sciml._typing import IntArray
from sciml.linalg import few_threads
from sciml.noise.channels.accumulate import ChannelAccumulator
from sciml.noise.channels.statistics import ChannelStatistics, channel_statistics
from sciml.recording import TIME, blocks, check, n_features, segments

__all__ = ["Progress", "block_rows", "read_channels"]

Progress = Callable[[int, int], None]  # samples read, samples in all

MEMORY = 2**29  # recordings up to this size (as float64) are held; of larger ones only moments are
BLOCK_BYTES = 2**26
MAX_CHANNELS = 8192  # the scatter matrix of more does not fit; a random choice of channels stands for all


def read_channels(
    recording: xr.DataArray, progress: Progress | None = None, *, hold: bool = False
) -> ChannelStatistics:
    """Read a recording once and keep what the noise models need; memory does not grow with its length.

    With `hold` all values of all channels are kept, however many there are.

    Raises
    ------
    DataError
        Fewer than two channels that vary, or too few samples at which they have values.
    """
    recording = check(recording)
    n, n_samples = n_features(recording), recording.sizes[TIME]
    chosen = np.arange(n) if hold else _chosen_channels(recording)
    fits = hold or n_samples * len(chosen) * _itemsize(recording) <= MEMORY
    accumulator = ChannelAccumulator(len(chosen), hold=fits)
    rows = n_samples if fits and len(chosen) == n else block_rows(recording)
    gaps = np.array([segment.start for segment in segments(recording)[1:]], np.int64)
    with few_threads(len(chosen)):  # the next block is read meanwhile, and that takes a processor too
        for part, values in blocks(recording, rows, across_gaps=True, ahead=True):
            inside = gaps[(gaps >= part.start) & (gaps < part.stop)] - part.start
            accumulator.add(values if len(chosen) == n else values[:, chosen], inside)
            if progress is not None:
                progress(part.stop, n_samples)
        return channel_statistics(accumulator, channels=chosen, n_features=n)


def block_rows(recording: xr.DataArray) -> int:
    """Return how many samples of all channels are read at once."""
    return max(16, BLOCK_BYTES // (_itemsize(recording) * n_features(recording)))


def _itemsize(recording: xr.DataArray) -> int:
    return 16 if recording.dtype.kind == "c" else 8


def _chosen_channels(recording: xr.DataArray) -> IntArray:
    """Return the channels to read: all, or a fixed random choice where a matrix of all would not fit."""
    n, n_samples = n_features(recording), recording.sizes[TIME]
    limit = max(MAX_CHANNELS, MEMORY // (_itemsize(recording) * n_samples))
    if n <= limit:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, limit, replace=False))
