"""Eigenvalues and spectra of a recording for any scaling of its channels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.optimize

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.linalg.symmetric import leading_eigh
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.noise.matrix.fourier import FourierCoefficients, fourier_coefficients, fourier_of_subsample
from sciml.noise.matrix.noise_spectra import NoiseSpectra, noise_spectra
from sciml.rmt import shrink

__all__ = ["Eigen", "Matrix", "Removal"]


SMALLEST_NOISE = 1e-4  # part of a channel's variance
COSTLY = 2**21  # values; beyond, one axis step a pass has to do
MOST_WITH_NULL = 4096  # channels, of more than samples: more null directions do not fit
RANK_TOLERANCE = 1e-8
LEAST_TOLD = 1e-6  # smallest eigenvalue over the largest, of equations that can be solved
FEW_ROWS = 64  # of a recording that is wide
FEW_CHANNELS = 256  # of which a fit is quicker than a look ahead
N_QUIET = 32  # directions
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
        self.plain: Matrix = self  # that of the channels themselves, whatever combinations of them this one has
        self.statistics = statistics
        self.dof = statistics.dof
        self.total_scale = statistics.total_scale
        self.n_channels = len(self.total_scale)
        self.is_complex = statistics.is_complex
        self.tall = self.n_channels <= self.dof
        self._last: tuple[FloatArray, Eigen] | None = None  # what was asked for last is asked for by many

    @cached_property
    def samples(self) -> AnyArray | None:
        """Standardized samples (T, N); None where they are not held."""
        return self.statistics.standardized

    @cached_property
    def gram(self) -> AnyArray | None:
        """X^H X / dof of standardized samples, where that is the short side or all that is kept."""
        if self.samples is None or not self.tall:
            return self.statistics.gram
        return np.asarray(self.samples.conj().T @ self.samples / self.dof)

    @cached_property
    def _values(self) -> FloatArray:
        """Eigenvalues of the standardized channels, descending."""
        assert self.gram is not None  # noqa: S101
        return leading_eigh(self.gram, 0)[0]

    def _least(self, n_directions: int) -> AnyArray:
        """Return the directions in which the standardized channels scatter least."""
        assert self.gram is not None  # noqa: S101
        return leading_eigh(-self.gram, n_directions)[1]

    @cached_property
    def quiet_spectra(self) -> NoiseSpectra | None:
        """Spectra in the directions of least scatter; None of few channels, or where some were projected out.

        These hold noise, whatever rises above it. White noise is white in them too: which directions they are depends
        on sizes, and the time courses of white noise are independent of these.
        """
        if self.n_channels < FEW_CHANNELS or not self.tall or self.null.shape[1]:
            return None
        fourier, power = self.fourier, self.fourier.power_of(self._least(N_QUIET))
        nothing = np.zeros(len(power))
        return noise_spectra(power, np.ones(N_QUIET), fourier.dimensions, fourier.squares, removed_fraction=nothing)

    @cached_property
    def null(self) -> AnyArray:
        """Directions (N, n_null) in which the standardized channels do not scatter: they were projected out."""
        none = np.zeros((self.n_channels, 0))
        if self.tall and self.gram is not None:
            n_null = int(np.count_nonzero(self._values < self._null_limit(self._values)))
            return self._least(n_null)[:, ::-1] if n_null else none
        held = self.samples
        if held is None or self.n_channels > MOST_WITH_NULL:
            return none
        small = held @ held.conj().T / self.dof
        least = scipy.linalg.eigh(small, eigvals_only=True, subset_by_index=[1, 1], check_finite=False)
        if least[0] > RANK_TOLERANCE * np.trace(small).real / self.dof:  # the mean takes one of the samples
            return none
        values, left = scipy.linalg.eigh(small, check_finite=False)
        span = held.conj().T @ left[:, values > self._null_limit(values)]
        return np.asarray(np.linalg.qr(span, mode="complete")[0][:, span.shape[1] :])

    def _null_limit(self, values: FloatArray) -> float:
        """Return the eigenvalue below which a direction holds nothing but the rounding of values and products."""
        rounding = self.statistics.resolution * np.sqrt(len(values))
        stored = 10 * self.statistics.stored_rounding
        typical = float(np.median(values))
        if typical < 3 * rounding + stored:  # most directions are null
            typical = float(np.median(values[values > 3 * rounding + stored]))
        return float(30 * rounding * typical + stored)

    @property
    def n_dimensions(self) -> int:
        """How many dimensions the channels fill."""
        return self.n_channels - int(self.null.shape[1])

    def projected_out(self, scale: FloatArray) -> AnyArray:
        r"""Return orthonormal directions (N, n_null) that are projected out of channels divided by `scale`.

        Of noise E with standard deviations s, of which a recording is X = E (I - K K^H), what remains is white after
        division and a second projection,

        .. math:: X S^{-1} (I - \Pi) = E S^{-1} (I - \Pi), \qquad \Pi \text{ onto the span of } S^{-1} K

        while X S^{-1} alone is as unequal as s. With unit `scale` these are the directions K themselves.
        """
        if not self.null.shape[1]:
            return self.null
        return np.asarray(np.linalg.qr(self.null / (self.total_scale * scale)[:, None])[0])

    def _complement(self, scale: FloatArray, directions: AnyArray) -> AnyArray:
        """Return the projection on all that neither `directions` nor those projected out hold."""
        basis = np.concatenate([directions, self.projected_out(scale)], axis=1)
        return np.asarray(np.eye(self.n_channels) - basis @ basis.conj().T)

    def _second_projection(self, scale: FloatArray) -> AnyArray | None:
        """Return the projection I - Pi of `projected_out`, or None where dividing by `scale` asks for none."""
        if not self.null.shape[1] or np.ptp(scale) == 0:
            return None
        return self._complement(scale, np.zeros((self.n_channels, 0)))

    def eigen(self, scale: FloatArray, n_directions: int | None = None) -> Eigen:
        """Decompose the recording with each channel divided by `scale`, less what was projected out."""
        kept = min(self.n_dimensions, self.dof)  # of fewer samples than channels dof are not zero: the mean takes one
        wanted = kept if n_directions is None else min(n_directions, kept)
        last_scale, last = self._last or (scale, None)
        if last is None or last.directions.shape[1] < wanted or not np.array_equal(last_scale, scale):
            last = self._decomposed(scale, kept, wanted)
            self._last = scale, last
        return Eigen(last.values, last.directions[:, :wanted])

    def _decomposed(self, scale: FloatArray, kept: int, wanted: int) -> Eigen:
        factor, left_over = self.total_scale / scale, self._second_projection(scale)
        if self.gram is not None:
            gram = self.gram * factor[:, None] * factor
            gram = gram if left_over is None else left_over @ gram @ left_over
            values, vectors = leading_eigh(gram, wanted)
            return Eigen(np.maximum(values[:kept], 0.0), vectors)
        assert self.samples is not None  # noqa: S101
        scaled = self.samples * factor
        scaled = scaled if left_over is None else scaled @ left_over
        values, left = leading_eigh(scaled @ scaled.conj().T / self.dof, wanted)
        values = np.maximum(values[:kept], np.finfo(float).tiny)
        return Eigen(values, scaled.conj().T @ left / np.sqrt(values[:wanted] * self.dof))

    def noise_scale(self, scale: FloatArray, rank: int) -> FloatArray:
        """Return each channel's noise standard deviation given `rank` components, by principal-axis steps.

        Where directions were projected out, that is its noise before.
        """
        if self.null.shape[1]:
            return self._scale_before_projection(scale, rank)
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

    def _scale_before_projection(self, scale: FloatArray, rank: int) -> FloatArray:
        r"""Return the standard deviations of noise before directions were projected out, and components removed.

        Of variances q in units of `scale`², the projection M leaves each channel sum_j A_ij q_j, A_ij = |M_ij|²: linear
        equations in q. By chance their right side has the covariance c A, c = 2 tau / T; so the coefficient of q along
        an eigenvector of A, of eigenvalue a, has the variance c / a, which few dimensions make large. Coefficients are
        pulled towards even variances as far as chance explains them (Efron and Morris 1975).
        """
        tau = self.spectra(scale, self.eigen(scale, rank).directions).tau
        chance = (1 if self.is_complex else 2) * tau / (self.dof - rank)
        for _ in range(N_AXIS_STEPS):
            found = self.eigen(scale)
            rest = (np.abs(found.directions[:, rank:]) ** 2) @ found.values[rank:] / (1 - rank / self.dof)
            mixed = np.abs(self._complement(scale, found.directions[:, :rank])) ** 2
            level = max(rest.sum() / mixed.sum(), np.finfo(float).eps * found.values[0])
            rest = rest / level + mixed.sum(axis=1) * self.eigenvector_leakage(found.values[:rank] / level)
            even = rest.sum() / mixed.sum()
            uneven = _pulled_solution(mixed, rest - even * mixed.sum(axis=1), chance)
            scale = scale * np.sqrt(level * np.maximum(even + uneven, SMALLEST_NOISE))
        return np.asarray(scale)

    def eigenvector_leakage(self, eigenvalues: FloatArray) -> float:
        """Return the part of each channel's noise that components absorb because noise perturbs their eigenvectors.

        A strong component of strength d in white noise of variance one has the eigenvalue d² + 1 + N / T: the noise on
        its own axes. A weaker one has N / (T d²) more, which it takes from all N channels alike.
        """
        ratio = self.n_dimensions / self.dof
        squares = shrink.spike_strength(eigenvalues, ratio, below=np.sqrt(ratio))
        return float((1 / squares).sum() / self.dof)

    @cached_property
    def fourier(self) -> FourierCoefficients:
        """Fourier coefficients over time of the used channels, standardized."""
        held, subsample = self.samples, self.statistics.subsample
        if held is None:
            assert subsample is not None  # noqa: S101
            return fourier_of_subsample(subsample)
        return fourier_coefficients(held) if subsample is None else fourier_of_subsample(subsample)

    @cached_property
    def _total_power(self) -> FloatArray:
        return self.fourier.power(np.zeros((self.n_channels, 0)), np.zeros((0, self.n_channels)))

    def plain_factors(self, scale: FloatArray, directions: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Return P and R, by which standardized samples X (T, N) are left with X - X P R."""
        return self.removal(scale, directions).factors

    def explained(self, scale: FloatArray, rank: int) -> FloatArray:
        """Return the part of each standardized channel's variance that lies in `rank` components, (N,)."""
        found = self.eigen(scale, rank)
        return np.asarray(np.abs(found.directions) ** 2 @ found.values[:rank] * (scale / self.total_scale) ** 2)

    def transformed(self, rows: AnyArray) -> AnyArray:
        """Return samples (n, N) of the standardized channels as this matrix has them."""
        return rows

    def spectra(self, scale: FloatArray, directions: AnyArray) -> NoiseSpectra:
        """Return the spectra of what `directions` and the directions without any scatter leave."""
        fourier, removal = self.fourier, self.removal(scale, directions)
        power = fourier.power(*removal.factors) if removal.basis.shape[1] else self._total_power
        uniqueness = np.clip(1 - (np.abs(removal.basis) ** 2).sum(axis=1), 0.02, 1.0)
        removed_fraction = np.minimum(self.time_course_power(scale, directions).sum(axis=1), 1.0)
        return noise_spectra(power, uniqueness, fourier.dimensions, fourier.squares, removed_fraction=removed_fraction)

    def removal(self, scale: FloatArray, directions: AnyArray) -> Removal:
        """Return how to remove `directions`, those of `eigen`, and what was projected out from standardized samples."""
        factor = (self.total_scale / scale)[:, None]
        if not self.null.shape[1]:
            return Removal(directions, factor)
        return Removal(np.concatenate([directions, self.projected_out(scale)], axis=1), factor)

    def residual_covariance(self, scale: FloatArray, basis: AnyArray, first: IntArray, second: IntArray) -> FloatArray:
        """Return the covariance (real part) of pairs of channels divided by `scale`, without a `basis` (N, k)."""
        factor = (self.total_scale / scale)[:, None]
        if self.gram is not None:
            scatter, scattered = self.gram[first, second], factor * ((self.gram * factor.T) @ basis)
        else:
            held = self.samples
            assert held is not None  # noqa: S101
            parts = [held[start : start + FEW_ROWS] for start in range(0, len(held), FEW_ROWS)]
            products = [np.einsum("ti,ti->i", part[:, first].conj(), part[:, second]) for part in parts]
            scatter = np.sum(products, axis=0) / self.dof
            scattered = factor * (held.conj().T @ (held @ (factor * basis))) / self.dof
        inside = basis.conj().T @ scattered
        rest = scatter * factor[first, 0] * factor[second, 0]
        rest = rest - np.einsum("ik,ik->i", scattered[first], basis[second].conj())
        rest = rest - np.einsum("ik,ik->i", basis[first], scattered[second].conj())
        return np.asarray((rest + np.einsum("ik,ik->i", basis[first] @ inside, basis[second].conj())).real)

    def time_course_power(self, scale: FloatArray, directions: AnyArray) -> FloatArray:
        """Return the power (frequency, component) of the time courses of components: one in all together."""
        return self.fourier.time_course_power((self.total_scale / scale)[:, None] * directions)


def _pulled_solution(matrix: FloatArray, right: FloatArray, chance: float) -> FloatArray:
    """Solve matrix @ q = right, whose error has the covariance chance * matrix; q pulled towards zero as chance asks.

    Along the eigenvectors q_k = right_k / a_k has by chance the variance chance / a_k, against chance where nothing was
    projected out. What that adds is pulled out: with v from sum q_k² / (v + chance (1 / a_k - 1)) = n.
    """
    values, vectors = scipy.linalg.eigh(matrix, check_finite=False)
    told = values > LEAST_TOLD * values[-1]
    values, vectors = values[told], vectors[:, told]
    solution, noise = vectors.T @ right / values, chance * np.maximum(1 / values - 1, LEAST_TOLD)

    def excess(spread: float) -> float:
        return float(np.sum(solution**2 / (spread + noise)) - len(noise))

    top = float(np.sum(solution**2)) + 1.0
    spread = float(scipy.optimize.brentq(excess, 0.0, top)) if excess(0.0) > 0 > excess(top) else 0.0
    return np.asarray(vectors @ (solution * spread / (spread + noise)))
