"""Squared singular values of a product of independent random matrices of any widths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError, NumericalError
from sciml.theory.meanfield import AnyActivation, activation
from sciml.theory.meanfield.gaussian import slope_law

__all__ = ["Factor", "Gaussian", "Isometry", "ProductLaw", "Slopes", "slopes_of"]

_POINTS = 800
_DEEPEST = 600.0  # natural logarithms below the upper edge that are followed
_NEGLIGIBLE = 1e-4  # of the mass: what may lie below the last point
_MISSING = 0.02
_NEWTON = 60
Root = tuple[complex, complex, complex]


class Factor(Protocol):
    """One matrix of a product, n_out x n_in, rotated at random against its neighbors.

    At t = Σ_i s_i² / (x - s_i²), the sum over its singular values, `at` gives ln x, its derivative by t, and a state
    from which the next call at a t close by starts.
    """

    @property
    def n_in(self) -> int:
        """Columns."""

    @property
    def n_out(self) -> int:
        """Rows."""

    @property
    def rank(self) -> float:
        """Number of singular values that are not zero."""

    @property
    def power(self) -> float:
        """Sum of the squared singular values, expected."""

    def at(self, t: complex, state: complex) -> Root:
        """Return ln x, d ln x / dt and the state at t."""


@dataclass(frozen=True)
class Gaussian:
    """Independent entries of variance σ² / n_in: x = σ² (n_in + t) (n_out + t) / (n_in t)."""

    n_in: int
    n_out: int
    sigma2: float = 1.0

    @property
    def rank(self) -> float:
        """The shorter side."""
        return min(self.n_in, self.n_out)

    @property
    def power(self) -> float:
        """Sum of the variances."""
        return self.sigma2 * self.n_out

    def at(self, t: complex, state: complex) -> Root:
        """Return ln x, d ln x / dt and the state at t."""
        log = np.log(self.n_in + t) + np.log(self.n_out + t) - np.log(t) + math.log(self.sigma2 / self.n_in)
        return complex(log), 1.0 / (self.n_in + t) + 1.0 / (self.n_out + t) - 1.0 / t, state


@dataclass(frozen=True)
class Isometry:
    """Orthonormal rows or columns times a gain: x = gain² (m + t) / t, m the shorter side."""

    n_in: int
    n_out: int
    gain2: float = 1.0

    @property
    def rank(self) -> float:
        """The shorter side."""
        return min(self.n_in, self.n_out)

    @property
    def power(self) -> float:
        """All values are the gain."""
        return self.gain2 * self.rank

    def at(self, t: complex, state: complex) -> Root:
        """Return ln x, d ln x / dt and the state at t."""
        m = min(self.n_in, self.n_out)
        return complex(np.log(m + t) - np.log(t) + math.log(self.gain2)), -m / (t * (m + t)), state


@dataclass(frozen=True, eq=False)
class Slopes:
    """A diagonal of squared slopes d with masses p: the x at which Σ p d / (x - d) = t / width."""

    width: int
    values: FloatArray
    masses: FloatArray

    @property
    def n_in(self) -> int:
        """The width."""
        return self.width

    @property
    def n_out(self) -> int:
        """The width."""
        return self.width

    @property
    def rank(self) -> float:
        """Units whose slope is not zero."""
        return self.width * float(self.masses[self.values > 0].sum())

    @property
    def power(self) -> float:
        """Width times the mean squared slope."""
        return self.width * float(self.masses @ self.values)

    def at(self, t: complex, state: complex) -> Root:
        """Return ln x, d ln x / dt and the state, x over the largest slope less one, small where t is large."""
        top = float(self.values.max())
        relative, gaps = self.masses * self.values / top, 1.0 - self.values / top
        goal = t / self.width
        # Slopes within a gap of the largest, all moved down to it: Newton's method climbs from below to the root.
        order = np.argsort(gaps)
        beyond = state or complex(np.max(np.cumsum(relative[order]) / abs(goal) - gaps[order]))
        for _ in range(_NEWTON):
            terms = relative / (beyond + gaps)
            value, slope = terms.sum() - goal, -(terms / (beyond + gaps)).sum()
            move = value / slope
            beyond -= move / max(1.0, 2.0 * abs(move) / abs(beyond))
            if abs(value) <= 1e-13 * abs(goal):
                break
        else:
            raise NumericalError(f"the slopes have no x at t = {t:.4g}")
        x = 1.0 + beyond
        return complex(np.log(x) + math.log(top)), complex(1.0 / (x * slope * self.width)), complex(beyond)


def slopes_of(given: AnyActivation, q: float, width: int) -> Slopes:
    """Return the squared slopes φ'(h)², h ~ N(0, q), of `width` units of an activation."""
    return Slopes(width, *slope_law(activation(given), q))


