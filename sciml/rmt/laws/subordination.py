r"""Free convolution of a discrete spectrum, by its subordination function.

Semicircle and Marchenko-Pastur noise both act on a discrete spectrum {t_k} through one rational function,

.. math:: z(u) = u + h + \sum_k \frac{c_k}{u - t_k}, \qquad c_k > 0

u being the point of the clean spectrum that z "sees" (semicircle: c = sigma^2 w, h = 0; Marchenko-Pastur:
c = gamma w t^2, h = gamma sum w t). For u = a + ib in the upper half plane, Im z = b (1 - sum c / |u - t|^2), so that
the points over the line Im z = y are those with

.. math:: G(s) = \sum_k \frac{c_k}{(a - t_k)^2 + s} + \frac{y}{\sqrt s} = 1, \qquad s = b^2

G is a Stieltjes function of s: 1/G is concave and increasing, there is one root for every a (none, b = 0, where y = 0
and G(0) <= 1), and Newton's method reaches it from the left without a bracket. Along these points Re z increases with
a, since |z' - 1| < 1. Solving z(u) = z is therefore finding the root of an increasing function of a, whatever the
spectrum and however many its bulks: no branch has to be chosen (Biane 1997, doi:10.1512/iumj.1997.46.1467, for the
semicircle).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sciml._typing import ComplexArray, FloatArray
from sciml.errors import NumericalError

__all__ = ["Subordination"]


BLOCK = 1 << 17  # numbers in a temporary matrix (points x atoms): a megabyte stays in the cache
NEIGHBORS = 24  # poles on each side that sift the intervals which may hold a gap
MAX_STEPS = 200
KNOTS = 64  # of the table, in each bulk, besides the atoms themselves
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Subordination:
    """The function z(u) for poles `t` (ascending, distinct, of size about one), residues `c` and shift `h`.

    For Marchenko-Pastur, `ratio` = c / t: z = u (1 + sum ratio / (u - t)) keeps its digits where z is far below `h`.
    """

    t: FloatArray
    c: FloatArray
    shift: float = 0.0
    ratio: FloatArray | None = None

    def _blocks(self, size: int, width: int | None = None) -> Iterator[slice]:
        step = max(1, BLOCK // (width or self.t.size))
        return (slice(start, start + step) for start in range(0, size, step))

    def z(self, u: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
        """Return z(u) and its derivative."""
        value, slope = np.empty_like(u), np.empty_like(u)
        b = u.imag
        for part in self._blocks(u.size):
            # In real numbers, which is three times as fast: with d = a - t and q = 1 / |u - t|^2,
            # 1 / (u - t) = (d - ib) q and 1 / (u - t)^2 = q - 2 b q^2 (b + id).
            distance = u.real[part, None] - self.t
            q = 1 / (np.square(distance) + np.square(b[part, None]))
            first = q @ self.c
            distance *= q
            if self.ratio is None:
                value[part] = u[part] + self.shift + distance @ self.c - 1j * b[part] * first
            else:
                value[part] = u[part] * (1 + distance @ self.ratio - 1j * b[part] * (q @ self.ratio))
            distance *= q
            slope[part] = (
                1 - first + 2 * b[part] * (b[part] * (np.square(q, out=q) @ self.c) + 1j * (distance @ self.c))
            )
        return value, slope

    def height(self, a: FloatArray, y: FloatArray) -> FloatArray:
        """Return b >= 0 such that Im z(a + ib) = y: the boundary of the upper half plane's preimage for y = 0."""
        b = np.empty_like(a)
        for part in self._blocks(a.size):
            b[part] = self._height(a[part], y[part])
        return b

    def _height(self, a: FloatArray, y: FloatArray) -> FloatArray:
        square = np.square(a[:, None] - self.t)
        near = np.abs(square).argmin(axis=1)
        # One pole, or y alone, would put the root here; all of them together put it further right.
        s = np.maximum(self.c[near] - square[np.arange(a.size), near], y**2)
        active = np.arange(a.size)
        for _ in range(MAX_STEPS):
            inverse = 1 / (square[active] + s[active, None])
            root = np.sqrt(np.maximum(s[active], 1e-200))
            total = inverse @ self.c + y[active] / root
            slope = np.square(inverse, out=inverse) @ self.c + y[active] / (2 * root**3)
            unsolved = total > 1 + 4 * EPS
            active, total, slope = active[unsolved], total[unsolved], slope[unsolved]
            if not active.size:
                break
            moved = s[active] + total * (total - 1) / slope
            active, s[active] = active[moved > s[active] * (1 + EPS)], moved
        _all_done(active)
        return np.asarray(np.sqrt(s))

    @cached_property
    def critical(self) -> FloatArray:
        """Ends (low, high) in u of each bulk, shape (bulk, 2): the real roots of sum c / (u - t)^2 = 1.

        Between two poles, the sum to the power -1/2 is a power mean of distances and so concave: Newton's method from
        either pole climbs to the nearest root, or proves that there is none by stepping past the maximum.
        """
        left, right = self.t[:-1], self.t[1:]
        cube = np.cbrt(self.c)
        candidate = np.flatnonzero((cube[:-1] + cube[1:]) ** 3 < (right - left) ** 2)
        if self.t.size > 4 * NEIGHBORS:
            candidate = candidate[np.isfinite(self._climb(candidate, 1, NEIGHBORS))]
        low = self._climb(candidate, 1, None)
        candidate, low = candidate[np.isfinite(low)], low[np.isfinite(low)]
        high = self._climb(candidate + 1, -1, None)
        open_gap = np.isfinite(high) & (high > low)
        first = self._climb(np.array([0]), -1, None)
        last = self._climb(np.array([self.t.size - 1]), 1, None)
        return np.stack([np.append(first, high[open_gap]), np.append(low[open_gap], last)], axis=1)

    def _climb(self, pole: NDArray[np.intp], sign: int, neighbors: int | None) -> FloatArray:
        """Return the first critical point to the right (sign 1) or left (-1) of each pole; NaN where there is none."""
        result = np.empty(pole.size)
        for part in self._blocks(pole.size, None if neighbors is None else 2 * neighbors):
            result[part] = self._climb_block(pole[part], sign, neighbors)
        return result

    def _climb_block(self, pole: NDArray[np.intp], sign: int, neighbors: int | None) -> FloatArray:
        if neighbors is None:
            offset, c = sign * (self.t[pole, None] - self.t), np.broadcast_to(self.c, (pole.size, self.t.size))
        else:
            index = pole[:, None] + np.arange(-neighbors + 1, neighbors + 1)
            inside = (index >= 0) & (index < self.t.size)
            index = np.clip(index, 0, self.t.size - 1)
            offset, c = sign * (self.t[pole, None] - self.t[index]), np.where(inside, self.c[index], 0.0)
        wall = -np.where(offset < 0, offset, -np.inf).max(axis=1, initial=-np.inf)  # distance to the next pole
        distance = np.sqrt(self.c[pole])
        active = np.arange(pole.size)
        for _ in range(MAX_STEPS):
            inverse = 1 / (offset[active] + distance[active, None])
            square = c[active] * inverse**2
            total = square.sum(axis=1)
            slope = (square * inverse).sum(axis=1)
            unsolved = total > 1 + 4 * EPS
            active, total, slope = active[unsolved], total[unsolved], slope[unsolved]
            if not active.size:
                break
            # Past the maximum of the concave function (slope <= 0), or tangent that meets 1 behind the next pole.
            step = np.where(slope > 0, total * (np.sqrt(total) - 1) / np.where(slope > 0, slope, 1.0), np.inf)
            moved = distance[active] + step
            moved[moved >= wall[active]] = np.nan
            still = moved > distance[active] * (1 + EPS)
            distance[active] = moved
            active = active[still]
        _all_done(active)
        return np.asarray(self.t[pole] + sign * distance)

    @cached_property
    def edges(self) -> FloatArray:
        """Edges (low, high) of each bulk, shape (bulk, 2)."""
        value, _ = self.z(self.critical.astype(complex).ravel())
        edges = value.real.reshape(-1, 2)
        return edges if self.ratio is None else np.maximum(edges, 0.0)  # sample eigenvalues are not negative

    @cached_property
    def table(self) -> tuple[FloatArray, FloatArray]:
        """Points a, ascending, over all bulks and z there: atoms and Chebyshev points, some for every ripple."""
        nodes = (1 - np.cos(np.pi * np.arange(KNOTS + 1) / KNOTS)) / 2
        low, high = self.critical[:, :1], self.critical[:, 1:]
        bulk = np.searchsorted(self.critical[:, 0], self.t, side="right") - 1
        atoms = self.t[(bulk >= 0) & (self.t < self.critical[np.maximum(bulk, 0), 1])]
        many = low.size * KNOTS > 8192  # then the atoms are the table
        a = np.unique(
            np.concatenate([self.critical.ravel(), atoms, [] if many else (low + (high - low) * nodes).ravel()])
        )
        value, _ = self.z(a + 1j * np.maximum(self.height(a, np.zeros_like(a)), np.finfo(float).tiny))
        return a, np.maximum.accumulate(value.real)

    def solve(self, z: ComplexArray, start: FloatArray | None = None) -> ComplexArray:
        """Return the u of the upper half plane (or its boundary) with z(u) = z, for Im z >= 0."""
        x, y = z.real, z.imag
        reach = np.sqrt(self.c.sum())  # |z - u - h| <= sum c / |u - t| <= (sum c)^1/2, by Cauchy and Schwarz
        low, high = x - self.shift - reach * (1 + 1e-9), x - self.shift + reach * (1 + 1e-9)
        if start is None:
            a_knots, x_knots = self.table
            start = np.interp(x, x_knots, a_knots)
        return self.increasing(lambda u, value: (value.real, np.ones(u.size)), x, y, low, high, start)

    def increasing(
        self,
        quantity: Callable[[ComplexArray, ComplexArray], tuple[FloatArray, FloatArray]],
        goal: FloatArray,
        y: FloatArray,
        low: FloatArray,
        high: FloatArray,
        start: FloatArray,
    ) -> ComplexArray:
        """Return u over the line Im z = y where an increasing quantity of (u, z) reaches its goal.

        `quantity` returns value and derivative by Re z. Newton's method in a = Re u, inside a bracket that shrinks:
        d Re z / da = |z'|^2 / Re z'.
        """
        a, u = np.clip(start, low, high), np.empty(goal.size, dtype=np.complex128)
        low, high = low.copy(), high.copy()
        active = np.arange(goal.size)
        for _ in range(MAX_STEPS):
            point = a[active] + 1j * self.height(a[active], y[active])
            u[active] = point
            value, slope = self.z(point)
            reached, rate = quantity(point, value)
            excess = reached - goal[active]
            low[active] = np.where(excess < 0, a[active], low[active])
            high[active] = np.where(excess > 0, a[active], high[active])
            speed = rate * np.abs(slope) ** 2
            moved = a[active] - excess * slope.real / np.where(speed > 0, speed, 1.0)
            middle = (low[active] + high[active]) / 2
            moved = np.where((moved > low[active]) & (moved < high[active]) & (speed > 0), moved, middle)
            size = np.abs(a[active]) + np.abs(moved)
            done = (excess == 0) | (np.abs(moved - a[active]) <= 2 * EPS * size)
            done |= high[active] - low[active] <= 2 * EPS * size
            # A small step leaves an error of its square, and is taken off the line in one with the correction of b.
            step = excess / np.where(speed > 0, rate * slope, np.inf)
            last = np.abs(step) < 1e-8 * point.imag
            u[active[last]] -= step[last]
            done |= last
            a[active] = np.where(done, a[active], moved)
            active = active[~done]
            if not active.size:
                break
        _all_done(active)
        return u


def _all_done(active: NDArray[np.intp]) -> None:
    """Refuse to return points at which Newton's method, monotone or inside a bracket, has not ended."""
    if active.size:
        raise NumericalError(
            f"the subordination function did not converge at {active.size} points; merge atoms that are closer to each "
            "other than rounding tells"
        )
