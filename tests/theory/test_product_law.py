"""The law of products of free factors of any widths, against closed forms, the law of equal widths, and draws."""

import itertools

import numpy as np
import pytest

from sciml.errors import ConfigError
from sciml.theory.products import Factor, FussCatalan, Gaussian, Isometry, JacobianLaw, ProductLaw, slopes_of

LEVELS = np.array([0.1, 0.5, 0.9])


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_square_gaussian_factors_give_fuss_catalan(depth):
    law = ProductLaw([Gaussian(100, 100)] * depth)
    exact = FussCatalan(depth)
    assert law.support[1] == pytest.approx((depth + 1) ** (depth + 1) / depth**depth, rel=1e-12)
    assert law.ppf(LEVELS) == pytest.approx(exact.ppf(LEVELS), rel=1e-3)


def test_one_rectangular_factor_is_marchenko_pastur():
    law = ProductLaw([Gaussian(300, 100)])  # J^T J of 300 columns: 100 values that are not zero
    gamma = 3.0
    low, high = (1 - gamma**-0.5) ** 2, (1 + gamma**-0.5) ** 2  # of J J^T / 1, entries of variance 1 / 300
    assert law.atom == pytest.approx(2 / 3)
    assert law.support[1] == pytest.approx(high, rel=1e-12)
    assert float(law.cdf(low * 0.99)) == pytest.approx(law.atom, abs=1e-3)
    x = np.linspace(low, high, 9)[1:-1]
    exact = np.sqrt((high - x) * (x - low)) / (2 * np.pi * x) * 3.0 / 3.0  # mass 1/3 of all 300 values
    assert law.pdf(x) == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize(("weights", "factor"), [("gaussian", Gaussian), ("orthogonal", Isometry)])
def test_equal_widths_give_the_law_of_nets_of_one_width(weights, factor):
    sigma_w2, q = 1.760955, 0.570048
    slopes = slopes_of("tanh", q, 200)
    factors: list[Factor] = [each for _ in range(4) for each in (factor(200, 200, sigma_w2), slopes)]
    law, exact = ProductLaw(factors), JacobianLaw("tanh", 4, sigma_w2=sigma_w2, q=q, weights=weights)
    assert law.mean == pytest.approx(exact.mean, rel=1e-6)
    assert law.support[1] == pytest.approx(exact.support[0][1], rel=1e-9)
    assert law.ppf(LEVELS) == pytest.approx(exact.ppf(LEVELS), rel=2e-3)


def test_unequal_widths_agree_with_draws():
    widths, rng = [150, 100, 200, 50], np.random.default_rng(0)
    slopes = [slopes_of("relu", 1.0, width) for width in widths[1:-1]]
    factors: list[Factor] = [
        Gaussian(150, 100, 2.0),
        slopes[0],
        Gaussian(100, 200, 2.0),
        slopes[1],
        Gaussian(200, 50, 2.0),
    ]
    law = ProductLaw(factors)
    drawn = []
    for _ in range(40):
        J = np.eye(150)
        for n, p in itertools.pairwise(widths):
            J = rng.normal(size=(p, n)) * np.sqrt(2 / n) @ J
            if p != 50:
                J = np.repeat([1.0, 0.0], p // 2)[:, None] * J
        drawn.append(np.linalg.svd(J, compute_uv=False) ** 2)
    values = np.concatenate(drawn)
    assert law.atom == pytest.approx(1 - 50 / 150)
    # 40 draws of 50 values that repel one another: the mean to about 2 %
    assert law.mean == pytest.approx(values.sum() / 40 / 150, rel=0.03)
    share = law.atom + (1 - law.atom) * np.array([0.25, 0.5, 0.75])
    assert law.cdf(np.quantile(values, [0.25, 0.5, 0.75])) == pytest.approx(share, abs=0.01)


def test_a_strong_slope_of_small_mass_is_found():
    law = ProductLaw([Gaussian(100, 300, 0.3), slopes_of("gelu", 0.4, 300), Gaussian(300, 10, 0.3)])
    assert law.atom == pytest.approx(0.9)
    assert float(law.cdf(law.support[1])) == pytest.approx(1.0, abs=1e-6)


def test_isometries_alone_have_one_value():
    law = ProductLaw([Isometry(8, 8, 4.0), Isometry(8, 8, 0.5)])
    assert law.ppf([0.2, 0.9]).tolist() == [2.0, 2.0]
    assert law.cdf([1.9, 2.1]).tolist() == [0.0, 1.0]


def test_factors_that_do_not_meet_are_refused():
    with pytest.raises(ConfigError, match="meet"):
        ProductLaw([Gaussian(4, 5), Gaussian(6, 4)])
    with pytest.raises(ConfigError, match="at least one"):
        ProductLaw([])
