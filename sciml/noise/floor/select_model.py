"""Models of the noise: each settles rank and noise from each other, and the simplest that the tests leave is chosen."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from sciml.noise.floor.result import Model
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.poisson import CountResiduals, count_residuals
from sciml.rmt.edges import EdgeLaw
from sciml.rmt.laws import TracyWidom
from sciml.rmt.profile import VarianceProfile
from sciml.rmt.rank import white_test

__all__ = ["Choice", "Fit", "choose"]

Array = NDArray[np.float64]

MAX_PASSES = 12  # how often rank and noise are re-estimated from each other before the floor counts as unsettled
MAX_REFUSALS = 4  # components that are still hidden look like color too
BULK_TOLERANCE = 1.05  # measured on noise of the right model: 0.98 to 1.01; on a model that is wrong: above 1.1
TEST_LEVEL = 1e-3  # of the tests that choose the model: a wrong "colored" costs a little power, no false alarms
COUNT_DRAWS = 60
COUNT_LEVEL = 1e-6  # residuals of sparse counts are heavy-tailed, and then the test of whiteness is only rough
COUNT_DISPERSION = (0.8, 1.25)  # variance over mean of what counts as counts


@dataclass(frozen=True)
class Fit:
    """Rank and noise that agree: the spectrum in units of the noise, its law, the channels' scales and spectra.

    `law` and `profile` are those of the noise beside the components found.
    """

    eigenvalues: Array
    p_values: Array
    scale: Array
    law: EdgeLaw
    profile: VarianceProfile
    rank: int
    spectra: NoiseSpectra
    bulk_ratio: float
    converged: bool


@dataclass(frozen=True)
class Choice:
    """The model that was fitted, why, on which matrix, and how."""

    model: Model
    reason: str
    matrix: Matrix
    fit: Fit
    counts: CountResiduals | None = None


def choose(matrix: Matrix, requested: str, alpha: float, *, recording: Any) -> Choice:
    """Fit the requested model, or the simplest one that the tests on the residual leave standing."""
    if requested != "auto":
        return _as_requested(matrix, requested, alpha, recording)
    counted = _try_counts(matrix, alpha, recording)
    if counted is not None:
        return counted
    plain = _fit_unequal(matrix, alpha, _heteroscedastic, refuted=_is_colored)
    p_white = plain.spectra.p_white()
    if p_white < TEST_LEVEL:
        return _choose_color(matrix, alpha, p_white)
    p_equal = _equal_variance_p_value(plain.scale, matrix.freedom * plain.spectra.known)
    if matrix.observed.row_weights is not None:
        return Choice("heteroscedastic", "white in time; old samples weigh less", matrix, plain)
    if p_equal < TEST_LEVEL:
        reason = f"white in time, but variances differ between channels (Bartlett's test, p {_below(p_equal)})"
        return Choice("heteroscedastic", reason, matrix, plain)
    return Choice("white", "white in time and of equal variance over channels", matrix, _fit_white(matrix, alpha))


def _as_requested(matrix: Matrix, requested: str, alpha: float, recording: Any) -> Choice:
    if requested == "white":
        return Choice("white", "as requested", matrix, _fit_white(matrix, alpha))
    if requested == "counts":
        residuals = count_residuals(recording)
        assert residuals is not None  # noqa: S101 - strict: it would have raised
        scaled = Matrix(residuals.observed)
        fit = _against_counts(_fit_white(scaled, alpha, lost=1), residuals, alpha)
        return Choice("counts", "as requested", scaled, fit, residuals)
    model: Model = requested  # type: ignore[assignment]
    return Choice(model, "as requested", matrix, _fit_unequal(matrix, alpha, PROFILES[model]))


def _choose_color(matrix: Matrix, alpha: float, p_white: float) -> Choice:
    """Take one spectrum for all channels where it fits, else one for each."""
    why = f"the residual is correlated in time (deviance of its spectra from flat, p {_below(p_white)})"
    common = _fit_unequal(matrix, alpha, _colored, refuted=_is_unequal)
    p_equal = common.spectra.p_equal()
    if p_equal >= TEST_LEVEL and common.converged:
        return Choice("colored", f"{why}, alike in all channels (p {_below(p_equal)})", matrix, common)
    each = _fit_unequal(matrix, alpha, _each_colored)
    if p_equal < TEST_LEVEL:
        reason = f"{why}, and the channels differ in spectrum (p {_below(p_equal)})"
    elif each.converged:
        reason = f"{why}, and one spectrum for all channels does not converge"
    else:
        return Choice("colored", f"{why}; one spectrum for each channel does not converge either", matrix, common)
    return Choice("heteroscedastic+colored", reason, matrix, each)


def _try_counts(matrix: Matrix, alpha: float, recording: Any) -> Choice | None:
    """Return the fit as counts if the values are such, of variance near their mean, and white beside the components."""
    if matrix.observed.standardized is None or matrix.is_complex:
        return None
    residuals = count_residuals(recording, strict=False)
    if residuals is None:
        return None
    scaled = Matrix(residuals.observed)
    fit = _fit_white(scaled, alpha, lost=1)
    dispersion = float(np.mean(fit.scale**2))
    low, high = COUNT_DISPERSION
    if not low < dispersion < high or fit.spectra.p_white() < COUNT_LEVEL:
        return None
    reason = f"whole numbers whose variance is {dispersion:.2f} of their mean beside the components found"
    return Choice("counts", reason, scaled, _against_counts(fit, residuals, alpha), residuals)


def _below(p_value: float) -> str:
    return "< 1e-12" if p_value < 1e-12 else f"= {p_value:.2g}"


def _equal_variance_p_value(scale: Array, freedom: Array) -> float:
    """Bartlett's test (1937, doi:10.1098/rspa.1937.0109) that independent channels have equal variances."""
    variances, n = scale**2, len(scale)
    pooled = np.average(variances, weights=freedom)
    statistic = freedom.sum() * np.log(pooled) - freedom @ np.log(variances)
    correction = 1 + (np.sum(1 / freedom) - 1 / freedom.sum()) / (3 * (n - 1))
    return float(scipy.stats.chi2.sf(statistic / correction, n - 1))


