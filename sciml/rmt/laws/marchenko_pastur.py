"""The Marchenko-Pastur law: sample eigenvalues of white noise."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import ComplexArray, FloatArray
from sciml.rmt.checks import numbers, points, positive, probabilities

__all__ = ["MarchenkoPastur"]


NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


@dataclass(frozen=True)
class MarchenkoPastur:
    r"""Limit law of the eigenvalues of X^H X / n_samples, X of independent entries of variance sigma².

    .. math:: f(x) = \frac{\sqrt{(b - x)(x - a)}}{2 \pi \gamma \sigma^2 x}, \qquad
              a, b = \sigma^2 (1 \mp \sqrt{\gamma})^2

    on (a, b), and an atom of mass 1 - 1/gamma at zero for gamma > 1. The same law holds for real and for complex
    entries with E|x|² = sigma².

    Parameters
    ----------
    gamma
        n_features / n_samples, any positive number.
    sigma
        Standard deviation of an entry; eigenvalues are in units of sigma².

    Raises
    ------
    ConfigError
        `gamma` or `sigma` not positive and finite.

    References
    ----------
    Marchenko and Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994.

    Examples
    --------
    >>> law = MarchenkoPastur(gamma=4.0, sigma=2.0)
    >>> law.support, law.atom
    (((4.0, 36.0),), 0.75)
    >>> round(float(law.sf(30.0)), 12)
    0.01604057745
    """

    gamma: float
    sigma: float = 1.0

    def __post_init__(self) -> None:
        positive("gamma", self.gamma)
        positive("sigma", self.sigma)

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """Intervals (low, high) of the continuous part, in units of sigma²."""
        root = float(np.sqrt(self.gamma))
        return (((self.sigma * (1 - root)) ** 2, (self.sigma * (1 + root)) ** 2),)

    @property
    def atom(self) -> float:
        """Mass at zero."""
        return max(0.0, 1 - 1 / self.gamma)

    @property
    def _mass(self) -> float:
        """Mass of the continuous part."""
        return min(1.0, 1 / self.gamma)

    @property
    def _ratio(self) -> float:
        """Short side over long side: X X^H has the same nonzero eigenvalues, of the law of ratio 1/gamma."""
        return min(self.gamma, 1 / self.gamma)

    @property
    def _scale(self) -> float:
        """Eigenvalue that corresponds to 1 under the law of ratio `_ratio` and unit variance."""
        return self.sigma**2 * max(self.gamma, 1.0)

    def _angle(self, x: FloatArray) -> FloatArray:
        """Return phi in [0, pi] with x = scale (1 + g + 2 sqrt(g) cos(phi)): 0 at the upper edge, pi at the lower."""
        root, y = np.sqrt(self._ratio), x / self._scale
        # The distances to the edges, 4 sqrt(g) sin²(phi/2) and 4 sqrt(g) cos²(phi/2), are accurate next to either.
        below, above = np.maximum((1 + root) ** 2 - y, 0.0), np.maximum(y - (1 - root) ** 2, 0.0)
        return np.asarray(2 * np.arctan2(np.sqrt(below), np.sqrt(above)))

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Density of the continuous part at x (the atom at zero has none)."""
        value = numbers("x", x)
        (low, high), *_ = self.support
        inside = (value > low) & (value < high)
        u = np.where(inside, value, (low + high) / 2) / self.sigma**2
        a, b = (edge / self.sigma**2 for edge in (low, high))
        root = np.sqrt(np.maximum((b - u) * (u - a), 0.0))
        return np.where(inside, root / (2 * np.pi * self.gamma * u) / self.sigma**2, 0.0)[()]

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability of an eigenvalue of at most x, the atom at zero included."""
        value = numbers("x", x)
        continuous = _angular_cdf(self._angle(value), self._ratio)
        return np.where(value < 0, 0.0, self.atom + self._mass * continuous)[()]

    def sf(self, x: ArrayLike) -> FloatArray:
        """Probability of an eigenvalue above x, accurate relative to itself up to the upper edge."""
        value = numbers("x", x)
        continuous = _angular_sf(self._angle(value), self._ratio)
        return np.where(value < 0, 1.0, self._mass * continuous)[()]

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Smallest x with cdf(x) >= p; 0 for every p up to the atom."""
        level = probabilities("p", p)
        lower = np.clip((level - self.atom) / self._mass, 0.0, 1.0)
        upper = np.clip((1 - level) / self._mass, 0.0, 1.0)
        phi = _angular_quantile(lower, upper, self._ratio)
        root = np.sqrt(self._ratio)
        # Measured from the nearer edge, so that neither end of the support suffers from cancellation.
        u = np.where(
            phi < np.pi / 2,
            (1 + root) ** 2 - 4 * root * np.sin(phi / 2) ** 2,
            (1 - root) ** 2 + 4 * root * np.cos(phi / 2) ** 2,
        )
        return np.where(level <= self.atom, 0.0 if self.atom else self.support[0][0], self._scale * u)[()]

    def median(self) -> float:
        """Median of the law; 0 for gamma of 2 and more."""
        return self.sigma**2 * _median(self.gamma)

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        r"""Stieltjes transform m(z) = ∫ dF(x) / (x - z).

        .. math:: m(z) = \frac{1 - \gamma - z + \sqrt{z - a} \sqrt{z - b}}{2 \gamma z} \quad (\sigma = 1)

        On the support, the limit from the upper half plane.
        """
        point = points("z", z)
        g, root = self._ratio, np.sqrt(self._ratio)
        y = point / self._scale
        # Multiplied out with its conjugate, the formula neither cancels for large |z| nor divides by g.
        radical = np.sqrt(y - (1 - root) ** 2) * np.sqrt(y - (1 + root) ** 2)
        continuous = -2 / (y + g - 1 + radical) / self._scale
        return np.asarray(self._mass * continuous - (self.atom / point if self.atom else 0.0))[()]


