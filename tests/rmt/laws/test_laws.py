"""Marchenko-Pastur and Tracy-Widom laws against exact values, quadrature, Painleve II and 40-digit determinants."""

import json
import subprocess
import sys

import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from hypothesis import given, settings

from sciml.errors import ConfigError, DataError
from sciml.rmt.laws import MarchenkoPastur, TracyWidom

GAMMAS = (1e-4, 0.05, 0.3, 0.99, 1.0, 1.01, 2.5, 40.0)
BETAS = (1, 2, 4)
SCALES = st.floats(-21, 21).map(lambda exponent: 10.0**exponent)
quick = settings(derandomize=True, deadline=None, max_examples=50)


# ---- Marchenko-Pastur


def test_support_is_exact_where_floats_are():
    assert MarchenkoPastur(gamma=0.25).support == ((0.25, 2.25),)
    assert MarchenkoPastur(gamma=4.0, sigma=2.0).support == ((4.0, 36.0),)
    assert MarchenkoPastur(gamma=1.0).support == ((0.0, 4.0),)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_cdf_is_the_integral_of_the_density(gamma):
    law = MarchenkoPastur(gamma, sigma=1.5)
    (low, high), *_ = law.support
    middle, half = (low + high) / 2, (high - low) / 2

    def density(theta):  # x = middle - half cos(theta) takes the square roots at the edges away
        return law.pdf(middle - half * np.cos(theta)) * half * np.sin(theta)

    for angle in (0.3, 1.2, 2.0, np.pi):
        integral, _ = scipy.integrate.quad(density, 0, angle, epsabs=1e-12, limit=400)
        x = middle - half * np.cos(angle)
        assert law.cdf(x) == pytest.approx(law.atom + integral, abs=2e-9)


@pytest.mark.parametrize(("gamma", "value"), [(0.3, 0.602473997585941), (2.5, 0.853770630767281)])
def test_cdf_at_reference_points(gamma, value):  # values: quadrature of the density in 25 digits
    law = MarchenkoPastur(gamma)
    (low, high), *_ = law.support
    assert law.cdf(low + 0.4 * (high - low)) == pytest.approx(value, abs=1e-14)


@pytest.mark.parametrize(
    ("gamma", "median"),
    [
        (0.01, 0.9966656763),
        (0.1, 0.9665651474),
        (0.25, 0.9160040706),
        (0.5, 0.8304658816),
        (0.75, 0.7429484870),
        (1.0, 0.6527759416),
        (2.0, 0.0),
        (5.0, 0.0),
    ],
)
def test_median_is_the_reference(gamma, median):
    assert MarchenkoPastur(gamma).median() == pytest.approx(median, abs=1e-10)


@pytest.mark.parametrize("gamma", [0.05, 0.3, 1.0, 7.0])
@pytest.mark.parametrize("distance", [1e-12, 1e-6, 1e-2, 0.2])
def test_sf_keeps_relative_accuracy_next_to_the_upper_edge(gamma, distance):
    law = MarchenkoPastur(gamma)
    x = law.support[0][1] * (1 - distance)
    with mpmath.workdps(30):
        g, point = mpmath.mpf(gamma), mpmath.mpf(float(x))
        a, b = (1 - mpmath.sqrt(g)) ** 2, (1 + mpmath.sqrt(g)) ** 2
        exact = mpmath.quad(lambda u: 2 * u**2 * mpmath.sqrt(b - u**2 - a) / (b - u**2), [0, mpmath.sqrt(b - point)])
        exact = float(exact / (2 * mpmath.pi * g))
    # Rounding x and b to doubles moves b - x by about an ulp of b, and sf is near (b - x)^(3/2).
    assert law.sf(x) == pytest.approx(exact, rel=1e-12 + 4e-16 / distance)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_cdf_and_sf_add_up_to_one(gamma):
    law = MarchenkoPastur(gamma)
    x = np.linspace(-0.1, law.support[0][1] * 1.1, 301)
    np.testing.assert_allclose(law.cdf(x) + law.sf(x), 1.0, atol=1e-14)
    assert (np.diff(law.cdf(x)) >= -1e-15).all()
    assert law.cdf(-1e-9) == 0
    assert law.cdf(law.support[0][1]) == 1
    assert law.sf(law.support[0][1]) == 0


def test_atom_at_zero_counts_in_cdf_and_ppf():
    law = MarchenkoPastur(4.0)
    assert law.atom == 0.75
    assert law.cdf(0.0) == 0.75
    assert law.cdf(0.5) == 0.75  # nothing between zero and the lower edge, 1
    assert law.sf(0.0) == 0.25
    np.testing.assert_array_equal(law.ppf([0.0, 0.3, 0.75]), 0.0)
    assert law.ppf(0.75 + 1e-9) > 1.0
    assert MarchenkoPastur(0.5).atom == 0


