"""The high-temperature Marchenko-Pastur law: eigenvalues of a Wishart matrix that repel each other only weakly."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, gammasgn, hyp1f1

from sciml._typing import ComplexArray, FloatArray
from sciml.rmt.checks import numbers, points, positive, probabilities

__all__ = ["HighTemperature"]

TERMS = 300  # of the continued fraction beyond those that the largest x needs
NEAR = 100.0  # over the number of terms: below such x the density is computed in closed form
AWAY = 1e-6
POINTS = 1200  # of the grid that the cdf is integrated on


@dataclass(frozen=True)
class HighTemperature:
    r"""Limit law of the eigenvalues of a β-Laguerre ensemble of p values with β p → κ, of mean 1.

    Of joint density :math:`\prod_{i<j} |x_i - x_j|^{\kappa / p} \prod_i x_i^{\kappa (1/\gamma - 1) / 2 - 1} e^{-x_i}`.
    For κ → ∞ it is the Marchenko-Pastur law of ratio γ, for κ → 0 a Gamma law: the weaker the repulsion, the heavier
    the tails. With c = κ / 2 its Stieltjes transform solves a Riccati equation, and is the continued fraction

    .. math:: G(z) = \cfrac{1}{z - \cfrac{v_1}{1 - \cfrac{v_2}{z - \cfrac{v_3}{1 - \dots}}}}, \qquad
              v_{2n-1} = c / \gamma + n - 1, \quad v_{2n} = c + n

    Parameters
    ----------
    gamma
        Short side over long side, in (0, 1].
    kappa
        Strength of the repulsion, positive.
    inverse
        The law of 1 / x instead, whose upper tail is the power law x^-(κ (1/γ - 1) / 2 + 1); not scaled to mean 1.

    Raises
    ------
    ConfigError
        `gamma` or `kappa` not positive and finite.

    References
    ----------
    Allez, Bouchaud, Majumdar and Vivo (2013), doi:10.1088/1751-8113/46/1/015001; Trinh and Trinh (2021),
    arXiv:1907.12267; as a model of trained weights: Hodgkinson, Wang and Mahoney (2025), arXiv:2506.03470.

    Examples
    --------
    >>> from sciml.rmt.laws import MarchenkoPastur
    >>> law = HighTemperature(gamma=0.5, kappa=1e4)
    >>> bool(abs(law.pdf(1.0) - MarchenkoPastur(0.5).pdf(1.0)) < 1e-3)
    True
    """

    gamma: float
    kappa: float
    inverse: bool = False

    def __post_init__(self) -> None:
        positive("gamma", self.gamma)
        positive("kappa", self.kappa)

    @property
    def _mean(self) -> float:
        """Mean of the ensemble before it is scaled: v_1."""
        return self.kappa / 2 / self.gamma

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """All positive numbers."""
        return ((0.0, np.inf),)

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Density at x; 0 at and below 0."""
        value = np.maximum(numbers("x", x), 0.0)
        inside = value > 0
        safe = np.where(inside, value, 1.0)
        own = 1 / safe if self.inverse else safe
        density = self._mean * self._ensemble(np.atleast_1d(self._mean * own).ravel()).reshape(safe.shape)
        return np.where(inside, density * (own**2 if self.inverse else 1.0), 0.0)[()]

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability of a value of at most x, to about 1e-4."""
        value = np.maximum(numbers("x", x), 0.0)
        grid, below = self._integral
        with np.errstate(divide="ignore"):
            own = 1 / value if self.inverse else value
        probability = np.interp(own, grid, below)
        return (1 - probability if self.inverse else probability)[()]

    def sf(self, x: ArrayLike) -> FloatArray:
        """Probability of a value above x, to about 1e-4."""
        return np.asarray(1 - self.cdf(x))[()]

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Value x with cdf(x) = p, to about 1e-4 in p."""
        level = probabilities("p", p)
        grid, below = self._integral
        with np.errstate(divide="ignore"):
            return (1 / np.interp(1 - level, below, grid) if self.inverse else np.interp(level, below, grid))[()]

    def median(self) -> float:
        """Median of the law."""
        return float(self.ppf(0.5))

    def stieltjes(self, z: ArrayLike) -> ComplexArray:
        """Stieltjes transform m(z) = ∫ dF(x) / (x - z), for z off the real axis."""
        point = points("z", z)
        own = 1 / point if self.inverse else point
        flat = np.asarray(np.atleast_1d(own).ravel(), dtype=np.complex128)
        m = -self._mean * self._fraction(self._mean * flat).reshape(point.shape)
        return np.asarray(-1 / point - m / point**2 if self.inverse else m)[()]

    @cached_property
    def _integral(self) -> tuple[FloatArray, FloatArray]:
        """Grid and cdf of the law that is not inverse, dense at both ends."""
        half_width = (1 + np.sqrt(self.gamma)) ** 2 + 60 / self._mean
        grid = half_width * np.linspace(0, 1, POINTS + 1) ** 4
        middle = (grid[1:] + grid[:-1]) / 2
        density = self._mean * self._ensemble(self._mean * middle)
        below = np.concatenate([[0.0], np.cumsum(density * np.diff(grid))])
        return grid, below / below[-1]

    def _ensemble(self, x: FloatArray) -> FloatArray:
        """Density of the ensemble before it is scaled."""
        near = x < NEAR / (TERMS + self.kappa / 2)  # the continued fraction needs many more terms than 1 / x
        density = np.empty_like(x)
        density[near] = self._near_zero(x[near])
        density[~near] = np.maximum(-self._fraction(x[~near].astype(np.complex128)).imag / np.pi, 0.0)
        return density

    def _near_zero(self, x: FloatArray) -> FloatArray:
        r"""Return the same in closed form, in which U is a sum of two power series.

        .. math:: f(x) = \frac{x^a e^{-x}}{\Gamma(c + 1) \Gamma(c + 1 + a) |U(c, -a, -x)|^2}, \qquad
                  a = c (1 / \gamma - 1) - 1
        """
        c = self.kappa / 2
        a = c * (1 / self.gamma - 1) - 1
        a += AWAY if abs(a - round(a)) < AWAY else 0.0  # the two series are singular where a is whole, their sum is not
        log_size = gammaln(c + 1 + a) - gammaln(c) - gammaln(1 + a) + gammaln(-1 - a)
        # The power of -x = x e^(-i pi); the sign is that of gamma(-1 - a).
        turn = gammasgn(-1 - a) * np.exp(log_size + (1 + a) * np.log(x) - 1j * np.pi * (1 + a))
        u = hyp1f1(c, -a, -x) + turn * hyp1f1(c + 1 + a, 2 + a, -x)
        log_density = a * np.log(x) - x + gammaln(c + 1 + a) - 2 * gammaln(1 + a) - gammaln(c + 1)
        return np.asarray(np.exp(log_density) / np.abs(u) ** 2)

    def _fraction(self, z: ComplexArray) -> ComplexArray:
        """Return the continued fraction G, in the limit from above where z is real."""
        c = self.kappa / 2
        last = TERMS + int(min(2 * np.abs(z).max(initial=0.0), 20_000))
        tail = self._terminator(z, c, last)
        for n in range(last - 1, -1, -1):
            tail = 1 / (z - self._diagonal(c, n) - self._product(c, n + 1) * tail)
        return tail

    def _diagonal(self, c: float, n: int) -> float:
        return c / self.gamma + n + (c + n if n else 0.0)

    def _product(self, c: float, n: int) -> float:
        return (c / self.gamma + n - 1) * (c + n)

    def _terminator(self, z: ComplexArray, c: float, n: int) -> ComplexArray:
        """Return the fraction from term n on, with coefficients that vary slowly.

        In units in which the products are 1 it solves p_n D_n - p_n p_{n+1} = 1, to first order in p_{n+1} - p_n.
        """
        (p, distance, unit), (following, _, _) = (self._constant(z, c, each) for each in (n, n + 1))
        return np.asarray((p + p * (following - p) / (distance - 2 * p)) / unit)

    def _constant(self, z: ComplexArray, c: float, n: int) -> tuple[ComplexArray, ComplexArray, float]:
        """Return the fraction as if its coefficients were those of term n, its D, and the unit."""
        # The geometric mean of the products on both sides, without which z is off by one: they grow like n².
        unit = (self._product(c, n) * self._product(c, n + 1)) ** 0.25
        distance = (z - self._diagonal(c, n)) / unit
        root = np.sqrt(distance**2 - 4)
        one, other = (distance - root) / 2, (distance + root) / 2
        # Of the two solutions the one that falls off: on the side of the conjugate of z, or on the axis below it.
        below = np.where(z.imag < 0, -one.imag, one.imag) < np.where(z.imag < 0, -other.imag, other.imag)
        return np.asarray(np.where(below, one, other)), distance, unit
