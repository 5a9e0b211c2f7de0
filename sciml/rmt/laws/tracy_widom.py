"""The Tracy-Widom laws: the largest eigenvalue of noise, at the edge of its bulk."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.rmt.checks import numbers, probabilities
from sciml.rmt.laws import airy

__all__ = ["TracyWidom"]


@dataclass(frozen=True)
class TracyWidom:
    r"""Limit law of the largest eigenvalue, centered and scaled, of real (1), complex (2), quaternion (4) matrices.

    .. math:: F_1(s) = \det(1 - B_s), \quad F_2(s) = \det(1 - B_s^2), \quad
              F_4(s) = \tfrac12 [\det(1 - B_{\sqrt2 s}) + \det(1 + B_{\sqrt2 s})]

    with B_s the integral operator of kernel Ai(x + y + s) on (0, ∞). F4 is in Tracy and Widom's scale, with mean
    -2.3069. Values come from a table computed on first use: cdf to 1e-11, sf to a relative 1e-8 down to the
    smallest number that a float holds.

    Parameters
    ----------
    beta
        1 for real, 2 for complex, 4 for quaternion entries.

    Raises
    ------
    ConfigError
        Another beta.

    References
    ----------
    Tracy and Widom (1996), doi:10.1007/BF02099545; Ferrari and Spohn (2005), doi:10.1088/0305-4470/38/33/L02;
    Bornemann (2010), doi:10.1090/S0025-5718-09-02280-7.

    Examples
    --------
    >>> law = TracyWidom(beta=1)
    >>> round(float(law.isf(0.05)), 10)
    0.9793160535
    >>> f"{law.sf(10.0):.6e}"
    '1.708216e-11'
    """

    beta: Literal[1, 2, 4] = 1

    def __post_init__(self) -> None:
        if self.beta not in (1, 2, 4):
            raise ConfigError(f"expected beta 1 (real), 2 (complex) or 4 (quaternion), got {self.beta!r}")

    @property
    def _argument_scale(self) -> float:
        """Return x / s, x being the argument of the kernel."""
        return float(np.sqrt(2)) if self.beta == 4 else 1.0

    def _tabulated(self, function: Callable[[FloatArray], FloatArray], s: ArrayLike) -> FloatArray:
        value = numbers("s", s)
        return function(np.atleast_1d(self._argument_scale * value)).reshape(value.shape)[()]

    def pdf(self, s: ArrayLike) -> FloatArray:
        """Density at s."""
        return self._argument_scale * self._tabulated(airy.table(self.beta).pdf, s)

    def logcdf(self, s: ArrayLike) -> FloatArray:
        """Logarithm of the cdf, also where the cdf is smaller than any float."""
        return self._tabulated(airy.table(self.beta).log_cdf, s)

    def logsf(self, s: ArrayLike) -> FloatArray:
        """Logarithm of the survival function, also where that is smaller than any float."""
        return self._tabulated(airy.table(self.beta).log_sf, s)

    def cdf(self, s: ArrayLike) -> FloatArray:
        """Probability of a value of at most s."""
        return np.exp(self.logcdf(s))

    def sf(self, s: ArrayLike) -> FloatArray:
        """Probability of a value above s, accurate relative to itself."""
        return np.exp(self.logsf(s))

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Return s with cdf(s) = p."""
        level = probabilities("p", p)
        return self._inverse(level, 1 - level)

    def isf(self, q: ArrayLike) -> FloatArray:
        """Return s with sf(s) = q."""
        level = probabilities("q", q)
        return self._inverse(1 - level, level)

    def _inverse(self, p: FloatArray, q: FloatArray) -> FloatArray:
        inside = (p > 0) & (q > 0)
        log_p, log_q = np.log(np.where(inside, p, 0.5)), np.log(np.where(inside, q, 0.5))
        x = airy.table(self.beta).inverse(np.atleast_1d(log_p), np.atleast_1d(log_q)).reshape(p.shape)
        return np.where(inside, x / self._argument_scale, np.where(p > 0, np.inf, -np.inf))[()]

    def mean(self) -> float:
        """Mean of the law."""
        return airy.table(self.beta).mean / self._argument_scale

    def var(self) -> float:
        """Variance of the law."""
        return airy.table(self.beta).var / self._argument_scale**2
