r"""Mean-field theory of wide random networks: how signals and gradients grow from layer to layer.

In a wide layer with weights of variance σ_w²/fan_in and biases of variance σ_b² the pre-activations are Gaussian.
Their second moment q and the factor χ₁ by which a squared gradient grows per layer obey

.. math::
    q' = \sigma_w^2 E[\varphi(\sqrt q z)^2] + \sigma_b^2, \qquad
    \chi_1 = \sigma_w^2 E[\varphi'(\sqrt q z)^2], \qquad
    \chi_q = dq'/dq = \sigma_w^2 E[\varphi(\sqrt q z)\, \varphi'(\sqrt q z)\, z] / \sqrt q,
    \qquad z \sim N(0, 1).

A net is critical where q' = q and χ₁ = 1: gradients neither vanish nor explode with depth. χ_q says whether the length
map returns to that q (χ_q < 1), stays wherever it is put (= 1), or leaves it (> 1).

References
----------
Poole, Lahiri, Raghu, Sohl-Dickstein, Ganguli (2016), arXiv:1606.05340; Schoenholz, Gilmer, Ganguli, Sohl-Dickstein
(2017), arXiv:1611.01232; Pennington, Schoenholz, Ganguli (2017), arXiv:1711.04735; the half-stable points of GELU and
SiLU: Roberts, Yaida, Hanin (2021), arXiv:2106.10165.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from sciml._typing import FloatArray
from sciml.errors import ConfigError

__all__ = ["ACTIVATIONS", "Activation", "CriticalPoint", "LengthMap", "critical_point", "propagate"]


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_NORMAL = 1.0 / math.sqrt(2.0 * math.pi)
# Panels of the Gaussian integral on z > 0: graded towards 0, where φ(√q z) of a large q bends most.
_PANELS = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 25), np.linspace(1.0, 12.0, 23)[1:]])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_Q_GRID = np.geomspace(1e-9, 1e6, 61)
_ROUNDING = 1e-13  # relative error of the integrals, with room to spare


@dataclass(frozen=True)
class Activation:
    """A scalar nonlinearity: `phi`, its derivative `dphi`, and the points `kinks` where either is not smooth."""

    phi: Callable[[FloatArray], FloatArray]
    dphi: Callable[[FloatArray], FloatArray]
    kinks: tuple[float, ...] = ()


def _elu(x: FloatArray, *, scale: float = 1.0, alpha: float = 1.0) -> FloatArray:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _delu(x: FloatArray, *, scale: float = 1.0, alpha: float = 1.0) -> FloatArray:
    return scale * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))


def _dsigmoid(x: FloatArray) -> FloatArray:
    return special.expit(x) * special.expit(-x)


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda x: x, np.ones_like),
    "relu": Activation(lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "tanh": Activation(np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    "erf": Activation(special.erf, lambda x: 2.0 / math.sqrt(math.pi) * np.exp(-(x**2))),
    "gelu": Activation(lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * _NORMAL * np.exp(-0.5 * x**2)),
    "silu": Activation(lambda x: x * special.expit(x), lambda x: special.expit(x) + x * _dsigmoid(x)),
    "elu": Activation(_elu, _delu),
    "selu": Activation(
        lambda x: _elu(x, scale=_SELU_SCALE, alpha=_SELU_ALPHA),
        lambda x: _delu(x, scale=_SELU_SCALE, alpha=_SELU_ALPHA),
    ),
    "hardtanh": Activation(
        lambda x: np.clip(x, -1.0, 1.0), lambda x: np.where(np.abs(x) < 1.0, 1.0, 0.0), kinks=(-1.0, 1.0)
    ),
    "softplus": Activation(lambda x: np.logaddexp(0.0, x), special.expit),
    "sigmoid": Activation(special.expit, _dsigmoid),
}


@dataclass(frozen=True)
class CriticalPoint:
    """Where gradients keep their size: χ₁ = 1 at a fixed point of the length map.

    Attributes
    ----------
    activation
        Name of the nonlinearity.
    sigma_w2
        Weight variance times fan-in, σ_w².
    sigma_b2
        Bias variance σ_b².
    q
        Second moment of the pre-activations, a fixed point of the length map (0: the limit of small signals).
    chi_1
        Growth of a squared gradient per layer; 1 here by construction, recomputed as a check.
    chi_q
        Slope of the length map at `q`: below 1 the fixed point attracts, above 1 it repels.
    """

    activation: str
    sigma_w2: float
    sigma_b2: float
    q: float
    chi_1: float
    chi_q: float


@dataclass(frozen=True)
class LengthMap:
    """Second moments and gradient factors, layer by layer.

    Attributes
    ----------
    activation
        Name of the nonlinearity.
    sigma_w2, sigma_b2
        Weight variance times fan-in, and bias variance, of every layer.
    q
        (depth + 1,) second moment of the pre-activations; `q[0]` is the given one.
    chi_1, chi_q
        (depth + 1,) gradient factor and slope of the length map at each of these.
    """

    activation: str
    sigma_w2: float
    sigma_b2: float
    q: FloatArray
    chi_1: FloatArray
    chi_q: FloatArray

    @property
    def xi_c(self) -> float:
        """Depth scale of gradients and correlations, -1/ln χ₁ at the last layer; negative where gradients explode."""
        return _depth_scale(self.chi_1[-1])

    @property
    def xi_q(self) -> float:
        """Depth scale on which q settles, -1/ln χ_q at the last layer."""
        return _depth_scale(self.chi_q[-1])


def critical_point(activation: str, sigma_b2: float | None = None, q: float | None = None) -> CriticalPoint:
    r"""Return the weight and bias variances at which gradients neither vanish nor explode.

    Critical points form a curve, which `q` parametrises:

    .. math:: \sigma_w^2 = 1 / E[\varphi'(\sqrt q z)^2], \qquad \sigma_b^2 = q - \sigma_w^2 E[\varphi(\sqrt q z)^2].

    Give `q`, or `sigma_b2`, or neither: then the point is q = 1, or, where the length map would leave that point
    (GELU, SiLU), the half-stable one, χ_q = 1.

    Parameters
    ----------
    activation
        A name in `ACTIVATIONS`.
    sigma_b2
        Bias variance; 0 means the limit of small signals (q = 0), or q = 1 where every q is a fixed point (ReLU).
    q
        Second moment of the pre-activations.

    Raises
    ------
    ConfigError
        An unknown activation, both `sigma_b2` and `q`, or an activation without a critical point there (softplus has
        none at all, sigmoid none at a small q, ReLU none with biases).

    References
    ----------
    Schoenholz et al. (2017), arXiv:1611.01232, section 3; Roberts, Yaida, Hanin (2021), arXiv:2106.10165, section 5.3.

    Examples
    --------
    >>> critical_point("relu").sigma_w2
    2.0
    >>> point = critical_point("tanh", sigma_b2=0.05)
    >>> round(point.sigma_w2, 6), round(point.q, 6)
    (1.760955, 0.570048)
    """
    _check_activation(activation)
    if sigma_b2 is not None and q is not None:
        raise ConfigError(f"expected sigma_b2 or q, not both: got {sigma_b2=} and {q=}; one determines the other")
    if q is not None:
        return _at_q(activation, _positive("q", q))
    if sigma_b2 is not None:
        return _at_sigma_b2(activation, _positive("sigma_b2", sigma_b2, zero=True))
    return _default_point(activation)


def propagate(activation: str, depth: int, *, sigma_w2: float, sigma_b2: float = 0.0, q0: float = 1.0) -> LengthMap:
    r"""Follow the second moment of the pre-activations, and χ₁ and χ_q, through `depth` layers.

    .. math:: q_{\ell+1} = \sigma_w^2 E[\varphi(\sqrt{q_\ell} z)^2] + \sigma_b^2.

    Parameters
    ----------
    activation
        A name in `ACTIVATIONS`.
    depth
        Number of layers to follow.
    sigma_w2, sigma_b2
        Weight variance times fan-in, and bias variance, of every layer.
    q0
        Second moment of the first pre-activations.

    Raises
    ------
    ConfigError
        An unknown activation, a negative argument, or a second moment that outgrows floating point.

    References
    ----------
    Poole et al. (2016), arXiv:1606.05340, Eq. 3; Schoenholz et al. (2017), arXiv:1611.01232, Eq. 6-9 for the depth
    scales `xi_c` and `xi_q` of the result.

    Examples
    --------
    >>> propagate("relu", 3, sigma_w2=2.0).q.round(12).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    _check_activation(activation)
    if depth < 0:
        raise ConfigError(f"expected depth >= 0, got {depth}")
    sigma_w2 = _positive("sigma_w2", sigma_w2, zero=True)
    sigma_b2 = _positive("sigma_b2", sigma_b2, zero=True)
    q = [_positive("q0", q0, zero=True)]
    for layer in range(depth):
        q.append(sigma_w2 * _moments(activation, q[-1]).second + sigma_b2)
        if not q[-1] < 1e300:
            raise ConfigError(f"{activation}: the second moment exceeds 1e300 in layer {layer + 1}; lower {sigma_w2=}")
    moments = [_moments(activation, value) for value in q]
    return LengthMap(
        activation,
        sigma_w2,
        sigma_b2,
        q=np.array(q),
        chi_1=sigma_w2 * np.array([m.slope for m in moments]),
        chi_q=sigma_w2 * np.array([m.growth for m in moments]),
    )


@dataclass(frozen=True)
class _Moments:
    second: float  # E[φ²]
    slope: float  # E[φ'²]
    growth: float  # dE[φ²]/dq


@lru_cache(maxsize=4096)
def _moments(activation: str, q: float) -> _Moments:
    member = ACTIVATIONS[activation]
    if q == 0.0:
        return _small_signal(member)
    root = math.sqrt(q)
    z, weight = _gaussian_rule(tuple(kink / root for kink in member.kinks))
    phi, dphi = member.phi(root * z), member.dphi(root * z)
    return _Moments(
        second=float(weight @ phi**2), slope=float(weight @ dphi**2), growth=float(weight @ (phi * dphi * z)) / root
    )


def _small_signal(member: Activation) -> _Moments:
    # As q -> 0 half of the signals see the slope right of zero and half the slope left of it.
    left, right = member.dphi(np.array([-1e-300, 1e-300]))
    slope = float(left**2 + right**2) / 2.0
    offset = float(member.phi(np.zeros(1))[0]) ** 2
    # dE[φ²]/dq = E[φ'²] + E[φ φ''], and φ'' meets φ(0) = 0, or the smooth slope φ'' of sigmoid and softplus.
    step = 1e-4
    bend = float(np.diff(member.dphi(np.array([-step, step])))[0]) / (2.0 * step) if offset else 0.0
    return _Moments(second=offset, slope=slope, growth=slope + math.sqrt(offset) * bend)


@lru_cache(maxsize=4096)
def _gaussian_rule(kinks: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of E[f(z)], z ~ N(0, 1): Gauss-Legendre on panels that end at the kinks of f."""
    inner = [kink for kink in kinks if abs(kink) < _PANELS[-1]]
    ends = np.unique(np.concatenate([-_PANELS, _PANELS, inner]))
    middle, half = (ends[1:] + ends[:-1]) / 2.0, np.diff(ends) / 2.0
    z = (middle[:, None] + half[:, None] * _NODES).ravel()
    weight = (half[:, None] * _WEIGHTS).ravel() * _NORMAL * np.exp(-0.5 * z**2)
    return z, weight / weight.sum()


def _at_q(activation: str, q: float) -> CriticalPoint:
    moments = _moments(activation, q)
    if moments.slope == 0.0:
        raise ConfigError(f"{activation}: no critical point at q = {q:g}, where its slope is zero; choose a smaller q")
    sigma_w2 = _tidy(1.0 / moments.slope)
    sigma_b2 = q - sigma_w2 * moments.second
    if sigma_b2 < -_ROUNDING * q:
        raise ConfigError(
            f"{activation}: no critical point at q = {q:g}: it would need a bias variance of {sigma_b2:.4g} < 0; "
            "choose another activation (relu, tanh, gelu, ...) or, for sigmoid, a q of some tens"
        )
    sigma_b2 = sigma_b2 if sigma_b2 > _ROUNDING * q else 0.0
    return CriticalPoint(activation, sigma_w2, sigma_b2, q, sigma_w2 * moments.slope, sigma_w2 * moments.growth)


def _at_sigma_b2(activation: str, sigma_b2: float) -> CriticalPoint:
    if sigma_b2 == 0.0:
        return _without_bias(activation)

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        moments = _moments(activation, q)
        return q - moments.second / moments.slope - sigma_b2

    grid = [log_q for log_q in np.log(_Q_GRID) if _moments(activation, math.exp(log_q)).slope > 0.0]
    values = [excess(log_q) for log_q in grid]
    above = next((i for i, value in enumerate(values) if value > _ROUNDING * math.exp(grid[i])), None)
    if not above:
        raise ConfigError(
            f"{activation}: no critical point with sigma_b2 = {sigma_b2:g}; leave sigma_b2 out, or choose tanh or gelu"
        )
    root = optimize.brentq(excess, grid[above - 1], grid[above], xtol=1e-15, rtol=1e-14)
    point = _at_q(activation, math.exp(root))
    return CriticalPoint(activation, point.sigma_w2, sigma_b2, point.q, point.chi_1, point.chi_q)


def _without_bias(activation: str) -> CriticalPoint:
    limit = _moments(activation, 0.0)
    if limit.second > 0.0:
        return _at_q(activation, 1.0)  # φ(0) != 0: q = 0 is no fixed point; says why there is none
    point = CriticalPoint(activation, _tidy(1.0 / limit.slope), 0.0, 0.0, 1.0, _tidy(limit.growth / limit.slope))
    # A homogeneous φ keeps every second moment: then q = 1 is as much a fixed point as the limit is.
    unit = _moments(activation, 1.0)
    homogeneous = abs(unit.second / limit.slope - 1.0) < _ROUNDING
    return _at_q(activation, 1.0) if homogeneous else point


def _default_point(activation: str) -> CriticalPoint:
    point = _at_q(activation, 1.0)
    if point.chi_q <= 1.0 + _ROUNDING:
        return point

    def repulsion(log_q: float) -> float:
        moments = _moments(activation, math.exp(log_q))
        return moments.growth / moments.slope - 1.0

    log_q = optimize.brentq(repulsion, 0.0, math.log(_Q_GRID[-1]), xtol=1e-15, rtol=1e-14)
    return _at_q(activation, math.exp(log_q))


def _tidy(value: float) -> float:
    """Remove rounding from a value that is a small integer, so that ReLU says 2 and not 2.0000000000000004."""
    return float(round(value)) if abs(value - round(value)) < _ROUNDING else value


def _depth_scale(chi: float) -> float:
    return math.inf if chi == 1.0 else -1.0 / math.log(chi)


def _check_activation(activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise ConfigError(f"expected an activation among {', '.join(ACTIVATIONS)}; got {activation!r}")


def _positive(name: str, value: float, *, zero: bool = False) -> float:
    if not math.isfinite(value) or value < 0.0 or (value == 0.0 and not zero):
        raise ConfigError(f"expected {name} {'>=' if zero else '>'} 0 and finite, got {value}")
    return float(value)
