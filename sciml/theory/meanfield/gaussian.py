r"""Gaussian moments of an activation: E[f(φ(√q z))], z ~ N(0, 1), and E[φ(u) φ(v)] of a Gaussian pair.

Closed forms where they are known; Gauss-Legendre quadrature on panels that end at the kinks otherwise, to 1e-10 of each
moment.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError, NumericalError
from sciml.theory.meanfield.activations import ACTIVATIONS, Activation, AnyActivation, activation
from sciml.theory.meanfield.closed import SINE

__all__ = [
    "Moments",
    "PairMoments",
    "conditional_moments",
    "gaussian_moments",
    "gaussian_rule",
    "moments",
    "non_negative",
    "pair_moments",
]

_NORMAL = 1.0 / math.sqrt(2.0 * math.pi)
# Panels of the Gaussian integral on z > 0: graded towards 0, where φ(√q z) of a large q bends most.
_PANELS = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 25), np.linspace(1.0, 12.0, 23)[1:]])
_ORDER = 16
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(_ORDER)
# Values at the nodes to derivatives at the nodes, of the polynomial through them.
_DERIVATIVE = np.polynomial.legendre.legval(
    _NODES,
    np.polynomial.legendre.legder(np.linalg.inv(np.polynomial.legendre.legvander(_NODES, _ORDER - 1))),
).T
_ACCURACY = 1e-11  # relative change of the moments at which halving the panels ends
_TERMS = 128  # Hermite coefficients


@dataclass(frozen=True)
class Moments:
    """Gaussian moments of φ at z ~ N(0, q).

    Attributes
    ----------
    mean, second
        E[φ], E[φ²].
    slope
        E[φ'²].
    growth
        dE[φ²]/dq.
    kurtosis, slope_kurtosis
        E[φ⁴] / E[φ²]², E[φ'⁴] / E[φ'²]².
    """

    mean: float
    second: float
    slope: float
    growth: float
    kurtosis: float
    slope_kurtosis: float


@dataclass(frozen=True)
class PairMoments:
    """Gaussian moments of a pair: `value` = E[φ(u) φ(v)] and `slope` = E[φ'(u) φ'(v)], its derivative by E[u v]."""

    value: FloatArray
    slope: FloatArray


def gaussian_moments(given: AnyActivation, q: float) -> Moments:
    r"""Return E[φ], E[φ²], E[φ'²], dE[φ²]/dq and the kurtosis of φ and φ' at a Gaussian of variance q.

    Closed forms for piecewise linear functions, erf, GELU and sin, quadrature otherwise.

    Parameters
    ----------
    given
        A name in `ACTIVATIONS`, an `Activation`, or a function of an array.
    q
        Variance of the argument; 0 is the limit of small signals.

    Raises
    ------
    ConfigError
        An unknown activation, or a q that is negative or not finite.
    NumericalError
        A function for which the quadrature does not reach 1e-10.

    Examples
    --------
    >>> round(gaussian_moments("gelu", 1.0).second, 8)
    0.42522148
    >>> math.isclose(gaussian_moments(np.sin, 1.0).slope, (1 + math.exp(-2.0)) / 2)
    True
    """
    return moments(activation(given), non_negative("q", q))


@lru_cache(maxsize=1 << 16)
def moments(member: Activation, q: float) -> Moments:
    """Return the moments of an activation at variance q."""
    if q == 0.0:
        return _small_signal(member)
    found = _converged(member, q)
    if member.closed is None:
        return found
    second, slope, growth = member.closed.single(q)
    kurtosis = found.kurtosis, found.slope_kurtosis
    if member.closed is SINE and q > 1.0:  # waves that are finer than the panels
        fast = math.exp(-8.0 * q) / 8.0
        kurtosis = (0.375 - growth / 2.0 + fast) / second**2, (0.375 + growth / 2.0 + fast) / slope**2
    return Moments(found.mean, second, slope, growth, *kurtosis)


def _converged(member: Activation, q: float) -> Moments:
    if ACTIVATIONS.get(member.name) is member and member.dphi is not None:
        return _quadrature(member, q, 1)  # the panels are made for these
    found = _quadrature(member, q, 1)
    for pieces in (2, 4, 8, 16, 32):
        before, found = found, _quadrature(member, q, pieces)
        if abs(found.second - before.second) + q * abs(found.slope - before.slope) <= _ACCURACY * (
            found.second + q * found.slope
        ):
            return found
    raise NumericalError(f"{member.name}: its Gaussian moments at q = {q:g} do not converge; give its derivative dphi")


def _quadrature(member: Activation, q: float, pieces: int) -> Moments:
    root = math.sqrt(q)
    z, weight, half = gaussian_rule(tuple(kink / root for kink in member.kinks), pieces)
    phi = member.phi(root * z)
    dphi = _interpolated_slope(phi, half * root) if member.dphi is None else member.dphi(root * z)
    second, slope = float(weight @ phi**2), float(weight @ dphi**2)
    return Moments(
        mean=float(weight @ phi),
        second=second,
        slope=slope,
        growth=float(weight @ (phi * dphi * z)) / root,
        kurtosis=_kurtosis(weight, phi, second),
        slope_kurtosis=_kurtosis(weight, dphi, slope),
    )


def _kurtosis(weight: FloatArray, values: FloatArray, second: float) -> float:
    if second == 0.0:
        return 1.0
    squares = (values / math.sqrt(second)) ** 2
    return float(weight @ (squares * squares))


def _interpolated_slope(phi: FloatArray, half: FloatArray) -> FloatArray:
    panels = np.asarray(phi, dtype=np.float64).reshape(-1, _ORDER)
    return np.asarray((panels @ _DERIVATIVE.T / half[:, None]).ravel())


def _small_signal(member: Activation) -> Moments:
    # As q -> 0 half of the signals see the slope right of zero and half the slope left of it.
    left, right = _sides(member)
    slope = float(left**2 + right**2) / 2.0
    offset = float(member.phi(np.zeros(1))[0])
    # dE[φ²]/dq = E[φ'²] + E[φ φ''], and φ'' meets φ(0) = 0, or the smooth slope φ'' of sigmoid and softplus.
    step = 1e-4
    bend = float(np.diff(member.slope(np.array([-step, step])))[0]) / (2.0 * step) if offset else 0.0
    growth = slope + offset * bend
    kurtosis = 1.0 if offset else 3.0 * _sides_kurtosis(left, right)
    return Moments(offset, offset**2, slope, growth, kurtosis, _sides_kurtosis(left, right))


def _sides_kurtosis(left: float, right: float) -> float:
    return 2.0 * (left**4 + right**4) / (left**2 + right**2) ** 2 if left or right else 1.0


def _sides(member: Activation) -> tuple[float, float]:
    """Return the slopes left and right of 0."""
    if member.dphi is not None:
        left, right = member.dphi(np.array([-1e-300, 1e-300]))
        return float(left), float(right)
    x = 1e-3 * (1.0 + np.polynomial.legendre.leggauss(8)[0]) / 2.0
    fits = [np.polynomial.Polynomial.fit(side * x, member.phi(side * x), 7) for side in (-1.0, 1.0)]
    left, right = (float(fit.deriv()(0.0)) for fit in fits)
    return left, right


@lru_cache(maxsize=4096)
def gaussian_rule(kinks: tuple[float, ...], pieces: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return nodes and weights of E[f(z)], z ~ N(0, 1), and the half widths of the panels, which end at the kinks."""
    inner = [kink for kink in kinks if abs(kink) < _PANELS[-1]]
    ends = np.unique(np.concatenate([-_PANELS, _PANELS, inner]))
    if pieces > 1:
        ends = np.interp(np.arange((ends.size - 1) * pieces + 1) / pieces, np.arange(ends.size), ends)
    middle, half = (ends[1:] + ends[:-1]) / 2.0, np.diff(ends) / 2.0
    z = (middle[:, None] + half[:, None] * _NODES).ravel()
    weight = (half[:, None] * _WEIGHTS).ravel() * _NORMAL * np.exp(-0.5 * z**2)
    return z, weight / weight.sum(), half


def pair_moments(given: AnyActivation, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> PairMoments:
    r"""Return E[φ(u) φ(v)] and E[φ'(u) φ'(v)] of Gaussian u, v with E[u²] = a, E[v²] = b, E[uv] = c.

    Closed forms for piecewise linear functions, erf, GELU and sin, two-dimensional quadrature to 1e-10 otherwise.
    Arrays broadcast.

    Parameters
    ----------
    given
        A name in `ACTIVATIONS`, an `Activation`, or a function of an array.
    a, b, c
        Variances and covariance, a, b >= 0 and c² <= ab to rounding.

    Raises
    ------
    ConfigError
        An unknown activation, or a covariance that no pair can have.

    Examples
    --------
    >>> pair = pair_moments("relu", 1.2, 0.8, 0.5)
    >>> round(float(pair.value), 7), round(float(pair.slope), 7)
    (0.3017237, 0.3352347)
    """
    member = activation(given)
    variance, other, covariance = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (a, b, c)))
    bound = np.sqrt(variance) * np.sqrt(other)
    if not ((variance >= 0) & (other >= 0) & (np.abs(covariance) <= bound * (1 + 1e-9) + 1e-300)).all():
        raise ConfigError("expected variances a, b >= 0 and a covariance with c² <= ab, got values that no pair has")
    covariance = np.clip(covariance, -bound, bound)
    if member.closed is not None:
        return PairMoments(*member.closed.pair(variance, other, covariance))
    flat = np.stack([variance, other, covariance], axis=-1).reshape(-1, 3)
    known = [_pair(member, *(float(x) for x in row)) for row in flat]
    value, slope = (np.array(column).reshape(variance.shape) for column in zip(*known, strict=True))
    return PairMoments(value, slope)


@lru_cache(maxsize=1 << 14)
def _pair(member: Activation, a: float, b: float, c: float) -> tuple[float, float]:
    if a == 0.0 or b == 0.0:
        return _apart(member, a, b)
    rho = c / math.sqrt(a * b)
    if a == b and rho > 1.0 - 1e-14:
        same = moments(member, a)
        return same.second, same.slope
    one, other = hermite(member, a), hermite(member, b)
    # What 128 coefficients leave of E[φ²] bounds the remainder of the series, whatever the correlation.
    rest = math.sqrt(one.rest * other.rest) * abs(rho) ** _TERMS
    scale = math.sqrt(moments(member, a).second * moments(member, b).second)
    if rest * _TERMS <= _ACCURACY * scale:
        value, slope = mehler(one, other, np.array(rho), math.sqrt(a * b))
        return float(value), float(slope)
    return _double_integral(member, a, b, rho)


def _apart(member: Activation, a: float, b: float) -> tuple[float, float]:
    """Return the moments where one of the two is the constant 0: then they are independent."""
    means = [moments(member, q).mean for q in (a, b)]
    slopes = [_mean_slope(member, q) for q in (a, b)]
    return means[0] * means[1], slopes[0] * slopes[1]


def _mean_slope(member: Activation, q: float) -> float:
    """Return E[φ'] = E[φ z] / √q, by parts."""
    if q == 0.0:
        return sum(_sides(member)) / 2.0
    return float(hermite(member, q).coefficients[1]) / math.sqrt(q)


@dataclass(frozen=True, eq=False)
class Hermite:
    """Coefficients E[φ(√q z) h_k(z)] of the normalized Hermite polynomials, and what they leave of E[φ²]."""

    coefficients: FloatArray
    rest: float


@lru_cache(maxsize=4096)
def hermite(member: Activation, q: float) -> Hermite:
    """Return the Hermite coefficients of φ(√q z)."""
    root = math.sqrt(q)
    z, weight, _ = gaussian_rule(tuple(kink / root for kink in member.kinks), 1 if member.dphi else 2)
    values = weight * member.phi(root * z)
    coefficients = np.array([values @ h for h in _hermite_functions(z)])
    return Hermite(coefficients, max(0.0, moments(member, q).second - float(coefficients @ coefficients)))


def _hermite_functions(z: FloatArray) -> list[FloatArray]:
    functions = [np.ones_like(z), z]
    for k in range(1, _TERMS - 1):
        functions.append((z * functions[k] - math.sqrt(k) * functions[k - 1]) / math.sqrt(k + 1.0))
    return functions


def mehler(one: Hermite, other: Hermite, rho: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
    r"""Return Σ a_k b_k ρ^k and its derivative by the covariance, Σ k a_k b_k ρ^{k-1} / scale."""
    product = one.coefficients * other.coefficients
    slope = np.polynomial.polynomial.polyval(rho, np.polynomial.polynomial.polyder(product))
    return np.asarray(np.polynomial.polynomial.polyval(rho, product)), np.asarray(slope / scale)


def _double_integral(member: Activation, a: float, b: float, rho: float) -> tuple[float, float]:
    """Integrate over v given u on panels around its mean, and over u on the panels of one Gaussian."""
    root, other = math.sqrt(a), math.sqrt(b)
    bends = [kink / root for kink in member.kinks]
    if rho:  # given u, the mean of v passes a kink of φ: there the inner integral bends, within what is left of v
        reach = math.sqrt(max(0.0, 1.0 - rho * rho)) / abs(rho)
        bends += [float(kink / (other * rho) + reach * t) for kink in member.kinks for t in _AROUND]
    z, weight, half = gaussian_rule(tuple(bends), 1)
    u = root * z
    phi = member.phi(u)
    dphi = member.slope(u) if member.dphi is not None else _interpolated_slope(phi, half * root)
    used = weight > 1e-18
    inner, slope = conditional_moments(member, other * rho * z[used], other * math.sqrt(max(0.0, 1.0 - rho * rho)))
    return float((weight * phi)[used] @ inner), float((weight * dphi)[used] @ slope)


_AROUND = np.array([-8.5, -6.0, -4.0, -2.5, -1.25, 0.0, 1.25, 2.5, 4.0, 6.0, 8.5])
_GRADED = np.concatenate([[0.0], np.geomspace(0.05, 20.0, 7)])


def conditional_moments(member: Activation, mean: FloatArray, deviation: float) -> tuple[FloatArray, FloatArray]:
    """Return E[φ(v)] and E[φ'(v)] for v ~ N(mean, deviation²), for each mean."""
    if deviation < 1e-150:
        return member.phi(mean), member.slope(mean)
    fixed = np.unique(np.concatenate([-_GRADED, _GRADED, member.kinks]))
    around = mean[:, None] + deviation * _AROUND
    ends = np.sort(np.concatenate([around, np.clip(fixed, around[:, :1], around[:, -1:])], axis=1), axis=1)
    half = np.diff(ends, axis=1)[..., None] / 2.0
    v = (ends[:, 1:, None] + ends[:, :-1, None]) / 2.0 + half * _NODES
    t = (v - mean[:, None, None]) / deviation
    weight = half * _WEIGHTS * np.exp(-0.5 * t**2)
    total = weight.sum(axis=(1, 2))
    phi = member.phi(v)
    # E[φ'] = E[φ t] / deviation by parts cancels for a narrow Gaussian; the slope itself does not.
    slope = member.dphi(v) if member.dphi is not None else _slope_on_panels(phi, half)
    return (weight * phi).sum(axis=(1, 2)) / total, (weight * slope).sum(axis=(1, 2)) / total


def _slope_on_panels(phi: FloatArray, half: FloatArray) -> FloatArray:
    # Panels without width have no slope and no weight.
    return np.asarray(phi @ _DERIVATIVE.T / np.where(half > 0.0, half, np.inf))


def non_negative(name: str, value: float, *, zero: bool = True) -> float:
    """Return a finite number of at least 0 (above 0 unless `zero`), or raise."""
    if not math.isfinite(value) or value < 0.0 or (value == 0.0 and not zero):
        raise ConfigError(f"expected {name} {'>=' if zero else '>'} 0 and finite, got {value}")
    return float(value)


def slope_law(member: Activation, q: float) -> tuple[FloatArray, FloatArray]:
    """Return values of φ'² at z ~ N(0, q) and their probabilities; equal values once, all others at the nodes."""
    if q == 0.0:
        left, right = _sides(member)
        squares, weight = np.array([left**2, right**2]), np.array([0.5, 0.5])
    else:
        root = math.sqrt(q)
        z, weight, half = gaussian_rule(tuple(kink / root for kink in member.kinks), 1)
        slope = _interpolated_slope(member.phi(root * z), half * root) if member.dphi is None else member.dphi(root * z)
        squares = slope**2
    known, where = np.unique(np.round(squares, 14), return_inverse=True)
    return known, np.asarray(np.bincount(where, weights=weight), dtype=np.float64)
