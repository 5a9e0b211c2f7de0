"""The channels of a recording in waves over time: an orthonormal basis, or what an excerpt can tell of one."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from sciml.noise.channels.subsample import Excerpt

__all__ = ["Waves", "waves_of", "waves_of_excerpt"]

Array = NDArray[np.float64]

N_SLOW = 7  # periods in a recording up to which waves count as slow
SLOW_SHARE = 16  # of the waves of a series of means, the slowest in so many: those that averaging hardly changes
MARGIN = 64  # rows about a stretch, some periods of the fastest slow wave
ROWS_AT_ONCE = 1024  # whose coefficients stay in a processor's cache


@dataclass(frozen=True)
class Waves:
    """Coefficients in groups (stretch, row, channel), the last 2 `n_paired` rows of each cosines and then sines.

    The other fields have one entry a frequency: `frequencies` in cycles a sample; `dimensions` of time that it stands
    for; `squares`, how many independent values its power averages.
    """

    groups: tuple[tuple[NDArray[Any], int], ...]
    frequencies: Array
    dimensions: Array
    squares: NDArray[np.int64]

    def power(self, down: NDArray[Any], back: NDArray[Any]) -> Array:
        """Return the power (frequency, channel) of C - C `down` `back`, for coefficients C (row, channel)."""

        def rest(rows: NDArray[Any]) -> NDArray[Any]:
            return rows - (rows @ down.astype(rows.dtype)) @ back.astype(rows.dtype) if down.shape[1] else rows

        return self._power(rest)

    def courses(self, down: NDArray[Any]) -> Array:
        """Return the power (frequency, course) of the courses C `down`, which adds up to one over all dimensions."""
        power = self._power(lambda rows: rows @ down.astype(rows.dtype))
        return np.asarray(power / np.maximum(self.dimensions @ power, np.finfo(float).tiny))

    def _power(self, seen: Callable[[NDArray[Any]], NDArray[Any]]) -> Array:
        return np.concatenate([_paired(_power(values, seen), paired) for values, paired in self.groups])


def _power(values: NDArray[Any], seen: Callable[[NDArray[Any]], NDArray[Any]]) -> Array:
    """Return the mean over stretches of |`seen`|², row by row."""
    parts = []
    for start in range(0, values.shape[1], ROWS_AT_ONCE):
        squares = [_square(seen(stretch)) for stretch in values[:, start : start + ROWS_AT_ONCE]]
        parts.append(np.mean(squares, axis=0, dtype=np.float64))
    return np.concatenate(parts)


def _square(values: NDArray[Any]) -> NDArray[Any]:
    return values.real**2 + values.imag**2 if np.iscomplexobj(values) else values**2


def _paired(power: Array, paired: int) -> Array:
    if not paired:
        return power
    return np.concatenate([power[: -2 * paired], (power[-2 * paired : -paired] + power[-paired:]) / 2])


def waves_of(values: NDArray[Any]) -> Waves:
    """Return all waves of demeaned samples (T, N): T - 1, for there is nothing at frequency zero.

    The slowest are cosines of half periods (DCT-II), the others Fourier's pairs. Fourier's waves take the two ends of a
    recording for neighbors, which blunts the slowest ones, and those decide how far slow noise spreads its eigenvalues.
    Cosines alone are blind to phase, which tells a faster wave that all channels share from one that each has for
    itself. Complex values have Fourier's waves only.
    """
    n = len(values)
    if np.iscomplexobj(values):
        c = scipy.fft.fft(values.astype(np.complex64, copy=False), axis=0, norm="ortho")[1:]
        return _single(c[None], 0, _two_sided(n)[1:])
    single = values.astype(np.float32, copy=False)
    slow = min(N_SLOW, (n - 1) // 2)
    fast = _fourier_pairs(single[None], slow + 1)
    c = np.concatenate([_cosines(n, slow) @ single, fast[0]])
    alone, paired = _counts(n, slow + 1)
    frequency = [np.arange(1, 2 * slow + 1) / (2 * n), np.full(alone, 0.5), (slow + 1 + np.arange(paired)) / n]
    return _single(c[None], paired, np.concatenate(frequency))


def _single(values: NDArray[Any], paired: int, frequencies: Array) -> Waves:
    squares = np.repeat([1, 2], [len(frequencies) - paired, paired]) * (2 if np.iscomplexobj(values) else 1)
    dimensions = np.repeat([1.0, 2.0], [len(frequencies) - paired, paired])
    return Waves(((values, paired),), frequencies, dimensions, squares)


def _two_sided(n: int) -> Array:
    return np.fft.fftfreq(n).astype(np.float64)


def _cosines(n: int, slow: int) -> NDArray[Any]:
    """Return the first cosines of n samples, two for each period, without the constant."""
    return np.asarray(scipy.fft.idct(np.eye(2 * slow + 1, n, dtype=np.float32), axis=1, norm="ortho")[1:])


def _counts(n: int, first: int) -> tuple[int, int]:
    """Return how many waves of n samples stand alone and how many are pairs, from `first` periods on."""
    return 1 - n % 2, (n - 1) // 2 - first + 1  # for even n the last frequency has no sine


def _fourier_pairs(stretches: NDArray[Any], first: int) -> NDArray[Any]:
    """Return Fourier coefficients of (stretch, n, N) from `first` periods on: the unpaired, cosines, sines."""
    n_stretches, n, n_channels = stretches.shape
    alone, paired = _counts(n, first)
    bounds = np.cumsum([0, alone, paired, paired])
    nyquist, even, odd = (slice(*each) for each in pairwise(bounds))
    values = np.empty((n_stretches, bounds[-1], n_channels), stretches.dtype)
    for into, part in zip(values, stretches, strict=True):
        fast = scipy.fft.rfft(part, axis=0, norm="ortho")[first:]
        into[nyquist] = fast[paired:].real
        np.multiply(fast[:paired].real, np.sqrt(2), out=into[even], casting="same_kind")
        np.multiply(fast[:paired].imag, np.sqrt(2), out=into[odd], casting="same_kind")
    return values


def waves_of_excerpt(excerpt: Excerpt) -> Waves:
    """Return the slow waves of a recording from its series of means, the faster ones from its stretches.

    Means over m samples weaken a wave of frequency f to sinc²(f m) of its power, and add that of faster ones, which
    makes up for it where the spectrum is flat; up to f m = 1 / 16 that is within 1.3 %. The slow waves are taken off
    the stretches first: those that are longer than a stretch would leak into all its frequencies.
    """
    if excerpt.every == 1:
        return waves_of(excerpt.slow)
    slow = waves_of(excerpt.slow - excerpt.slow.mean(axis=0))
    n, length = len(excerpt.slow) * excerpt.every, excerpt.stretches.shape[1]
    top = len(excerpt.slow) // SLOW_SHARE
    slow = _up_to(slow, top, excerpt.every)
    first = int(np.ceil(top / n * length))
    known = max(top / 2, top - 2 * n / length)  # waves next to the first fast ones stay, being part of what those show
    fast = _faster(_without_slow(excerpt, known), first, n - 1 - slow.dimensions.sum())
    return Waves(
        (*slow.groups, *fast.groups),
        np.concatenate([slow.frequencies, fast.frequencies]),
        np.concatenate([slow.dimensions, fast.dimensions]),
        np.concatenate([slow.squares, fast.squares]),
    )


def _without_slow(excerpt: Excerpt, periods: float) -> NDArray[Any]:
    """Return the stretches less the waves of the slow series of up to so many periods, interpolated between rows."""
    low = scipy.signal.butter(4, 2 * periods / len(excerpt.slow), output="sos")
    left = excerpt.stretches.copy()
    for start, stretch in zip(excerpt.starts, left, strict=True):
        first = max(0, start // excerpt.every - MARGIN)
        rows = excerpt.slow[first : (start + len(stretch)) // excerpt.every + MARGIN]
        smooth = scipy.signal.sosfiltfilt(low, rows, axis=0, padlen=min(MARGIN, len(rows) - 1))
        place = (start + np.arange(len(stretch)) + 0.5) / excerpt.every - 0.5 - first
        row = np.clip(place.astype(np.int64), 0, len(rows) - 2)
        weight = (place - row)[:, None]
        stretch -= (smooth[row] * (1 - weight) + smooth[row + 1] * weight).astype(stretch.dtype)
    return left


def _up_to(waves: Waves, top: int, every: int) -> Waves:
    """Return the waves of a series of means up to `top` periods, in units of single samples."""
    ((values, paired),) = waves.groups
    n = values.shape[1] + 1
    kept = np.abs(waves.frequencies) * n <= top + 0.25
    rows = kept if not paired else np.concatenate([kept, kept[-paired:]])
    return Waves(
        ((values[:, rows] * np.float32(np.sqrt(every)), int(np.count_nonzero(kept[-paired:])) if paired else 0),),
        waves.frequencies[kept] / every,
        waves.dimensions[kept],
        waves.squares[kept],
    )


def _faster(stretches: NDArray[Any], first: int, dimensions: float) -> Waves:
    """Return the waves of stretches from `first` periods on, which stand for so many dimensions of time together."""
    n_stretches, n, _ = stretches.shape
    if np.iscomplexobj(stretches):
        frequencies = _two_sided(n)
        kept = np.abs(frequencies) * n >= first - 0.25
        values = scipy.fft.fft(stretches, axis=1, norm="ortho")[:, kept]
        waves = _single(values, 0, frequencies[kept])
    else:
        alone, paired = _counts(n, first)
        frequencies = np.concatenate([np.full(alone, 0.5), (first + np.arange(paired)) / n])
        waves = _single(_fourier_pairs(stretches, first), paired, frequencies)
    share = waves.dimensions * (dimensions / waves.dimensions.sum())
    return Waves(waves.groups, waves.frequencies, share, waves.squares * n_stretches)
