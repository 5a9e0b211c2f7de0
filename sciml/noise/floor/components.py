"""Components of a recording: strengths, their intervals, and how far to trust the shapes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
import scipy.stats

from sciml._typing import AnyArray, FloatArray
from sciml.noise.floor.select_model import Choice
from sciml.noise.floor.time_courses import TimeCourseEffects, time_course_effects
from sciml.noise.matrix.gram import Eigen, Matrix
from sciml.rmt import shrink

__all__ = ["Components", "components_of"]


CONFIDENCE = 0.95
UNLIKE = 4.0  # standard deviations from the typical noise, at which a channel's noise is no matter of chance
TINY = float(np.finfo(float).tiny)
MOST_LEAKED = 0.5  # of one direction that another can hold: half of each, where strengths are equal


@dataclass(frozen=True)
class Components:
    """Components in noise of standard deviation `channel_noise` (N,) in the units of the data.

    `maps` (N, rank) are of unit norm after each channel was divided by its noise, `filters` (N, rank) such that their
    products with maps are one matrix of ones; they are the same orthonormal directions where channels share no noise.
    `singular_values` are all those of the matrix (T, N) then, `strengths` (rank,) and their `intervals` (rank, 2) in
    the units of the data, overlaps squared cosines with the signal's own vectors. Channels are orthogonal to `null`
    (N, n_null), also orthonormal; `channel_noise` is that before a projection made them so where channels share none,
    `recorded_noise` (N,) what they still have.
    """

    channel_noise: FloatArray
    null: AnyArray
    maps: AnyArray
    filters: AnyArray
    singular_values: FloatArray
    strengths: FloatArray
    intervals: FloatArray
    overlaps_channel: FloatArray
    overlaps_time: FloatArray
    recorded_noise: FloatArray


def components_of(choice: Choice) -> Components:
    """Return the components that a fit found, on the channels divided by the best estimate of their noise."""
    matrix, rank = choice.matrix, choice.fit.rank
    scale, relative_variance = _steady_scale(choice)
    noise = _noise(choice, scale)
    found = matrix.eigen(scale, rank)
    singular_values = np.sqrt(found.values[: len(choice.fit.eigenvalues)] * matrix.dof)
    spikes = _spikes(matrix, singular_values, rank)
    over_channels, over_time = spikes.overlaps.short, spikes.overlaps.long
    if matrix.n_dimensions > matrix.dof:
        over_channels, over_time = over_time, over_channels
    effects = _effects(choice, scale, found)
    over_channels = np.minimum(over_channels * effects.overlap_channel, 1.0)
    over_time = np.minimum(over_time * effects.overlap_time, 1.0)
    in_noise = spikes.strength * effects.strength
    null = _null(choice)
    images = noise.images(found.directions)
    unit, unit_error, kept = _unit(noise, images, over_channels, null)
    leaked_channels, leaked_time = _eigenvector_leakage(
        found.directions, relative_variance, in_noise, effects.relative_noise_power
    )
    mixed = _perturbed_unit(images, leaked_channels) / unit**2
    strengths = in_noise * unit / np.sqrt(matrix.statistics.n_samples)
    strength_error = spikes.standard_error / np.maximum(spikes.strength, np.finfo(float).tiny)
    relative = np.sqrt(strength_error**2 * effects.relative_noise_power + unit_error**2 + mixed**2)
    half = float(scipy.stats.norm.isf((1 - CONFIDENCE) / 2)) * relative * strengths
    intervals = np.stack([np.maximum(strengths - half, 0), strengths + half], axis=1)
    maps, filters = noise.maps_and_filters(found.directions)
    louder = _louder(choice)
    return Components(
        noise.of_channels * louder, null, maps, filters, singular_values, strengths, intervals,
        over_channels * kept * _own_part(leaked_channels), over_time * _own_part(leaked_time),
        noise.recorded(null) * louder,
    )  # fmt: skip


def _effects(choice: Choice, scale: FloatArray, found: Eigen) -> TimeCourseEffects:
    """Return what the spectra of the time courses do to the components, in the noise that was fitted."""
    fit, matrix = choice.fit, choice.matrix
    if not fit.rank or not choice.model.colored:
        return TimeCourseEffects(*np.ones((4, fit.rank)))
    power = matrix.fourier.dimensions[:, None] * matrix.time_course_power(scale, found.directions)
    binned = np.add.reduceat(power, fit.spectra.starts).T
    parts = len(fit.profile.row_counts) // len(fit.spectra.starts)  # of time, where samples weigh unequally
    return time_course_effects(fit.profile, fit.eigenvalues[: fit.rank], np.tile(binned, parts) / parts)


def _steady_scale(choice: Choice) -> tuple[FloatArray, FloatArray]:
    """Return the noise standard deviation of each used channel, and the relative variance of its square.

    In strongly colored noise few samples count, and the variances found of equal channels scatter. They are pulled
    towards their typical value as far as chance explains that scatter (James-Stein estimates of the logarithms: Efron
    and Morris 1975, doi:10.1080/01621459.1975.10479864), except for channels unlike the others. Their sum is kept.
    """
    fit, matrix = choice.fit, choice.matrix
    if choice.model.equal_variances or choice.prepared.whitening is not None:
        return fit.scale, np.zeros(len(fit.scale))
    present, weights = matrix.statistics.fraction_present, matrix.statistics.row_weights
    variance = fit.scale**2 / present
    level = np.log(variance)
    relative = fit.spectra.relative_variance(common=choice.model.common_spectrum) / fit.spectra.effective_fraction
    if weights is not None:
        relative = relative * np.mean(weights**2)
    # The logarithm of a mean of 2 / v squared normal values, of relative variance v, has the variance polygamma(1, 1/v)
    chance = scipy.special.polygamma(1, (2 if matrix.is_complex else 1) / relative)
    spread = float(scipy.stats.median_abs_deviation(level, scale="normal")) ** 2
    real = max(spread - float(np.mean(chance)), 0.0)
    off = level - np.median(level)
    like = np.abs(off) < UNLIKE * np.sqrt(real + chance)
    kept = np.where(like, real / (real + chance), 1.0)
    pulled = variance * np.exp((kept - 1) * off)
    pulled[like] *= variance[like].sum() / pulled[like].sum()
    return np.sqrt(pulled * present), kept * chance


@dataclass(frozen=True)
class _Noise:
    """What directions of the matrix are in the units of the data: K = D R^{1/2} (N, M), D the noise of each channel.

    `color` is R^{1/2} on the right of samples, (M, N), and `whiten` (N, M) takes it out; None where channels share no
    noise: R is one.
    """

    of_channels: FloatArray
    color: Any = None
    whiten: Any = None

    def images(self, directions: AnyArray) -> AnyArray:
        """Return K u (N, k) of directions u (M, k)."""
        loadings = directions if self.color is None else self.color.conj().T @ directions
        return np.asarray(self.of_channels[:, None] * loadings)

    def pulled_back(self, images: AnyArray) -> AnyArray:
        """Return K^H (K u) (M, k)."""
        scaled = self.of_channels[:, None] * images
        return np.asarray(scaled if self.color is None else self.color @ scaled)

    def recorded(self, null: AnyArray) -> FloatArray:
        """Return what channels have of noise after `null` was projected out of it; shared noise is known after that."""
        if not null.shape[1] or self.color is not None:
            return self.of_channels
        left = np.eye(len(null)) - null @ null.conj().T
        return np.asarray(np.sqrt(np.abs(left) ** 2 @ self.of_channels**2))

    @property
    def mean_square(self) -> float:
        """Mean of |K e|² over all directions."""
        if self.color is None:
            return float(np.mean(self.of_channels**2))
        return float(np.sum(np.abs(self.color) ** 2 @ self.of_channels**2)) / int(self.color.shape[0])

    def maps_and_filters(self, directions: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Return components in units of each channel's noise, of unit norm, and what their scores are read by."""
        if self.color is None:
            return directions, directions
        maps, filters = self.color.conj().T @ directions, self.whiten @ directions
        norm = np.linalg.norm(maps, axis=0)
        return maps / norm, filters * norm


