"""Channels made comparable: which of them can be used, and a short filter for each that flattens its spectrum."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.signal
import xarray as xr

from sciml._typing import AnyArray, ComplexArray, FloatArray, IntArray
from sciml.errors import DataError
from sciml.linalg import Moments
from sciml.noise.channels.duplicates import duplicates_of
from sciml.noise.channels.select import ChannelSelection, select_channels
from sciml.recording import TIME, blocks, n_features, segments

__all__ = ["Whitener", "first_samples", "fit_whitener", "whitened_segments"]

FIRST_BYTES = 2**27  # of the part of the recording that channels are chosen by, as float64
FIT_SAMPLES = 2**15  # that a filter is fitted to
NULL = 1e-10  # eigenvalue of the correlation matrix, in means, below which a direction is empty
SMALLEST = 1e-6  # part of a channel's variance that its filter may leave at least
MAX_GRAM = 2048  # channels whose correlation matrix is looked at for empty directions


@dataclass(frozen=True)
class Whitener:
    """Channels in use, and the filter (lag, channel) that makes each of them roughly white with unit variance.

    `variance` is that of each channel in use before, in the samples that the channels were chosen by.
    """

    used: IntArray
    taps: AnyArray
    excluded: Mapping[int, str]
    n_null: int
    variance: FloatArray

    def response(self, cycles: FloatArray) -> ComplexArray:
        """Return the transfer functions at frequencies in cycles a sample, shape (frequency, channel)."""
        lags = np.arange(len(self.taps))
        return np.asarray(np.exp(-2j * np.pi * cycles[:, None] * lags) @ self.taps)


def first_samples(recording: xr.DataArray) -> AnyArray:
    """Return the samples that channels are chosen by, (n, channel): all of a small recording, or its beginning."""
    rows = min(recording.sizes[TIME], max(4096, FIRST_BYTES // (8 * n_features(recording))))
    return next(blocks(recording, rows, across_gaps=True))[1]


def fit_whitener(samples: AnyArray, longest: int, order: int) -> Whitener:
    """Choose the channels that are used, and fit an autoregressive filter to each.

    Any fixed filter per channel leaves coherences as they are. These keep strong slow noise from leaking into weak
    fast noise, and make channels of any unit and scale weigh alike.
    """
    values = samples.astype(np.complex128 if np.iscomplexobj(samples) else np.float64)
    selection, standard, scale = _standardized(values)
    taps = _autoregression(_complete_segment(standard, longest), order) / scale
    return Whitener(selection.used, taps, selection.excluded, _empty_directions(standard), scale**2)


def _standardized(values: AnyArray) -> tuple[ChannelSelection, AnyArray, FloatArray]:
    """Return the channels that are used, their values in standard deviations about the mean, and these."""
    moments = Moments.of([values])

    def standard(some: IntArray) -> AnyArray:
        return np.asarray((values[:, some] - moments.mean[some]) / np.sqrt(moments.variance[some]))

    def found(some: IntArray) -> list[tuple[int, int]]:
        filled = np.nan_to_num(standard(some), nan=0.0, posinf=0.0, neginf=0.0)
        return duplicates_of(filled, (np.abs(filled) ** 2).sum(axis=0))

    selection = select_channels(
        count=moments.count,
        n_samples=len(values),
        constant=moments.constant,
        scatter=moments.scatter,
        duplicates=found,
    )
    selection.demand_two(values.shape[1], "coherence compares channels: give a recording of several")
    return selection, standard(selection.used), np.sqrt(moments.variance[selection.used])


def _empty_directions(standard: AnyArray) -> int:
    """Return how many combinations of the channels are always zero, as after a common reference."""
    complete = standard[np.isfinite(standard).all(axis=1)]
    if not 4 * standard.shape[1] <= len(complete) or standard.shape[1] > MAX_GRAM:
        return 0
    values = np.linalg.eigvalsh(complete.conj().T @ complete / len(complete))
    return int(np.count_nonzero(values < NULL))


def _complete_segment(standard: AnyArray, longest: int) -> AnyArray:
    """Return the longest segment without a missing value, gaps and overlong segments cut."""
    finite = np.isfinite(standard).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], finite, [False]]).astype(np.int8)))
    if not len(edges):
        raise DataError(
            "expected samples at which every channel has a value, found none; "
            "leave out the channels with most missing values"
        )
    lengths = edges[1::2] - edges[::2]
    start = int(edges[::2][lengths.argmax()])
    return standard[start : start + min(int(lengths.max()), longest, FIT_SAMPLES)]


def _autoregression(x: AnyArray, order: int) -> AnyArray:
    """Return prediction-error filters (order + 1, channel) of unit output by Burg's method.

    References
    ----------
    Burg (1967); Kay and Marple (1981), doi:10.1109/PROC.1981.12184, eq. 2.71 to 2.74.
    """
    x = x - x.mean(axis=0)
    taps = np.zeros((order + 1, x.shape[1]), dtype=x.dtype)
    taps[0] = 1.0
    error = np.mean(np.abs(x) ** 2, axis=0)
    smallest = SMALLEST * np.maximum(error, np.finfo(float).tiny)
    forward, backward = x[1:], x[:-1]
    for step in range(1, order + 1):
        power = np.sum(np.abs(forward) ** 2 + np.abs(backward) ** 2, axis=0)
        reflection = -2 * np.sum(forward * backward.conj(), axis=0) / np.maximum(power, np.finfo(float).tiny)
        shifted = np.zeros_like(taps)
        shifted[1 : step + 1] = taps[:step][::-1].conj()
        taps = taps + reflection * shifted
        error = error * (1 - np.abs(reflection) ** 2)
        forward, backward = forward + reflection * backward, backward + reflection.conj() * forward
        forward, backward = forward[1:], backward[:-1]
    return np.asarray(taps / np.sqrt(np.maximum(error, smallest)))


def whitened_segments(
    recording: xr.DataArray, whitener: Whitener, length: int, *, at_once: int, first: AnyArray
) -> Iterator[tuple[int, int, AnyArray]]:
    """Yield (samples read so far, segments left out, whitened segments of shape (segment, time, channel)).

    Segments follow one another without overlap, never straddle a gap, and are left out where any channel in use has a
    missing or masked value. Each is demeaned, filtered, and freed of its linear trend. The `first` samples, which the
    filters were fitted to, are not read again.
    """
    order = len(whitener.taps) - 1
    step = length + order
    for part, values in _blocks_after(first, recording, step * at_once):
        n = len(values) // step
        cut = values[: n * step].reshape(n, step, values.shape[1])[:, :, whitener.used]
        complete = np.isfinite(cut).all(axis=(1, 2)) if n else np.zeros(0, dtype=bool)
        chosen = cut[complete].astype(np.complex128 if np.iscomplexobj(cut) else np.float64)
        yield part.stop, int(n - complete.sum()), _filtered(chosen, whitener.taps)


def _blocks_after(first: AnyArray, recording: xr.DataArray, rows: int) -> Iterator[tuple[slice, AnyArray]]:
    """Yield the `blocks` of a recording, without reading its first samples again."""
    for segment in segments(recording):
        for start in range(segment.start, segment.stop, rows):
            part = slice(start, min(start + rows, segment.stop))
            known = first[part]
            rest = recording.isel({TIME: slice(part.start + len(known), part.stop)})
            read = [values for _, values in blocks(rest, rows, across_gaps=True)] if rest.sizes[TIME] else []
            yield part, np.concatenate([known, *read]) if len(known) and read else [known, *read][-1]


def _filtered(x: AnyArray, taps: AnyArray) -> AnyArray:
    if not len(x):
        return x[:, len(taps) - 1 :]
    x = x - x.mean(axis=1, keepdims=True)
    order = len(taps) - 1
    out = sum(taps[lag] * x[:, order - lag : x.shape[1] - lag] for lag in range(order + 1))
    return np.asarray(scipy.signal.detrend(out, axis=1))
