r"""The vector Dyson equation of a variance profile: its solution above the edge, the edge itself, and the bulk.

The diagonal a of a resolvent solves z_i(a) = z for every group i, with

.. math:: z_i(a) = \frac{1}{a_i} + \frac1n \sum_b \frac{r_b\, S_{bi}}{1 - d_b}, \qquad
          d_b = \frac1n \sum_j S_{bj}\, w_j\, a_j < 1

Each z_i is convex in a. A positive a with all z_i(a) <= z exists exactly where z is at or above the upper edge E (the
map a -> a - (z_i(a) - z) a_i² is monotone, and such an a bounds its iterates), so

.. math:: E = \min_{a > 0,\, d < 1} \max_i z_i(a)

which bounds E from above at any a, and from below by the tangent planes of any mean of the z_i: an edge is certified,
however it was found (`bounds`). References as in `sciml.rmt.variance_profile`; Ajanki, Erdos and Krueger (2019),
doi:10.1090/memo/1261, for the equation's stability.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sciml._typing import AnyArray, ComplexArray, FloatArray
from sciml.errors import NumericalError

__all__ = ["Edge", "Equations", "bulk_cdf", "find_edge", "solve_above"]


MAX_STEPS = 60
TOLERANCE = 1e-10  # of Newton's method, relative
FLAT = 1e-9  # of d log z / d log theta
ROUNDING = 1e-8  # a relative step below this that no longer shrinks has met rounding, not another solution
CERTAIN = 1e-8  # of an edge: distance from either bound, relative
NEAR_EDGE = 1e-13  # relative distance above the edge from which a parabola reaches it to rounding
FRACTION = 0.9  # of the way to the parabola's minimum, which may lie somewhat below the edge
MAX_APPROACHES = 400
MAX_POLISHES = 8
BULK_POINTS = 128
RESOLUTION = 1e-3  # distance from the real axis at which the bulk is evaluated, relative to its width
SOLVED = 1e-6  # residual of the density's equations, relative


@dataclass(frozen=True)
class Equations:
    """Profile (other side, solved side), the weights of both, and the divisor n."""

    table: FloatArray
    other_weights: FloatArray
    weights: FloatArray
    divisor: float

    def load(self, a: AnyArray) -> AnyArray:
        """Return d_b for a of shape (..., solved side)."""
        return np.asarray((self.weights * a) @ self.table.T / self.divisor)

    def linearized(self, a: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return z_i(a) and the symmetric positive matrix B, of which 1 - B is the slope of -z a² / a in log a."""
        room = 1 - self.load(a)
        r = self.other_weights / room
        scaled = self.table * (np.sqrt(r / room)[:, None] * (np.sqrt(self.weights) * a) / self.divisor)
        return 1 / a + r @ self.table / self.divisor, scaled.T @ scaled

    def holds(self, a: FloatArray) -> bool:
        """Return whether the equations make sense at a: all positive, all d below one."""
        return bool(a.min() > 0 and self.load(a).max() < 1)


@dataclass(frozen=True)
class Point:
    """A solution on the curve z(theta), theta = sum w a: a, z, and their derivatives along theta."""

    a: FloatArray
    z: float
    slope: float
    tangent: FloatArray


@dataclass(frozen=True)
class Edge:
    """The minimum of z(theta), z''(theta) there as (z'' / 2)^(1/3), and where it lies."""

    z: float
    width: float
    theta: float


@dataclass(frozen=True)
class Bounds:
    """What the edge lies between."""

    low: float
    high: float

    def hold(self, z: float) -> bool:
        """Return whether both leave no room for an edge other than z."""
        return max(z - self.low, self.high - z) <= CERTAIN * z


def find_edge(system: Equations) -> Edge:
    """Return the edge, certified: by Newton's method along theta, or where that goes astray, from above in z.

    Raises
    ------
    NumericalError
        Neither way ends between bounds that agree.
    """
    for search in (_descend, _approach):
        point = search(system)
        if point is not None and _certain(system, point):
            return Edge(point.z, _width(system, point), float(system.weights @ point.a))
    raise NumericalError(
        "the edge of the variance profile was not found: rounding hides it; leave out groups whose variances are many "
        "orders of magnitude above the others"
    )