def _angular_sf(phi: FloatArray, g: float) -> FloatArray:
    """Return (2/pi) times the integral of sin²t / (1 + g + 2 sqrt(g) cos t) over (0, phi): mass above the angle phi.

    Up to pi/2 by Gauss-Legendre quadrature: the nearest pole, at t = pi for g = 1, is so far that 20 nodes give
    every digit, also of values near zero. Beyond, what lies below is subtracted from 1.
    """
    near = np.minimum(phi, np.pi / 2)
    t = near[..., None] * (NODES + 1) / 2
    integral = near / 2 * (np.sin(t) ** 2 / (1 + g + 2 * np.sqrt(g) * np.cos(t)) @ WEIGHTS)
    return np.where(phi <= np.pi / 2, 2 / np.pi * integral, 1 - _below(phi, g))


def _angular_cdf(phi: FloatArray, g: float) -> FloatArray:
    """Return the mass below the angle phi."""
    return np.where(phi > np.pi / 2, _below(phi, g), 1 - _angular_sf(np.minimum(phi, np.pi / 2), g))


def _below(phi: FloatArray, g: float) -> FloatArray:
    """Return (2/pi) times the integral of sin²t / (1 + g + 2 sqrt(g) cos t) over (phi, pi), in closed form."""
    root, psi = np.sqrt(g), np.pi - phi
    turn = np.arctan2(root * np.sin(psi), 1 - root * np.cos(psi))
    value = np.sin(psi) / (2 * root) + psi / 2 - (1 - g) * turn / (2 * g)
    return np.asarray(np.maximum(2 / np.pi * value, 0.0))


def _angular_quantile(lower: FloatArray, upper: FloatArray, g: float) -> FloatArray:
    """Return the angle with mass `lower` below it and `upper` above it, by bisection to the last digit."""
    low, high = np.zeros_like(lower), np.full_like(lower, np.pi)
    for _ in range(54):
        middle = (low + high) / 2
        too_low = np.where(lower < 0.5, _angular_cdf(middle, g) > lower, _angular_sf(middle, g) < upper)
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    return (low + high) / 2


@lru_cache(maxsize=4096)
def _median(gamma: float) -> float:
    """Return the median for unit variance: found once, whatever the number of matrices of a shape."""
    return float(MarchenkoPastur(gamma).ppf(0.5))
