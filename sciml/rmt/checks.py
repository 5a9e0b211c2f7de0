"""Checks of arguments at the public doors of `sciml.rmt`."""

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, ComplexArray, FloatArray
from sciml.errors import ConfigError, DataError

__all__ = ["aspect_ratio", "numbers", "points", "positive", "probabilities", "shape", "spectrum"]


def positive(name: str, value: float) -> float:
    """Return `value` as a float if it is positive and finite."""
    number = float(value)
    if not 0 < number < np.inf:
        raise ConfigError(f"expected {name} to be a positive finite number, got {value!r}")
    return number


def aspect_ratio(beta: float) -> float:
    """Return short side over long side as a float, in (0, 1]."""
    number = float(beta)
    if not 0 < number <= 1:
        raise ConfigError(
            f"expected beta = short side / long side in (0, 1], got {beta!r}; divide the sides as min / max"
        )
    return number


def shape(n_features: int, n_samples: int) -> tuple[int, int]:
    """Return the two sides if both are at least one."""
    if n_features < 1 or n_samples < 1:
        raise ConfigError(f"expected at least one feature and one sample, got {n_features} and {n_samples}")
    return int(n_features), int(n_samples)


def spectrum(name: str, values: ArrayLike) -> FloatArray:
    """Return real, finite, one-dimensional, non-negative values in descending order, as float64.

    An eigenvalue solver returns zeros as numbers of either sign near the rounding error: those become zero.
    """
    given: AnyArray = np.asarray(values)
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "fiub":
        raise DataError(f"expected {name} as a list of real numbers, got shape {given.shape} of type {given.dtype}")
    resolution = np.finfo(given.dtype).eps if given.dtype.kind == "f" else 0.0
    ordered = -np.sort(-given.astype(np.float64))
    if not np.isfinite(ordered).all():
        raise DataError(
            f"expected finite {name}, got {np.count_nonzero(~np.isfinite(ordered))} of {ordered.size} that are not; "
            "leave out missing samples before the decomposition"
        )
    if ordered[-1] < -10 * resolution * ordered.size * abs(ordered[0]):
        raise DataError(f"expected {name} of zero or more, got {ordered[-1]:g} and a largest of {ordered[0]:g}")
    return np.maximum(ordered, 0.0)


def numbers(name: str, values: ArrayLike) -> FloatArray:
    """Return real values without NaN as float64."""
    given: AnyArray = np.asarray(values)
    if given.dtype.kind not in "fiub":
        raise DataError(f"expected {name} of real numbers, got type {given.dtype}")
    result = given.astype(np.float64)
    if np.isnan(result).any():
        raise DataError(
            f"expected numbers for {name}, got NaN at {np.count_nonzero(np.isnan(result))} places; leave them out"
        )
    return result


def points(name: str, values: ArrayLike) -> ComplexArray:
    """Return points of the complex plane without NaN as complex128."""
    result = np.asarray(values, dtype=np.complex128)
    if np.isnan(result).any():
        raise DataError(
            f"expected points {name}, got NaN at {np.count_nonzero(np.isnan(result))} places; leave them out"
        )
    return result


def probabilities(name: str, values: ArrayLike) -> FloatArray:
    """Return probabilities as float64."""
    result = numbers(name, values)
    if result.size and (result.min() < 0 or result.max() > 1):
        raise ConfigError(f"expected probabilities {name} in [0, 1], got {result.min():g} to {result.max():g}")
    return result