@dataclass(frozen=True, eq=False)
class ProductLaw:
    r"""Limit law of the squared singular values of a product A_K ... A_1 of free factors, of any widths.

    With t = Σ_i s_i² / (x - s_i²) over the singular values of the product, and x_k(t) the same relation of each factor
    alone, S-transforms multiply where two factors meet in dimension n_k:

    .. math:: x(t) = \prod_k x_k(t) \prod_{k=1}^{K-1} \frac{t}{n_k + t}, \qquad G(x) = \frac{1 + t / n_0}{x}, \qquad
              f(x) = -\frac1\pi \mathrm{Im}\, G(x + i0)

    The values are the n_0 eigenvalues of J^T J, zeros included. For Gaussian or orthogonal weights between slopes that
    are independent of them this is the law of the input-output Jacobian of a wide plain net at its start.

    Parameters
    ----------
    factors
        In the order in which they act: `Gaussian`, `Isometry`, `Slopes`; each takes as many units as the last gives.

    Raises
    ------
    ConfigError
        No factor, or widths that do not meet.
    NumericalError
        When asked for the density: the law came out with another mass than one.

    References
    ----------
    Voiculescu (1987), multiplication of free random variables; Pennington, Schoenholz, Ganguli (2017),
    arXiv:1711.04735, for nets of one width; rectangular factors: Burda, Jarosz, Livan, Nowak, Swiech (2010),
    doi:10.1103/PhysRevE.82.061114.

    Examples
    --------
    >>> law = ProductLaw([Gaussian(100, 100), Gaussian(100, 100)])
    >>> round(law.support[1], 9), round(law.mean, 9)
    (6.75, 1.0)
    """

    factors: Sequence[Factor]

    def __post_init__(self) -> None:
        if not self.factors:
            raise ConfigError("expected at least one factor, got none")
        for one, other in zip(self.factors, self.factors[1:], strict=False):
            if one.n_out != other.n_in:
                raise ConfigError(f"expected factors that meet, got {one.n_out} units before {other.n_in}")

    @property
    def n_in(self) -> int:
        """Number of values."""
        return self.factors[0].n_in

    @property
    def mean(self) -> float:
        """Mean of the n_in values."""
        meets = math.prod(float(each.n_out) for each in self.factors[:-1])
        return math.prod(each.power for each in self.factors) / meets / self.n_in

    @property
    def atom(self) -> float:
        """Mass at zero."""
        return 1.0 - min(each.rank for each in self.factors) / self.n_in

    @property
    def support(self) -> tuple[float, float]:
        """Lowest point followed, and upper edge."""
        return (0.0 if self._equal else float(self._curve[0][0])), math.exp(self._edge[1])

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability of a squared singular value of at most x."""
        value = np.asarray(x, dtype=np.float64)
        if self._equal:
            return np.where(value >= math.exp(self._edge[1]) * (1 - 1e-12), 1.0, np.where(value >= 0, self.atom, 0.0))
        points, mass = self._masses
        found = np.interp(np.log(np.where(value > 0, value, points[0] / 2)), np.log(points), mass)
        return np.where(value < 0, 0.0, np.where(value == 0, self.atom, found))[()]

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Density at x, without the atom; interpolated between the points followed."""
        if self._equal:
            raise NumericalError(f"the law has one value, {math.exp(self._edge[1]):.6g}, and no density")
        points, density = self._curve
        value = np.asarray(x, dtype=np.float64)
        safe = np.where(value > 0, value, 1.0)
        found = np.interp(np.log(safe), np.log(points), density * points, left=0.0, right=0.0) / safe
        return np.where(value > 0, found, 0.0)[()]

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Smallest x with cdf(x) >= p; 0 up to the atom."""
        level = np.asarray(p, dtype=np.float64)
        if self._equal:
            return np.where(level <= self.atom, 0.0, math.exp(self._edge[1]))[()]
        points, mass = self._masses
        return np.where(level <= self.atom, 0.0, np.exp(np.interp(level, mass, np.log(points))))[()]

    @cached_property
    def _equal(self) -> bool:
        """Whether all values that are not zero are equal: isometries and equal slopes alone."""
        flat = (isinstance(f, Slopes) and np.ptp(f.values) < 1e-12 * f.values.max() for f in self.factors)
        same = all(isinstance(f, Isometry) or ok for f, ok in zip(self.factors, flat, strict=True))
        return same and len({width for f in self.factors for width in (f.n_in, f.n_out)}) == 1

    def _log_x(self, s: complex, states: Sequence[complex]) -> tuple[complex, complex, list[complex]]:
        """Return ln x and its derivative by s = ln t."""
        t = complex(np.exp(s))
        value, slope, after = 0j, 0j, []
        for factor, state in zip(self.factors, states, strict=True):
            log, derivative, new = factor.at(t, state)
            value, slope = value + log, slope + derivative
            after.append(new)
        for factor in self.factors[:-1]:
            value += s - complex(np.log(factor.n_out + t))
            slope += factor.n_out / (t * (factor.n_out + t))
        return value, slope * t, after

    @cached_property
    def _edge(self) -> tuple[float, float]:
        """Return ln t and ln x of the upper edge: the least x of a real t."""
        nothing = [0j] * len(self.factors)
        widths = [width for f in self.factors for width in (f.n_in, f.n_out)]
        if self._equal:
            return math.inf, math.log(self.mean)
        low, high = math.log(min(widths)) - 40.0, math.log(max(widths)) + 40.0
        if self._log_x(complex(high), nothing)[1].real < 0.0:  # x falls to the end: the values end in an atom
            return high, self._log_x(complex(high), nothing)[0].real
        for _ in range(100):
            middle = (low + high) / 2.0
            low, high = (middle, high) if self._log_x(complex(middle), nothing)[1].real < 0.0 else (low, middle)
        return low, self._log_x(complex(low), nothing)[0].real

    @cached_property
    def _curve(self) -> tuple[FloatArray, FloatArray]:
        """Return points, ascending, and the density at each: a root of x(t) = x followed down from the upper edge."""
        top, edge = self._edge
        _, slope, states = self._log_x(complex(top + 1e-4), [0j] * len(self.factors))
        s = top - 1j * math.sqrt(2e-6 / max(slope.real / 1e-4, 1e-12))
        before, found, mass = edge - 1e-6, [], 0.0
        for depth in np.geomspace(1e-6, _DEEPEST, _POINTS):
            following = self._follow(s, states, before, edge - depth)
            if following is None:
                break
            (s, states), last, before = following, before, edge - depth
            density = -complex(np.exp(s)).imag / (math.pi * self.n_in) * math.exp(-before)
            found.append((math.exp(before), max(0.0, density)))
            mass += found[-1][1] * found[-1][0] * (last - before)
            if mass > (1.0 - self.atom) - _NEGLIGIBLE and found[-1][1] * found[-1][0] < _NEGLIGIBLE:
                break
        points, density_at = np.array(found[::-1]).T
        self._check_mass(float(_trapezoids(points, density_at).sum()))
        return points, density_at

    @cached_property
    def _masses(self) -> tuple[FloatArray, FloatArray]:
        points, density = self._curve
        mass = np.concatenate([[0.0], np.cumsum(_trapezoids(points, density))])
        return points, np.maximum.accumulate(np.clip(1.0 - mass[-1] + mass, self.atom, 1.0))

    def _check_mass(self, mass: float) -> None:
        if abs(mass + self.atom - 1.0) > _MISSING:
            raise NumericalError(
                f"the law of a product of {len(self.factors)} factors came out with the mass {mass + self.atom:.4g} "
                "instead of 1; use its mean"
            )

    def _follow(
        self, s: complex, states: Sequence[complex], before: float, after: float
    ) -> tuple[complex, list[complex]] | None:
        """Follow the root from ln x = before to after, in steps as small as Newton's method needs; None at an end."""
        here, step, state = before, min(after - before, -1e-9), list(states)
        while here > after:
            target = max(after, here + step)
            found = self._newton(s, state, target)
            if found is None:
                step /= 2.0
                if abs(step) < 1e-7:
                    return None
                continue
            (s, state), here = found, target
        return s, state

    def _newton(self, s: complex, states: Sequence[complex], target: float) -> tuple[complex, list[complex]] | None:
        # Just above the real axis: at an edge two roots meet, and a small imaginary part keeps them apart.
        goal, start, state = complex(target, 1e-7), s, list(states)
        for _ in range(_NEWTON):
            try:
                value, slope, state = self._log_x(s, state)
            except NumericalError:
                return None
            error = value - goal
            error = complex(error.real, (error.imag + math.pi) % (2.0 * math.pi) - math.pi)
            move = error / slope
            s -= move / max(1.0, abs(move) / 0.3)
            if abs(error) < 1e-11:
                close = abs(s - start) < 0.3 and -math.pi - 1e-9 < s.imag < 1e-9
                return (s, state) if close else None
        return None


def _trapezoids(points: FloatArray, density: FloatArray) -> FloatArray:
    """Return the mass between neighboring points, ascending, integrated over ln x."""
    return np.asarray(np.diff(np.log(points)) * (density[1:] * points[1:] + density[:-1] * points[:-1]) / 2.0)
