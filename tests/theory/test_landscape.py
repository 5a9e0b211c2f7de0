"""The Hessian as Wishart + Wigner against published numbers, its own moments, and drawn matrices."""

import math

import numpy as np
import pytest
from scipy import integrate

from sciml.errors import ConfigError
from sciml.theory.landscape import critical_energy, hessian_law, index_coefficient, sample_hessian

CRITICAL = {0.1: 0.08343459, 0.25: 0.04350953, 0.5: 0.01127124}
INDEX = {(0.5, 0.05): 0.0636, (0.5, 0.2): 0.1705, (0.25, 0.3): 0.1702}
LAWS = [(0.5, 0.05), (0.5, 0.005), (0.25, 0.3), (1.0, 0.1), (2.0, 0.05), (2.0, 0.5), (3.0, 0.005), (0.01, 0.3)]


@pytest.mark.parametrize("phi", CRITICAL)
def test_critical_energies_are_the_tabulated_ones_and_put_the_edge_at_zero(phi: float) -> None:
    energy = critical_energy(phi)
    assert energy == pytest.approx(CRITICAL[phi], abs=6e-9)
    assert hessian_law(phi, energy).support[0][0] == pytest.approx(0.0, abs=1e-10)
    assert hessian_law(phi, 0.9 * energy).support[0][0] > 0
    assert hessian_law(phi, 0.9 * energy).index == 0.0


@pytest.mark.parametrize(("phi", "energy"), INDEX)
def test_indices_are_the_tabulated_ones(phi: float, energy: float) -> None:
    assert hessian_law(phi, energy).index == pytest.approx(INDEX[phi, energy], abs=6e-5)


@pytest.mark.parametrize(("phi", "coefficient"), [(0.25, 0.0748), (0.5, 0.0335)])
def test_the_index_starts_with_the_power_three_halves(phi: float, coefficient: float) -> None:
    assert index_coefficient(phi) == pytest.approx(coefficient, abs=6e-5)
    energy = critical_energy(phi)
    excess = np.array([1e-6, 1e-5, 1e-4, 1e-3])
    index = np.array([hessian_law(phi, energy * (1 + each)).index for each in excess])
    np.testing.assert_allclose(index / excess**1.5, index_coefficient(phi), rtol=3e-3)
    slopes = np.diff(np.log(index)) / np.diff(np.log(excess))
    np.testing.assert_allclose(slopes, 1.5, atol=2e-3)


def test_local_exponents_are_the_tabulated_ones() -> None:
    energy = critical_energy(0.25)
    ends = [1e-4, 1e-3, 1e-2]
    index = [hessian_law(0.25, energy * (1 + each)).index for each in ends]
    slopes = np.diff(np.log(index)) / np.diff(np.log(ends))
    np.testing.assert_allclose(slopes, [1.4997, 1.497], atol=6e-4)


@pytest.mark.parametrize(("phi", "energy"), LAWS)
def test_the_law_has_mass_one_and_the_moments_of_a_free_sum(phi: float, energy: float) -> None:
    law = hessian_law(phi, energy)

    def moment(k: int) -> float:
        parts = [
            integrate.quad(
                # x = (low + high)/2 - cos t (high - low)/2 takes the square roots away from the ends
                lambda t, low=low, high=high: float(law.pdf((low + high - (high - low) * math.cos(t)) / 2))
                * ((low + high - (high - low) * math.cos(t)) / 2) ** k * math.sin(t) * (high - low) / 2,
                0, math.pi, epsabs=1e-9, limit=200,
            )[0]
            for low, high in law.support
        ]  # fmt: skip
        return sum(parts)

    # free cumulants add: mean 1, variance φ + 2ε, third φ²
    variance = phi + 2 * energy
    assert moment(0) == pytest.approx(1.0, abs=1e-7)
    assert moment(1) == pytest.approx(1.0, abs=1e-7)
    assert moment(2) == pytest.approx(1.0 + variance, rel=1e-7)
    assert moment(3) == pytest.approx(1.0 + 3 * variance + phi**2, rel=1e-7)


@pytest.mark.parametrize(("phi", "energy"), LAWS)
def test_the_distribution_is_the_integral_of_the_density(phi: float, energy: float) -> None:
    law = hessian_law(phi, energy)
    low, high = law.support[0][0], law.support[-1][1]
    assert float(law.cdf(low - 1)) == 0.0
    assert float(law.cdf(high + 1)) == 1.0
    for x in np.linspace(low, high, 7)[1:-1]:
        step = 1e-4 * (high - low)
        slope = float(law.cdf(x + step) - law.cdf(x - step)) / (2 * step)
        assert slope == pytest.approx(float(law.pdf(x)), abs=2e-3)
    gaps = [x for (_, end), (start, _) in zip(law.support, law.support[1:], strict=False) for x in [(end + start) / 2]]
    for x in gaps:  # φ > 1: a fraction 1 - 1/φ of the Wishart's eigenvalues is zero
        assert float(law.cdf(x)) == pytest.approx(1 - 1 / phi, abs=1e-9)
        assert float(law.pdf(x)) == 0.0


@pytest.mark.parametrize(("phi", "energy"), [(0.5, 0.05), (2.0, 0.1)])
def test_drawn_matrices_have_the_index_and_the_edges(phi: float, energy: float) -> None:
    rng, law = np.random.default_rng(0), hessian_law(phi, energy)
    values = np.stack([np.linalg.eigvalsh(sample_hessian(300, phi, energy, rng=rng)) for _ in range(6)])
    # Fluctuations of a count are of order one eigenvalue (rigidity), those of edges n^(-2/3).
    assert np.mean(values < 0) == pytest.approx(law.index, abs=2.0 / 300)
    assert np.mean(values[:, 0]) == pytest.approx(law.support[0][0], abs=2.0 * 300 ** (-2 / 3))
    assert np.mean(values[:, -1]) == pytest.approx(law.support[-1][1], abs=4.0 * 300 ** (-2 / 3))
    grid = np.quantile(values, [0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(law.cdf(grid), [0.1, 0.3, 0.5, 0.7, 0.9], atol=0.01)


def test_a_law_says_what_it_is() -> None:
    law = hessian_law(0.5, 0.05)
    assert "0.06364 of them negative" in law.summary()
    assert law.to_dict()["critical_energy"] == critical_energy(0.5)
    assert repr(law) == "HessianLaw(phi=0.5, energy=0.05)"


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="phi > 0"):
        hessian_law(0.0, 0.1)
    with pytest.raises(ConfigError, match="energy > 0"):
        hessian_law(0.5, math.nan)
    with pytest.raises(ConfigError, match="phi < 1"):
        index_coefficient(1.5)
    assert critical_energy(1.0) == 0.0
