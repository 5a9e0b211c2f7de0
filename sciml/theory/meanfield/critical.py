"""Critical points: the weights and biases at which gradients neither vanish nor explode."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from sciml.errors import ConfigError
from sciml.theory.meanfield.activations import Activation, AnyActivation, activation
from sciml.theory.meanfield.gaussian import Moments, moments, non_negative

__all__ = ["CriticalPoint", "critical_line", "critical_point"]

_Q_GRID = np.geomspace(1e-9, 1e6, 61)
_ROUNDING = 1e-13  # relative error of the integrals, with room to spare


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


def critical_point(given: AnyActivation, sigma_b2: float | None = None, q: float | None = None) -> CriticalPoint:
    r"""Return the weight and bias variances at which gradients neither vanish nor explode.

    Critical points form a curve, which `q` parametrises:

    .. math:: \sigma_w^2 = 1 / E[\varphi'(\sqrt q z)^2], \qquad \sigma_b^2 = q - \sigma_w^2 E[\varphi(\sqrt q z)^2].

    Give `q`, or `sigma_b2`, or neither: then the point is q = 1, or, where the length map would leave that point
    (GELU, SiLU), the half-stable one, χ_q = 1.

    Parameters
    ----------
    given
        The activation: a name in `ACTIVATIONS`, an `Activation`, or a function of an array.
    sigma_b2
        Bias variance; 0 means the limit of small signals (q = 0), or q = 1 where every q is a fixed point (ReLU).
    q
        Second moment of the pre-activations.

    Raises
    ------
    ConfigError
        An unknown activation, both `sigma_b2` and `q`, or an activation without a critical point there (softplus has
        none at all, sigmoid none at a small q, ReLU none with biases).
    NumericalError
        A function for which the quadrature does not reach 1e-10.

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
    >>> point = critical_point(np.sin, q=1.0)
    >>> round(point.sigma_w2, 6), round(point.sigma_b2, 6)
    (1.761594, 0.238406)
    """
    member = activation(given)
    if sigma_b2 is not None and q is not None:
        raise ConfigError(f"expected sigma_b2 or q, not both: got {sigma_b2=} and {q=}; one determines the other")
    if q is not None:
        return _at_q(member, non_negative("q", q, zero=False))
    if sigma_b2 is not None:
        return _at_sigma_b2(member, non_negative("sigma_b2", sigma_b2))
    return _default_point(member)


def critical_line(
    given: AnyActivation, *, sigma_b2: Iterable[float] | None = None, q: Iterable[float] | None = None
) -> tuple[CriticalPoint, ...]:
    """Return the critical points at these bias variances, or at these second moments.

    Raises
    ------
    ConfigError
        Both or neither given, or as `critical_point` for one of them.

    Examples
    --------
    >>> [round(point.sigma_w2, 6) for point in critical_line("tanh", sigma_b2=[0.01, 0.1])]
    [1.424205, 1.986073]
    """
    if sigma_b2 is not None and q is None:
        return tuple(critical_point(given, sigma_b2=value) for value in sigma_b2)
    if q is not None and sigma_b2 is None:
        return tuple(critical_point(given, q=value) for value in q)
    raise ConfigError(
        "expected values of sigma_b2 or of q, along which the critical line is followed; got both or none"
    )


def _at_q(member: Activation, q: float) -> CriticalPoint:
    found = moments(member, q)
    if found.slope == 0.0:
        raise ConfigError(f"{member.name}: no critical point at q = {q:g}, where its slope is zero; choose a smaller q")
    sigma_w2 = _tidy(1.0 / found.slope)
    sigma_b2 = q - sigma_w2 * found.second
    if sigma_b2 < -_ROUNDING * q:
        raise ConfigError(
            f"{member.name}: no critical point at q = {q:g}: it would need a bias variance of {sigma_b2:.4g} < 0; "
            "choose another activation (relu, tanh, gelu, ...) or, for sigmoid, a q of some tens"
        )
    sigma_b2 = sigma_b2 if sigma_b2 > _ROUNDING * q else 0.0
    return CriticalPoint(member.name, sigma_w2, sigma_b2, q, sigma_w2 * found.slope, sigma_w2 * found.growth)


def _at_sigma_b2(member: Activation, sigma_b2: float) -> CriticalPoint:
    limit = moments(member, 0.0)
    if sigma_b2 == 0.0 and limit.second == 0.0:
        return _without_bias(member, limit)

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        found = moments(member, q)
        return q - found.second / found.slope - sigma_b2

    grid = [log_q for log_q in np.log(_Q_GRID) if moments(member, math.exp(log_q)).slope > 0.0]
    values = [excess(log_q) for log_q in grid]
    above = next((i for i, value in enumerate(values) if value > _ROUNDING * math.exp(grid[i])), None)
    if not above:
        raise ConfigError(
            f"{member.name}: no critical point with sigma_b2 = {sigma_b2:g} and q up to {_Q_GRID[-1]:g}; leave "
            "sigma_b2 out or lower it, or choose tanh or gelu"
        )
    root = optimize.brentq(excess, grid[above - 1], grid[above], xtol=1e-15, rtol=1e-14)
    point = _at_q(member, math.exp(root))
    return CriticalPoint(member.name, point.sigma_w2, sigma_b2, point.q, point.chi_1, point.chi_q)


def _without_bias(member: Activation, limit: Moments) -> CriticalPoint:
    if limit.slope == 0.0:
        raise ConfigError(f"{member.name}: no critical point for small signals, where its slope is zero; give q")
    point = CriticalPoint(member.name, _tidy(1.0 / limit.slope), 0.0, 0.0, 1.0, _tidy(limit.growth / limit.slope))
    # A homogeneous φ keeps every second moment: then q = 1 is as much a fixed point as the limit is.
    unit = moments(member, 1.0)
    homogeneous = abs(unit.second / limit.slope - 1.0) < _ROUNDING
    return _at_q(member, 1.0) if homogeneous else point


def _default_point(member: Activation) -> CriticalPoint:
    point = _at_q(member, 1.0)
    if point.chi_q <= 1.0 + _ROUNDING:
        return point

    def repulsion(log_q: float) -> float:
        found = moments(member, math.exp(log_q))
        return found.growth / found.slope - 1.0

    if repulsion(math.log(_Q_GRID[-1])) > 0.0:
        raise ConfigError(f"{member.name}: no critical point that keeps the length of signals; name one by its q")
    log_q = optimize.brentq(repulsion, 0.0, math.log(_Q_GRID[-1]), xtol=1e-15, rtol=1e-14)
    return _at_q(member, math.exp(log_q))


def _tidy(value: float) -> float:
    """Remove rounding from a value that is a small integer, so that ReLU says 2 and not 2.0000000000000004."""
    return float(round(value)) if abs(value - round(value)) < _ROUNDING else value