@pytest.mark.parametrize("gamma", GAMMAS)
def test_ppf_inverts_cdf(gamma):
    law = MarchenkoPastur(gamma, sigma=0.3)
    p = law.atom + (1 - law.atom) * np.array([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-9])
    np.testing.assert_allclose(law.cdf(law.ppf(p)), p, rtol=1e-12, atol=2e-15 / np.sqrt(min(gamma, 1 / gamma)))
    low, high = law.support[0]
    assert law.ppf(1.0) == pytest.approx(high, rel=1e-15)
    assert law.ppf(0.0) == (0.0 if law.atom else low)


@quick
@given(gamma=st.floats(0.01, 100.0), sigma=SCALES, p=st.floats(0.01, 0.99))
def test_law_scales_with_the_data(gamma, sigma, p):
    unit, law = MarchenkoPastur(gamma), MarchenkoPastur(gamma, sigma)
    x = float(unit.ppf(p))
    assert law.ppf(p) == pytest.approx(x * sigma**2, rel=1e-9)
    assert law.cdf(x * sigma**2) == pytest.approx(unit.cdf(x), abs=1e-9)
    assert law.pdf(x * sigma**2) * sigma**2 == pytest.approx(unit.pdf(x), rel=1e-5)
    assert law.stieltjes(1j * sigma**2) * sigma**2 == pytest.approx(unit.stieltjes(1j), rel=1e-12)


@quick
@given(gamma=st.floats(0.01, 1.0), x=st.floats(0.0, 5.0))
def test_transposed_data_have_the_same_nonzero_law(gamma, x):
    tall, wide = MarchenkoPastur(gamma), MarchenkoPastur(1 / gamma)
    # X^H X / n and X X^H / p share their nonzero eigenvalues up to the factor n / p = 1 / gamma.
    assert wide.sf(x / gamma) == pytest.approx(gamma * tall.sf(x), abs=1e-9)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_stieltjes_transform_solves_its_equation(gamma):
    law = MarchenkoPastur(gamma)
    z = np.array([0.3 + 1e-3j, 1 + 1j, -2.0, 10.0 - 0.5j, 1e8j, 1e-3 + 1e-6j])
    m = law.stieltjes(z)
    residual = gamma * z * m**2 + (z + gamma - 1) * m + 1
    size = abs(gamma * z * m**2) + abs((z + gamma - 1) * m) + 1
    assert (abs(residual) < 1e-13 * size).all()
    assert (m.imag * z.imag >= 0).all()  # the branch that is a Stieltjes transform
    np.testing.assert_allclose(m[4], -1 / z[4], rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.2, 1.0, 3.0])
def test_density_is_the_jump_of_the_stieltjes_transform(gamma):
    law = MarchenkoPastur(gamma)
    x = law.ppf(law.atom + (1 - law.atom) * np.array([0.2, 0.5, 0.8]))
    np.testing.assert_allclose(law.stieltjes(x).imag / np.pi, law.pdf(x), rtol=1e-9)


@pytest.mark.parametrize("complex_data", [False, True])
@pytest.mark.parametrize("shape", [(300, 900), (900, 300)])
def test_sample_spectra_follow_the_law(shape, complex_data):
    rng = np.random.default_rng(5)
    X = rng.normal(size=shape)
    if complex_data:
        X = (X + 1j * rng.normal(size=shape)) / np.sqrt(2)
    n, p = shape
    values = np.linalg.eigvalsh(X.conj().T @ X / n)
    law = MarchenkoPastur(p / n)
    at = np.linspace(0.01, law.support[0][1], 200)
    empirical = np.searchsorted(np.sort(values), at) / p
    # Eigenvalues repel: the empirical cdf is off by O(log(p) / p), here with a factor of 2.
    assert abs(empirical - law.cdf(at)).max() < 2 * np.log(p) / p


@pytest.mark.parametrize("arguments", [(0.0,), (-1.0,), (np.inf,), (np.nan,), (0.5, 0.0), (0.5, -2.0)])
def test_parameters_that_are_not_positive_are_refused(arguments):
    with pytest.raises(ConfigError, match="positive finite number"):
        MarchenkoPastur(*arguments)


def test_nan_and_wrong_probabilities_are_refused():
    with pytest.raises(DataError, match="got NaN at 1"):
        MarchenkoPastur(0.5).cdf([0.1, np.nan])
    with pytest.raises(ConfigError, match=r"in \[0, 1\]"):
        MarchenkoPastur(0.5).ppf(1.5)
    with pytest.raises(DataError, match="real numbers"):
        TracyWidom(1).sf(1j)


# ---- Tracy-Widom


