r"""Scans over sizes: what a finite system gives at each size, the power law through it, and how far theory is.

.. math:: \log \bar y(n) = \log A + e \log n

by weighted least squares, each mean with the standard error of its draws.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from sciml._typing import FloatArray
from sciml.errors import ConfigError, NumericalError

__all__ = ["SizeScan", "size_scan"]

DOUBTFUL = 0.01  # probability of so large a misfit below which a power law is not believed


@dataclass(frozen=True, eq=False, repr=False)
class SizeScan:
    """A measure at several sizes, with a power law through it.

    Attributes
    ----------
    sizes, values, errors
        (size,) each: sizes, means over the draws, and their standard errors.
    exponent, exponent_error
        Of the power law, with its standard error.
    amplitude
        A of A n^e.
    p_value
        Probability of a misfit as large where the power law is exact; small: the sizes are not asymptotic, or it is
        none. None with two sizes.
    expected
        Exponent of theory, None where none was given.
    predicted
        Values of theory at each size, None where none were given.
    """

    sizes: FloatArray
    values: FloatArray
    errors: FloatArray
    exponent: float
    exponent_error: float
    amplitude: float
    p_value: float | None
    expected: float | None = None
    predicted: FloatArray | None = None

    @property
    def deviation(self) -> float | None:
        """Measured less expected exponent, in standard errors."""
        return None if self.expected is None else (self.exponent - self.expected) / self.exponent_error

    def summary(self) -> str:
        """Return the exponent, the one of theory, and what speaks against a power law."""
        text = f"exponent {self.exponent:.4g} ± {self.exponent_error:.2g}"
        if self.deviation is not None:
            text += f", theory {self.expected:.4g} ({self.deviation:+.1f} standard errors)"
        if self.predicted is not None:
            worst = float(np.max(np.abs(self.values / self.predicted - 1.0)))
            last = float(self.values[-1] / self.predicted[-1] - 1.0)
            text += f"; values within {worst:.2g} of theory, {last:+.2g} at the largest size"
        if self.p_value is not None and self.p_value < DOUBTFUL:
            text += f"; no power law over these sizes (p = {self.p_value:.2g})"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, arrays as they are."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        return f"SizeScan({self.summary()})"


def size_scan(
    measure: Callable[[int, np.random.Generator], float],
    sizes: Sequence[int],
    *,
    n_draws: int = 10,
    rng: np.random.Generator,
    expected: float | None = None,
    theory: Callable[[int], float] | None = None,
) -> SizeScan:
    """Measure a positive number at several sizes, fit the exponent of its power law, and compare it with theory.

    To see how fast a limit is approached, measure the distance from it.

    Parameters
    ----------
    measure
        (size, rng) -> a positive number of one draw.
    sizes
        At least two, ascending.
    n_draws
        Draws at each size, at least two.
    expected
        Exponent of theory.
    theory
        size -> value of theory.

    Raises
    ------
    ConfigError
        Too few sizes or draws.
    NumericalError
        A mean that is not positive: it has no logarithm.

    Examples
    --------
    >>> def largest(n, rng):  # of a Wigner matrix with entries of variance one: 2 √n
    ...     A = rng.normal(size=(n, n))
    ...     return np.linalg.eigvalsh((A + A.T) / np.sqrt(2.0))[-1]
    >>> scan = size_scan(largest, [50, 100, 200], rng=np.random.default_rng(0), expected=0.5)
    >>> abs(scan.exponent - 0.5) < 0.05
    True
    """
    if len(sizes) < 2 or list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or n_draws < 2:
        raise ConfigError(f"expected at least two ascending sizes and two draws, got {list(sizes)} and {n_draws}")
    draws = np.array([[measure(n, rng) for _ in range(n_draws)] for n in sizes], dtype=np.float64)
    values, errors = draws.mean(axis=1), draws.std(axis=1, ddof=1) / math.sqrt(n_draws)
    if not (values > 0).all():
        raise NumericalError(f"expected positive means, got {values.tolist()}: a power law has no zeros; draw more")
    exponent, exponent_error, log_amplitude, p_value = _power_law(np.log(np.array(sizes)), values, errors, n_draws)
    predicted = None if theory is None else np.array([theory(n) for n in sizes], dtype=np.float64)
    scanned = np.array(sizes, dtype=np.float64)
    return SizeScan(
        scanned, values, errors, exponent, exponent_error, math.exp(log_amplitude), p_value, expected, predicted
    )


def _power_law(
    x: FloatArray, values: FloatArray, errors: FloatArray, n_draws: int
) -> tuple[float, float, float, float | None]:
    """Return slope, its standard error, intercept and p-value of the misfit of log values over log sizes."""
    # A measure without scatter (an exact formula) is known to rounding.
    sigma = np.maximum(errors / values, 1e-12)
    weight = sigma**-2
    center = float(weight @ x / weight.sum())
    y = np.log(values)
    spread = float(weight @ (x - center) ** 2)
    slope = float(weight @ ((x - center) * y)) / spread
    intercept = float(weight @ (y - slope * x) / weight.sum())
    dof = len(x) - 2
    if dof == 0:
        return slope, spread**-0.5, intercept, None
    misfit = float(weight @ (y - intercept - slope * x) ** 2) / dof
    # Errors are of few draws: the misfit is an F of dof and the draws' own degrees of freedom.
    p_value = float(stats.f.sf(misfit, dof, len(x) * (n_draws - 1)))
    # A misfit beyond the errors of the draws is the power law's own, and widens its error.
    return slope, math.sqrt(max(1.0, misfit) / spread), intercept, p_value
