"""Rank and noise, iterated until they agree."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from sciml._typing import FloatArray
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, NoiseModel, Prepared
from sciml.rmt.rank import white_test
from sciml.rmt.spectrum import Field, Spectrum
from sciml.rmt.variance_profile import VarianceProfile

__all__ = ["fitted", "fitted_within"]

MAX_PASSES = 12  # how often rank and noise are re-estimated from each other before they count as not converged
LARGEST_OFF = 3.0  # standard deviations
MAX_REJECTED = 4  # passes in a row: components that are not removed yet look like color too
BULK_TOLERANCE = 1.05  # measured on noise of the right model: 0.98 to 1.01; on a model that is wrong: above 1.1


@dataclass(frozen=True)
class _Step:
    """A fit, the matrix that it is of, and the channels' noise before what time courses took of it was made up for."""

    prepared: Prepared
    scale: FloatArray
    fit: Fit


def fitted(model: NoiseModel, prepared: Prepared, alpha: float, *, give_up: bool) -> tuple[Prepared, Fit]:
    """Fit a noise model, and return the matrix that it ended on; with `give_up` not to the end where data reject it."""
    if model.equal_variances:
        return prepared, _fit_one_variance(prepared, alpha)
    last = _Iteration(model, alpha / model.n_tests, give_up=give_up).fit(prepared)
    return last.prepared, last.fit


def fitted_within(model: NoiseModel, prepared: Prepared, alpha: float, *, level: float) -> Fit:
    """Test some directions of whitened channels, given the noise `level` of all."""
    iteration, matrix = _Iteration(model, alpha / model.n_tests, give_up=False), prepared.matrix
    scale, ranks_tried = np.full(matrix.n_channels, level), {0}
    fit = iteration.fit_given(prepared, scale, 0, ranks_tried)
    while not fit.converged and fit.rank not in ranks_tried and fit.rank <= _limit(matrix):
        ranks_tried.add(fit.rank)
        fit = iteration.fit_given(prepared, scale, fit.rank, ranks_tried)
    return fit if _has_level(fit, matrix) else replace(fit, converged=False)


def _has_level(fit: Fit, matrix: Matrix) -> bool:
    """Return whether what is left of some directions has the level of all: else the noise is not known well there.

    The first directions of noise, no components of theirs, are left out too: they hold what the edge says.
    """
    n_first = max(fit.rank, 1)
    expected = matrix.n_dimensions - n_first * fit.law.center
    chance = np.sqrt((1 if matrix.is_complex else 2) * fit.spectra.tau / (matrix.n_dimensions * matrix.dof))
    level = float(fit.eigenvalues[n_first:].sum()) / expected
    # Components leave up to `n_first` times the edge less one more than noise does.
    most = (matrix.n_dimensions - n_first) / expected
    return bool(1 - LARGEST_OFF * chance < level < most + LARGEST_OFF * chance)


def _fit_one_variance(prepared: Prepared, alpha: float) -> Fit:
    """Fit one sigma for all channels (`sciml.rmt.rank.white_test`)."""
    matrix = prepared.matrix
    common = np.full(matrix.n_channels, np.sqrt(np.mean(matrix.total_scale**2)))
    found = matrix.eigen(common)
    n_channels = min(matrix.n_dimensions, matrix.n_channels - prepared.n_projected)
    values = found.values[: min(n_channels, matrix.dof)]
    field: Field = "complex" if matrix.is_complex else "real"
    test = white_test(Spectrum(values, n_channels, matrix.dof, field), alpha=alpha)
    scale = common * test.sigma
    spectra = matrix.spectra(scale, found.directions[:, : test.rank])
    profile = VarianceProfile([[1.0]], row_counts=[matrix.dof], column_counts=[max(n_channels - test.rank, 1)])
    fit = Fit(
        values / test.sigma**2, test.p_values, scale, test.law, profile, test.rank, spectra, 1.0,
        converged=test.converged,
    )  # fmt: skip
    return replace(fit, bulk_ratio=_bulk_ratio(matrix, fit.eigenvalues[fit.rank :], profile, spectra))


