"""Edges of noise: sizes of the tests by simulation, and exact relations between the white and the colored law."""

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.signal
from hypothesis import given, settings

from sciml.errors import ConfigError, DataError
from sciml.rmt import edges
from sciml.rmt.laws import MarchenkoPastur

quick = settings(derandomize=True, deadline=None, max_examples=50)
SIDES = st.integers(2, 5000)


def largest_white_eigenvalues(p, n, n_draws, rng, complex_data=False):
    """Draw the largest eigenvalue of X^H X / n from the tridiagonal form of Wishart matrices.

    Its entries are chi variables (Dumitriu and Edelman 2002, doi:10.1063/1.1507823): thousands of draws in a second.
    """
    p, long = min(p, n), max(p, n)
    dyson = 2 if complex_data else 1
    top = np.empty(n_draws)
    for draw in range(n_draws):
        diagonal = rng.chisquare(dyson * (long - np.arange(p))) / dyson
        below = rng.chisquare(dyson * np.arange(p - 1, 0, -1)) / dyson
        main = diagonal + np.concatenate([[0.0], below])
        off = np.sqrt(below * diagonal[:-1])
        top[draw] = scipy.linalg.eigh_tridiagonal(
            main, off, eigvals_only=True, select="i", select_range=(p - 1, p - 1), check_finite=False
        )[0]
    return top / n


def ar1_psd(phi, n):
    return (1 - phi**2) / np.abs(1 - phi * np.exp(-2j * np.pi * np.arange(n) / n)) ** 2


def ar1(phi, shape, rng, complex_data=False):
    """Stationary AR(1) noise of unit variance, one channel a row."""
    noise = rng.normal(size=shape)
    if complex_data:
        noise = (noise + 1j * rng.normal(size=shape)) / np.sqrt(2)
    noise[:, 1:] *= np.sqrt(1 - phi**2)
    return scipy.signal.lfilter([1.0], [1.0, -phi], noise, axis=1)


def largest(X):
    return np.linalg.eigvalsh(X @ X.conj().T / X.shape[1])[-1]


def binomial_error(level, n_draws):
    return np.sqrt(level * (1 - level) / n_draws)


@pytest.mark.parametrize("complex_data", [False, True])
@pytest.mark.parametrize(("p", "n"), [(10, 10), (20, 400), (400, 20), (50, 100)])
def test_white_test_has_its_nominal_size(p, n, complex_data):
    n_draws = 6000
    top = largest_white_eigenvalues(p, n, n_draws, np.random.default_rng(p * n), complex_data)
    law = edges.white(p, n, complex_data=complex_data)
    # The law is accurate to second order in the shorter side (in 20000 draws of (10, 10) the sizes were .047 and .513
    # for real data, .046 and .546 for complex). Without the half shifts, (20, 400) has .036 and .435.
    middle = (0.25 if complex_data else 0.1) * min(p, n) ** (-2 / 3)
    for alpha, finite in ((0.05, 0.005), (0.5, middle)):
        size = np.mean(top > law.threshold(alpha))
        assert abs(size - alpha) < 3.5 * binomial_error(alpha, n_draws) + finite


def test_white_p_values_of_full_matrices_are_uniform():
    rng = np.random.default_rng(2)
    law = edges.white(40, 200)
    p_values = np.array([law.p_value(largest(rng.normal(size=(40, 200)))) for _ in range(500)])
    deviation = np.abs(np.sort(p_values) - (np.arange(500) + 0.5) / 500).max()
    assert deviation < 1.95 / np.sqrt(500)  # Kolmogorov-Smirnov, level .001


@pytest.mark.parametrize("complex_data", [False, True])
@pytest.mark.parametrize(("n_channels", "n_samples", "phi"), [(64, 1000, 0.5), (64, 1000, 0.9), (16, 500, 0.9)])
def test_colored_test_never_exceeds_its_nominal_size(n_channels, n_samples, phi, complex_data):
    n_draws, alpha = 300, 0.05
    rng = np.random.default_rng(3)
    shape = (n_channels, n_samples)
    top = np.array([largest(ar1(phi, shape, rng, complex_data)) for _ in range(n_draws)])
    law = edges.colored(ar1_psd(phi, n_samples), *shape, complex_data=complex_data)
    assert np.mean(top > law.threshold(alpha)) < alpha + 3.5 * binomial_error(alpha, n_draws)
    # Not by giving up power: the middle of the law is where it should be within a third of its scale.
    assert abs(np.median(top) - law.threshold(0.5)) < law.scale / 3
    if phi == 0.9:
        white = edges.white(*shape, complex_data=complex_data)
        assert np.mean(top > white.threshold(alpha)) == 1.0  # what the white test makes of this noise


@quick
@given(p=SIDES, n=SIDES, complex_data=st.booleans(), exponent=st.floats(-42, 42))
def test_flat_spectrum_gives_the_white_edge_at_any_scale(p, n, complex_data, exponent):
    variance = 10.0**exponent
    colored = edges.colored(np.full(17, variance), p, n, complex_data=complex_data)
    white = edges.white(p, n, complex_data=complex_data)
    assert colored.center == pytest.approx(white.center * variance, rel=1e-11)
    assert colored.scale == pytest.approx(white.scale * variance, rel=1e-11)
    assert colored.beta == white.beta


