"""Where a function is not smooth, found by bisection, so that quadrature can end its panels there."""

from collections.abc import Callable

import numpy as np

from sciml._typing import BoolArray, FloatArray
from sciml.errors import ConfigError

__all__ = ["find_kinks"]

_ORDER = 16
_NODES, _ = np.polynomial.legendre.leggauss(_ORDER)
_COEFFICIENTS = np.linalg.inv(np.polynomial.legendre.legvander(_NODES, _ORDER - 1))
# Edges at no round number: a kink at the edge of a panel would go unnoticed.
_EDGES = 1.0371234567e-3 * np.geomspace(1.0, 1e6, 61)
_SMALLEST = 4e-12  # width of a panel, over its distance from 0 and at least 1, at which bisection ends
_SHARP = 1e-4  # and below which what made it narrow is a kink, of the function or of its derivative
_MOST_PANELS = 4096


def find_kinks(phi: Callable[[FloatArray], FloatArray], name: str) -> tuple[float, ...]:
    """Return the points of -1000 < x < 1000, other than 0, where no polynomial follows a function.

    A panel is halved until 16 Legendre polynomials follow the function to 1e-12 of its range in the panel, or until it
    is as narrow as rounding allows. The last panel that was not followed holds the kink, if it is narrow.

    Raises
    ------
    ConfigError
        A function that does not return an array of finite numbers of the shape it was given, that jumps, or that has
        more kinks than panels can end at.
    """
    _check_elementwise(phi, name)
    edges = np.concatenate([-_EDGES[::-1], [0.0], _EDGES])
    # Two grids of panels, for a kink beside an edge, beyond the last node, would go unnoticed.
    centers = (edges[1:] + edges[:-1]) / 2.0
    low, high = np.concatenate([edges[:-1], centers[:-1]]), np.concatenate([edges[1:], centers[1:]])
    kinks = [np.empty(0)]
    rough = _unresolved(phi, low, high, name)
    low, high = low[rough], high[rough]
    while low.size:
        middle = (low + high) / 2.0
        width = (high - low) / np.maximum(1.0, np.abs(middle))
        left, right = _unresolved(phi, low, middle, name), _unresolved(phi, middle, high, name)
        # A kink so close to the middle that no node of either half lies beyond it shows in a panel across the middle.
        start, end = middle - 0.11 * (high - low), middle + 0.13 * (high - low)
        across = ~(left | right) & _unresolved(phi, start, end, name)
        ends = ~(left | right | across) | (width < _SMALLEST)
        kinks.append(middle[ends & (width < _SHARP)])
        left, right, across = left & ~ends, right & ~ends, across & ~ends
        low, high = (
            np.concatenate([low[left], start[across], middle[right]]),
            np.concatenate([middle[left], end[across], high[right]]),
        )
        if low.size > _MOST_PANELS:
            raise ConfigError(f"expected {name} to be smooth but at a few points, got a function of too many kinks")
    return tuple(_checked(phi, _merged(np.concatenate(kinks)), name))


def _unresolved(phi: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray, name: str) -> BoolArray:
    middle = (low + high) / 2.0
    x = middle[:, None] + (high - low)[:, None] / 2.0 * _NODES
    values = np.asarray(phi(x), dtype=np.float64)
    if not np.isfinite(values).all():
        raise ConfigError(f"expected {name} to be finite, got {values[~np.isfinite(values)][0]} within |x| < 1000")
    coefficients = np.abs(values @ _COEFFICIENTS.T)
    rounding = 4e-15 * np.maximum(np.abs(values).max(axis=1), np.abs(middle)) + 1e-300
    return np.asarray(coefficients[:, -4:].max(axis=1) > 1e-12 * np.ptp(values, axis=1) + rounding)


def _merged(kinks: FloatArray) -> list[float]:
    """Drop 0, where panels end anyway, and what is the same kink found from both sides or by rounding beside it."""
    found: list[float] = []
    for kink in np.sort(kinks):
        same = bool(found) and kink - found[-1] < _SHARP * max(1.0, abs(kink))
        if not same and abs(kink) > _SHARP:
            found.append(float(round(kink, 11)))
    return found


def _checked(phi: Callable[[FloatArray], FloatArray], kinks: list[float], name: str) -> list[float]:
    for kink in [0.0, *kinks]:
        step = 1e-9 * max(1.0, abs(kink))
        low, high = np.asarray(phi(np.array([kink - step, kink + step])), dtype=np.float64)
        if abs(high - low) > 1e-4 * max(1.0, abs(low), abs(high)):
            raise ConfigError(
                f"expected {name} to be continuous, got a jump from {low:.6g} to {high:.6g} at {kink:.6g}: its "
                "gradient says nothing; choose a function with a slope"
            )
    return kinks


def _check_elementwise(phi: Callable[[FloatArray], FloatArray], name: str) -> None:
    x = np.array([[-1.0, 0.0, 0.5], [2.0, 0.25, -0.75]])
    try:
        values = np.asarray(phi(x.copy()), dtype=np.float64)
        flat = np.asarray(phi(x.ravel().copy()), dtype=np.float64)
    except (TypeError, ValueError, AttributeError) as problem:
        raise ConfigError(f"expected {name} to be a function of a NumPy array, got an error: {problem}") from problem
    if values.shape != x.shape or not np.allclose(values.ravel(), flat, equal_nan=True):
        raise ConfigError(
            f"expected {name} to act on each element, got shape {values.shape} of {x.shape} or other values"
        )