def _noise(choice: Choice, scale: FloatArray) -> _Noise:
    """Return the noise at the samples that are present, in data units."""
    prepared, present = choice.prepared, choice.matrix.statistics.fraction_present
    if prepared.whitening is None:
        own = prepared.channel_scale
        return _Noise(np.asarray(scale / np.sqrt(present)) if own is None else own)
    # Samples of the matrix are standardized ones times `whiten`, and their noise has the common standard deviation.
    whiten, color, level = prepared.whitening.whiten, prepared.whitening.color, float(scale[0])
    inflation = 1.0 if prepared.finite is None else prepared.finite.inflation
    before = np.sqrt(prepared.whitening.noise / inflation) * level
    total = choice.matrix.statistics.total_scale / np.sqrt(present)
    return _Noise(before * total, color * (level / before), whiten * before[:, None] / level)


def _louder(choice: Choice) -> float:
    r"""Return the standard deviation of what is left of the channels over what the fit of shared noise says of it.

    A fit of few parameters to the logarithm of a spectrum holds the relative errors down, not those of the power in
    all. With eigenvalues lam_j of components and their maps v_j = color^H u_j, the channel i has
    1 - sum lam_j |v_ij|² left, and should have l (sum_m |color_mi|² - sum_j |v_ij|²), l the level of the bulk.
    """
    if choice.prepared.whitening is None or choice.prepared.finite is not None:
        return 1.0
    choice = choice.whole or choice
    assert choice.prepared.whitening is not None  # noqa: S101
    matrix, rank, color = choice.matrix, choice.fit.rank, choice.prepared.whitening.color
    found = matrix.eigen(matrix.total_scale, rank)
    squares = np.abs(color.conj().T @ found.directions) ** 2
    left = 1 - rank / matrix.dof
    level = float(found.values[rank:].sum()) / ((matrix.n_channels - rank) * left)
    weights = choice.matrix.statistics.total_scale**2 / choice.matrix.statistics.fraction_present
    expected = np.asarray((np.abs(color) ** 2).sum(axis=0)).ravel() - squares.sum(axis=1)
    rest = 1 - squares @ found.values[:rank]
    return float(np.sqrt(max(float(weights @ rest), TINY) / max(level * left * float(weights @ expected), TINY)))


