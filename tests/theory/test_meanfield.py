"""Critical points and length maps against closed forms, published tables and a naive integral."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate

from sciml.errors import ConfigError
from sciml.theory.meanfield import ACTIVATIONS, critical_point, fixed_points, gaussian_moments, propagate

TANH = [  # sigma_b2, sigma_w2, q: computed once with 100-point quadrature and kept to six decimals
    (1e-6, 1.018253, 0.009250),
    (1e-4, 1.086026, 0.045709),
    (1e-3, 1.189190, 0.107292),
    (0.01, 1.424205, 0.273301),
    (0.05, 1.760955, 0.570048),
    (0.1, 1.986073, 0.805799),
    (1.0, 3.443211, 3.036396),
]
ERF = [(0.01, 1.114280), (0.05, 1.375839), (0.1, 1.552118), (0.3, 1.963071), (1.0, 2.718381)]
CURVES = [  # activation, q, sigma_w2, sigma_b2, chi_q
    ("gelu", 0.5, 2.455506, 0.034543, 1.0998),
    ("gelu", 1.0, 2.193700, 0.067192, 1.0672),
    ("gelu", 20.0, 1.960185, 0.475337, 0.9818),
    ("silu", 0.5, 2.987670, 0.026226, 1.0932),
    ("silu", 1.0, 2.635169, 0.062472, 1.0993),
    ("silu", 20.0, 1.975467, 0.678910, 0.9932),
    ("elu", 0.5, 1.400969, 0.012321, 0.8682),
    ("elu", 1.0, 1.496777, 0.034660, 0.8601),
    ("elu", 20.0, 1.838015, 0.933377, 0.9242),
    ("selu", 0.5, 0.824540, 0.022413, 0.7603),
    ("selu", 1.0, 0.933206, 0.066794, 0.7304),
    ("selu", 20.0, 1.453091, 2.280802, 0.8149),
]
SECOND_MOMENTS = {
    "relu": 0.5,
    "gelu": 0.42522148,
    "silu": 0.35577552,
    "elu": 0.64494542,
    "selu": 1.0,
    "hardtanh": 0.51605855,
}


@pytest.mark.parametrize(("sigma_b2", "sigma_w2", "q"), TANH)
def test_tanh_critical_line_is_the_tabulated_one(sigma_b2: float, sigma_w2: float, q: float) -> None:
    point = critical_point("tanh", sigma_b2=sigma_b2)
    assert point.sigma_w2 == pytest.approx(sigma_w2, abs=6e-7)
    assert point.q == pytest.approx(q, abs=6e-7)
    assert point.chi_1 == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("sigma_b2", "sigma_w2"), ERF)
def test_erf_critical_line_follows_its_closed_form(sigma_b2: float, sigma_w2: float) -> None:
    point = critical_point("erf", sigma_b2=sigma_b2)
    root = math.sqrt(1.0 + 4.0 * point.q)
    assert point.sigma_w2 == pytest.approx(math.pi / 4.0 * root, rel=1e-12)
    assert sigma_b2 == pytest.approx(point.q - 0.5 * root * math.asin(2.0 * point.q / (1.0 + 2.0 * point.q)), rel=1e-9)
    assert point.sigma_w2 == pytest.approx(sigma_w2, abs=6e-7)


@pytest.mark.parametrize(("activation", "q", "sigma_w2", "sigma_b2", "chi_q"), CURVES)
def test_smooth_relu_curves_are_the_tabulated_ones(
    activation: str, q: float, sigma_w2: float, sigma_b2: float, chi_q: float
) -> None:
    point = critical_point(activation, q=q)
    assert point.sigma_w2 == pytest.approx(sigma_w2, abs=6e-7)
    assert point.sigma_b2 == pytest.approx(sigma_b2, abs=6e-7)
    assert point.chi_q == pytest.approx(chi_q, abs=6e-5)


@pytest.mark.parametrize(
    ("activation", "q", "sigma_w2", "sigma_b2"),
    [("gelu", 3.561553, 1.98305826, 0.17292239), ("silu", 14.320174, 1.98800468, 0.55514317)],
)
def test_default_is_the_half_stable_point_where_unit_length_repels(
    activation: str, q: float, sigma_w2: float, sigma_b2: float
) -> None:
    point = critical_point(activation)
    assert point.q == pytest.approx(q, abs=6e-7)
    assert point.sigma_w2 == pytest.approx(sigma_w2, abs=6e-9)
    assert point.sigma_b2 == pytest.approx(sigma_b2, abs=6e-9)
    assert point.chi_q == pytest.approx(1.0, abs=1e-12)


def test_gelu_half_stable_length_has_its_closed_form() -> None:
    # Setting χ₁ = χ_q = 1 for GELU leaves a quadratic whose positive root is (3 + √17)/2.
    assert critical_point("gelu").q == pytest.approx((3.0 + math.sqrt(17.0)) / 2.0, rel=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "erf", "elu", "selu", "hardtanh"])
def test_default_is_unit_length_where_it_attracts(activation: str) -> None:
    point = critical_point(activation)
    assert point.q == 1.0
    assert point.chi_q < 1.0


@pytest.mark.parametrize(("activation", "sigma_w2"), [("relu", 2.0), ("identity", 1.0)])
@pytest.mark.parametrize("q", [1e-12, 0.3, 1.0, 1e6])
def test_every_length_of_a_homogeneous_activation_is_marginal(activation: str, sigma_w2: float, q: float) -> None:
    point = critical_point(activation, q=q)
    assert (point.sigma_w2, point.sigma_b2) == (sigma_w2, 0.0)
    assert point.chi_q == pytest.approx(1.0, abs=1e-12)
    assert critical_point(activation, sigma_b2=0.0) == critical_point(activation)


@pytest.mark.parametrize(
    ("activation", "sigma_w2"), [("tanh", 1.0), ("erf", math.pi / 4.0), ("gelu", 4.0), ("elu", 1.0)]
)
def test_without_bias_the_critical_point_is_the_limit_of_small_signals(activation: str, sigma_w2: float) -> None:
    point = critical_point(activation, sigma_b2=0.0)
    assert point.q == 0.0
    assert point.sigma_w2 == pytest.approx(sigma_w2, rel=1e-14)
    assert critical_point(activation, q=1e-8).sigma_w2 == pytest.approx(sigma_w2, rel=2e-3)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name not in ("softplus", "sigmoid")])
def test_critical_point_is_a_fixed_point_of_the_length_map(activation: str) -> None:
    point = critical_point(activation)
    path = propagate(activation, 20, sigma_w2=point.sigma_w2, sigma_b2=point.sigma_b2, q0=point.q)
    np.testing.assert_allclose(path.q, point.q, rtol=1e-11)
    np.testing.assert_allclose(path.chi_1, 1.0, rtol=1e-11)
    np.testing.assert_allclose(path.chi_q, point.chi_q, rtol=1e-11)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("q", [0.05, 1.0, 30.0])
def test_moments_agree_with_adaptive_integration(activation: str, q: float) -> None:
    member, root = ACTIVATIONS[activation], math.sqrt(q)

    def mean(function: Callable[[np.ndarray], np.ndarray]) -> float:
        breaks = [0.0, *(kink / root for kink in member.kinks)]
        return integrate.quad(
            lambda z: float(function(np.array(root * z))) * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi),
            -12, 12, points=breaks, limit=400, epsabs=1e-13, epsrel=1e-13,
        )[0]  # fmt: skip

    path = propagate(activation, 1, sigma_w2=1.0, q0=q)
    assert path.q[1] == pytest.approx(mean(lambda x: member.phi(x) ** 2), rel=1e-10)
    assert path.chi_1[0] == pytest.approx(mean(lambda x: member.slope(x) ** 2), rel=1e-10)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_chi_q_is_the_slope_of_the_length_map(activation: str) -> None:
    q, step = 0.8, 1e-5
    low, high = (propagate(activation, 1, sigma_w2=1.7, sigma_b2=0.1, q0=q + d).q[1] for d in (-step, step))
    slope = propagate(activation, 0, sigma_w2=1.7, sigma_b2=0.1, q0=q).chi_q[0]
    assert slope == pytest.approx((high - low) / (2 * step), rel=1e-8)  # central difference: error of order step²


@pytest.mark.parametrize(("activation", "second"), SECOND_MOMENTS.items())
def test_second_moments_at_unit_length(activation: str, second: float) -> None:
    assert propagate(activation, 1, sigma_w2=1.0).q[1] == pytest.approx(second, abs=6e-9)


@pytest.mark.parametrize(
    ("activation", "slope"), [("gelu", 0.45585087), ("silu", 0.37948235), ("hardtanh", 0.68268949)]
)
def test_squared_slopes_at_unit_length(activation: str, slope: float) -> None:
    assert gaussian_moments(activation, 1.0).slope == pytest.approx(slope, abs=6e-9)


@pytest.mark.parametrize(
    ("activation", "gain", "chi_1"),
    [("relu", math.sqrt(2.0), 1.0), ("gelu", 1.533530, 1.072032), ("silu", 1.676532, 1.066634), ("elu", 1.245198, None),
     ("selu", 1.0, 1.07157), ("hardtanh", 1.392036, None)],
)  # fmt: skip
def test_gains_that_keep_unit_length_do_not_keep_gradients(activation: str, gain: float, chi_1: float | None) -> None:
    found = gaussian_moments(activation, 1.0)
    assert 1.0 / math.sqrt(found.second) == pytest.approx(gain, abs=6e-7)
    if chi_1 is not None:
        assert found.slope / found.second == pytest.approx(chi_1, abs=6e-6)


def test_selu_returns_to_unit_length() -> None:
    assert gaussian_moments("selu", 1.0).mean == pytest.approx(0.0, abs=1e-12)
    # the self-normalizing slope: of the variance alone, mean held at zero, growth of E[φ²] at q = 1
    assert gaussian_moments("selu", 1.0).growth == pytest.approx(0.78265, abs=6e-6)


ERF_LENGTHS = [(0.01, 0.253210), (0.05, 0.517177), (0.1, 0.726359), (0.3, 1.311824), (1.0, 2.744891)]


@pytest.mark.parametrize(("sigma_b2", "q"), ERF_LENGTHS)
def test_erf_critical_lengths(sigma_b2: float, q: float) -> None:
    assert critical_point("erf", sigma_b2=sigma_b2).q == pytest.approx(q, abs=6e-7)


def test_published_points_of_tanh_lie_on_its_line() -> None:
    (point,) = fixed_points("tanh", sigma_w2=1.76, sigma_b2=0.05)
    assert point.chi_1 == pytest.approx(0.999796, abs=6e-7)
    assert math.sqrt(critical_point("tanh", sigma_b2=0.00448**2).sigma_w2) == pytest.approx(1.024681, abs=6e-7)


def test_depth_scales_of_tanh() -> None:
    settled = propagate("tanh", 300, sigma_w2=1.3, sigma_b2=0.05)
    assert settled.q[-1] == pytest.approx(0.315316, abs=6e-7)
    assert settled.chi_1[-1] == pytest.approx(0.880164, abs=6e-7)
    assert settled.xi_q == pytest.approx(1.7852, abs=6e-5)
    assert settled.xi_c == pytest.approx(7.8341, abs=6e-5)
    assert propagate("tanh", 300, sigma_w2=2.5, sigma_b2=0.05).chi_1[-1] == pytest.approx(1.133516, abs=6e-7)
    assert propagate("tanh", 300, sigma_w2=2.5, sigma_b2=0.05).xi_c < 0


def test_tanh_without_bias_decays_as_one_over_twice_the_depth() -> None:
    q = propagate("tanh", 399, sigma_w2=1.0).q
    observed = [2 * depth * q[depth] for depth in (10, 50, 100, 399)]
    np.testing.assert_allclose(observed, [1.0440, 1.0219, 1.0138, 1.0049], atol=6e-5)


@pytest.mark.parametrize("arguments", [{}, {"sigma_b2": 0.0}, {"sigma_b2": 0.1}, {"q": 0.1}, {"q": 100.0}])
def test_softplus_has_no_critical_point(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="no critical point"):
        critical_point("softplus", **arguments)


@pytest.mark.parametrize(
    ("activation", "arguments", "message"),
    [
        ("relu", {"sigma_b2": 0.1}, "no critical point"),
        ("sigmoid", {}, "bias variance"),
        ("tanh", {"sigma_b2": 0.1, "q": 1.0}, "not both"),
        ("tanh", {"q": 0.0}, "q > 0"),
        ("tanh", {"sigma_b2": -0.1}, "sigma_b2 >= 0"),
        ("tanh", {"q": math.nan}, "finite"),
        ("tahn", {}, "expected an activation"),
    ],
)
def test_wrong_arguments_are_refused(activation: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        critical_point(activation, **arguments)


def test_an_exploding_length_map_is_refused() -> None:
    with pytest.raises(ConfigError, match="exceeds"):
        propagate("relu", 2000, sigma_w2=4.0)
