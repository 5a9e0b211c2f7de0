"""Gaussian moments against closed forms, adaptive integration and a naive double integral."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from sciml.errors import ConfigError, NumericalError
from sciml.theory.meanfield import (
    ACTIVATIONS,
    Activation,
    activation,
    correlation_map,
    critical_line,
    critical_point,
    fixed_points,
    gaussian_moments,
    leaky_relu,
    pair_moments,
)

CLOSED = [name for name, member in ACTIVATIONS.items() if member.closed is not None]


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("q", [1e-6, 0.3, 1.0, 20.0, 400.0])
def test_closed_forms_are_what_quadrature_gives(name: str, q: float) -> None:
    closed, open_ = gaussian_moments(name, q), gaussian_moments(replace(ACTIVATIONS[name], closed=None), q)
    for one, other in ((closed.second, open_.second), (closed.slope, open_.slope), (closed.mean, open_.mean)):
        assert one == pytest.approx(other, rel=1e-13, abs=1e-15)
    assert closed.growth == pytest.approx(open_.growth, rel=1e-12, abs=1e-12 * closed.second / q)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize(("a", "b", "c"), [(1.2, 0.8, 0.5), (1.0, 1.0, 0.99), (1.0, 1.0, -0.7), (3.0, 3.0, 2.999999)])
def test_closed_pairs_are_what_quadrature_gives(name: str, a: float, b: float, c: float) -> None:
    closed, open_ = pair_moments(name, a, b, c), pair_moments(replace(ACTIVATIONS[name], closed=None), a, b, c)
    assert float(closed.value) == pytest.approx(float(open_.value), rel=1e-12)
    assert float(closed.slope) == pytest.approx(float(open_.slope), rel=1e-12)


def test_pairs_are_the_tabulated_ones() -> None:
    # reference values at a = 1.2, b = 0.8, c = 0.5, to seven decimals
    table = {"relu": (0.3017237, 0.3352347), "erf": (0.2183758, 0.4547284), "gelu": (0.2247438, 0.3432903)}
    for name, (value, slope) in table.items():
        pair = pair_moments(name, 1.2, 0.8, 0.5)
        assert float(pair.value) == pytest.approx(value, abs=6e-8)
        assert float(pair.slope) == pytest.approx(slope, abs=6e-8)
    assert gaussian_moments("gelu", 0.7).second == pytest.approx(0.28150378, abs=6e-9)


@pytest.mark.parametrize("name", ["tanh", "elu", "hardtanh", "silu", "relu6", "mish"])
@pytest.mark.parametrize(("a", "b", "rho"), [(1.0, 1.0, 0.3), (1.3, 0.6, -0.8), (4.0, 4.0, 0.95)])
def test_pairs_agree_with_a_naive_double_integral(name: str, a: float, b: float, rho: float) -> None:
    member = ACTIVATIONS[name]
    z = np.linspace(-7.0, 7.0, 2501)
    one, other = np.meshgrid(z, z, indexing="ij")
    density = np.exp(-(one**2 - 2 * rho * one * other + other**2) / (2 * (1 - rho**2)))
    density /= density.sum()
    naive = (density * member.phi(math.sqrt(a) * one) * member.phi(math.sqrt(b) * other)).sum()
    pair = pair_moments(name, a, b, rho * math.sqrt(a * b))
    assert float(pair.value) == pytest.approx(naive, abs=3e-6)  # an error of the square of the step, 0.0056, at kinks
    # E[φ'φ'] is the derivative of E[φφ] by the covariance (Price)
    step = 1e-4
    up, down = (pair_moments(name, a, b, rho * math.sqrt(a * b) + d).value for d in (step, -step))
    assert float(pair.slope) == pytest.approx(float(up - down) / (2 * step), rel=1e-5)


def test_pairs_meet_their_limits() -> None:
    same = pair_moments("tanh", 0.9, 0.9, 0.9)
    single = gaussian_moments("tanh", 0.9)
    assert (float(same.value), float(same.slope)) == (single.second, single.slope)
    close = pair_moments("hardtanh", 1.0, 1.0, 1.0 - 1e-9)
    assert float(close.value) == pytest.approx(gaussian_moments("hardtanh", 1.0).second, abs=1e-8)
    apart = pair_moments("sigmoid", 0.0, 2.0, 0.0)
    assert float(apart.value) == pytest.approx(0.5 * 0.5, rel=1e-12)
    with pytest.raises(ConfigError, match="no pair"):
        pair_moments("tanh", 1.0, 1.0, 1.1)


@pytest.mark.parametrize("kink", [-2.7182818, -0.31, 0.05, 1.0, 2.5])
@pytest.mark.parametrize("slope", [-0.7, 0.2])
def test_kinks_of_a_function_are_found_and_its_moments_are_exact(kink: float, slope: float) -> None:
    def phi(x: np.ndarray) -> np.ndarray:
        return np.where(x > kink, x - kink, slope * (x - kink))

    (found,) = activation(phi).kinks
    assert found == pytest.approx(kink, abs=2e-11)
    q = 0.7
    above = stats.norm.sf(kink / math.sqrt(q))
    moments = gaussian_moments(phi, q)
    assert moments.slope == pytest.approx(above + slope**2 * (1 - above), rel=1e-10)


def test_a_function_whose_slope_bends_is_integrated_to_ten_digits() -> None:
    def phi(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0.6, x - 0.6, np.expm1(np.minimum(x - 0.6, 0.0)))

    def density(x: float) -> float:
        return math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) * (1.0 if x > 0.6 else math.exp(2 * (x - 0.6)))

    exact = integrate.quad(density, -12, 12, points=[0.6], epsabs=1e-14, limit=200)[0]
    assert gaussian_moments(phi, 1.0).slope == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("q", [0.05, 1.0, 9.0])
@pytest.mark.parametrize("name", ["tanh", "silu", "elu", "hardtanh", "erf", "softplus"])
def test_a_function_without_its_derivative_has_the_moments_of_the_named_one(name: str, q: float) -> None:
    named, given = gaussian_moments(name, q), gaussian_moments(lambda x: ACTIVATIONS[name].phi(x), q)
    for each in ("second", "slope", "growth", "kurtosis", "slope_kurtosis"):
        assert getattr(given, each) == pytest.approx(getattr(named, each), rel=1e-10)


@pytest.mark.parametrize("q", [0.1, 1.0, 4.0])
def test_sine_given_as_a_function_has_its_critical_line(q: float) -> None:
    point = critical_point(lambda x: np.sin(x), q=q)
    assert point.sigma_w2 == pytest.approx(2.0 / (1.0 + math.exp(-2.0 * q)), rel=1e-10)
    assert point.sigma_b2 == pytest.approx(q - math.tanh(q), rel=1e-8)


@pytest.mark.parametrize(
    ("given", "name"),
    [(torch.tanh, "tanh"), (torch.nn.SiLU(), "silu"), (lambda x: torch.clamp(x, -1.0, 1.0), "hardtanh")],
)
def test_functions_of_tensors_and_modules_are_activations(given: Any, name: str) -> None:
    assert gaussian_moments(given, 0.8).slope == pytest.approx(gaussian_moments(name, 0.8).slope, rel=1e-10)


@pytest.mark.parametrize(
    ("phi", "message"),
    [
        (np.sign, "continuous"),
        (np.sum, "each element"),
        (lambda x: np.log(np.maximum(x, -2.0)), "finite"),
        (lambda x: x.strip(), "NumPy array"),
        (lambda x: np.abs(x * 40.0 - np.round(x * 40.0)), "too many kinks"),
        (3, "a name or a function"),
    ],
)
def test_functions_that_are_no_activation_are_rejected(phi: Callable[[np.ndarray], np.ndarray], message: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(ConfigError, match=message):
        activation(phi)


@pytest.mark.parametrize("q", [1e-8, 1.0, 1e4])
def test_functions_that_wave_are_integrated_at_any_length(q: float) -> None:
    given = Activation(lambda x: np.sin(7.0 * x), lambda x: 7.0 * np.cos(7.0 * x), name="wave")
    if q == 1e4:  # a hundred thousand waves: no panels resolve them, and that is said
        with pytest.raises(NumericalError, match="do not converge"):
            gaussian_moments(given, q)
        return
    found = gaussian_moments(given, q)
    assert found.second == pytest.approx(-math.expm1(-98.0 * q) / 2.0, rel=1e-10)
    assert found.slope == pytest.approx(49.0 * (1.0 + math.exp(-98.0 * q)) / 2.0, rel=1e-10)


@pytest.mark.parametrize("q", [1e-8, 1e-3, 1e4])
@pytest.mark.parametrize("name", ["tanh", "silu", "elu", "softsign", "mish", "hardswish", "relu6"])
def test_moments_of_named_functions_are_exact_at_small_and_large_lengths(name: str, q: float) -> None:
    member, root = ACTIVATIONS[name], math.sqrt(q)
    # a grid that knows nothing of panels: Gauss-Legendre on 4000 equal pieces of asinh(x)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    kinks = np.arcsinh(np.array([0.0, *member.kinks]))
    ends = np.unique(np.concatenate([np.linspace(-np.arcsinh(13 * root), np.arcsinh(13 * root), 4001), kinks]))
    u = (ends[1:, None] + ends[:-1, None]) / 2 + np.diff(ends)[:, None] / 2 * nodes
    x, w = np.sinh(u), np.diff(ends)[:, None] / 2 * weights * np.cosh(u)
    w = w * np.exp(-0.5 * (x / root) ** 2) / (root * math.sqrt(2 * math.pi))
    found = gaussian_moments(name, q)
    assert found.second == pytest.approx(float((w * member.phi(x) ** 2).sum()), rel=1e-10)


def test_sigmoid_is_critical_only_at_a_large_length() -> None:
    point = critical_point("sigmoid", sigma_b2=0.0)
    assert (round(point.sigma_w2, 3), round(point.q, 3)) == (103.008, 45.624)
    point = critical_point("sigmoid", sigma_b2=0.1)
    assert (round(point.sigma_w2, 6), round(point.q, 6)) == (103.249125, 45.844531)


def test_critical_line_is_that_of_its_points() -> None:
    line = critical_line("tanh", sigma_b2=[0.01, 0.05])
    assert line == (critical_point("tanh", sigma_b2=0.01), critical_point("tanh", sigma_b2=0.05))
    assert critical_line(leaky_relu(0.2), q=[1.0])[0].sigma_w2 == pytest.approx(2.0 / 1.04, rel=1e-14)
    with pytest.raises(ConfigError, match="both or none"):
        critical_line("tanh")


# σ_w², σ_b², χ₁ and ξ_c: reference values of tanh
DEPTHS = [
    (1.3, 0.05, 0.880164, 7.8341),
    (1.0, 0.05, 0.759032, 3.6270),
    (2.5, 0.05, 1.133516, None),
    (4.0, 0.05, 1.342402, None),
]


@pytest.mark.parametrize(("sigma_w2", "sigma_b2", "chi_1", "xi_c"), DEPTHS)
def test_fixed_points_of_tanh_have_their_depth_scales(
    sigma_w2: float, sigma_b2: float, chi_1: float, xi_c: float | None
) -> None:
    (point,) = fixed_points("tanh", sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    assert point.stable
    assert point.chi_1 == pytest.approx(chi_1, abs=6e-7)
    if xi_c is not None:
        assert point.xi_c == pytest.approx(xi_c, abs=6e-5)
        assert point.correlation == 1.0
    else:  # chaos: two inputs tend to a correlation below 1, whatever it was
        c = np.array([0.1, 0.9])
        for _ in range(300):
            c = correlation_map("tanh", c, q=point.q, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
        np.testing.assert_allclose(c, point.correlation, atol=1e-10)
        assert point.correlation < 1.0
        assert 0.0 < point.chi_c < 1.0


def test_slope_of_the_correlation_map_at_one_is_chi_1() -> None:
    (point,) = fixed_points("tanh", sigma_w2=1.3, sigma_b2=0.05)
    c = 1.0 - 1e-6
    after = float(correlation_map("tanh", c, q=point.q, sigma_w2=1.3, sigma_b2=0.05))
    assert (1.0 - after) / (1.0 - c) == pytest.approx(point.chi_1, rel=1e-5)


def test_fixed_points_that_repel_and_that_are_half_stable_are_found_beside_those_that_attract() -> None:
    point = critical_point("gelu", q=1.0)
    attracts, repels = fixed_points("gelu", sigma_w2=point.sigma_w2, sigma_b2=point.sigma_b2)
    assert repels.q == pytest.approx(1.0, rel=1e-9)
    assert (attracts.stable, repels.stable) == (True, False)
    half = critical_point("gelu")
    found = fixed_points("gelu", sigma_w2=half.sigma_w2, sigma_b2=half.sigma_b2)
    assert min(abs(each.q - half.q) for each in found) < 1e-4  # a double root: the square root of rounding


def test_fixed_points_at_zero_everywhere_and_nowhere() -> None:
    assert [each.q for each in fixed_points("tanh", sigma_w2=0.9)] == [0.0]
    zero, beyond = fixed_points("tanh", sigma_w2=1.5)
    assert (zero.q, zero.stable, beyond.stable) == (0.0, False, True)
    assert fixed_points("relu", sigma_w2=2.0)[0].chi_q == 1.0
    assert fixed_points("relu", sigma_w2=2.0, sigma_b2=0.1) == ()


@pytest.mark.parametrize("rho", [-1.0, 0.0, 0.5, 0.9])
def test_correlation_map_of_relu_is_the_arc_cosine_kernel(rho: float) -> None:
    theta = math.acos(rho)
    expected = (math.sin(theta) + (math.pi - theta) * math.cos(theta)) / math.pi
    assert float(correlation_map("relu", rho, q=3.0, sigma_w2=2.0)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("q", [1.5, 30.0, 1e4, 1e5])
def test_fourth_moments_of_a_fast_sine_are_those_of_its_waves(q: float) -> None:
    found = gaussian_moments("sin", q)
    slow, fast = np.exp(-2.0 * q), np.exp(-8.0 * q)
    assert found.kurtosis == pytest.approx((3 - 4 * slow + fast) / 8 / ((1 - slow) / 2) ** 2, rel=1e-10)
    assert found.slope_kurtosis == pytest.approx((3 + 4 * slow + fast) / 8 / ((1 + slow) / 2) ** 2, rel=1e-10)
