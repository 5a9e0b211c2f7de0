"""Eigenvalues and spectra of an observed recording for any scaling of its channels."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from sciml.noise.channels.read import Observed
from sciml.noise.matrix.fourier import Waves, waves_of, waves_of_excerpt
from sciml.noise.matrix.noise_spectra import NoiseSpectra, noise_spectra
from sciml.rmt import shrink

__all__ = ["Eigen", "Matrix"]

Array = NDArray[np.float64]

SMALLEST_NOISE = 1e-4  # share of a channel's variance
COSTLY = 2**21  # values; beyond, one axis step a pass has to do
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
        level = max(left.sum() / freedom.sum(), np.finfo(float).eps * found.values[0])
        left = left + level * freedom * self.turned_away(found.values[:rank] / level)
        # A channel that the components explain to the last digit would get no noise, and then all the weight.
        variance = np.maximum(scale**2 * left / freedom, SMALLEST_NOISE * self.total_scale**2)
        return np.asarray(np.sqrt(variance))

    def turned_away(self, eigenvalues: Array) -> float:
        """Return the share of each channel's noise that components absorb because noise turns their directions.

        A strong component of strength d in white noise of variance one has the eigenvalue d² + 1 + N / T: the noise on
        its own axes. A weaker one has N / (T d²) more, which it takes from all N channels alike.
        """
        ratio = self.n_channels / self.freedom
        squares = shrink.debias_eigenvalue(eigenvalues, ratio) - 1
        return float((1 / np.maximum(squares, np.sqrt(ratio))).sum() / self.freedom)

    @cached_property
    def waves(self) -> Waves:
        """The live channels, standardized, in waves over time."""
        held, excerpt = self.observed.standardized, self.observed.excerpt
        if held is None:
            assert excerpt is not None  # noqa: S101
            return waves_of_excerpt(excerpt)
        return waves_of(held) if excerpt is None else waves_of_excerpt(excerpt)

    @cached_property
    def _total_power(self) -> Array:
        return self.waves.power(np.zeros((self.n_channels, 0)), np.zeros((0, self.n_channels)))

    def spectra(self, scale: Array, directions: NDArray[Any]) -> NoiseSpectra:
        """Return the spectra of what `directions` and the directions without any scatter leave."""
        factor = (self.total_scale / scale)[:, None]
        basis, waves = directions, self.waves
        if self.null.shape[1]:
            basis = np.linalg.qr(np.concatenate([directions, self.null / factor], axis=1))[0]
        power = waves.power(factor * basis, (basis / factor).conj().T) if basis.shape[1] else self._total_power
        left = np.clip(1 - (np.abs(basis) ** 2).sum(axis=1), 0.02, 1.0)
        taken = np.minimum(self.courses(scale, directions).sum(axis=1), 1.0)
        return noise_spectra(power, left, waves.dimensions, waves.squares, taken=taken)

    def courses(self, scale: Array, directions: NDArray[Any]) -> Array:
        """Return the power (frequency, component) of the courses of components, one in all dimensions of time each."""
        return self.waves.courses((self.total_scale / scale)[:, None] * directions)
