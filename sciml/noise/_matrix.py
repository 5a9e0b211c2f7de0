"""Eigenvalues and spectra of an observed recording for any scaling of its channels."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.typing import NDArray

from sciml.noise._source import Observed

__all__ = ["Eigen", "Matrix"]

Array = NDArray[np.float64]

SMALLEST_NOISE = 1e-4  # share of a channel's variance
N_SLOW = 7  # periods in a recording up to which waves count as slow
COSTLY = 2**21  # values; beyond, one axis step a pass has to do
ROWS_AT_ONCE = 1024  # whose coefficients stay in a processor's cache
N_AXIS_STEPS = 4  # after three the channels' scales move by less than 1e-3 (measured)


@dataclass(frozen=True)
class Eigen:
    """Nonzero eigenvalues of X^H X / freedom, descending, and the first orthonormal directions over the channels."""

    values: Array
    directions: NDArray[Any]


class Matrix:
    """The scatter between channels on its short side, and the spectra of the channels, in any units of the noise.

    `scale` is always the assumed standard deviation of each live channel's noise, shape (N,).
    """

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self.freedom = observed.freedom
        self.total_scale = observed.total_scale
        self.n_channels = len(self.total_scale)
        self.is_complex = observed.is_complex
        self.tall = self.n_channels <= self.freedom
        self._gram: NDArray[Any] = np.zeros((0, 0)) if observed.gram is None else observed.gram
        if self.tall and observed.standardized is not None:
            self._gram = observed.standardized.conj().T @ observed.standardized / self.freedom

    @cached_property
    def null(self) -> NDArray[Any]:
        """Directions (N, n_null) in which the standardized channels do not scatter: a reference was subtracted."""
        if not self.tall:
            return np.zeros((self.n_channels, 0))
        values, vectors = scipy.linalg.eigh(self._gram, check_finite=False)
        limit = 30 * self.observed.resolution * np.sqrt(self.n_channels)
        return np.asarray(vectors[:, values < limit * np.median(values)])

    def eigen(self, scale: Array, n_directions: int | None = None) -> Eigen:
        """Decompose the recording with each channel divided by `scale`."""
        factor = self.total_scale / scale
        wanted = min(self.n_channels, self.freedom) if n_directions is None else n_directions
        if self.tall:
            values, vectors = scipy.linalg.eigh(self._gram * factor[:, None] * factor, check_finite=False)
            kept = len(values) - self.null.shape[1]
            return Eigen(np.maximum(values[::-1][:kept], 0.0), vectors[:, ::-1][:, : min(wanted, kept)])
        assert self.observed.standardized is not None  # noqa: S101
        scaled = self.observed.standardized * factor
        values, left = scipy.linalg.eigh(scaled @ scaled.conj().T / self.freedom, check_finite=False)
        # Demeaning leaves T - 1 nonzero eigenvalues; the null direction has no counterpart over the channels.
        values, left = np.maximum(values[:0:-1], np.finfo(float).tiny), left[:, :0:-1][:, :wanted]
        return Eigen(values, scaled.conj().T @ left / np.sqrt(values[:wanted] * self.freedom))

    def noise_scale(self, scale: Array, rank: int) -> Array:
        """Return each channel's noise standard deviation beside `rank` components, by principal-axis steps."""
        costly = not self.tall and self.n_channels * self.freedom > COSTLY  # each step is a product of all values
        steps = 1 if costly else N_AXIS_STEPS
        for _ in range(steps if rank else 0):
            scale = self._residual_scale(scale, rank)
        return scale

    def _residual_scale(self, scale: Array, rank: int) -> Array:
        """Return what `rank` components leave of each channel, per degree of freedom."""
        found = self.eigen(scale, rank)
        weight = np.abs(found.directions) ** 2
        left = np.maximum((self.total_scale / scale) ** 2 - weight @ found.values[:rank], 0.0)
        # Fitted directions absorb noise too: a share h_i of channel i's, and `rank` of the degrees of freedom in time.
        freedom = np.maximum(1 - weight.sum(axis=1), 0.1) * (1 - rank / self.freedom)
        # A channel that the components explain to the last digit would get no noise, and then all the weight.
        variance = np.maximum(scale**2 * left / freedom, SMALLEST_NOISE * self.total_scale**2)
        return np.asarray(np.sqrt(variance))

    @cached_property
    def _coefficients(self) -> "_Coefficients":
        held = self.observed.standardized
        parts = np.stack(self.observed.stretches) if held is None else held[None]
        # Demeaning as a whole leaves nothing at frequency zero; stretches of a longer recording keep their own.
        first = 0 if held is None else 1
        if self.is_complex:
            return _fourier(parts.astype(np.complex64, copy=False), first)
        return _slow_cosines_then_fourier(parts.astype(np.float32, copy=False), first)

    @cached_property
    def _total_power(self) -> Array:
        return self._power_beside(np.zeros((self.n_channels, 0)), np.zeros((0, self.n_channels)))

    def _power_beside(self, down: NDArray[Any], back: NDArray[Any]) -> Array:
        """Return the mean over stretches of |C - C `down` `back`|² for coefficients C (row, channel)."""
        values = self._coefficients.values
        down, back = down.astype(values.dtype), back.astype(values.dtype)
        power = np.zeros(values.shape[1:])
        for start in range(0, values.shape[1], ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            for stretch in values[:, rows]:
                left = stretch - (stretch @ down) @ back if down.shape[1] else stretch
                power[rows] += left.real**2 + left.imag**2 if self.is_complex else left**2
        return power / len(values)

    def periodogram(self, scale: Array, basis: NDArray[Any]) -> tuple[Array, Array]:
        """Return the power (frequency, channel) of what `basis` leaves, and the share 1 - h_i that it leaves of each.

        Power is in units of each channel's noise: its mean over `multiplicity` is one.
        """
        c = self._coefficients
        factor = (self.total_scale / scale)[:, None]
        power = self._power_beside(factor * basis, (basis / factor).conj().T) if basis.shape[1] else self._total_power
        left = np.clip(1 - (np.abs(basis) ** 2).sum(axis=1), 0.02, 1.0)
        if c.n_paired:
            both = (power[-2 * c.n_paired : -c.n_paired] + power[-c.n_paired :]) / 2
            power = np.concatenate([power[: -2 * c.n_paired], both])
        level = np.average(power, axis=0, weights=c.multiplicity)
        return power / np.where(level > 0, level, 1.0), left

    @property
    def multiplicity(self) -> NDArray[np.int64]:
        """How many dimensions of time each row of `periodogram` stands for."""
        return self._coefficients.multiplicity

    @property
    def frequencies(self) -> Array:
        """Frequencies of `periodogram`, in cycles a sample."""
        return self._coefficients.frequencies


@dataclass(frozen=True)
class _Coefficients:
    """Channels in an orthonormal basis over time: values (stretch, row, channel).

    The last 2 `n_paired` rows are the cosines and then the sines of the same frequencies.
    """

    values: NDArray[Any]
    n_paired: int
    frequencies: Array
    multiplicity: NDArray[np.int64]


def _fourier(parts: NDArray[Any], first: int) -> _Coefficients:
    n = parts.shape[1]
    values = scipy.fft.fft(parts, axis=1, norm="ortho")[:, first:]
    frequency = np.fft.fftfreq(n)[first:].astype(np.float64)
    return _Coefficients(values, 0, frequency, np.ones(n - first, np.int64))


def _slow_cosines_then_fourier(parts: NDArray[Any], first: int) -> _Coefficients:
    """Take the slowest waves by cosines of half periods (DCT-II), the others by Fourier's pairs.

    Fourier's waves take the two ends of a recording for neighbors, which blunts the slowest ones, and those decide how
    far slow noise spreads its eigenvalues. Cosines alone are blind to phase, which tells a faster wave that all
    channels share from one that each has for itself.
    """
    n_stretches, n, n_channels = parts.shape
    slow = min(N_SLOW, (n - 1) // 2)
    waves = scipy.fft.idct(np.eye(2 * slow + 1, n, dtype=parts.dtype), axis=1, norm="ortho")[first:]
    paired = (n - 1) // 2 - slow
    alone = 1 - n % 2  # for even n the last frequency has no sine
    bounds = np.cumsum([0, len(waves), alone, paired, paired])
    cosines, nyquist, even, odd = (slice(*each) for each in pairwise(bounds))
    values = np.empty((n_stretches, bounds[-1], n_channels), parts.dtype)
    for into, part in zip(values, parts, strict=True):
        fast = scipy.fft.rfft(part, axis=0, norm="ortho")[slow + 1 :]
        into[cosines] = waves @ part
        into[nyquist] = fast[paired:].real
        np.multiply(fast[:paired].real, np.sqrt(2), out=into[even], casting="same_kind")
        np.multiply(fast[:paired].imag, np.sqrt(2), out=into[odd], casting="same_kind")
    frequency = np.concatenate(
        [np.arange(first, 2 * slow + 1) / (2 * n), np.full(alone, 0.5), (slow + 1 + np.arange(paired)) / n]
    )
    return _Coefficients(values, paired, frequency, np.repeat([1, 2], [len(waves) + alone, paired]))