def _certain(system: Equations, point: Point) -> bool:
    """Return whether the edge is known to lie at z of the point: by bounds, or as there is no resolvent just below."""
    if bounds(system, point).hold(point.z) or bounds(system, _polished(system, point)).hold(point.z):
        return True
    below, above = (solve_above(system, point.z * (1 + side * CERTAIN)) for side in (-1, 1))
    return below is None and above is not None


def bounds(system: Equations, point: Point) -> Bounds:
    r"""Return a lower and an upper bound of the edge from a point of the curve close to it.

    At the minimum a of the parabola through the point, E <= max z_i(a). With p >= 0 of sum one, by convexity,

    .. math:: E \ge \min_{a'} \sum_i p_i z_i(a') \ge \sum_i p_i z_i(a) + \min_{a'} g \cdot (a' - a)

    For p_i = w_i u_i, u the Perron vector of the linearized equations and rho its eigenvalue, the gradient is
    g_i = (rho - 1) p_i / a_i², and a' is at most n / (w_i max_b S_bi), where a d_b would be one.
    """
    a = _minimum(system, point)
    if a is None:
        return Bounds(0.0, np.inf)
    z, B = system.linearized(a)
    last = len(a) - 1
    rho, vectors = scipy.linalg.eigh(B, subset_by_index=[last, last])
    u = np.abs(vectors[:, 0]) * a / np.sqrt(system.weights)
    p = system.weights * u / (system.weights @ u)
    largest = system.table.max(axis=0)
    bound = largest > 0  # a column of zeros has a = 1/z, and p = 0
    reach = system.divisor / (system.weights * largest)[bound]
    slack = abs(float(rho[0]) - 1) * float(p[bound] @ np.maximum(1 / a[bound], reach / a[bound] ** 2))
    return Bounds(float(p @ z) - slack, float(z.max()))


def _minimum(system: Equations, point: Point) -> FloatArray | None:
    """Return a at the minimum of the parabola through a point of the curve; None where there is none."""
    curvature = _curvature(system, point)
    if not curvature > 0:
        return None
    a: FloatArray = point.a - point.slope / curvature * point.tangent
    return a if system.holds(a) else None


def _solve_at(system: Equations, a: FloatArray, theta: float) -> Point | None:
    """Return the point of the curve at `theta` by damped Newton steps from `a`; None beyond its end."""
    table, n, w = system.table, system.divisor, system.weights
    size = len(w)
    last = np.inf
    for _ in range(MAX_STEPS):
        room = 1 - system.load(a)
        if room.min() <= 0:
            return None
        r = system.other_weights / room
        value = 1 / a + r @ table / n
        jacobian = np.zeros((size + 1, size + 1))
        jacobian[:size, :size] = ((table * (r / room)[:, None]).T @ table / n**2) * w
        jacobian[np.arange(size), np.arange(size)] -= 1 / a**2
        jacobian[:size, size], jacobian[size, :size] = -1.0, w
        z = float((w * a) @ value / (w @ a))
        right = np.zeros((size + 1, 2))
        right[:size, 0], right[size, 0], right[size, 1] = z - value, theta - w @ a, 1.0
        try:
            solution = np.linalg.solve(jacobian, right)
        except np.linalg.LinAlgError:
            return None
        step: FloatArray = np.asarray(solution[:size, 0], dtype=np.float64)
        length = _allowed(system, a, step)
        if length == 0:
            return None
        a = a + length * step
        change = float(np.abs(step / a).max())
        if length == 1 and (change < TOLERANCE or last / 2 < change < ROUNDING):
            return Point(
                a,
                z + float(solution[size, 0]),
                float(solution[size, 1]),
                np.asarray(solution[:size, 1], dtype=np.float64),
            )
        last = change
    return None


def _allowed(system: Equations, a: FloatArray, step: FloatArray) -> float:
    """Return the longest of 1, 1/2, 1/4, ... of the step that stays where the equations hold; 0 if none does."""
    length = 1.0
    while length > 1e-6:
        if system.holds(a + length * step):
            return length
        length /= 2
    return 0.0


