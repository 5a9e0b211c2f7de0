"""Free convolutions against closed forms, each other and the eigenvalues of simulated sums and products."""

from typing import Any

import numpy as np
import pytest
import scipy.integrate

from sciml.errors import ConfigError, DataError
from sciml.rmt.laws import GeneralizedMarchenkoPastur, MarchenkoPastur, Semicircle
from sciml.rmt.laws.free import SemicircleSum, add, add_semicircle, multiply_marchenko_pastur

SPECTRA: dict[str, Any] = {"one": [3.0], "two": [-2.0, 2.0], "three": [-1.0, 0.0, 5.0], "many": np.linspace(-1, 4, 50)}


def test_a_point_mass_gives_the_semicircle_shifted():
    law, exact = add_semicircle([3.0], sigma=0.7), Semicircle(0.7)
    x = np.linspace(-2, 2, 81)
    np.testing.assert_allclose(law.pdf(3 + x), exact.pdf(x), atol=1e-12)
    np.testing.assert_allclose(law.cdf(3 + x), exact.cdf(x), atol=1e-13)
    np.testing.assert_allclose(law.ppf([0.1, 0.5, 0.9]), 3 + exact.ppf([0.1, 0.5, 0.9]), rtol=1e-10)
    np.testing.assert_allclose(law.stieltjes(3 + x - 0.1j), exact.stieltjes(x - 0.1j), rtol=1e-10)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("sigma", [0.1, 1.0, 8.0])
def test_cdf_is_the_integral_of_the_density_and_ppf_its_inverse(name, sigma):
    law = SemicircleSum(SPECTRA[name], sigma=sigma)
    assert law.masses.sum() == pytest.approx(1, abs=1e-13)
    for low, high in law.support[:3]:
        angle = np.linspace(0, np.pi, 2001)
        x = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
        total = scipy.integrate.cumulative_simpson(law.pdf(x) * (high - low) / 2 * np.sin(angle), x=angle, initial=0)
        np.testing.assert_allclose(law.cdf(x) - law.cdf(low), total, atol=2e-6)  # cube-root cusps slow Simpson down
    p = np.linspace(0.003, 0.997, 50)
    np.testing.assert_allclose(law.cdf(law.ppf(p)), p, atol=1e-9)


def test_moments_add_like_free_cumulants():
    values = np.array(SPECTRA["three"])
    law = SemicircleSum(values, sigma=1.5)
    x = law.ppf((np.arange(20000) + 0.5) / 20000)
    assert x.mean() == pytest.approx(values.mean(), abs=1e-3)
    assert x.var() == pytest.approx(values.var() + 1.5**2, rel=1e-3)
    third = ((values - values.mean()) ** 3).mean()
    assert ((x - x.mean()) ** 3).mean() == pytest.approx(third, rel=1e-3)  # the semicircle has no third cumulant


@pytest.mark.parametrize("name", SPECTRA)
def test_eigenvalues_of_a_noisy_matrix_follow_the_law(name):
    rng = np.random.default_rng(1)
    n = 400
    spectrum = np.resize(SPECTRA[name], n)
    noise = rng.normal(size=(n, n))
    values = np.linalg.eigvalsh(np.diag(spectrum) + 0.8 * (noise + noise.T) / np.sqrt(2 * n))
    expected = add_semicircle(spectrum, sigma=0.8).cdf(values)
    # Eigenvalues repel: the empirical cdf is off by O(log(n) / n), here with a factor of 2.
    assert abs(expected - (np.arange(n) + 0.5) / n).max() < 2 * np.log(n) / n


def test_very_many_values_are_as_exact_as_few():
    values = np.sin(np.arange(5000.0))
    law = add_semicircle(values, sigma=0.3)
    x = np.linspace(-1.2, 1.2, 7)
    m = law.stieltjes(x)
    right = np.mean(1 / (values - x[:, None] - 0.09 * m[:, None]), axis=1)
    np.testing.assert_allclose(m, right, rtol=1e-8)  # Pastur's equation
    np.testing.assert_allclose(law.pdf(x), m.imag / np.pi, rtol=1e-8)
    np.testing.assert_allclose(law.ppf(law.cdf(x)), x, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-21, 1e21])
def test_sums_scale(scale):
    values = np.array(SPECTRA["three"])
    law, other = add_semicircle(values, sigma=0.5), add_semicircle(scale * values, sigma=scale * 0.5)
    np.testing.assert_allclose(np.array(other.support) / scale, law.support, rtol=1e-12)
    assert other.pdf(scale * 5.1) * scale == pytest.approx(law.pdf(5.1), rel=1e-10)


def test_product_with_marchenko_pastur_is_the_generalized_law():
    law = multiply_marchenko_pastur([1.0, 10.0], gamma=0.1)
    assert law.support == GeneralizedMarchenkoPastur([1.0, 10.0], gamma=0.1).support


def test_general_sum_agrees_with_the_semicircle_sum():
    law = SemicircleSum([-1.0, 0.0, 5.0], sigma=0.9)

    def atoms(z):
        return np.mean(1 / (np.array([-1.0, 0.0, 5.0]) - z[..., None]), axis=-1)

    z = np.linspace(-3, 7, 21).reshape(3, 7) + 0.05j
    np.testing.assert_allclose(add(z, atoms, Semicircle(0.9).stieltjes), law.stieltjes(z), rtol=1e-9)
    np.testing.assert_allclose(add(z, Semicircle(0.9).stieltjes, atoms), law.stieltjes(z), rtol=1e-9)


def test_sum_of_two_sample_covariances_has_the_sum_of_their_laws():
    rng = np.random.default_rng(2)
    p = 500
    first, second = rng.normal(size=(p, 1000)), rng.normal(size=(p, 2000))
    values = np.linalg.eigvalsh(first @ first.T / 1000 + second @ second.T / 2000)
    z = np.array([0.5, 1.0, 2.0, 3.0]) + 0.2j
    m = add(z, MarchenkoPastur(0.5).stieltjes, MarchenkoPastur(0.25).stieltjes)
    # Linear statistics of eigenvalues fluctuate as 1/p, times 1/Im(z)^2 at most.
    np.testing.assert_allclose(np.mean(1 / (values - z[:, None]), axis=1), m, atol=4 / (p * 0.2))


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError, match="positive imaginary part"):
        add(1.0, Semicircle().stieltjes, Semicircle().stieltjes)
    with pytest.raises(ConfigError, match="did not converge"):
        add(10.0 + 1e-14j, Semicircle(3.0).stieltjes, Semicircle(4.0).stieltjes)  # at the edge of the sum
    with pytest.raises(DataError, match="NaN"):
        add_semicircle([0.0, np.nan], sigma=1.0)
    with pytest.raises(ConfigError, match="sigma"):
        add_semicircle([0.0], sigma=0.0)
