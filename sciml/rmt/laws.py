"""Limit laws of random-matrix spectra: Marchenko-Pastur and semicircle for the bulk, Tracy-Widom for its edge."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml.errors import ConfigError
from sciml.rmt import _airy
from sciml.rmt._check import numbers, points, positive, probabilities
from sciml.rmt._generalized import GeneralizedMarchenkoPastur

__all__ = ["GeneralizedMarchenkoPastur", "MarchenkoPastur", "Semicircle", "TracyWidom"]

Array = NDArray[np.float64]

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

    def _angle(self, x: Array) -> Array:
        """Return phi in [0, pi] with x = scale (1 + g + 2 sqrt(g) cos(phi)): 0 at the upper edge, pi at the lower."""
        root, y = np.sqrt(self._ratio), x / self._scale
        # The distances to the edges, 4 sqrt(g) sin²(phi/2) and 4 sqrt(g) cos²(phi/2), are accurate next to either.
        below, above = np.maximum((1 + root) ** 2 - y, 0.0), np.maximum(y - (1 - root) ** 2, 0.0)
        return np.asarray(2 * np.arctan2(np.sqrt(below), np.sqrt(above)))

    def pdf(self, x: ArrayLike) -> Array:
        """Density of the continuous part at x (the atom at zero has none)."""
        value = numbers("x", x)
        (low, high), *_ = self.support
        inside = (value > low) & (value < high)
        u = np.where(inside, value, (low + high) / 2) / self.sigma**2
        a, b = (edge / self.sigma**2 for edge in (low, high))
        root = np.sqrt(np.maximum((b - u) * (u - a), 0.0))
        return np.where(inside, root / (2 * np.pi * self.gamma * u) / self.sigma**2, 0.0)[()]

    def cdf(self, x: ArrayLike) -> Array:
        """Probability of an eigenvalue of at most x, the atom at zero included."""
        value = numbers("x", x)
        continuous = _angular_cdf(self._angle(value), self._ratio)
        return np.where(value < 0, 0.0, self.atom + self._mass * continuous)[()]

    def sf(self, x: ArrayLike) -> Array:
        """Probability of an eigenvalue above x, accurate relative to itself up to the upper edge."""
        value = numbers("x", x)
        continuous = _angular_sf(self._angle(value), self._ratio)
        return np.where(value < 0, 1.0, self._mass * continuous)[()]

    def ppf(self, p: ArrayLike) -> Array:
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
        return float(self.ppf(0.5))

    def stieltjes(self, z: ArrayLike) -> NDArray[np.complex128]:
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


def _angular_sf(phi: Array, g: float) -> Array:
    """Return (2/pi) times the integral of sin²t / (1 + g + 2 sqrt(g) cos t) over (0, phi): mass above the angle phi.

    Up to pi/2 by Gauss-Legendre quadrature: the nearest pole, at t = pi for g = 1, is so far that 20 nodes give
    every digit, also of values near zero. Beyond, what lies below is subtracted from 1.
    """
    near = np.minimum(phi, np.pi / 2)
    t = near[..., None] * (NODES + 1) / 2
    integral = near / 2 * (np.sin(t) ** 2 / (1 + g + 2 * np.sqrt(g) * np.cos(t)) @ WEIGHTS)
    return np.where(phi <= np.pi / 2, 2 / np.pi * integral, 1 - _below(phi, g))


def _angular_cdf(phi: Array, g: float) -> Array:
    """Return the mass below the angle phi."""
    return np.where(phi > np.pi / 2, _below(phi, g), 1 - _angular_sf(np.minimum(phi, np.pi / 2), g))


def _below(phi: Array, g: float) -> Array:
    """Return (2/pi) times the integral of sin²t / (1 + g + 2 sqrt(g) cos t) over (phi, pi), in closed form."""
    root, psi = np.sqrt(g), np.pi - phi
    turn = np.arctan2(root * np.sin(psi), 1 - root * np.cos(psi))
    value = np.sin(psi) / (2 * root) + psi / 2 - (1 - g) * turn / (2 * g)
    return np.asarray(np.maximum(2 / np.pi * value, 0.0))


def _angular_quantile(lower: Array, upper: Array, g: float) -> Array:
    """Return the angle with mass `lower` below it and `upper` above it, by bisection to the last digit."""
    low, high = np.zeros_like(lower), np.full_like(lower, np.pi)
    for _ in range(54):
        middle = (low + high) / 2
        too_low = np.where(lower < 0.5, _angular_cdf(middle, g) > lower, _angular_sf(middle, g) < upper)
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    return (low + high) / 2


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

    def pdf(self, x: ArrayLike) -> Array:
        """Density at x."""
        y = numbers("x", x) / (2 * self.sigma)
        return np.asarray(np.sqrt(np.maximum((1 - y) * (1 + y), 0.0)) / (np.pi * self.sigma))[()]

    def cdf(self, x: ArrayLike) -> Array:
        """Probability of an eigenvalue of at most x, accurate relative to itself."""
        return self.sf(-numbers("x", x))

    def sf(self, x: ArrayLike) -> Array:
        """Probability of an eigenvalue above x, accurate relative to itself up to the upper edge."""
        y = np.clip(numbers("x", x) / (2 * self.sigma), -1.0, 1.0)
        angle = 2 * np.arctan2(np.sqrt(1 - y), np.sqrt(1 + y))
        return np.asarray(_cap(angle))[()]

    def ppf(self, p: ArrayLike) -> Array:
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

    def stieltjes(self, z: ArrayLike) -> NDArray[np.complex128]:
        r"""Stieltjes transform m(z) = ∫ dF(x) / (x - z) = -2 / (z + sqrt(z - 2 sigma) sqrt(z + 2 sigma)).

        On the support, the limit from the upper half plane.
        """
        y = points("z", z) / self.sigma
        return np.asarray(-2 / (y + np.sqrt(y - 2) * np.sqrt(y + 2)) / self.sigma)[()]


def _cap(angle: Array) -> Array:
    """Return (t - sin t cos t) / pi, by the series of (2t - sin 2t) / (2 pi) where that would cancel."""
    series = angle**3 * (2 / 3 - 2 / 15 * angle**2 + 4 / 315 * angle**4 - 2 / 2835 * angle**6 + 4 / 155925 * angle**8)
    return np.where(angle < 0.1, series, angle - np.sin(angle) * np.cos(angle)) / np.pi


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
    def _stretch(self) -> float:
        """Return x / s, x being the argument of the kernel."""
        return float(np.sqrt(2)) if self.beta == 4 else 1.0

    def _tabulated(self, function: Callable[[Array], Array], s: ArrayLike) -> Array:
        value = numbers("s", s)
        return function(np.atleast_1d(self._stretch * value)).reshape(value.shape)[()]

    def pdf(self, s: ArrayLike) -> Array:
        """Density at s."""
        return self._stretch * self._tabulated(_airy.table(self.beta).pdf, s)

    def logcdf(self, s: ArrayLike) -> Array:
        """Logarithm of the cdf, also where the cdf is smaller than any float."""
        return self._tabulated(_airy.table(self.beta).log_cdf, s)

    def logsf(self, s: ArrayLike) -> Array:
        """Logarithm of the survival function, also where that is smaller than any float."""
        return self._tabulated(_airy.table(self.beta).log_sf, s)

    def cdf(self, s: ArrayLike) -> Array:
        """Probability of a value of at most s."""
        return np.exp(self.logcdf(s))

    def sf(self, s: ArrayLike) -> Array:
        """Probability of a value above s, accurate relative to itself."""
        return np.exp(self.logsf(s))

    def ppf(self, p: ArrayLike) -> Array:
        """Return s with cdf(s) = p."""
        level = probabilities("p", p)
        return self._inverse(level, 1 - level)

    def isf(self, q: ArrayLike) -> Array:
        """Return s with sf(s) = q."""
        level = probabilities("q", q)
        return self._inverse(1 - level, level)

    def _inverse(self, p: Array, q: Array) -> Array:
        inside = (p > 0) & (q > 0)
        log_p, log_q = np.log(np.where(inside, p, 0.5)), np.log(np.where(inside, q, 0.5))
        x = _airy.table(self.beta).inverse(np.atleast_1d(log_p), np.atleast_1d(log_q)).reshape(p.shape)
        return np.where(inside, x / self._stretch, np.where(p > 0, np.inf, -np.inf))[()]

    def mean(self) -> float:
        """Mean of the law."""
        return _airy.table(self.beta).mean / self._stretch

    def var(self) -> float:
        """Variance of the law."""
        return _airy.table(self.beta).var / self._stretch**2
