"""Fixed points of the variance and correlation maps, with their stability and depth scales."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.theory.meanfield.activations import Activation, AnyActivation, activation
from sciml.theory.meanfield.gaussian import moments, non_negative, pair_moments
from sciml.theory.meanfield.maps import depth_scale

__all__ = ["FixedPoint", "correlation_map", "fixed_points"]

_GRID = 1.0371234567 * np.geomspace(1e-10, 1e8, 721)  # at no round number, where the map may be exact
_ROUNDING = 1e-11


@dataclass(frozen=True)
class FixedPoint:
    r"""A second moment that the length map keeps, and what becomes of two inputs there.

    Attributes
    ----------
    q
        The second moment: q = σ_w² E[φ²] + σ_b².
    chi_1
        Growth of a squared gradient per layer, and slope of the correlation map at c = 1.
    chi_q
        Slope of the length map: q attracts below 1, repels above, and at 1 keeps what it is given or attracts slower
        than any exponential.
    correlation
        The correlation that two inputs tend to: 1 where chi_1 <= 1 (ordered), less where chi_1 > 1 (chaotic).
    chi_c
        Slope of the correlation map there.
    """

    q: float
    chi_1: float
    chi_q: float
    correlation: float
    chi_c: float

    @property
    def stable(self) -> bool:
        """Whether the length map returns to q."""
        return self.chi_q < 1.0

    @property
    def xi_q(self) -> float:
        """Depth scale on which q is reached, -1/ln chi_q; negative where it repels."""
        return depth_scale(self.chi_q)

    @property
    def xi_c(self) -> float:
        """Depth scale on which the correlation of two inputs is reached, -1/ln chi_c: 6 of them can be trained."""
        return depth_scale(self.chi_c)


def correlation_map(
    given: AnyActivation, c: ArrayLike, *, q: float, sigma_w2: float, sigma_b2: float = 0.0
) -> FloatArray:
    r"""Return the correlation of two inputs after one more layer, at the second moment q of both.

    .. math:: c' = \frac{\sigma_w^2 E[\varphi(u)\varphi(v)] + \sigma_b^2}{\sigma_w^2 E[\varphi(u)^2] + \sigma_b^2},
              \qquad E[u^2] = E[v^2] = q, \; E[uv] = c\,q

    Parameters
    ----------
    given
        The activation: a name in `ACTIVATIONS`, an `Activation`, or a function of an array.
    c
        Correlations in [-1, 1], any shape.
    q, sigma_w2, sigma_b2
        Second moment of the pre-activations; weight variance times fan-in; bias variance.

    Raises
    ------
    ConfigError
        A correlation outside [-1, 1], a negative argument, or a layer that gives nothing.

    References
    ----------
    Poole et al. (2016), arXiv:1606.05340, Eq. 5.

    Examples
    --------
    >>> round(float(correlation_map("relu", 0.0, q=1.0, sigma_w2=2.0)), 6)
    0.31831
    """
    member = activation(given)
    q, sigma_w2 = non_negative("q", q, zero=False), non_negative("sigma_w2", sigma_w2)
    sigma_b2 = non_negative("sigma_b2", sigma_b2)
    length = sigma_w2 * moments(member, q).second + sigma_b2
    if length == 0.0:
        raise ConfigError(f"{member.name}: the layer gives nothing at {q=}, {sigma_w2=}; raise sigma_w2")
    pair = pair_moments(member, q, q, np.asarray(c, dtype=np.float64) * q)
    return np.asarray((sigma_w2 * pair.value + sigma_b2) / length)


def fixed_points(given: AnyActivation, *, sigma_w2: float, sigma_b2: float = 0.0) -> tuple[FixedPoint, ...]:
    r"""Return the fixed points of the length map, q = 0 first where it is one, with their stability.

    Where every q is a fixed point (ReLU at σ_w² = 2 without biases) the one at q = 1 stands for all. None where signals
    grow without end.

    Parameters
    ----------
    given
        The activation: a name in `ACTIVATIONS`, an `Activation`, or a function of an array.
    sigma_w2, sigma_b2
        Weight variance times fan-in; bias variance.

    Raises
    ------
    ConfigError
        An unknown activation or a negative argument.

    References
    ----------
    Poole et al. (2016), arXiv:1606.05340, section 3; Schoenholz et al. (2017), arXiv:1611.01232, Eq. 6-9.

    Examples
    --------
    >>> (point,) = fixed_points("tanh", sigma_w2=1.3, sigma_b2=0.05)
    >>> round(point.q, 6), round(point.xi_q, 4), round(point.xi_c, 4)
    (0.315316, 1.7852, 7.8341)
    """
    member = activation(given)
    sigma_w2, sigma_b2 = non_negative("sigma_w2", sigma_w2), non_negative("sigma_b2", sigma_b2)

    def excess(log_q: float) -> float:
        """Return V(q) / q - 1."""
        q = math.exp(log_q)
        return (sigma_w2 * moments(member, q).second + sigma_b2) / q - 1.0

    grid = np.log(_GRID)
    values = np.array([excess(x) for x in grid])
    if np.abs(values).max() < _ROUNDING:
        return (_describe(member, 1.0, sigma_w2, sigma_b2),)
    found = [0.0] if sigma_b2 + sigma_w2 * moments(member, 0.0).second == 0.0 else []
    crossings = np.flatnonzero(values[:-1] * values[1:] < 0.0)
    found += [math.exp(optimize.brentq(excess, grid[i], grid[i + 1], xtol=1e-15, rtol=1e-14)) for i in crossings]
    found += [math.exp(x) for x in _tangent(excess, grid, values)]
    return tuple(_describe(member, q, sigma_w2, sigma_b2) for q in sorted(found))


def _tangent(excess: Callable[[float], float], grid: FloatArray, values: FloatArray) -> list[float]:
    """Return where the map touches the diagonal without crossing it: the half-stable points."""
    found = []
    size = np.abs(values)
    for i in range(1, grid.size - 1):
        if size[i] <= min(size[i - 1], size[i + 1]) and values[i - 1] * values[i + 1] > 0.0 and size[i] < 0.1:
            best = optimize.minimize_scalar(
                lambda x: abs(excess(x)), bounds=(grid[i - 1], grid[i + 1]), method="bounded", options={"xatol": 1e-10}
            )
            crossed = values[i] * values[i - 1] < 0.0
            if best.fun < 1e-10 and not crossed:
                found.append(float(best.x))
    return found


def _describe(member: Activation, q: float, sigma_w2: float, sigma_b2: float) -> FixedPoint:
    found = moments(member, q)
    chi_1, chi_q = sigma_w2 * found.slope, sigma_w2 * found.growth
    if chi_1 <= 1.0 + _ROUNDING or q == 0.0:
        # Small signals meet one slope each side of 0: correlations of 1 stay, and none is lost however they grow.
        return FixedPoint(q, chi_1, chi_q, 1.0, min(chi_1, 1.0))
    c = _correlation(member, q, sigma_w2, sigma_b2)
    slope = float(pair_moments(member, q, q, c * q).slope)
    return FixedPoint(q, chi_1, chi_q, c, sigma_w2 * slope)


def _correlation(member: Activation, q: float, sigma_w2: float, sigma_b2: float) -> float:
    """Return the correlation below 1 that the map keeps; it lies above the diagonal at 0 and below it next to 1."""

    def excess(c: float) -> float:
        return float(correlation_map(member, c, q=q, sigma_w2=sigma_w2, sigma_b2=sigma_b2)) - c

    if abs(excess(0.0)) < 1e-14:
        return 0.0
    if excess(1.0 - 1e-7) >= 0.0:  # closer to 1 than rounding lets one see
        return 1.0
    return float(optimize.brentq(excess, 0.0, 1.0 - 1e-7, xtol=1e-14))
