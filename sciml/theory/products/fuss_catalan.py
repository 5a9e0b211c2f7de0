"""The Fuss-Catalan law: squared singular values of a product of square Gaussian matrices."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import BoolArray, FloatArray
from sciml.errors import ConfigError

__all__ = ["FussCatalan"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)


@dataclass(frozen=True)
class FussCatalan:
    r"""Limit law of the squared singular values of W_L ... W_1, n by n with entries of variance σ²/n.

    .. math::
        x = \sigma^{2L} \frac{\sin^{L+1}((L+1)\phi)}{\sin\phi\, \sin^L(L\phi)}, \qquad
        \sigma^{2L} f(x) = \frac{\sin^2\phi\, \sin^{L-1}(L\phi)}{\pi \sin^L((L+1)\phi)}, \qquad 0 < \phi < \pi/(L+1)

    with moments E[x^k] = σ^{2Lk} C((L+1)k, k) / (Lk + 1) and upper edge σ^{2L} (L+1)^{L+1} / L^L.

    Parameters
    ----------
    depth
        Number L of factors, 1 for Marchenko-Pastur of square matrices.
    sigma
        Standard deviation of an entry times √n.

    Raises
    ------
    ConfigError
        `depth` below 1, or `sigma` not positive and finite.

    References
    ----------
    Penson and Zyczkowski (2011), arXiv:1103.3453; the parametrization: Forrester and Liu (2015), arXiv:1408.6887.

    Examples
    --------
    >>> law = FussCatalan(depth=2)
    >>> round(law.support[0][1], 9), [law.moment(k) for k in (1, 2, 3)]
    (6.75, [1.0, 3.0, 12.0])
    >>> round(float(law.ppf(0.5)), 6)
    0.318885
    """

    depth: int
    sigma: float = 1.0

    def __post_init__(self) -> None:
        if self.depth < 1 or not 0.0 < self.sigma < math.inf:
            raise ConfigError(f"expected depth >= 1 and sigma > 0, got depth {self.depth} and sigma {self.sigma}")

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """The interval (low, high) of the law."""
        L = self.depth
        return ((0.0, self._scale * math.exp((L + 1) * math.log(L + 1) - L * math.log(L))),)

    @property
    def _scale(self) -> float:
        return float(self.sigma ** (2 * self.depth))

    def moment(self, k: int) -> float:
        """Return E[x^k]; of k = 1 the mean σ^{2L}, and the variance is L σ^{4L}."""
        return float(self._scale**k * math.comb((self.depth + 1) * k, k) / (self.depth * k + 1))

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Density at x; it diverges as x^{-L/(L+1)} at 0."""
        value = np.asarray(x, dtype=np.float64)
        inside = (value > 0) & (value < self.support[0][1])
        u = self._angle(np.where(inside, value, self._scale))
        L, phi = self.depth, u / (self.depth + 1)
        log = 2 * np.log(np.sin(phi)) + (L - 1) * np.log(np.sin(L * phi)) - L * np.log(np.sin(u))
        return np.where(inside, np.exp(log) / math.pi / self._scale, 0.0)[()]

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability of a squared singular value of at most x."""
        return np.asarray(1.0 - self.sf(x))[()]

    def sf(self, x: ArrayLike) -> FloatArray:
        """Probability of a squared singular value above x."""
        value = np.asarray(x, dtype=np.float64)
        low, high = self.support[0]
        clipped = np.clip(value, np.finfo(float).tiny, high)
        u = np.where(value <= low, math.pi, self._angle(clipped))
        return self._mass(u)[()]

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Return x with cdf(x) = p."""
        level = np.asarray(p, dtype=np.float64)
        if not ((level >= 0) & (level <= 1)).all():
            raise ConfigError("expected probabilities in [0, 1]")
        u = _bisect(lambda angle: np.asarray(self._mass(angle) < 1.0 - level), level)
        return np.where(level == 0, 0.0, self._value(u))[()]

    def median(self) -> float:
        """Median of the law."""
        return float(self.ppf(0.5))

    def _log_value(self, u: FloatArray) -> FloatArray:
        """Return ln(x / σ^{2L}) at φ = u / (L + 1)."""
        L, phi = self.depth, u / (self.depth + 1)
        return np.asarray((L + 1) * np.log(np.sin(u)) - np.log(np.sin(phi)) - L * np.log(np.sin(L * phi)))

    def _value(self, u: FloatArray) -> FloatArray:
        return np.asarray(self._scale * np.exp(self._log_value(u)))

    def _angle(self, x: FloatArray) -> FloatArray:
        level = np.log(x / self._scale)
        return _bisect(lambda u: np.asarray(self._log_value(u) > level), x)

    def _mass(self, u: FloatArray) -> FloatArray:
        """Return the mass between the upper edge and the angle u: the integral of f(x) |dx/dφ|, smooth in φ."""
        t = u[..., None] * (_NODES + 1) / 2
        L, phi = self.depth, t / (self.depth + 1)
        slope = 1 / np.tan(phi) + L**2 / np.tan(L * phi) - (L + 1) ** 2 / np.tan(t)
        density = np.sin(phi) * np.sin(t) / np.sin(L * phi) * slope / (math.pi * (L + 1))
        return np.clip(u / 2 * (density @ _WEIGHTS), 0.0, 1.0)


def _bisect(below: Callable[[FloatArray], BoolArray], like: FloatArray) -> FloatArray:
    """Return the angle in (0, π) where `below` turns from true to false."""
    low, high = np.full(np.shape(like), 1e-300), np.full(np.shape(like), math.pi)
    for _ in range(60):
        middle = (low + high) / 2
        inside = below(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray((low + high) / 2)
