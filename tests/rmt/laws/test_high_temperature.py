"""The high-temperature Marchenko-Pastur law: exact moments, its two limits, and eigenvalues of the ensemble."""

import math

import numpy as np
import pytest
import scipy.stats

from sciml.errors import ConfigError
from sciml.rmt.laws import HighTemperature, MarchenkoPastur


@pytest.mark.parametrize(("gamma", "kappa"), [(0.5, 4.0), (0.25, 40.0), (0.8, 10.0)])
def test_mass_and_moments_are_those_of_the_continued_fraction(gamma: float, kappa: float) -> None:
    # m1 = v1 = 1 once scaled, m2 = v1 (v1 + v2) with v1 = c / γ, v2 = c + 1.
    law = HighTemperature(gamma, kappa)
    x = np.concatenate([np.geomspace(1e-9, 1e-2, 2000), np.linspace(1e-2, 25.0, 20_000)[1:]])
    density, c = law.pdf(x), kappa / 2
    mass, mean, second = (float(np.trapezoid(density * x**k, x)) for k in range(3))
    assert [mass, mean, second] == pytest.approx([1.0, 1.0, 1 + gamma * (c + 1) / c], abs=2e-3)


def test_strong_repulsion_is_marchenko_pastur_and_none_is_gamma() -> None:
    x = np.linspace(0.2, 2.6, 9)
    np.testing.assert_allclose(HighTemperature(0.5, 4e3).pdf(x), MarchenkoPastur(0.5).pdf(x), atol=2e-3)
    c, gamma = 0.005, 0.25
    weak, limit = HighTemperature(gamma, 2 * c), scipy.stats.gamma(c * (1 / gamma - 1), scale=gamma / c)
    ratio = weak.pdf(x) / limit.pdf(x)
    np.testing.assert_allclose(ratio / ratio[0], 1.0, atol=10 * c)  # of first order in κ, with logarithms


def bidiagonal_eigenvalues(p: int, n: float, beta: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the β-Laguerre ensemble from its bidiagonal model (Dumitriu and Edelman 2002)."""
    diagonal = np.sqrt(rng.chisquare(beta * (n - np.arange(p))))
    below = np.sqrt(rng.chisquare(beta * (p - 1 - np.arange(p - 1))))
    matrix = np.diag(diagonal) + np.diag(below, -1)
    return np.asarray(np.linalg.eigvalsh(matrix @ matrix.T))


@pytest.mark.parametrize("inverse", [False, True])
def test_it_is_the_law_of_the_beta_laguerre_ensemble(inverse: bool) -> None:
    rng, p, gamma, kappa = np.random.default_rng(0), 200, 0.5, 4.0
    values = np.concatenate([bidiagonal_eigenvalues(p, p / gamma, kappa / p, rng) for _ in range(10)])
    values = values / values.mean()
    law = HighTemperature(gamma, kappa, inverse=inverse)
    x = np.sort(1 / values if inverse else values)
    distance = float(np.max(np.abs(law.cdf(x) - (np.arange(x.size) + 0.5) / x.size)))
    # Weak repulsion: the distance is at most that of independent values, 1.95 / sqrt(2000) with probability 0.1 %.
    assert distance < 1.95 / math.sqrt(values.size)


def test_stieltjes_transform_has_the_density_as_its_imaginary_part() -> None:
    x = np.array([0.3, 1.0, 2.0])
    for inverse in (False, True):
        law = HighTemperature(0.5, 4.0, inverse=inverse)
        np.testing.assert_allclose(law.stieltjes(x + 1e-9j).imag / np.pi, law.pdf(x), rtol=1e-6)
        np.testing.assert_allclose(law.cdf(law.ppf(np.array([0.1, 0.5, 0.9]))), [0.1, 0.5, 0.9], atol=1e-6)
        assert law.median() == pytest.approx(float(law.ppf(0.5)))
        assert float(law.sf(1.0)) == pytest.approx(1 - float(law.cdf(1.0)))


def test_upper_tail_of_the_inverse_law_is_a_power_law() -> None:
    gamma, kappa = 0.5, 4.0
    law = HighTemperature(gamma, kappa, inverse=True)
    slope = math.log(float(law.pdf(1e5)) / float(law.pdf(1e4))) / math.log(10.0)
    assert slope == pytest.approx(-(kappa / 2 * (1 / gamma - 1) + 1), abs=0.02)


def test_what_is_no_law_is_refused() -> None:
    with pytest.raises(ConfigError, match="kappa"):
        HighTemperature(0.5, 0.0)