def _descend(system: Equations) -> Point | None:
    """Follow z(theta) to its minimum: doublings until the slope turns, then a safeguarded secant in log theta.

    A step that does not converge counts as one beyond the curve's end, and one that converges may have found another
    solution of the same equations: what this returns is a candidate.
    """
    total = float(system.weights.sum())
    start = 1e-3 / max(float(system.load(np.ones(len(system.weights))).max()), 1.0)
    point = _solve_at(system, np.full(len(system.weights), start), start * total)
    if point is None or point.slope >= 0:
        return None
    low, high, step = np.log(start * total), np.inf, np.log(2.0)
    falls, rises = point.slope, np.nan
    while high - low > 1e-6:
        middle = low + (min(step, (high - low) / 2) if np.isnan(rises) else _secant(falls, rises) * (high - low))
        candidate = _solve_at(system, point.a * np.exp(middle) / (system.weights @ point.a), float(np.exp(middle)))
        if candidate is None:
            high, rises = middle, np.nan
        elif candidate.slope < 0:
            low, falls, point = middle, candidate.slope, candidate
        else:
            high, rises, point = middle, candidate.slope, candidate
        if candidate is not None and _flat(candidate, float(np.exp(middle))):
            break
    return point


def _secant(falls: float, rises: float) -> float:
    """Return where between two slopes of opposite sign to look next, as a fraction kept off both ends."""
    return min(max(falls / (falls - rises), 0.05), 0.95)


def solve_above(system: Equations, z: float, start: FloatArray | None = None) -> Point | None:
    """Return the solution at z, None below the edge: Newton's method from below, which cannot miss it.

    At a = 1/z, as at the solution of any larger z, all z_i(a) are at least z. They are convex, and the inverse of the
    negative Jacobian is positive as long as 1 - B is positive definite: each step goes up and none passes the smallest
    solution, which is the resolvent. Below the edge the steps run into a B that reaches one, or a d that does.
    """
    a, last = np.full(len(system.weights), 1 / z) if start is None else start, np.inf
    root = np.sqrt(system.weights)
    for _ in range(MAX_STEPS):
        if not system.holds(a):
            return None
        values, B = system.linearized(a)
        try:
            factor = scipy.linalg.cho_factor(np.eye(len(a)) - B, lower=True)
        except np.linalg.LinAlgError:
            return None
        right = np.stack([root * a * (values - z), root * a], axis=1)
        step, falls = (scipy.linalg.cho_solve(factor, right) * (a / root)[:, None]).T
        a = a + step
        change = float(np.abs(step / a).max())
        if change < TOLERANCE or last / 2 < change < ROUNDING:
            speed = float(system.weights @ falls)  # -d theta / dz
            return Point(a, z, -1 / speed, falls / speed)
        last = change
    return None


def _approach(system: Equations) -> Point:
    """Come down to the edge from above, always on the resolvent, by parabolas in theta and halving where they fail."""
    sides = float(system.weights.sum()), float(system.other_weights.sum())
    low = max(sides) / system.divisor  # mean of the eigenvalues other than zero; the mean variance is one
    z = float(system.table.max()) * (np.sqrt(sides[0]) + np.sqrt(sides[1])) ** 2 / system.divisor * (1 + 1e-9)
    point = solve_above(system, z)
    if point is None:
        raise NumericalError("the variance profile has no solution above its spectrum; expected variances of one scale")
    for _ in range(MAX_APPROACHES):
        distance = point.slope**2 / (2 * _curvature(system, point))
        if min(distance, point.z - low) <= NEAR_EDGE * point.z:
            break
        goal = point.z - FRACTION * distance
        if low < goal / 4:
            goal = float(np.sqrt(low * goal))
        elif goal <= low:
            goal = (low + point.z) / 2
        candidate = solve_above(system, goal, point.a)
        if candidate is None:
            low = goal
        else:
            point = candidate
    return _polished(system, point)