@pytest.mark.parametrize(
    ("beta", "mean", "var", "quantiles"),
    [
        (1, -1.206533574582, 1.607781034581, [-3.1803799769, -1.2685746166, 0.9793160535, 2.0234492814, 3.2721960590]),
        (2, -1.771086807412, 0.813194792833, [-3.1941667322, -1.8049124089, -0.2324744698, 0.4776360474, 1.3144194801]),
        (
            4,
            -2.306884893241,
            0.517723720773,
            [-3.4553141775, -2.3268176974, -1.0904010131, -0.5446944258, 0.0903813233],
        ),
    ],
)
def test_moments_and_quantiles_are_the_reference(beta, mean, var, quantiles):
    law = TracyWidom(beta)
    assert law.mean() == pytest.approx(mean, abs=2e-11)
    assert law.var() == pytest.approx(var, abs=2e-11)
    np.testing.assert_allclose(law.ppf([0.05, 0.5, 0.95, 0.99, 0.999]), quantiles, atol=1e-9)


@pytest.mark.parametrize(
    ("beta", "s", "value"),
    [(1, 2.0, 1.04024289e-2), (1, 6.0, 1.94081407e-6), (2, 4.0, 4.95791215e-8), (2, 8.0, 6.53356321e-17)],
)
def test_tail_is_the_reference(beta, s, value):
    assert TracyWidom(beta).sf(s) == pytest.approx(value, rel=5e-9)


def painleve(points):
    """Return log F2 and h = atanh sum = half the integral of q, from q'' = x q + 2 q^3 started on Ai at x = 7.

    With R = integral of q^2 to the right, log F2 = -integral of R, so that all come from one initial value problem.
    """
    start = 7.0
    ai, slope, *_ = scipy.special.airy(start)
    tail = [scipy.integrate.quad(f, start, np.inf, epsabs=0)[0] for f in (lambda t: scipy.special.airy(t)[0] ** 2,)]
    area = scipy.integrate.quad(lambda t: scipy.special.airy(t)[0], start, np.inf, epsabs=0)[0]
    moment = scipy.integrate.quad(lambda t: (t - start) * scipy.special.airy(t)[0] ** 2, start, np.inf, epsabs=0)[0]

    def right(x, y):
        q, dq, r, _log, _h = y
        return [dq, x * q + 2 * q**3, -(q**2), r, -q / 2]

    solution = scipy.integrate.solve_ivp(
        right,
        (start, min(points)),
        [ai, slope, tail[0], -moment, area / 2],
        t_eval=points,
        method="DOP853",
        rtol=1e-13,
        atol=1e-16,
    )
    return solution.y[3], solution.y[4]


def test_cdf_agrees_with_painleve_ii():
    x = np.array([2.0, 1.0, 0.0, -1.0, -2.0, -3.0, -3.5])
    log_f2, h = painleve(x)
    np.testing.assert_allclose(TracyWidom(1).cdf(x), np.exp(log_f2 / 2 - h), atol=1e-9)
    np.testing.assert_allclose(TracyWidom(2).cdf(x), np.exp(log_f2), atol=1e-9)
    np.testing.assert_allclose(TracyWidom(4).cdf(x / np.sqrt(2)), np.exp(log_f2 / 2) * np.cosh(h), atol=1e-9)


def exact(beta, s, n_nodes=26, digits=40):
    """Return log F and log(1 - F) from determinants in 40 digits, in which no cancellation matters."""
    with mpmath.workdps(digits):
        x = mpmath.sqrt(2) * s if beta == 4 else mpmath.mpf(s)
        nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
        half = (16 - x if x < 0 else 16 / mpmath.sqrt(1 + x)) / 2
        u, w = half * mpmath.matrix(nodes + 1), (half * mpmath.matrix(weights)).apply(mpmath.sqrt)
        kernel = mpmath.matrix(n_nodes, n_nodes)
        for i in range(n_nodes):
            for j in range(i + 1):
                kernel[i, j] = kernel[j, i] = w[i] * w[j] * mpmath.airyai(u[i] + u[j] + x)
        minus, plus = mpmath.det(mpmath.eye(n_nodes) - kernel), mpmath.det(mpmath.eye(n_nodes) + kernel)
        cdf = {1: minus, 2: minus * plus, 4: (minus + plus) / 2}[beta]
        return float(mpmath.log(cdf)), float(mpmath.log(1 - cdf))


@pytest.mark.parametrize(("beta", "s"), [(1, 1.6), (1, 14.0), (2, 7.0), (4, 0.9), (4, 1.2), (4, 7.0)])
def test_sf_keeps_relative_accuracy_in_the_tail(beta, s):
    _, log_sf = exact(beta, s)
    assert TracyWidom(beta).logsf(s) == pytest.approx(log_sf, abs=1e-9)