def _null(choice: Choice) -> AnyArray:
    """Return the directions that were projected out of the recording; residuals of counts are orthogonal by design."""
    matrix = choice.matrix.plain
    if choice.prepared.channel_scale is not None:
        return np.zeros((matrix.n_channels, 0))
    return matrix.projected_out(np.ones(matrix.n_channels))


def _spikes(matrix: Matrix, singular_values: FloatArray, rank: int) -> shrink.OptShrink:
    """Return strengths and overlaps of the components, given the singular values of the noise."""
    n_values = len(singular_values)
    sides = (n_values, max(matrix.n_dimensions, matrix.dof))
    return shrink.optshrink(singular_values, min(rank, n_values - 1), sides, complex_data=matrix.is_complex)


def _unit(
    noise: _Noise, images: AnyArray, overlap: FloatArray, null: AnyArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what one noise standard deviation of each component is in the units of the data, and its relative error.

    That is the norm of K u, less what was projected out. The direction found is c u + s e, with c² = `overlap` and e
    spread over all directions alike; so the norm of K times it has an excess s² <K^H K> and, where directions differ,
    varies by 2 c s u^H K^H K e. The last is the overlap of loadings in units of each channel's noise over that of
    directions: one where channels share no noise.
    """
    found = (np.abs(images) ** 2).sum(axis=0)
    pulled = noise.pulled_back(images)
    fourth = (np.abs(pulled) ** 2).sum(axis=0)
    found = found - (np.abs(null.conj().T @ images) ** 2).sum(axis=0)
    safe = np.where(overlap > 0, overlap, 1.0)
    true = np.maximum((found - (1 - safe) * noise.mean_square) / safe, 0.1 * found)
    scatter = np.sqrt(safe * (1 - safe) * np.maximum(fourth - found**2, 0) / len(pulled))
    kept = np.ones(len(true)) if noise.color is None else np.minimum(true / found, 1 / safe)
    return np.sqrt(true), scatter / (safe * true), kept


def _eigenvector_leakage(
    directions: AnyArray, relative_variance: FloatArray, strength: FloatArray, relative_noise_power: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how much of each component leaks into another, squared: (j, k) for loadings and for time courses.

    Those of nearly equal strength do: to first order the direction j contains a_jk u_k. For strengths d in noise of
    variance l_j at the frequencies of the time course j, the noise makes Var a_jk = (l_j d_j² + l_k d_k²) /
    (d_j² - d_k²)², of time courses (l_k d_j² + l_j d_k²) / (d_j² - d_k²)². Errors q_i in the channels' variances, of
    `relative_variance`, perturb loadings by d_k² / (d_j² - d_k²) times sum_i q_i u_ji u_ki more.
    """
    squares, noisy = strength**2, relative_noise_power * strength**2
    gap = squares[:, None] - squares
    np.fill_diagonal(gap, np.inf)
    weight = np.abs(directions) ** 2
    skew = (weight.T * relative_variance) @ weight
    with np.errstate(divide="ignore"):
        loadings = (noisy[:, None] + noisy + squares**2 * skew) / gap**2
        return loadings, (np.outer(squares, relative_noise_power) + np.outer(relative_noise_power, squares)) / gap**2


def _own_part(leakage: FloatArray) -> FloatArray:
    """Return how much of each component is its own; of two that are equal, half."""
    return np.asarray(1 / (1 + np.minimum(leakage, 1.0).sum(axis=1)))


def _perturbed_unit(images: AnyArray, leakage: FloatArray) -> FloatArray:
    """Return the standard deviation of |K u_j|² / 2 for that part of it which comes from the other components.

    To first order |K u_j|² moves by 2 a_jk u_j^H K^H K u_k.
    """
    coupling = np.abs(images.conj().T @ images) ** 2
    real_part = 0.5 if np.iscomplexobj(images) else 1.0  # of a complex product only the real part counts
    return np.asarray(np.sqrt(real_part * (np.minimum(leakage, MOST_LEAKED) * coupling).sum(axis=1)))
