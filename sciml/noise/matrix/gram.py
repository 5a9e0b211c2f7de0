"""Eigenvalues and spectra of a recording for any scaling of its channels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg

from sciml._typing import AnyArray, FloatArray
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.noise.matrix.fourier import FourierCoefficients, fourier_coefficients, fourier_of_subsample
from sciml.noise.matrix.noise_spectra import NoiseSpectra, noise_spectra
from sciml.rmt import shrink

__all__ = ["Eigen", "Matrix", "Removal"]


SMALLEST_NOISE = 1e-4  # part of a channel's variance
COSTLY = 2**21  # values; beyond, one axis step a pass has to do
N_AXIS_STEPS = 4  # after three the channels' scales move by less than 1e-3 (measured)


@dataclass(frozen=True)
class Eigen:
    """Nonzero eigenvalues of X^H X / dof, descending, and the first orthonormal directions over the channels."""

    values: FloatArray
    directions: AnyArray


@dataclass(frozen=True)
class Removal:
    """Removes an orthonormal `basis` (N, k) of the channels divided by their noise from standardized samples.

    `factor` (N, 1) is what a standard deviation of each channel is in units of its noise.
    """

    basis: AnyArray
    factor: FloatArray

    @property
    def factors(self) -> tuple[AnyArray, AnyArray]:
        """P and R, by which samples X (T, N) are left with X - X P R."""
        return self.factor * self.basis, (self.basis / self.factor).conj().T


class Matrix:
    """The scatter between channels on its short side, and the spectra of the channels, in any units of the noise.

    `scale` is always the assumed standard deviation of each used channel's noise, shape (N,).
    """

    def __init__(self, statistics: ChannelStatistics) -> None:
        self.statistics = statistics
        self.dof = statistics.dof
        self.total_scale = statistics.total_scale
        self.n_channels = len(self.total_scale)
        self.is_complex = statistics.is_complex
        self.tall = self.n_channels <= self.dof
        self._gram: AnyArray = np.zeros((0, 0)) if statistics.gram is None else statistics.gram
        if self.tall and statistics.standardized is not None:
            self._gram = statistics.standardized.conj().T @ statistics.standardized / self.dof

    @cached_property
    def null(self) -> AnyArray:
        """Directions (N, n_null) in which the standardized channels do not scatter: a reference was subtracted."""
        if not self.tall:
            return np.zeros((self.n_channels, 0))
        values, vectors = scipy.linalg.eigh(self._gram, check_finite=False)
        limit = 30 * self.statistics.resolution * np.sqrt(self.n_channels)
        return np.asarray(vectors[:, values < limit * np.median(values)])

    def eigen(self, scale: FloatArray, n_directions: int | None = None) -> Eigen:
        """Decompose the recording with each channel divided by `scale`."""
        factor = self.total_scale / scale
        wanted = min(self.n_channels, self.dof) if n_directions is None else n_directions
        if self.tall or self.statistics.standardized is None:
            values, vectors = scipy.linalg.eigh(self._gram * factor[:, None] * factor, check_finite=False)
            kept = min(len(values) - self.null.shape[1], self.dof)  # of fewer samples than channels dof are not zero
            return Eigen(np.maximum(values[::-1][:kept], 0.0), vectors[:, ::-1][:, : min(wanted, kept)])
        scaled = self.statistics.standardized * factor
        values, left = scipy.linalg.eigh(scaled @ scaled.conj().T / self.dof, check_finite=False)
        # Demeaning leaves T - 1 nonzero eigenvalues; the null direction has no counterpart over the channels.
        values, left = np.maximum(values[:0:-1], np.finfo(float).tiny), left[:, :0:-1][:, :wanted]
        return Eigen(values, scaled.conj().T @ left / np.sqrt(values[:wanted] * self.dof))

    def noise_scale(self, scale: FloatArray, rank: int) -> FloatArray:
        """Return each channel's noise standard deviation given `rank` components, by principal-axis steps."""
        costly = not self.tall and self.n_channels * self.dof > COSTLY  # each step is a product of all values
        steps = 1 if costly else N_AXIS_STEPS
        for _ in range(steps if rank else 0):
            scale = self._residual_scale(scale, rank)
        return scale

    def _residual_scale(self, scale: FloatArray, rank: int) -> FloatArray:
        """Return the standard deviation of what remains of each channel after removing `rank` components."""
        found = self.eigen(scale, rank)
        weight = np.abs(found.directions) ** 2
        rest = np.maximum((self.total_scale / scale) ** 2 - weight @ found.values[:rank], 0.0)
        # Fitted directions absorb noise too: the part h_i of channel i's, and `rank` of the dof in time.
        dof = np.maximum(1 - weight.sum(axis=1), 0.1) * (1 - rank / self.dof)
        level = max(rest.sum() / dof.sum(), np.finfo(float).eps * found.values[0])
        rest = rest + level * dof * self.eigenvector_leakage(found.values[:rank] / level)
        # A channel that the components explain to the last digit would get no noise, and then all the weight.
        variance = np.maximum(scale**2 * rest / dof, SMALLEST_NOISE * self.total_scale**2)
        return np.asarray(np.sqrt(variance))

    def eigenvector_leakage(self, eigenvalues: FloatArray) -> float:
        """Return the part of each channel's noise that components absorb because noise perturbs their eigenvectors.

        A strong component of strength d in white noise of variance one has the eigenvalue d² + 1 + N / T: the noise on
        its own axes. A weaker one has N / (T d²) more, which it takes from all N channels alike.
        """
        ratio = self.n_channels / self.dof
        squares = shrink.spike_strength(eigenvalues, ratio, below=np.sqrt(ratio))
        return float((1 / squares).sum() / self.dof)

    @cached_property
    def fourier(self) -> FourierCoefficients:
        """Fourier coefficients over time of the used channels, standardized."""
        held, subsample = self.statistics.standardized, self.statistics.subsample
        if held is None:
            assert subsample is not None  # noqa: S101
            return fourier_of_subsample(subsample)
        return fourier_coefficients(held) if subsample is None else fourier_of_subsample(subsample)

    @cached_property
    def _total_power(self) -> FloatArray:
        return self.fourier.power(np.zeros((self.n_channels, 0)), np.zeros((0, self.n_channels)))

    def spectra(self, scale: FloatArray, directions: AnyArray) -> NoiseSpectra:
        """Return the spectra of what `directions` and the directions without any scatter leave."""
        fourier, removal = self.fourier, self.removal(scale, directions)
        power = fourier.power(*removal.factors) if removal.basis.shape[1] else self._total_power
        uniqueness = np.clip(1 - (np.abs(removal.basis) ** 2).sum(axis=1), 0.02, 1.0)
        removed_fraction = np.minimum(self.time_course_power(scale, directions).sum(axis=1), 1.0)
        return noise_spectra(power, uniqueness, fourier.dimensions, fourier.squares, removed_fraction=removed_fraction)

    def removal(self, scale: FloatArray, directions: AnyArray) -> Removal:
        """Return how to remove `directions` and the directions without any scatter from standardized samples."""
        factor = (self.total_scale / scale)[:, None]
        if not self.null.shape[1]:
            return Removal(directions, factor)
        return Removal(np.linalg.qr(np.concatenate([directions, self.null / factor], axis=1))[0], factor)

    def time_course_power(self, scale: FloatArray, directions: AnyArray) -> FloatArray:
        """Return the power (frequency, component) of the time courses of components: one in all together."""
        return self.fourier.time_course_power((self.total_scale / scale)[:, None] * directions)