class _Iteration:
    """Fits a variance per channel and the spectra that a model takes from the residual.

    Rank and noise are iterated from rank zero. Many components of equal strength can mask each other there, all of them
    counting as noise; then again from the widest gap of the spectrum. Noise that the data reject is given up.
    """

    def __init__(self, model: NoiseModel, alpha: float, *, give_up: bool) -> None:
        self.model, self.alpha, self.give_up = model, alpha, give_up

    def fit(self, prepared: Prepared) -> _Step:
        ranks_tried, matrix = {0}, prepared.matrix
        from_zero = self._iterate(prepared, ranks_tried, give_up=self.give_up)
        if from_zero.fit.converged or (self.give_up and self._rejected(from_zero)):
            return from_zero
        values = matrix.eigen(matrix.total_scale, 0).values
        half = len(values) // 2
        gap = int(np.argmax(values[:half] / np.maximum(values[1 : half + 1], np.finfo(float).tiny))) + 1
        if gap > _limit(matrix) or gap in ranks_tried:
            return from_zero
        from_gap = self._iterate(prepared, {gap}, give_up=False, start=gap)
        return from_gap if from_gap.fit.converged else from_zero

    def _rejected(self, step: _Step) -> bool:
        return self.model.rejected(step.fit, step.prepared) is not None

    def _iterate(self, prepared: Prepared, ranks_tried: set[int], *, give_up: bool, start: int = 0) -> _Step:
        """Re-estimate rank and noise from each other until they agree; if they never do, return where they began.

        Where they agree but the bulk does not fit, components are masked by each other: one more is removed. Once the
        bulk fits after that, the ones that stand out count, be they fewer. What a component leaves can look like other
        noise: the model is given up when that lasts. `ranks_tried` gathers the numbers of components removed.
        """
        n_rejected = 0
        first = step = self._step(prepared, None, prepared.matrix.total_scale, start, ranks_tried)
        for _ in range(MAX_PASSES):
            fit = step.fit
            n_removed = fit.rank if fit.rank not in ranks_tried else max(ranks_tried) + 1
            if fit.converged or n_removed > _limit(step.prepared.matrix):
                break
            ranks_tried.add(n_removed)
            step = self._step(step.prepared, fit, step.scale, n_removed, ranks_tried)
            n_rejected = n_rejected + 1 if give_up and self._rejected(step) else 0
            if n_rejected == MAX_REJECTED:
                return step
        return step if step.fit.converged else first

    def _step(
        self, prepared: Prepared, before: Fit | None, scale: FloatArray, n_removed: int, ranks_tried: Collection[int]
    ) -> _Step:
        prepared, scale = self.model.estimate_noise(prepared, before, scale, n_removed)
        return _Step(prepared, scale, self.fit_given(prepared, scale, n_removed, ranks_tried))

    def fit_given(self, prepared: Prepared, scale: FloatArray, n_removed: int, ranks_tried: Collection[int]) -> Fit:
        """Test the spectrum against the noise after removing components; converged if bulk and rank agree with it."""
        model, matrix = self.model, prepared.matrix
        found = matrix.eigen(scale, n_removed)
        spectra = matrix.spectra(scale, found.directions)
        inflation = _noise_inflation(matrix, spectra, found.values[:n_removed]) if model.colored else 1.0
        values = found.values / inflation
        profile, finite = model.variance_profile(spectra, prepared), prepared.finite
        profile = _weighted(finite.profile(profile) if finite else profile, matrix.statistics.row_weights)
        law = profile.edge_law(complex_data=matrix.is_complex)
        law = finite.law(law) if finite else law
        rank = int(np.count_nonzero(values > law.threshold(self.alpha)))
        ratio = _bulk_ratio(matrix, values[n_removed:], profile, spectra)
        # Of correlated samples few count, and neighboring frequencies are not independent.
        fits = ratio < BULK_TOLERANCE + 1 / matrix.n_channels + spectra.tau / matrix.dof
        return Fit(
            values, law.p_value(values), scale * np.sqrt(inflation), law, profile, rank, spectra, ratio,
            converged=fits and rank in ranks_tried,
        )  # fmt: skip


def _limit(matrix: Matrix) -> int:
    """Return how many components can be removed at most."""
    return min(matrix.n_dimensions, matrix.dof) // 2


def _noise_inflation(matrix: Matrix, spectra: NoiseSpectra, eigenvalues: FloatArray) -> float:
    """Return the variance of colored noise over what remains of it in each dimension of time without time courses.

    Time courses hold more of the noise than an even part. To first order in N / d², d the strength, they are perturbed
    towards the frequencies of most noise by twice what they remove there, for they leave as much of the signal behind.
    """
    stay, rank = 1 - len(eigenvalues) / matrix.dof, len(eigenvalues)
    wide = (matrix.n_dimensions - rank) / matrix.dof
    leakage = matrix.eigenvector_leakage(eigenvalues)
    return stay / (1 - spectra.removed_power + leakage * wide * stay * (spectra.tau - 1))


def _weighted(profile: VarianceProfile, weights: FloatArray | None) -> VarianceProfile:
    """Return the profile of samples that weigh unequally: each part of time has all weights in it."""
    if weights is None:
        return profile
    values = (weights[:, None, None] * profile.values).reshape(-1, profile.values.shape[1])
    rows = np.tile(profile.row_counts / len(weights), len(weights))
    return VarianceProfile(values, row_counts=rows, column_counts=profile.column_counts)


def _bulk_ratio(matrix: Matrix, bulk: FloatArray, profile: VarianceProfile, spectra: NoiseSpectra) -> float:
    """Return the bulk's second moment over what its law demands: above 1, channels still have something in common."""
    if not len(bulk) or not bulk.sum():
        return 1.0
    first = float(profile.row_counts @ profile.values @ profile.column_counts) / profile.n_samples
    expected = profile.second_moment(complex_data=matrix.is_complex) / first**2 + spectra.excess
    return float((bulk**2).sum() / bulk.sum() ** 2 / expected)