@pytest.mark.parametrize("gamma", [0.01, 0.5, 1.0, 8.0])
@pytest.mark.parametrize("complex_data", [False, True])
def test_center_tends_to_the_marchenko_pastur_edge(gamma, complex_data):
    n = 10**8
    law = edges.white(round(gamma * n), n, complex_data=complex_data)
    assert law.center == pytest.approx(MarchenkoPastur(gamma).support[0][1], rel=1e-6)
    assert law.scale < 1e-3


@quick
@given(p=SIDES, n=SIDES, complex_data=st.booleans())
def test_white_edge_is_the_same_for_the_transpose(p, n, complex_data):
    tall, wide = edges.white(p, n, complex_data=complex_data), edges.white(n, p, complex_data=complex_data)
    assert tall.center * n == pytest.approx(wide.center * p, rel=1e-13)
    assert tall.scale * n == pytest.approx(wide.scale * p, rel=1e-13)


@quick
@given(seed=st.integers(0, 100), p=st.integers(2, 300), exponent=st.floats(-42, 42))
def test_colored_edge_scales_with_the_spectrum_and_ignores_its_order(seed, p, exponent):
    rng = np.random.default_rng(seed)
    psd = rng.gamma(0.3, size=64)
    psd[:5] = 0.0
    law = edges.colored(psd, p, 200)
    scaled = edges.colored(rng.permutation(psd) * 10.0**exponent, p, 200)
    assert scaled.center == pytest.approx(law.center * 10.0**exponent, rel=1e-11)
    assert scaled.scale == pytest.approx(law.scale * 10.0**exponent, rel=1e-11)
    finer = edges.colored(np.repeat(psd, 3), p, 200)
    assert finer.center == pytest.approx(law.center, rel=1e-11)


@quick
@given(seed=st.integers(0, 100), p=st.integers(2, 300), shape=st.sampled_from([0.05, 0.3, 3.0]))
def test_colored_center_is_the_edge_of_the_generalized_marchenko_pastur_law(seed, p, shape):
    psd, n = np.random.default_rng(seed).gamma(shape, size=50), 200

    # Upper edge = minimum over v in (-1 / max S, 0) of z(v) (Silverstein), in the roles T variables, p samples.
    def z(v):
        return -1 / v + n / p * np.mean(psd / (1 + psd * v))

    minimum = scipy.optimize.minimize_scalar(
        lambda w: z(-w / (1 + w) / psd.max()), bracket=(0.01, 1.0, 100.0), method="golden", options={"xtol": 1e-10}
    )
    law = edges.colored(psd, p, n, complex_data=True)
    assert law.center == pytest.approx(minimum.fun * p / n, rel=1e-8)


def test_half_of_the_band_empty_is_half_of_the_samples():
    psd = np.concatenate([np.full(500, 2.0), np.zeros(500)])
    band = edges.colored(psd, 64, 1000, complex_data=True)
    half = edges.white(64, 500, complex_data=True)
    assert band.center == pytest.approx(half.center, rel=1e-12)
    assert band.scale == pytest.approx(half.scale, rel=1e-12)


@pytest.mark.parametrize("height", [1e3, 1e9, 1e30])
def test_a_spectrum_of_a_single_line_has_a_finite_edge_above_the_line(height):
    psd = np.ones(1000)
    psd[7] = height
    law = edges.colored(psd, 32, 1000)
    # A line in one bin gives every channel one degree of freedom: X X^T / T gets height / T times a chi2 of 32.
    assert law.center > height / 1000 * 32
    assert 0 < law.scale < law.center < np.inf


@quick
@given(alpha=st.floats(1e-300, 0.999), beta=st.sampled_from([1, 2]), exponent=st.floats(-42, 42))
def test_threshold_inverts_p_value(alpha, beta, exponent):
    law = edges.EdgeLaw(center=2.0 * 10.0**exponent, scale=0.1 * 10.0**exponent, beta=beta)
    assert law.p_value(law.threshold(alpha)) == pytest.approx(alpha, rel=1e-8)


def test_p_values_keep_the_shape_and_order_of_the_eigenvalues():
    law = edges.white(30, 300)
    p_values = law.p_value(np.array([3.0, 2.0, 1.8, 1.7, 0.1]))
    assert p_values.shape == (5,)
    assert (np.diff(p_values) > 0).all()
    assert 0 < p_values[0] < 1e-40


@pytest.mark.parametrize("psd", [[0.0, 0.0], [1.0, -1.0], [1.0, np.nan], [1.0, np.inf], [], [[1.0]]])
def test_impossible_spectra_are_refused(psd):
    with pytest.raises(DataError, match="power spectrum"):
        edges.colored(psd, 10, 100)


def test_impossible_sizes_and_levels_are_refused():
    with pytest.raises(ConfigError, match="at least one feature"):
        edges.white(0, 10)
    with pytest.raises(ConfigError, match="at least one feature"):
        edges.colored([1.0], 3, 0)
    with pytest.raises(ConfigError, match="alpha between 0 and 1"):
        edges.white(3, 3).threshold(0.0)
    with pytest.raises(DataError, match="NaN"):
        edges.white(3, 3).p_value(np.nan)
