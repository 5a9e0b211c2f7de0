"""Level statistics against simulated ensembles, naive integrals, asymptotic formulas and invariances."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate

from sciml.errors import ConfigError, DataError
from sciml.rmt import spacing
from sciml.rmt.laws import GeneralizedMarchenkoPastur, MarchenkoPastur, Semicircle

EULER = np.euler_gamma


def matrix(beta, n, rng):
    X = rng.normal(size=(n, n))
    if beta == 2:
        X = (X + 1j * rng.normal(size=(n, n))) / np.sqrt(2)
    return np.linalg.eigvalsh(X + X.conj().T) / np.sqrt(2 * n)


@pytest.fixture(scope="module")
def unfolded():
    """Levels of 20 matrices of each ensemble, unfolded by the semicircle; the middle 60 % (edges are Airy)."""
    rng = np.random.default_rng(0)
    found = {0: [np.cumsum(rng.exponential(size=200)) for _ in range(20)]}
    for beta in (1, 2):
        levels = [spacing.unfold(matrix(beta, 330, rng), Semicircle()) for _ in range(20)]
        found[beta] = [one[(one > 65) & (one < 265)] for one in levels]
    return found


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_mean_ratio_is_that_of_the_ensemble(unfolded, beta):
    results = [spacing.r_ratio(levels) for levels in unfolded[beta]]
    mean = np.mean([one.mean for one in results])
    errors = np.array([one.standard_error for one in results])
    # 20 draws of 200 levels: the standard error of their mean is 0.004.
    assert abs(mean - spacing.MEAN_RATIO[beta]) < 4 * np.sqrt(np.mean(errors**2) / 20)
    # The standard error is the scatter of the means: a ratio of chi^2 of 19 degrees has a standard deviation of 0.16.
    assert np.std([one.mean for one in results], ddof=1) / np.sqrt(np.mean(errors**2)) == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_ensemble_is_recognized_and_the_others_are_far(beta):
    rng = np.random.default_rng(1)
    levels = np.cumsum(rng.exponential(size=700)) if beta == 0 else matrix(beta, 700, rng)
    result = spacing.r_ratio(levels)
    assert result.ensemble == spacing.NAMES[beta]
    assert all(abs(z) > 3 for name, z in result.z.items() if name != result.ensemble)


def test_ratio_of_a_sample_covariance_is_goe_without_its_null_space():
    X = np.random.default_rng(2).normal(size=(200, 500))
    values = np.linalg.eigvalsh(X.T @ X / 200)  # 300 zeros up to rounding
    result = spacing.r_ratio(values)
    assert result.n_ratios == 198
    assert abs(result.z["GOE"]) < 3
    assert abs(result.z["Poisson"]) > 5


def test_ratio_drops_degeneracies_and_ignores_scale_order_and_type():
    levels = np.cumsum(np.random.default_rng(3).exponential(size=300)) + 1
    result = spacing.r_ratio(levels)
    assert spacing.r_ratio(np.repeat(levels, 2)) == result
    for scale in (1e-21, -1e21):
        assert spacing.r_ratio(scale * levels[::-1]).mean == pytest.approx(result.mean, rel=1e-9)
    single = spacing.r_ratio(np.linspace(1, 2, 50).astype(np.float32) ** 2)
    assert single.mean == pytest.approx(spacing.r_ratio(np.linspace(1, 2, 50) ** 2).mean, abs=1e-3)


def test_equally_spaced_levels_have_ratio_one():
    result = spacing.r_ratio(np.arange(1, 20))
    assert result.mean == 1
    assert np.isfinite(list(result.z.values())).all()


@pytest.mark.parametrize(("p", "n"), [(400, 800), (800, 400)])
def test_unfolding_by_the_law_gives_unit_spacing_everywhere(p, n):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(n, p))
    values = np.linalg.eigvalsh(X.T @ X / n)
    levels = spacing.unfold(values, MarchenkoPastur(p / n))
    # Levels are rigid: off the straight line by O(log n), here with a factor of 2, in each part of the spectrum.
    assert abs(np.diff(levels, prepend=levels[0]).cumsum() - np.arange(levels.size)).max() < 2 * np.log(p)


def test_unfolding_leaves_outliers_and_the_null_space_out():
    X = np.random.default_rng(5).normal(size=(100, 200))
    X[:, 0] *= 20
    levels = spacing.unfold(np.linalg.eigvalsh(X.T @ X / 100), MarchenkoPastur(2.0))
    assert 95 <= levels.size <= 99
    assert levels.max() <= 200


def test_unfolding_takes_a_generalized_law():
    population = np.repeat([1.0, 10.0], 150)
    X = np.random.default_rng(6).normal(size=(3000, 300)) * np.sqrt(population)
    law = GeneralizedMarchenkoPastur(population, gamma=0.1)
    levels = spacing.unfold(np.linalg.eigvalsh(X.T @ X / 3000), law)
    assert np.diff(levels).mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_spacings_follow_the_surmise_of_their_ensemble(unfolded, beta):
    distances = {}
    for other in (0, 1, 2):
        gaps = np.concatenate([np.diff(levels) for levels in unfolded[beta]])
        distances[other] = spacing.spacing_distribution(np.cumsum(gaps)).distance(other)
    # Kolmogorov: 1.63 / sqrt(4000) = .026 at the 1 % level, and the surmise is off by .005.
    assert distances[beta] < 0.026 + 0.005
    assert min(distances, key=lambda beta: distances[beta]) == beta


def test_histogram_and_ecdf_of_spacings_are_normalized():
    found = spacing.spacing_distribution(np.cumsum(np.arange(1, 102)), n_bins=10)
    assert found.spacings.mean() == pytest.approx(1)
    assert np.sum(found.density * np.diff(found.bin_edges)) == pytest.approx(1)
    assert found.ecdf([0.0, found.spacings[49], 100.0]).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("beta", [0, 1, 2, 4])
def test_surmise_has_mean_one_and_its_cdf_is_its_integral(beta):
    mass, _ = scipy.integrate.quad(lambda s: float(spacing.surmise_pdf(s, beta)), 0, 30)
    mean, _ = scipy.integrate.quad(lambda s: s * float(spacing.surmise_pdf(s, beta)), 0, 60, limit=200)
    part, _ = scipy.integrate.quad(lambda s: float(spacing.surmise_pdf(s, beta)), 0, 0.7)
    assert mass == pytest.approx(1, abs=1e-8)
    assert mean == pytest.approx(1, abs=1e-8)
    assert spacing.surmise_cdf(0.7, beta) == pytest.approx(part, abs=1e-10)


def test_surmises_are_the_standard_ones():
    s = np.linspace(0, 3, 31)
    np.testing.assert_allclose(spacing.surmise_pdf(s, 1), np.pi / 2 * s * np.exp(-np.pi * s**2 / 4), rtol=1e-12)
    gue = 32 / np.pi**2 * s**2 * np.exp(-4 * s**2 / np.pi)
    np.testing.assert_allclose(spacing.surmise_pdf(s, 2), gue, rtol=1e-12)


# ---- number variance and rigidity


def test_number_variance_is_that_of_counts_on_a_fine_grid():
    rng = np.random.default_rng(7)
    levels = np.sort(rng.uniform(0, 60, size=60))
    for length in (0.5, 3.0, 20.0):
        start = np.linspace(levels[0], levels[-1] - length, 400_001)
        counts = np.searchsorted(levels, start + length) - np.searchsorted(levels, start)
        assert spacing.number_variance(levels, length) == pytest.approx(counts.var(), abs=2e-3)


def test_delta3_is_the_residual_of_a_fit_on_a_fine_grid():
    rng = np.random.default_rng(8)
    levels = np.sort(rng.uniform(0, 30, size=30))
    length = 12.0
    span = levels[-1] - levels[0]
    residuals = []
    for start in levels[0] + np.linspace(0, span - length, int(2 * (span - length) / length) + 1):
        e = start + length * (np.arange(40_000) + 0.5) / 40_000
        staircase = np.searchsorted(levels, e)
        residuals.append(np.mean((staircase - np.polyval(np.polyfit(e, staircase, 1), e)) ** 2))
    assert spacing.delta3(levels, length) == pytest.approx(np.mean(residuals), abs=1e-3)


def test_picket_fence_is_rigid():
    levels = np.arange(500.0)
    np.testing.assert_allclose(
        spacing.delta3(levels, [10.0, 50.0]), 1 / 12, rtol=0.2 / 10
    )  # 1/12 in the mean over positions, 1 / L^2 around it
    np.testing.assert_allclose(spacing.number_variance(levels, [3.0, 7.0]), 0, atol=1e-12)
    assert spacing.number_variance(levels, 3.5) == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_simulated_levels_follow_the_reference_curves(unfolded, beta):
    for measured, reference in (
        (spacing.number_variance, spacing.reference_number_variance),
        (spacing.delta3, spacing.reference_delta3),
    ):
        values = np.array([measured(levels, [1.0, 4.0, 10.0]) for levels in unfolded[beta]])
        error = values.std(axis=0, ddof=1) / np.sqrt(20)
        # The mean count is estimated from windows of the same 200 levels: a bias of about L / 200 of the variance.
        bias = 2 * np.array([1.0, 4.0, 10.0]) / 200 * reference([1.0, 4.0, 10.0], beta)
        assert (abs(values.mean(axis=0) - reference([1.0, 4.0, 10.0], beta)) < 4 * error + bias).all()


def test_reference_curves_reach_their_asymptotes():
    L = np.array([50.0, 200.0])
    log = np.log(2 * np.pi * L) + EULER
    goe = spacing.reference_number_variance(L, 1)
    np.testing.assert_allclose(goe, 2 / np.pi**2 * (log + 1 - np.pi**2 / 8), atol=1e-5)
    np.testing.assert_allclose(spacing.reference_number_variance(L, 2), (log + 1) / np.pi**2, atol=1e-5)
    gse = (np.log(2) + log + 1 + np.pi**2 / 8) / (2 * np.pi**2)
    np.testing.assert_allclose(spacing.reference_number_variance(L, 4), gse, atol=5e-4)
    goe = spacing.reference_delta3(L, 1)
    np.testing.assert_allclose(goe, (log - 5 / 4 - np.pi**2 / 8) / np.pi**2, atol=0.002)  # the next term is 0.1 / L
    np.testing.assert_allclose(spacing.reference_delta3(L, 2), (log - 5 / 4) / (2 * np.pi**2), atol=1e-5)
    np.testing.assert_allclose(spacing.reference_delta3(L, 0), L / 15, rtol=1e-12)
    np.testing.assert_array_equal(spacing.reference_number_variance(L, 0), L)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_reference_delta3_is_the_integral_of_the_number_variance(beta):
    L = 7.0
    r, step = np.linspace(0, L, 401, retstep=True)
    variance = np.concatenate([[0], spacing.reference_number_variance(r[1:], beta)])
    exact = 2 / L**4 * scipy.integrate.simpson((L**3 - 2 * L**2 * r + r**3) * variance, dx=step)
    assert spacing.reference_delta3(L, beta) == pytest.approx(exact, rel=1e-6)


# ---- refusals


def test_nan_and_too_few_levels_are_refused():
    for function in (spacing.r_ratio, spacing.spacing_distribution):
        with pytest.raises(DataError, match="NaN at 1"):
            function([1.0, np.nan, 2.0, 3.0])
        with pytest.raises(DataError, match="at least"):
            function([1.0])
    with pytest.raises(DataError, match="distinct levels"):
        spacing.r_ratio([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    with pytest.raises(DataError, match="inside the support"):
        spacing.unfold([10.0, 11.0], Semicircle())
    with pytest.raises(DataError, match="distinct levels"):
        spacing.spacing_distribution([1.0, 1.0, 1.0])


def test_wrong_lengths_and_ensembles_are_refused():
    for function in (spacing.number_variance, spacing.delta3):
        with pytest.raises(ConfigError, match="span of the levels"):
            function(np.arange(10.0), 9.5)
        assert function(np.arange(100.0), [[2.0, 3.0]]).shape == (1, 2)
    by_ensemble: tuple[Callable[..., Any], ...] = (
        spacing.surmise_pdf,
        spacing.reference_delta3,
        spacing.reference_number_variance,
    )
    for take_ensemble in by_ensemble:
        with pytest.raises(ConfigError, match="expected beta 0"):
            take_ensemble(1.0, 3)
    with pytest.raises(ConfigError, match="one bin"):
        spacing.spacing_distribution([1.0, 2.0, 4.0], n_bins=0)