Profiled = Callable[[NoiseSpectra, int], VarianceProfile]


def _heteroscedastic(spectra: NoiseSpectra, freedom: int) -> VarianceProfile:
    return VarianceProfile([[1.0]], row_counts=[freedom], column_counts=[spectra.left.sum()])


def _colored(spectra: NoiseSpectra, freedom: int) -> VarianceProfile:
    return spectra.profile(freedom, common=True)


def _each_colored(spectra: NoiseSpectra, freedom: int) -> VarianceProfile:
    return spectra.profile(freedom, common=False)


PROFILES: dict[Model, Profiled] = {
    "heteroscedastic": _heteroscedastic,
    "colored": _colored,
    "heteroscedastic+colored": _each_colored,
}


def _fit_white(matrix: Matrix, alpha: float, *, lost: int = 0) -> Fit:
    """One sigma for all channels (`sciml.rmt.rank.white_test`), `lost` of whose dimensions were projected out."""
    common = np.full(matrix.n_channels, np.sqrt(np.mean(matrix.total_scale**2)))
    found = matrix.eigen(common)
    lost = max(lost, matrix.null.shape[1])
    n_channels = matrix.n_channels - lost
    values = found.values[: min(n_channels, matrix.freedom)]
    test = white_test(values, n_channels, matrix.freedom, alpha=alpha, complex_data=matrix.is_complex)
    scale = common * test.sigma
    spectra = matrix.spectra(scale, found.directions[:, : test.rank])
    profile = VarianceProfile([[1.0]], row_counts=[matrix.freedom], column_counts=[max(n_channels - test.rank, 1)])
    fit = Fit(
        values / test.sigma**2, test.p_values, scale, test.law, profile, test.rank, spectra, 1.0,
        converged=test.converged,
    )  # fmt: skip
    return replace(fit, bulk_ratio=_bulk_ratio(matrix, fit.eigenvalues[fit.rank :], profile, spectra))


def _against_counts(fit: Fit, residuals: CountResiduals, alpha: float) -> Fit:
    """Demand of what stands out from white noise in the scaled residuals that it does so among simulated counts too."""
    if fit.rank == 0:
        return fit
    largest = residuals.largest_of_noise(COUNT_DRAWS) * float(np.mean(fit.eigenvalues[fit.rank :]))
    standard = TracyWidom(1)
    scale = float(np.std(largest, ddof=1)) / np.sqrt(standard.var())
    simulated = EdgeLaw(float(np.mean(largest)) - scale * standard.mean(), scale, 1)
    p_values = np.maximum(fit.p_values, simulated.p_value(fit.eigenvalues))
    rank = int(np.count_nonzero((p_values < alpha) & (fit.eigenvalues > np.quantile(largest, 1 - alpha))))
    return replace(fit, p_values=p_values, rank=rank)


def _is_colored(fit: Fit) -> bool:
    return fit.spectra.p_white() < TEST_LEVEL


def _is_unequal(fit: Fit) -> bool:
    return fit.spectra.p_equal() < TEST_LEVEL


