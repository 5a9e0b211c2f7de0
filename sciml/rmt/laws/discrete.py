"""What the laws of a discrete spectrum under noise share: support, density, distribution function, quantiles."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml._typing import BoolArray, ComplexArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import numbers, probabilities
from sciml.rmt.laws.subordination import Subordination

__all__ = ["DiscreteLaw", "atoms", "grouped"]


MANY = 2048  # atoms above which a grouped law gives the starting values
BINS = 1024  # of the grouped law; two atoms each


def atoms(values: ArrayLike, weights: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    """Return the distinct values in ascending order and their weights, which sum to one."""
    given = np.atleast_1d(numbers("values", values))
    if given.ndim != 1 or given.size == 0 or not np.isfinite(given).all():
        raise DataError(f"expected values as a list of finite numbers, got shape {given.shape}; leave out the others")
    mass = np.ones(given.size) if weights is None else np.atleast_1d(numbers("weights", weights))
    if mass.shape != given.shape or not np.isfinite(mass).all() or mass.min() < 0 or mass.max() == 0:
        raise ConfigError(
            f"expected one weight of zero or more for each of {given.size} values, not all zero, got shape {mass.shape}"
        )
    distinct, index = np.unique(given[mass > 0], return_inverse=True)
    total = np.bincount(index, mass[mass > 0] / mass.max())
    return distinct, total / total.sum()


def grouped(values: FloatArray, weights: FloatArray, coordinate: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two values in each bin of `coordinate`, which is ascending, with the bin's moments of order 0 to 3.

    That is the bin's Gauss quadrature: sums of smooth functions keep all but the fourth power of the bin's width.
    """
    low, high = coordinate[0], coordinate[-1]
    bins = np.minimum(((coordinate - low) / (high - low) * BINS).astype(int), BINS - 1)
    start = np.flatnonzero(np.diff(bins, prepend=-1))
    mass = np.add.reduceat(weights, start)
    mean = np.add.reduceat(weights * values, start) / mass
    offset = values - np.repeat(mean, np.diff(np.append(start, values.size)))
    variance, third = (np.add.reduceat(weights * offset**power, start) / mass for power in (2, 3))
    single = variance <= (4e-16 * np.abs(mean)) ** 2
    spread = np.sqrt(np.where(single, 1.0, variance))
    skew = np.where(single, 0.0, third / spread**3)
    root = np.sqrt(1 + skew**2 / 4)
    spread = np.where(single, 0.0, spread)
    nodes = np.stack([mean + spread * (skew / 2 - root), mean + spread * (skew / 2 + root)])
    mass_of_nodes = np.stack([mass * (1 + skew / 2 / root) / 2, mass * (1 - skew / 2 / root) / 2])
    return nodes.ravel(), mass_of_nodes.ravel()


