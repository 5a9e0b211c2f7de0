"""The semicircle law: eigenvalues of a symmetric matrix of noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import ComplexArray, FloatArray
from sciml.rmt.checks import numbers, points, positive, probabilities

__all__ = ["Semicircle"]


@dataclass(frozen=True)
class Semicircle:
    r"""Limit law of the eigenvalues of a symmetric matrix, n by n, of independent entries of variance sigma²/n.

    .. math:: f(x) = \frac{\sqrt{4\sigma^2 - x^2}}{2\pi\sigma^2}, \qquad
              F(x) = \frac{\theta - \sin\theta\cos\theta}{\pi}, \quad x = -2\sigma\cos\theta

    Parameters
    ----------
    sigma
        Standard deviation of the law; its edges are at -2 sigma and 2 sigma.

    Raises
    ------
    ConfigError
        `sigma` not positive and finite.

    References
    ----------
    Wigner (1958), doi:10.2307/1970008.

    Examples
    --------
    >>> law = Semicircle(sigma=2.0)
    >>> law.support, law.median()
    (((-4.0, 4.0),), 0.0)
    >>> round(float(law.sf(3.0)), 12)
    0.072146806407
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        positive("sigma", self.sigma)

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """The interval (low, high) of the law."""
        return ((-2 * self.sigma, 2 * self.sigma),)

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Density at x."""
        y = numbers("x", x) / (2 * self.sigma)
        return np.asarray(np.sqrt(np.maximum((1 - y) * (1 + y), 0.0)) / (np.pi * self.sigma))[()]

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability of an eigenvalue of at most x, accurate relative to itself."""
        return self.sf(-numbers("x", x))

    def sf(self, x: ArrayLike) -> FloatArray:
        """Probability of an eigenvalue above x, accurate relative to itself up to the upper edge."""
        y = np.clip(numbers("x", x) / (2 * self.sigma), -1.0, 1.0)
        angle = 2 * np.arctan2(np.sqrt(1 - y), np.sqrt(1 + y))
        return np.asarray(_cap(angle))[()]

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Return x with cdf(x) = p."""
        level = probabilities("p", p)
        tail = np.minimum(level, 1 - level)
        low, high = np.zeros_like(tail), np.full_like(tail, np.pi / 2)
        for _ in range(54):
            middle = (low + high) / 2
            below = _cap(middle) < tail
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(np.sign(level - 0.5) * 2 * self.sigma * np.cos((low + high) / 2))[()]

    def median(self) -> float:
        """Median of the law."""
        return 0.0

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        r"""Stieltjes transform m(z) = ∫ dF(x) / (x - z) = -2 / (z + sqrt(z - 2 sigma) sqrt(z + 2 sigma)).

        On the support, the limit from the upper half plane.
        """
        y = points("z", z) / self.sigma
        return np.asarray(-2 / (y + np.sqrt(y - 2) * np.sqrt(y + 2)) / self.sigma)[()]


def _cap(angle: FloatArray) -> FloatArray:
    """Return (t - sin t cos t) / pi, by the series of (2t - sin 2t) / (2 pi) where that would cancel."""
    series = angle**3 * (2 / 3 - 2 / 15 * angle**2 + 4 / 315 * angle**4 - 2 / 2835 * angle**6 + 4 / 155925 * angle**8)
    return np.where(angle < 0.1, series, angle - np.sin(angle) * np.cos(angle)) / np.pi