def _polished(system: Equations, point: Point) -> Point:
    """Return the point where the slope vanishes, from one close to it, by Newton's method in theta."""
    for _ in range(MAX_POLISHES):
        a = _minimum(system, point)
        candidate = None if a is None else _solve_at(system, a, float(system.weights @ a))
        if candidate is None or abs(candidate.slope) >= abs(point.slope) / 2:  # two edges at one place, or rounding
            break
        point = candidate
        if _flat(point, float(system.weights @ point.a)):
            break
    return point


def _flat(point: Point, theta: float) -> bool:
    """Return whether the slope is that of a minimum."""
    return abs(point.slope) * theta < FLAT * point.z


def _curvature(system: Equations, point: Point) -> float:
    """Return z''(theta), twice the cube of the width."""
    return 2 * _width(system, point) ** 3


def _width(system: Equations, point: Point) -> float:
    """Return (z'' / 2)^(1/3): at the minimum the tangent spans the null space of the symmetric Jacobian."""
    a, w = point.a, system.weights
    u = point.tangent / (w @ point.tangent)
    room, lift = 1 - system.load(a), system.load(u)
    second = (system.other_weights * lift**2 / room**3) @ system.table / system.divisor
    return float(np.cbrt((w * u) @ (u**2 / a**3 + second)))


def bulk_cdf(system: Equations, edge: float) -> tuple[FloatArray, FloatArray]:
    """Return a grid over the bulk and the cdf there: a rough pass over (0, edge) finds where the bulk begins."""
    grid = np.linspace(0, edge, BULK_POINTS)
    rough = _density(system, grid, edge, 0.02 * edge)
    low = float(grid[max(0, int(np.argmax(rough > 0.05 * rough.max())) - 5)])
    grid = low + (edge - low) * (1 - np.cos(np.linspace(0, np.pi, BULK_POINTS))) / 2
    density = _density(system, grid, edge, RESOLUTION * (edge - low))
    cdf = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    return grid, cdf / cdf[-1]


def _density(system: Equations, grid: FloatArray, edge: float, height: float) -> FloatArray:
    """Return the imaginary part of the resolvent's trace at `height` above the grid, followed down from far above."""
    a: ComplexArray = np.tile(1 / (grid[:, None] + 4j * edge), (1, len(system.weights)))
    for level in edge * np.geomspace(4.0, height / edge, 12):
        a = _newton_complex(system, a, grid + 1j * level)
    _check_solved(system, a, np.asarray(grid + 1j * height, dtype=np.complex128))
    return np.maximum(-(a.imag @ system.weights), 0.0)


def _check_solved(system: Equations, a: ComplexArray, z: ComplexArray) -> None:
    """Refuse what does not solve the equations: a solution of negative imaginary parts is the only one at its z."""
    r = system.other_weights / (1 - system.load(a))
    error = np.abs(a * (z[:, None] - r @ system.table / system.divisor) - 1).max(axis=1)
    wrong = ~((error < SOLVED) & (a.imag.max(axis=1) < 0))
    if wrong.any():
        raise NumericalError(
            f"the density of the variance profile did not converge at {np.count_nonzero(wrong)} of {wrong.size} "
            "points; leave out groups whose variances are many orders of magnitude above the others"
        )


def _newton_complex(system: Equations, a: ComplexArray, z: ComplexArray) -> ComplexArray:
    """Solve the equations at each z, from the solutions a bit further from the real axis."""
    table, n, w = system.table, system.divisor, system.weights
    index = np.arange(len(w))
    for _ in range(8):
        room = 1 - system.load(a)
        r = system.other_weights / room
        residual = 1 / a + r @ table / n - z[:, None]
        jacobian = np.einsum("xb,bi,bj->xij", r / room, table, table, optimize=True) / n**2 * w
        jacobian[:, index, index] -= 1 / a**2
        step = np.linalg.solve(jacobian, -residual[..., None])[..., 0]
        # A step out of the half plane that the resolvent maps into is halved rather than followed.
        moved = a + step
        a = np.where(moved.imag < 0, moved, a + step / 4)
        if np.abs(step / a).max() < 1e-8:
            break
    return np.asarray(a)
