"""The generalized Marchenko-Pastur law against Marchenko-Pastur, polynomial roots, simulation and invariances."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.integrate
from hypothesis import given, settings

from sciml.errors import ConfigError, DataError, NumericalError
from sciml.rmt.laws import GeneralizedMarchenkoPastur, MarchenkoPastur, Semicircle, subordination

quick = settings(derandomize=True, deadline=None, max_examples=30)
POPULATIONS: dict[str, tuple[Any, Any]] = {
    "two": ([1.0, 10.0], [0.5, 0.5]),
    "three": ([1.0, 3.0, 10.0], [0.2, 0.4, 0.4]),
    "zeros": ([0.0, 1.0, 4.0], [0.3, 0.3, 0.4]),
    "wide": ([1e-6, 1.0, 50.0], [0.2, 0.5, 0.3]),
    "smooth": (np.linspace(1, 5, 60), np.ones(60)),
}
GAMMAS = (0.02, 0.1, 0.9, 1.0, 3.0)


@pytest.mark.parametrize("gamma", [1e-4, 0.05, 0.3, 0.99, 1.0, 1.01, 2.5, 40.0])
def test_one_population_value_gives_marchenko_pastur(gamma):
    law, exact = GeneralizedMarchenkoPastur([2.25], gamma=gamma), MarchenkoPastur(gamma, sigma=1.5)
    x = np.linspace(-0.1, exact.support[0][1] * 1.1, 401)
    p = np.linspace(0, 1, 41)
    np.testing.assert_allclose(law.support, exact.support, rtol=1e-12, atol=1e-15)
    assert law.atom == exact.atom
    # b is the root of a difference near the edge: 1e-16 in b^2 is 1e-8 in b at the very edge, far less on this grid.
    np.testing.assert_allclose(law.pdf(x), exact.pdf(x), atol=1e-11 * exact.pdf(x).max())
    np.testing.assert_allclose(law.cdf(x), exact.cdf(x), atol=1e-13)
    np.testing.assert_allclose(law.sf(x), exact.sf(x), atol=1e-13)
    np.testing.assert_allclose(law.ppf(p), exact.ppf(p), rtol=1e-9, atol=1e-12)
    assert law.median() == pytest.approx(exact.median(), rel=1e-12)
    z = x + np.array([[0.3], [-1e-3]]) * 1j
    np.testing.assert_allclose(law.stieltjes(z), exact.stieltjes(z), rtol=1e-10)


def test_edges_density_and_masses_are_the_reference():  # values: critical points as roots of a polynomial
    law = GeneralizedMarchenkoPastur([10.0, 1.0], gamma=0.1)
    edges = [0.5608977979, 1.4272595163, 6.0852568633, 15.0265858226]
    np.testing.assert_allclose(np.ravel(law.support), edges, atol=1e-10)
    np.testing.assert_allclose(law.pdf([1.0, 10.0]), [0.6939314548, 0.0710395375], atol=1e-10)
    np.testing.assert_allclose(law.masses, [0.5, 0.5], atol=1e-14)
    three = GeneralizedMarchenkoPastur(*POPULATIONS["three"], 0.1)
    edges = [0.6520752725, 1.1766721012, 1.8289554525, 4.1210769182, 6.6149682680, 14.5818075433]
    np.testing.assert_allclose(np.ravel(three.support), edges, atol=1e-10)
    np.testing.assert_allclose(three.masses, [0.2, 0.4, 0.4], atol=1e-14)


def polynomial_density(values, weights, gamma, x):
    """Return the density by the roots of z(u) = x as a polynomial in u, exact for a few atoms."""
    poles = np.polynomial.Polynomial.fromroots(values)
    u = np.polynomial.Polynomial([0, 1])
    total = (u - x) * poles
    for t, w in zip(values, weights, strict=True):
        others = np.polynomial.Polynomial.fromroots([other for other in values if other != t])
        total = total + gamma * w * t * u * others
    return max((-1 / root).imag for root in total.roots() if root != 0) / (np.pi * gamma)


@pytest.mark.parametrize("name", ["two", "three", "zeros"])
@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.9, 3.0])
def test_density_is_that_of_the_polynomial(name, gamma):
    values, weights = POPULATIONS[name]
    law = GeneralizedMarchenkoPastur(values, weights, gamma)
    for low, high in law.support:
        x = low + (high - low) * np.array([0.01, 0.2, 0.5, 0.9, 0.99])
        exact = [polynomial_density(values, weights, gamma, point) for point in x]
        np.testing.assert_allclose(law.pdf(x), exact, rtol=1e-8)


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_cdf_is_the_integral_of_the_density(name, gamma):
    law = GeneralizedMarchenkoPastur(*POPULATIONS[name], gamma)
    assert law.atom + law.masses.sum() == pytest.approx(1, abs=1e-12)
    for (low, high), mass in zip(law.support, law.masses, strict=True):
        middle, half = (low + high) / 2, (high - low) / 2
        angle = np.linspace(0, np.pi, 4001)  # trapezoids of a periodic function, but for the kink of a pole near zero
        f = law.pdf(middle - half * np.cos(angle)) * half * np.sin(angle)
        total = scipy.integrate.cumulative_simpson(f, x=angle, initial=0)
        if low > 1e-3 * high:
            np.testing.assert_allclose(
                law.cdf(middle - half * np.cos(angle)) - law.cdf(low), total, atol=1e-6
            )  # Simpson beside a cusp
            assert total[-1] == pytest.approx(mass, abs=1e-7)


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_quantiles_invert_the_cdf_over_all_bulks(name, gamma):
    law = GeneralizedMarchenkoPastur(*POPULATIONS[name], gamma)
    p = law.atom + (1 - law.atom) * np.linspace(0.003, 0.997, 101)
    x = law.ppf(p)
    assert (np.diff(x) > 0).all()
    np.testing.assert_allclose(law.cdf(x), p, atol=1e-9)
    assert law.ppf(1.0) == law.support[-1][1]
    assert law.ppf(0.0) == (0.0 if law.atom else law.support[0][0])


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_stieltjes_transform_solves_the_silverstein_equation(name, gamma):
    values, weights = (np.asarray(part, float) for part in POPULATIONS[name])
    law = GeneralizedMarchenkoPastur(values, weights, gamma)
    z = np.array([0.5 + 0.1j, 3 + 1e-3j, -2.0, 40 - 1j, 1e4j, 1e-3 + 1e-6j])
    m = law.stieltjes(z)
    pair = (z[:, None], m[:, None])
    right = (weights / (values * (1 - gamma - gamma * pair[0] * pair[1]) - pair[0])).sum(axis=1) / weights.sum()
    np.testing.assert_allclose(m, right, rtol=1e-8)
    assert (m.imag * z.imag >= 0).all()


def test_bulks_separate_one_by_one_as_gamma_falls():
    values = [1.0, 2.0, 4.0, 8.0]
    counts = [len(GeneralizedMarchenkoPastur(values, gamma=gamma).support) for gamma in (1.0, 0.1, 0.03, 0.001)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 4)


def test_more_features_than_samples_put_the_missing_mass_at_zero():
    law = GeneralizedMarchenkoPastur([0.0, 1.0, 4.0], [0.3, 0.3, 0.4], 3.0)
    assert law.atom == pytest.approx(2 / 3)
    assert law.cdf(0.0) == pytest.approx(2 / 3)
    assert law.cdf(-1e-9) == 0
    assert GeneralizedMarchenkoPastur([0.0, 1.0], gamma=0.2).atom == 0.5


@pytest.mark.parametrize(("n_features", "n_samples"), [(400, 1600), (400, 200)])
@pytest.mark.parametrize("complex_data", [False, True])
def test_sample_eigenvalues_follow_the_law(n_features, n_samples, complex_data):
    rng = np.random.default_rng(3)
    population = np.repeat([1.0, 3.0, 10.0], [100, 150, 150])
    X = rng.normal(size=(n_samples, n_features))
    if complex_data:
        X = (X + 1j * rng.normal(size=X.shape)) / np.sqrt(2)
    X = X * np.sqrt(population)
    values = np.linalg.eigvalsh(X.conj().T @ X / n_samples)[-min(n_features, n_samples) :]
    law = GeneralizedMarchenkoPastur(population, gamma=n_features / n_samples)
    expected = law.cdf(values)
    empirical = 1 - (np.arange(values.size)[::-1] + 0.5) / n_features
    # Eigenvalues repel: the empirical cdf is off by O(log(p) / p), here with a factor of 2.
    assert abs(empirical - expected).max() < 2 * np.log(n_features) / n_features


@quick
@given(
    exponent=st.integers(-21, 21),
    gamma=st.floats(0.01, 10.0),
    values=st.lists(st.floats(0.01, 100.0), min_size=1, max_size=6),
    seed=st.integers(0, 9),
)
def test_law_scales_with_its_values_and_ignores_their_order(exponent, gamma, values, seed):
    scale = 10.0**exponent
    weights = np.arange(1.0, len(values) + 1)
    order = np.random.default_rng(seed).permutation(len(values))
    law = GeneralizedMarchenkoPastur(values, weights, gamma)
    other = GeneralizedMarchenkoPastur(scale * np.array(values)[order], 7 * weights[order], gamma)
    level = law.atom + (1 - law.atom) * 0.37
    np.testing.assert_allclose(np.array(other.support) / scale, law.support, rtol=1e-9, atol=1e-14 * max(values))
    assert other.ppf(level) == pytest.approx(scale * law.ppf(level), rel=1e-7)
    x = sum(law.support[-1]) / 2
    assert other.pdf(scale * x) * scale == pytest.approx(law.pdf(x), rel=1e-7)
    assert other.cdf(scale * x) == pytest.approx(law.cdf(x), abs=1e-10)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 3.0])
def test_values_may_lie_forty_decades_apart(gamma):
    law = GeneralizedMarchenkoPastur([1e-21, 1.0, 1e21], gamma=gamma)
    assert (np.ravel(law.support) >= 0).all()
    p = law.atom + (1 - law.atom) * np.linspace(0.01, 0.99, 30)
    np.testing.assert_allclose(law.cdf(law.ppf(p)), p, atol=1e-12)
    with_nothing = GeneralizedMarchenkoPastur([1e-300, 1.0], gamma=gamma)
    assert with_nothing.support == GeneralizedMarchenkoPastur([0.0, 1.0], gamma=gamma).support


def test_equal_values_are_one_value():
    split = GeneralizedMarchenkoPastur([1.0, 10.0, 1.0, 10.0], gamma=0.1)
    assert np.asarray(split.values).tolist() == [1.0, 10.0]
    np.testing.assert_allclose(split.masses, [0.5, 0.5], atol=1e-14)


@pytest.mark.parametrize("gamma", [0.01, 0.2, 8.0])
def test_a_long_power_spectrum_is_exact_although_its_solver_starts_from_groups(gamma):
    frequency = (np.arange(5000) + 0.5) / 5000
    psd = (1 - 0.9**2) / np.abs(1 - 0.9 * np.exp(-1j * np.pi * frequency)) ** 2
    law = GeneralizedMarchenkoPastur(psd, gamma=gamma)
    for low, high in (law.support[0], law.support[-1]):
        x = low + (high - low) * np.array([0.001, 0.1, 0.4, 0.8, 0.999])
        v = gamma * law.stieltjes(x) - (1 - gamma) / x
        np.testing.assert_allclose(v.imag / (np.pi * gamma), law.pdf(x), rtol=1e-8)
        terms = np.mean(psd / (1 + psd * v[:, None]), axis=1)
        np.testing.assert_allclose(-1 / v + gamma * terms, x, rtol=1e-9)
        np.testing.assert_allclose(law.ppf(law.cdf(x)), x, rtol=1e-8)


def test_wrong_populations_are_refused():
    with pytest.raises(DataError, match="NaN at 1"):
        GeneralizedMarchenkoPastur([1.0, np.nan], gamma=0.1)
    with pytest.raises(DataError, match="zero or more"):
        GeneralizedMarchenkoPastur([-1.0, 2.0], gamma=0.1)
    with pytest.raises(DataError, match="not all zero"):
        GeneralizedMarchenkoPastur([0.0], gamma=0.1)
    with pytest.raises(ConfigError, match="one weight"):
        GeneralizedMarchenkoPastur([1.0, 2.0], [1.0], 0.1)
    with pytest.raises(ConfigError, match="gamma"):
        GeneralizedMarchenkoPastur([1.0])
    with pytest.raises(DataError, match="NaN"):
        GeneralizedMarchenkoPastur([1.0], gamma=0.1).cdf(np.nan)


def test_functions_keep_the_shape_of_their_argument():
    law = GeneralizedMarchenkoPastur([1.0, 2.0], gamma=0.5)
    for function in (law.pdf, law.cdf, law.sf, law.ppf, law.stieltjes):
        assert function(np.full((2, 3), 0.5)).shape == (2, 3)
        assert np.ndim(function(0.5)) == 0
        assert function([]).shape == (0,)


# ---- semicircle


def test_semicircle_cdf_integrates_its_density_and_ppf_inverts_it():
    law = Semicircle(sigma=0.7)
    for x in (-1.39, -0.3, 0.0, 1.2):
        integral, _ = scipy.integrate.quad(lambda t: float(law.pdf(t)), -1.4, x, epsabs=1e-12, limit=200)
        assert law.cdf(x) == pytest.approx(integral, abs=1e-9)
    p = np.array([0.0, 1e-12, 0.2, 0.5, 0.9, 1.0])
    np.testing.assert_allclose(law.cdf(law.ppf(p)), p, rtol=1e-8)  # at 1e-12, x is 1e-8 from the edge
    np.testing.assert_allclose(law.cdf([-0.5, 2.0]) + law.sf([-0.5, 2.0]), 1, atol=1e-15)
    assert law.ppf([0.0, 1.0]).tolist() == [-1.4, 1.4]


@pytest.mark.parametrize("scale", [1e-21, 1e21])
def test_semicircle_scales(scale):
    assert Semicircle(scale).pdf(scale) * scale == pytest.approx(Semicircle().pdf(1.0), rel=1e-12)
    assert Semicircle(scale).ppf(0.3) == pytest.approx(scale * Semicircle().ppf(0.3), rel=1e-12)


def test_semicircle_stieltjes_transform_solves_its_equation():
    law = Semicircle(1.3)
    z = np.array([0.2 + 1j, -5.0, 3 - 0.1j, 1e9j])
    m = law.stieltjes(z)
    np.testing.assert_allclose(1.69 * m**2 + z * m + 1, 0, atol=1e-12)
    assert (m.imag * z.imag >= 0).all()
    np.testing.assert_allclose(law.stieltjes(0.5).imag / np.pi, law.pdf(0.5), rtol=1e-12)


def test_symmetric_noise_has_the_semicircle():
    rng = np.random.default_rng(0)
    n = 400
    X = rng.normal(size=(n, n))
    values = np.linalg.eigvalsh((X + X.T) / np.sqrt(2 * n))
    empirical = (np.arange(n) + 0.5) / n
    assert abs(empirical - Semicircle().cdf(values)).max() < 2 * np.log(n) / n


@pytest.mark.parametrize("ask", [lambda law: law.pdf(1.5), lambda law: law.support, lambda law: law.ppf(0.3)])
def test_what_does_not_converge_is_an_error(
    ask: Callable[[GeneralizedMarchenkoPastur], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subordination, "MAX_STEPS", 1)
    with pytest.raises(NumericalError, match="did not converge"):
        ask(GeneralizedMarchenkoPastur([1.0, 3.0, 3.5], None, 0.4))


def test_quantiles_of_many_values_are_right_to_rounding_where_the_density_all_but_vanishes() -> None:
    # Newton's method from the quantiles of a grouped law steps out of the bulk at its ends and where bulks meet.
    values = np.concatenate([np.geomspace(1, 2, 1500), np.geomspace(60, 90, 1500)])
    law = GeneralizedMarchenkoPastur(values, None, 0.3)
    p = np.concatenate(
        [np.geomspace(1e-12, 0.4, 30), 0.5 + np.geomspace(1e-10, 1e-2, 20), 1 - np.geomspace(1e-10, 0.4, 30)]
    )
    np.testing.assert_allclose(law.cdf(law.ppf(p)), p, rtol=1e-9, atol=1e-14)