class DiscreteLaw(ABC):
    """A law whose points x = center + unit * z(u) come from a subordination function z."""

    @property
    @abstractmethod
    def _core(self) -> Subordination: ...

    @property
    @abstractmethod
    def _unit(self) -> float: ...

    @property
    def _center(self) -> float:
        return 0.0

    @property
    @abstractmethod
    def _coarse(self) -> Self | None:
        """The same law of a few values in place of very many, for starting values."""

    @abstractmethod
    def _density(self, u: ComplexArray) -> FloatArray:
        """Return the density of z, of the continuous part alone and normalized to one."""

    @abstractmethod
    def _above(self, u: ComplexArray, z: FloatArray) -> FloatArray:
        """Return the mass above z, of the continuous part alone and normalized to one, given u up to a small error."""

    @property
    def atom(self) -> float:
        """Mass at zero."""
        return 0.0

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """Intervals (low, high) of the continuous part, one a bulk."""
        return tuple((float(low), float(high)) for low, high in self._center + self._unit * self._core.edges)

    @cached_property
    def masses(self) -> FloatArray:
        """Mass of each bulk.

        No eigenvalue crosses a gap (exact separation, Bai and Silverstein 1999, doi:10.1214/aop/1022677449): above a
        gap lies the mass of the population values above it.
        """
        gaps = self._core.critical[1:, 0]
        above = self._above(gaps.astype(complex), self._core.edges[1:, 0])
        return (1 - self.atom) * -np.diff(np.concatenate([[1.0], above, [0.0]]))

    def _solve(self, z: ComplexArray) -> ComplexArray:
        """Return u for a list of z. With very many atoms: from the grouped law, and two steps of Newton's method."""
        if self._coarse is None:
            return self._core.solve(z)
        shift = (self._coarse._center - self._center) / self._unit
        unit_ratio = self._coarse._unit / self._unit
        u = shift + unit_ratio * self._coarse._core.solve((z - shift) / unit_ratio)
        step = np.full(u.size, np.inf, dtype=complex)
        for _ in range(2):
            value, slope = self._core.z(u)
            step = (value - z) / np.where(slope == 0, 1e-300, slope)
            u = np.where(step.imag < u.imag, u - step, u)
        # The error falls with its square, and the last step had it all.
        off = ~(np.abs(step) < 1e-5 * u.imag)
        if off.any():
            u[off] = self._core.solve(z[off], start=u[off].real)
        return u

    def _inside(self, x: ArrayLike) -> tuple[FloatArray, FloatArray, BoolArray, NDArray[np.intp]]:
        """Return x as a list, z, whether it lies inside a bulk, and the number of bulks that begin below it."""
        value = np.atleast_1d(numbers("x", x)).ravel()
        z = (value - self._center) / self._unit
        low, high = self._core.edges.T
        begun = np.searchsorted(low, z, side="left")
        inside = (begun > 0) & (z < high[np.maximum(begun - 1, 0)])
        return value, z, inside, begun

    def pdf(self, x: ArrayLike) -> FloatArray:
        """Density of the continuous part at x (the atom at zero has none)."""
        value, z, inside, _ = self._inside(x)
        result = np.zeros(value.shape)
        result[inside] = self._density(self._solve(z[inside].astype(complex)))
        return (result * (1 - self.atom) / self._unit).reshape(np.shape(x))[()]

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability of an eigenvalue of at most x, the atom at zero included."""
        return (1 - self.sf(x))[()]

    def sf(self, x: ArrayLike) -> FloatArray:
        """Probability of an eigenvalue above x."""
        value, z, inside, begun = self._inside(x)
        remaining = 1 - self.atom - np.concatenate([[0.0], np.cumsum(self.masses)])
        remaining[-1] = 0.0
        result = remaining[begun]
        point = z[inside]
        continuous = self._above(self._solve(point.astype(complex)), point) * (1 - self.atom)
        start = begun[inside]
        result[inside] = np.clip(continuous, remaining[start], remaining[start - 1])
        if self.atom:
            result = np.where(value < 0, 1.0, result)
        return result.reshape(np.shape(x))[()]

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Smallest x with cdf(x) >= p; 0 for every p up to the atom."""
        level = probabilities("p", p)
        flat = level.ravel()
        result = np.where(flat <= self.atom, 0.0, self.support[-1][1])
        if not self.atom:
            result[flat <= 0] = self.support[0][0]
        inside = (flat > self.atom) & (flat < 1)
        result[inside] = self._quantile((1 - flat[inside]) / (1 - self.atom))
        return result.reshape(level.shape)[()]

    def _quantile(self, above: FloatArray) -> FloatArray:
        """Return x with the fraction `above` of the continuous part above it."""
        if self._coarse is not None:
            return self._refined(self._coarse._quantile(above), above)
        return self._searched(above)

    def _searched(self, above: FloatArray) -> FloatArray:
        """Return the same by Newton's method inside a bracket."""
        core = self._core
        knots, z_knots = core.table
        table = self._above(knots + 1j * core.height(knots, np.zeros_like(knots)), z_knots)
        remaining = 1 - np.cumsum(self.masses) / (1 - self.atom)
        bulk = np.minimum(np.searchsorted(-remaining, -above - 1e-15), len(remaining) - 1)
        low, high = core.critical[bulk].T
        start = np.interp(-above, np.maximum.accumulate(-table), knots)

        def mass(u: ComplexArray, value: ComplexArray) -> tuple[FloatArray, FloatArray]:
            return -self._above(u, value.real), self._density(u)

        u = core.increasing(mass, -above, np.zeros_like(above), low, high, start)
        low, high = core.edges[bulk].T
        return self._center + self._unit * np.clip(core.z(u)[0].real, low, high)

    def _refined(self, x: FloatArray, above: FloatArray) -> FloatArray:
        """Return quantiles two steps of Newton's method from those of the grouped law; else by search."""
        step = np.full(x.shape, np.inf)
        for _ in range(2):
            density = self.pdf(x) / (1 - self.atom)
            excess = self.sf(x) / (1 - self.atom) - above
            step = np.where(density > 0, excess / np.where(density > 0, density, 1.0), np.inf)
            x = x + np.where(np.isfinite(step), step, 0.0)
        # The error falls with its square, and the last step had it all.
        off = ~(np.abs(step) < 1e-5 * self._unit * np.abs(above * (1 - above)))
        if off.any():
            x[off] = self._searched(above[off])
        return x

    def median(self) -> float:
        """Median of the law."""
        return float(self.ppf(0.5))