def _fit_unequal(
    matrix: Matrix,
    alpha: float,
    profiled: Profiled,
    *,
    refuted: Callable[[Fit], bool] = lambda _: False,
) -> Fit:
    """Fit a variance per channel and the spectra that `profiled` takes from the residual.

    Rank and noise are iterated from below. Many components of equal strength can hide each other there, all of them
    counting as noise; then again from the widest gap of the spectrum. Noise of which that is `refuted` is not followed.
    """
    limit = min(matrix.n_channels, matrix.freedom) // 2
    tried = {0}
    below = _settle(matrix, alpha, profiled, tried, limit=limit, refuted=refuted)
    if below.converged or refuted(below):
        return below
    values = matrix.eigen(matrix.total_scale, 0).values
    half = len(values) // 2
    gap = int(np.argmax(values[:half] / np.maximum(values[1 : half + 1], np.finfo(float).tiny))) + 1
    if gap > limit or gap in tried:
        return below
    above = _settle(matrix, alpha, profiled, {gap}, limit=limit, start=gap)
    return above if above.converged else below


def _settle(
    matrix: Matrix,
    alpha: float,
    profiled: Profiled,
    tried: set[int],
    *,
    limit: int,
    start: int = 0,
    refuted: Callable[[Fit], bool] = lambda _: False,
) -> Fit:
    """Re-estimate rank and noise from each other until they agree; if they never do, return where they began.

    Where they agree but the bulk does not fit, components are hidden by each other: one more is taken out. Once the
    bulk fits beside those, the ones that stand out count, be they fewer. What a component leaves can refute the noise:
    it is given up when that lasts. `tried` gathers the numbers of components.
    """
    refusals = 0
    scale, seen = matrix.noise_scale(matrix.total_scale, start), start
    first = fit = _fit_beside(matrix, scale, seen, alpha, profiled, tried)
    for _ in range(MAX_PASSES):
        seen = fit.rank if fit.rank not in tried else max(tried) + 1
        if fit.converged or seen > limit:
            break
        tried.add(seen)
        scale = matrix.noise_scale(scale, seen)
        fit = _fit_beside(matrix, scale, seen, alpha, profiled, tried)
        refusals = refusals + 1 if refuted(fit) else 0
        if refusals == MAX_REFUSALS:
            return fit
    return fit if fit.converged else first


def _fit_beside(
    matrix: Matrix, scale: Array, seen: int, alpha: float, profiled: Profiled, tried: Collection[int]
) -> Fit:
    """Test the spectrum against the noise beside `seen` components; it converged if bulk and rank agree with those."""
    found = matrix.eigen(scale, seen)
    spectra = matrix.spectra(scale, found.directions)
    stronger = 1.0 if profiled is _heteroscedastic else _stronger(matrix, spectra, found.values[:seen])
    values = found.values / stronger
    profile = _weighted(profiled(spectra, matrix.freedom), matrix.observed.row_weights)
    law = profile.edge_law(complex_data=matrix.is_complex)
    rank = int(np.count_nonzero(values > law.threshold(alpha)))
    ratio = _bulk_ratio(matrix, values[seen:], profile, spectra)
    # Of correlated samples few count, and neighboring frequencies are not independent.
    fits = ratio < BULK_TOLERANCE + 1 / matrix.n_channels + spectra.tau / matrix.freedom
    return Fit(
        values, law.p_value(values), scale * np.sqrt(stronger), law, profile, rank, spectra, ratio,
        converged=fits and rank in tried,
    )  # fmt: skip


def _stronger(matrix: Matrix, spectra: NoiseSpectra, eigenvalues: Array) -> float:
    """Return the variance of colored noise over what is left of it in each dimension of time without courses.

    Courses hold more of the noise than an even share. To first order in N / d², d the strength, they turn towards its
    loud waves by twice what they take of it, for they leave as much of the signal behind.
    """
    stay, rank = 1 - len(eigenvalues) / matrix.freedom, len(eigenvalues)
    wide = (matrix.n_channels - rank) / matrix.freedom
    return stay / (1 - spectra.lost + matrix.turned_away(eigenvalues) * wide * stay * (spectra.tau - 1))


def _weighted(profile: VarianceProfile, weights: Array | None) -> VarianceProfile:
    """Return the profile of samples that weigh unequally: each part of time has all weights in it."""
    if weights is None:
        return profile
    values = (weights[:, None, None] * profile.values).reshape(-1, profile.values.shape[1])
    rows = np.tile(profile.row_counts / len(weights), len(weights))
    return VarianceProfile(values, row_counts=rows, column_counts=profile.column_counts)


def _bulk_ratio(matrix: Matrix, bulk: Array, profile: VarianceProfile, spectra: NoiseSpectra) -> float:
    """Return the bulk's second moment over what its law demands: above 1, channels still share something."""
    if not len(bulk) or not bulk.sum():
        return 1.0
    first = float(profile.row_counts @ profile.values @ profile.column_counts) / profile.n_samples
    expected = profile.second_moment(complex_data=matrix.is_complex) / first**2 + spectra.excess
    return float((bulk**2).sum() / bulk.sum() ** 2 / expected)