@pytest.mark.parametrize(("beta", "s"), [(1, -6.5), (2, -8.0), (4, -5.5)])
def test_log_cdf_is_right_in_the_left_tail(beta, s):
    log_cdf, _ = exact(beta, s, n_nodes=44)
    assert TracyWidom(beta).logcdf(s) == pytest.approx(log_cdf, abs=2e-6)


@pytest.mark.parametrize("beta", BETAS)
def test_beyond_the_smallest_float_the_tails_follow_their_asymptotes(beta):
    law = TracyWidom(beta)
    rate = {1: 2 / 3, 2: 4 / 3, 4: 4 / 3 * 2**0.75}[beta]
    far = np.array([150.0, 1e3, 1e6])
    np.testing.assert_allclose(law.logsf(far), -rate * far**1.5, rtol=0.01)
    decay = {1: 1 / 24, 2: 1 / 12, 4: 2**1.5 / 24}[beta]
    np.testing.assert_allclose(law.logcdf(-far), -decay * far**3, rtol=0.06)
    assert law.sf(1e6) == 0
    assert law.cdf([-np.inf, np.inf]).tolist() == [0, 1]
    assert law.sf([-np.inf, np.inf]).tolist() == [1, 0]
    assert law.pdf([-np.inf, -1e9, 1e9, np.inf]).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("beta", BETAS)
def test_cdf_is_smooth_across_the_joints_of_its_table(beta):
    law = TracyWidom(beta)
    joints = np.array([-7.0, -3.0, 1.5]) / (np.sqrt(2) if beta == 4 else 1.0)
    step = 1e-9
    np.testing.assert_allclose(law.logcdf(joints - step), law.logcdf(joints + step), rtol=1e-7)
    np.testing.assert_allclose(law.logsf(joints - step), law.logsf(joints + step), rtol=1e-7)
    # The density is a derivative: rounding in log F at the first joint, a few 1e-9, shows in it most.
    np.testing.assert_allclose(law.pdf(joints - step), law.pdf(joints + step), rtol=3e-7)


@pytest.mark.parametrize("beta", BETAS)
def test_density_is_the_derivative_of_the_cdf(beta):
    law = TracyWidom(beta)
    s, step = np.linspace(-5, 4, 91), 1e-4
    difference = (law.cdf(s + step) - law.cdf(s - step)) / (2 * step)
    np.testing.assert_allclose(law.pdf(s), difference, atol=1e-8)  # step^2 / 6 times the third derivative


@quick
@given(beta=st.sampled_from(BETAS), exponent=st.floats(-300, -1e-3))
def test_inverses_invert_down_to_the_smallest_probabilities(beta, exponent):
    law, q = TracyWidom(beta), 10.0**exponent
    assert law.sf(law.isf(q)) == pytest.approx(q, rel=1e-9)
    assert law.cdf(law.ppf(q)) == pytest.approx(q, rel=1e-9)


@quick
@given(beta=st.sampled_from(BETAS), s=st.floats(-30, 60))
def test_cdf_and_sf_are_complementary_and_monotone(beta, s):
    law = TracyWidom(beta)
    assert law.cdf(s) + law.sf(s) == pytest.approx(1, abs=1e-14)
    assert law.logsf(s + 1e-3) < law.logsf(s) or s < -5
    assert law.logcdf(s + 1e-3) > law.logcdf(s) or s > 5


def test_quantiles_at_the_ends_are_infinite():
    law = TracyWidom(2)
    assert law.ppf([0.0, 1.0]).tolist() == [-np.inf, np.inf]
    assert law.isf([0.0, 1.0]).tolist() == [np.inf, -np.inf]


def test_functions_keep_the_shape_of_their_argument():
    s = np.zeros((2, 3))
    for law in (TracyWidom(1), MarchenkoPastur(0.5)):
        for name in ("pdf", "cdf", "sf"):
            assert getattr(law, name)(s).shape == (2, 3)
            assert np.ndim(getattr(law, name)(0.5)) == 0
            assert getattr(law, name)([]).shape == (0,)
        assert law.ppf(s + 0.5).shape == (2, 3)


def test_beta_must_be_one_two_or_four():
    with pytest.raises(ConfigError, match="expected beta 1"):
        TracyWidom(3)  # type: ignore[arg-type]


def test_import_computes_nothing_and_leaves_global_state_alone():
    code = """
import json, warnings, numpy as np, scipy.linalg, scipy.optimize, scipy.special, scipy.stats, xarray
state, filters = np.random.get_state()[1].tolist(), list(warnings.filters)
import sciml.rmt, sciml.noise
from sciml.rmt.laws import airy
same = np.random.get_state()[1].tolist() == state and list(warnings.filters) == filters
print(json.dumps([airy.table.cache_info().currsize, same]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [0, True]
