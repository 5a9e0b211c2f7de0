"""Fourier coefficients of the channels over time: all of them, or those that a subsample can tell."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.channels.subsample import Subsample

__all__ = ["FourierCoefficients", "fourier_coefficients", "fourier_of_subsample"]


N_LOW = 7  # periods in a recording up to which frequencies count as low
LOW_PART = 16  # of the frequencies of a series of means, the lowest in so many: averaging hardly changes these
MARGIN = 64  # rows about a segment, some periods of the highest low frequency
ROWS_AT_ONCE = 1024  # whose coefficients stay in a processor's cache


@dataclass(frozen=True)
class FourierCoefficients:
    """Coefficients in groups (segment, row, channel), the last 2 `n_paired` rows of each cosines and then sines.

    The other fields have one entry a frequency: `frequencies` in cycles a sample; `dimensions` of time that it stands
    for; `squares`, how many independent values its power averages.
    """

    groups: tuple[tuple[AnyArray, int], ...]
    frequencies: FloatArray
    dimensions: FloatArray
    squares: IntArray

    def power(self, project: AnyArray, reconstruct: AnyArray) -> FloatArray:
        """Return the power (frequency, channel) of C - C `project` `reconstruct`, C the coefficients (row, channel)."""

        def rest(rows: AnyArray) -> AnyArray:
            if not project.shape[1]:
                return rows
            return np.asarray(rows - (rows @ project.astype(rows.dtype)) @ reconstruct.astype(rows.dtype))

        return self._power(rest)

    @property
    def n_values(self) -> float:
        """How many independent values of white noise these are of a channel: all samples, or those of a subsample."""
        squares = self.squares / (2 if np.iscomplexobj(self.groups[0][0]) else 1)
        return float(self.dimensions.sum() ** 2 / np.sum(self.dimensions**2 / squares))

    def combined(self, combinations: Any) -> "FourierCoefficients":
        """Return the coefficients of linear combinations (N, M) of the channels, dense or scipy.sparse."""

        def product(values: AnyArray) -> AnyArray:
            rows = values.reshape(-1, values.shape[-1]) @ combinations.astype(values.dtype)
            return np.asarray(rows.reshape(*values.shape[:-1], -1))

        return replace(self, groups=tuple((product(values), paired) for values, paired in self.groups))

    def covariance(self, weights: FloatArray) -> AnyArray:
        """Return the covariance (N, N) of the channels in double precision, each frequency weighed by its weight."""
        rows = self.weighed(weights)
        return np.asarray(rows.conj().T @ rows)

    def weighed(self, weights: FloatArray) -> AnyArray:
        """Return coefficients (row, N) in double precision whose products over rows are that covariance."""
        parts, first = [], 0
        for values, paired in self.groups:
            n_segments, n_rows, n_channels = values.shape
            part = slice(first, first := first + n_rows - paired)
            each = weights[part] * self.dimensions[part] / (n_segments * self.dimensions.sum())
            rows = each if not paired else np.concatenate([each[:-paired], each[-paired:] / 2, each[-paired:] / 2])
            parts.append((values * np.sqrt(rows)[:, None]).reshape(-1, n_channels))
        return np.concatenate(parts)

    def power_of(self, combinations: AnyArray) -> FloatArray:
        """Return the power (frequency, M) of linear combinations (N, M) of the channels."""
        return self._power(lambda rows: rows @ combinations.astype(rows.dtype))

    def time_course_power(self, project: AnyArray) -> FloatArray:
        """Return the power (frequency, component) of the time courses C `project`: one in all dimensions together."""
        power = self.power_of(project)
        return np.asarray(power / np.maximum(self.dimensions @ power, np.finfo(float).tiny))

    def _power(self, part_of: Callable[[AnyArray], AnyArray]) -> FloatArray:
        return np.concatenate([_paired(_power(values, part_of), paired) for values, paired in self.groups])


def _power(values: AnyArray, part_of: Callable[[AnyArray], AnyArray]) -> FloatArray:
    """Return the mean over segments of |`part_of`|², row by row."""
    n_segments, n_rows = values.shape[:2]
    power: FloatArray | None = None
    for start in range(0, n_rows, ROWS_AT_ONCE):
        for segment in values[:, start : start + ROWS_AT_ONCE]:
            squares = _square(part_of(segment))
            power = np.zeros((n_rows, squares.shape[1])) if power is None else power
            power[start : start + ROWS_AT_ONCE] += squares
    assert power is not None  # noqa: S101
    return power / n_segments if n_segments > 1 else power


def _square(values: AnyArray) -> AnyArray:
    return values.real**2 + values.imag**2 if np.iscomplexobj(values) else values * values


def _paired(power: FloatArray, paired: int) -> FloatArray:
    if not paired:
        return power
    return np.concatenate([power[: -2 * paired], (power[-2 * paired : -paired] + power[-paired:]) / 2])


def fourier_coefficients(values: AnyArray) -> FourierCoefficients:
    """Return all coefficients of demeaned samples (T, N): T - 1, for there is nothing at frequency zero.

    Those of the lowest frequencies are cosines of half periods (DCT-II), the others pairs of cosine and sine. Fourier's
    basis takes the two ends of a recording for neighbors, which blunts its lowest frequencies, and those decide how far
    slow noise spreads its eigenvalues. Cosines alone are blind to phase, which tells a faster wave that channels have
    in common from one that each has for itself. Complex values have Fourier's basis only.
    """
    n = len(values)
    if np.iscomplexobj(values):
        c = scipy.fft.fft(values.astype(np.complex64, copy=False), axis=0, norm="ortho")[1:]
        return _single(c[None], 0, _two_sided(n)[1:])
    single = values.astype(np.float32, copy=False)
    low = min(N_LOW, (n - 1) // 2)
    high = _fourier_pairs(single[None], low + 1)
    c = np.concatenate([_cosines(n, low) @ single, high[0]])
    alone, paired = _counts(n, low + 1)
    frequency = [np.arange(1, 2 * low + 1) / (2 * n), np.full(alone, 0.5), (low + 1 + np.arange(paired)) / n]
    return _single(c[None], paired, np.concatenate(frequency))


def _single(values: AnyArray, paired: int, frequencies: FloatArray) -> FourierCoefficients:
    squares = np.repeat([1, 2], [len(frequencies) - paired, paired]) * (2 if np.iscomplexobj(values) else 1)
    dimensions = np.repeat([1.0, 2.0], [len(frequencies) - paired, paired])
    return FourierCoefficients(((values, paired),), frequencies, dimensions, squares)


def _two_sided(n: int) -> FloatArray:
    return np.fft.fftfreq(n).astype(np.float64)


def _cosines(n: int, low: int) -> AnyArray:
    """Return the first cosines of n samples, two for each period, without the constant."""
    return np.asarray(scipy.fft.idct(np.eye(2 * low + 1, n, dtype=np.float32), axis=1, norm="ortho")[1:])


def _counts(n: int, first: int) -> tuple[int, int]:
    """Return how many coefficients of n samples stand alone and how many are pairs, from `first` periods on."""
    return 1 - n % 2, (n - 1) // 2 - first + 1  # for even n the last frequency has no sine


def _fourier_pairs(segments: AnyArray, first: int) -> AnyArray:
    """Return Fourier coefficients of (segment, n, N) from `first` periods on: the unpaired, cosines, sines."""
    n_segments, n, n_channels = segments.shape
    alone, paired = _counts(n, first)
    bounds = np.cumsum([0, alone, paired, paired])
    nyquist, even, odd = (slice(*each) for each in pairwise(bounds))
    values = np.empty((n_segments, bounds[-1], n_channels), segments.dtype)
    for into, part in zip(values, segments, strict=True):
        high = scipy.fft.rfft(part, axis=0, norm="ortho")[first:]
        into[nyquist] = high[paired:].real
        np.multiply(high[:paired].real, np.sqrt(2), out=into[even], casting="same_kind")
        np.multiply(high[:paired].imag, np.sqrt(2), out=into[odd], casting="same_kind")
    return values


def fourier_of_subsample(subsample: Subsample) -> FourierCoefficients:
    """Return the low frequencies of a recording from its series of means, the high ones from its segments.

    Means over m samples weaken a wave of frequency f to sinc²(f m) of its power, and add that of faster ones, which
    makes up for it where the spectrum is flat; up to f m = 1 / 16 that is within 1.3 %. The low frequencies are
    removed from the segments first: periods longer than a segment would leak into all its frequencies.
    """
    if subsample.every == 1:
        return fourier_coefficients(subsample.decimated)
    low = fourier_coefficients(subsample.decimated - subsample.decimated.mean(axis=0))
    n, length = len(subsample.decimated) * subsample.every, subsample.segments.shape[1]
    top = len(subsample.decimated) // LOW_PART
    low = _up_to(low, top, subsample.every)
    first = int(np.ceil(top / n * length))
    removed = max(top / 2, top - 2 * n / length)  # what lies next to the first high ones stays: they show part of it
    high = _high(_without_low(subsample, removed), first, n - 1 - low.dimensions.sum())
    return FourierCoefficients(
        (*low.groups, *high.groups),
        np.concatenate([low.frequencies, high.frequencies]),
        np.concatenate([low.dimensions, high.dimensions]),
        np.concatenate([low.squares, high.squares]),
    )


def _without_low(subsample: Subsample, periods: float) -> AnyArray:
    """Return the segments less the decimated series up to so many periods, interpolated between its rows."""
    low = scipy.signal.butter(4, 2 * periods / len(subsample.decimated), output="sos")
    rest = subsample.segments.copy()
    for start, segment in zip(subsample.starts, rest, strict=True):
        first = max(0, start // subsample.every - MARGIN)
        rows = subsample.decimated[first : (start + len(segment)) // subsample.every + MARGIN]
        smooth = scipy.signal.sosfiltfilt(low, rows, axis=0, padlen=min(MARGIN, len(rows) - 1))
        place = (start + np.arange(len(segment)) + 0.5) / subsample.every - 0.5 - first
        row = np.clip(place.astype(np.int64), 0, len(rows) - 2)
        weight = (place - row)[:, None]
        segment -= (smooth[row] * (1 - weight) + smooth[row + 1] * weight).astype(segment.dtype)
    return rest


def _up_to(coefficients: FourierCoefficients, top: int, every: int) -> FourierCoefficients:
    """Return the coefficients of a series of means up to `top` periods, in units of single samples."""
    ((values, paired),) = coefficients.groups
    n = values.shape[1] + 1
    kept = np.abs(coefficients.frequencies) * n <= top + 0.25
    rows = kept if not paired else np.concatenate([kept, kept[-paired:]])
    return FourierCoefficients(
        ((values[:, rows] * np.float32(np.sqrt(every)), int(np.count_nonzero(kept[-paired:])) if paired else 0),),
        coefficients.frequencies[kept] / every,
        coefficients.dimensions[kept],
        coefficients.squares[kept],
    )


def _high(segments: AnyArray, first: int, dimensions: float) -> FourierCoefficients:
    """Return the coefficients of segments from `first` periods on, which stand for so many dimensions of time."""
    n_segments, n, _ = segments.shape
    if np.iscomplexobj(segments):
        frequencies = _two_sided(n)
        kept = np.abs(frequencies) * n >= first - 0.25
        values = scipy.fft.fft(segments, axis=1, norm="ortho")[:, kept]
        coefficients = _single(values, 0, frequencies[kept])
    else:
        alone, paired = _counts(n, first)
        frequencies = np.concatenate([np.full(alone, 0.5), (first + np.arange(paired)) / n])
        coefficients = _single(_fourier_pairs(segments, first), paired, frequencies)
    each = coefficients.dimensions * (dimensions / coefficients.dimensions.sum())
    return FourierCoefficients(coefficients.groups, coefficients.frequencies, each, coefficients.squares * n_segments)
