r"""Dual activations by quadrature, as Chebyshev polynomials of both log variances and of the angle.

With s² = |ρ| the two Gaussians share a part, u = √a (s z + √(1-s²) w), so that

.. math:: E[\varphi(u)\varphi(v)] = E_z[\Psi_a(z)\, \Psi_b(\pm z)], \qquad
          \Psi_a(z) = E_w[\varphi(\sqrt a (s z + \sqrt{1 - s^2}\, w))]

and one table of Ψ at the nodes of log a serves all pairs of variances. In the angle θ = arccos ρ the moments are smooth
for activations with a kink at 0 too (those of ReLU are sines and polynomials of it), so that some fifty polynomials
reach 1e-11. What kinks elsewhere add is taken out of the tables and put back in closed form (`ramps`); beside them the
moments of values are known to 1e-9 and those of slopes to 1e-5.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from scipy import special
from torch import Tensor

from sciml._typing import FloatArray
from sciml.errors import NumericalError
from sciml.theory.kernels.covariance import Covariance, safe_sqrt
from sciml.theory.kernels.dual import BEND, Through, smooth_through
from sciml.theory.kernels.ramps import ramp_moments
from sciml.theory.meanfield.activations import Activation
from sciml.theory.meanfield.gaussian import conditional_moments, gaussian_rule, moments

__all__ = ["Tabulated"]

NOTHING = -1e5  # logarithm below which an input is one of zeros
LIMIT = 27.0  # logarithm of the variance beyond which moments are powers
ANGLES, MOST_ANGLES = 48, 256
FINE = 0.08  # width of the shared Gaussian below which panels replace equidistant nodes
DECAYED = 1e-7  # of the last coefficients, relative: beyond it the table has not converged
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


@dataclass(frozen=True)
class Tabulated:
    """Dual of an activation without closed form."""

    activation: Activation

    def through(self, covariance: Covariance) -> Through:
        """Return the covariance of the activations, and of their derivatives."""
        logs = covariance.log_row, covariance.log_column
        if float(self.activation.phi(np.zeros(1))[0]) != 0.0 or not any(bool((each < NOTHING).any()) for each in logs):
            return self._between_ends(covariance)
        # Inputs of zeros stay zeros: what the table says of them is multiplied by 0.
        least = min(float(torch.where(each < NOTHING, LIMIT, each).min()) for each in logs)
        row, column = (torch.where(each < NOTHING, least, each) for each in logs)
        found = self._between_ends(Covariance(row, column, covariance.gap, covariance.cogap))
        rows, columns = (
            torch.where(each < NOTHING, each, new)
            for each, new in zip(logs, (found.value.log_row, found.value.log_column), strict=True)
        )
        return replace(found, value=replace(found.value, log_row=rows, log_column=columns))

    def _between_ends(self, covariance: Covariance) -> Through:
        ends = [_ends(each) for each in (covariance.log_row, covariance.log_column)]
        low, high = min(each[0] for each in ends), max(each[1] for each in ends)
        return smooth_through(_table(self.activation, low, max(high, low + 1)), covariance)


def _ends(t: Tensor) -> tuple[int, int]:
    inside = t.detach().clamp(-LIMIT, LIMIT)
    return math.floor(float(inside.min())), math.ceil(float(inside.max()))


@dataclass(frozen=True, eq=False)
class _Table:
    """Chebyshev coefficients of the moments for log variances between two ends.

    `second`, `slope`, `bend` are of log E[φ²], log E[φ'²] and the curvature; `value` and `tangent` of the correlations,
    (angle, row, column), less what the `kinks` (place, jump of the slope) add.
    """

    low: float
    high: float
    odd: bool
    ends: tuple[tuple[float, float], tuple[float, float]]
    second: Tensor
    slope: Tensor
    bend: Tensor
    value: Tensor
    tangent: Tensor
    kinks: tuple[tuple[float, float], ...]
    limit: float = LIMIT

    @property
    def reach(self) -> float:
        """How near a pair is whose difference is integrated from slopes; beside kinks these are not smooth."""
        return 1e-5 if self.kinks else BEND

    def log_second(self, t: Tensor) -> Tensor:
        """Return log E[φ²] at log variance t."""
        return self._basis(t) @ self.second.to(t.device)

    def log_slope(self, t: Tensor) -> Tensor:
        """Return log E[φ'²]."""
        return self._basis(t) @ self.slope.to(t.device)

    def curvature(self, t: Tensor) -> Tensor:
        """Return half the squared speed of φ / √E[φ²] as t grows."""
        return (self._basis(t) @ self.bend.to(t.device)).clamp(min=0.0)

    def correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        """Return E[φ(u) φ(v)] / √(E[φ(u)²] E[φ(v)²])."""
        found = self._evaluate(self.value, row, column, gap, cogap)
        if not self.kinks:
            return found
        log_size = (row - self.log_second(row) + column - self.log_second(column)) / 2.0
        return found + torch.exp(log_size) * self._ramps(row, column, gap, cogap)[0]

    def slope_correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        """Return E[φ'(u) φ'(v)] / √(E[φ'(u)²] E[φ'(v)²])."""
        found = self._evaluate(self.tangent, row, column, gap, cogap)
        if not self.kinks:
            return found
        log_size = -(self.log_slope(row) + self.log_slope(column)) / 2.0
        return found + torch.exp(log_size) * self._ramps(row, column, gap, cogap)[1]

    def powers(self, end: float) -> tuple[float, float]:
        """Return d log E[φ²] / dt and d log E[φ'²] / dt beyond one end of the limits."""
        return self.ends[0 if end < 0 else 1]

    def _ramps(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> tuple[Tensor, Tensor]:
        """Return the moments of the ramps at the kinks, over √(ab), and of their derivatives."""
        values, slopes = torch.zeros_like(gap), torch.zeros_like(gap)
        one, other = torch.exp(-row / 2.0), torch.exp(-column / 2.0)
        for (place, jump), (second_place, second_jump) in itertools.product(self.kinks, repeat=2):
            value, slope = ramp_moments(place * one, second_place * other, gap, cogap)
            values, slopes = values + jump * second_jump * value, slopes + jump * second_jump * slope
        return values, slopes

    def _basis(self, t: Tensor) -> Tensor:
        """Return the Chebyshev polynomials of log variances, shape (..., polynomial)."""
        x = (2.0 * t - (self.high + self.low)) / (self.high - self.low)
        found = [torch.ones_like(x), x]
        while len(found) < len(self.second):
            found.append(2.0 * x * found[-1] - found[-2])
        return torch.stack(found[: len(self.second)], dim=-1)

    def _evaluate(self, table: Tensor, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        """Sum the polynomials of the angle by Clenshaw's recurrence; their coefficients are bilinear in the others."""
        theta = 2.0 * torch.atan2(safe_sqrt(gap), safe_sqrt(cogap))
        x = theta * (2.0 / math.pi) - 1.0
        table = table.to(x.device)
        coefficient = self._coefficients(table, row, column)
        after, last = torch.zeros_like(x), torch.zeros_like(x)
        for m in range(len(table) - 1, 0, -1):
            after, last = coefficient(m) + 2.0 * x * after - last, after
        return coefficient(0) + x * after - last

    def _coefficients(self, table: Tensor, row: Tensor, column: Tensor) -> Callable[[int], Tensor]:
        matrices = min(row.ndim, column.ndim) >= 2 and row.shape[-1] == 1 and column.shape[-2] == 1
        if not matrices:
            left, right = self._basis(row), self._basis(column)
            return lambda m: ((left @ table[m]) * right).sum(dim=-1)
        left, right = self._basis(_one_if_equal(row[..., 0])), self._basis(_one_if_equal(column[..., 0, :]))
        return lambda m: left @ table[m] @ right.mT


def _one_if_equal(t: Tensor) -> Tensor:
    """Return one of log variances that are all the same, unless derivatives are wanted of each."""
    carried = t.requires_grad or _is_dual(t)
    first = t[..., :1]
    return t if carried or not bool((t == first).all()) else first


def _is_dual(t: Tensor) -> bool:
    found = torch.autograd.forward_ad.unpack_dual(t)  # type: ignore[no-untyped-call]
    return found.tangent is not None


@lru_cache(maxsize=256)
def _table(member: Activation, low: int, high: int) -> _Table:
    nodes = _chebyshev_nodes(9 + 4 * (high - low))
    t = low + (high - low) * (1.0 + nodes) / 2.0
    found = [moments(member, math.exp(each)) for each in t.tolist()]
    second, slope = np.array([each.second for each in found]), np.array([each.slope for each in found])
    # The slopes' correlation is a peak as wide as e^(-t/2); polynomials resolve the square of it at the ends.
    n_angles = min(MOST_ANGLES, 2 * round(ANGLES / 2 * max(1.0, math.exp((high - 2) / 4))))
    theta = math.pi * (1.0 + _chebyshev_nodes(n_angles)) / 2.0
    if min(second.min(), slope.min()) < 1e-290:
        raise NumericalError(
            f"{member.name}: it is 0 for signals of variance e^{t[second.argmin()]:.3g}, whose correlation nothing "
            "tells: raise sigma_w2 or sigma_b2, or scale the inputs"
        )
    kinks = _kinks(member)
    value, tangent = _pair_moments(member, kinks, np.exp(t / 2.0), np.cos(theta))
    odd = _is_odd(member)
    return _Table(
        low,
        high,
        odd,
        _powers(member),
        second=torch.from_numpy(_fitted(np.log(second), 0)),
        slope=torch.from_numpy(_fitted(np.log(slope), 0)),
        bend=torch.from_numpy(_fitted(_curvature(member, t), 0)),
        value=_trimmed(member, value / np.sqrt(np.outer(second, second))),
        tangent=_trimmed(member, tangent / np.sqrt(np.outer(slope, slope))),
        kinks=kinks,
    )


def _chebyshev_nodes(n: int) -> FloatArray:
    return np.asarray(-np.cos(math.pi * (np.arange(n) + 0.5) / n))


def _fitted(values: FloatArray, axis: int) -> FloatArray:
    """Return the Chebyshev coefficients of values at Chebyshev nodes along an axis."""
    n = values.shape[axis]
    matrix = np.polynomial.chebyshev.chebvander(_chebyshev_nodes(n), n - 1).T * (2.0 / n)
    matrix[0] /= 2.0
    return np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)


def _trimmed(member: Activation, values: FloatArray) -> Tensor:
    """Fit values (angle, row, column) and drop polynomials of the angle that add nothing; raise if the last ones do."""
    coefficients = _fitted(_fitted(_fitted(values, 0), 1), 2)
    sizes = np.abs(coefficients).sum(axis=(1, 2))  # beside correlations, whose scale is 1
    if sizes[-2:].max() > DECAYED:
        raise NumericalError(
            f"{member.name}: its moments of pairs do not converge with {len(sizes)} polynomials of the angle "
            f"(the last is {sizes[-1]:.1e}); it jumps or oscillates: choose a smoother function"
        )
    return torch.from_numpy(coefficients[: max(1, np.flatnonzero(sizes > 1e-15)[-1] + 1)].copy())


def _is_odd(member: Activation) -> bool:
    x = np.geomspace(1e-3, 30.0, 50)
    plus, minus = member.phi(x), member.phi(-x)
    return bool(np.abs(plus + minus).max() <= 1e-14 * np.abs(plus).max())


def _powers(member: Activation) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return d log E[φ²] / dt and d log E[φ'²] / dt at both limits."""
    found = []
    for t in (-LIMIT, LIMIT):
        inner, outer = (moments(member, math.exp(each)) for each in (t - math.copysign(1.0, t), t))
        ends = [inner.second, inner.slope, outer.second, outer.slope]
        logs = np.log(np.maximum(ends, 1e-300))  # a function that is 0 around 0 has none there
        found.append(tuple(round(2.0 * float(each)) / 2.0 for each in (logs[2:] - logs[:2]) * math.copysign(1.0, t)))
    return found[0], found[1]  # type: ignore[return-value]


def _curvature(member: Activation, t: FloatArray) -> FloatArray:
    """Return half the squared speed of φ / √E[φ²], from two variances beside each other: differences keep digits."""
    step = 1e-3

    def bent(each: float) -> float:
        roots = [math.exp((each + side * step) / 2.0) for side in (-0.5, 0.5)]
        z, weight, _ = gaussian_rule(tuple(kink / roots[0] for kink in member.kinks), 1)
        one, other = (member.phi(root * z) for root in roots)
        one, other = (phi / math.sqrt(weight @ phi**2) for phi in (one, other))
        return float(weight @ (one - other) ** 2) / (2.0 * step**2)

    return np.array([bent(each) for each in t.tolist()])


def _kinks(member: Activation) -> tuple[tuple[float, float], ...]:
    """Return the kinks other than 0 and by how much the slope jumps there, from polynomials on both sides."""
    found = []
    for kink in member.kinks:
        x = 1e-2 * (1.0 + np.polynomial.legendre.leggauss(8)[0]) / 2.0
        sides = [np.polynomial.Polynomial.fit(side * x, member.phi(kink + side * x), 7) for side in (-1.0, 1.0)]
        left, right = (float(side.deriv()(0.0)) for side in sides)
        if kink and abs(right - left) > 1e-9 * max(abs(left), abs(right)):
            found.append((float(kink), right - left))
    return tuple(found)


def _smoothed_ramps(
    kinks: tuple[tuple[float, float], ...], mean: FloatArray, deviation: float
) -> tuple[FloatArray, FloatArray]:
    """Return the means of the ramps at the kinks, and of their derivatives, at v ~ N(mean, deviation²)."""
    value, slope = np.zeros_like(mean), np.zeros_like(mean)
    for place, jump in kinks:
        t = (mean - place) / deviation
        above, density = special.ndtr(t), np.exp(-0.5 * t**2) / math.sqrt(2.0 * math.pi)
        value, slope = value + jump * deviation * (t * above + density), slope + jump * above
    return value, slope


def _pair_moments(
    member: Activation, kinks: tuple[tuple[float, float], ...], roots: FloatArray, cosines: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return E[φφ] and E[φ'φ'] less those of the ramps at kinks, (cosine, root, root), for standard deviations."""
    n = len(cosines)
    value, tangent = (np.empty((n, len(roots), len(roots))) for _ in range(2))
    for k in range(n // 2):  # cosines are symmetric: one Ψ serves ρ and -ρ
        s = math.sqrt(cosines[k])
        width = math.sqrt(1.0 - cosines[k])
        z, weight = _shared_rule(width / s, np.outer([abs(each) for each, _ in kinks], 1.0 / (s * roots)).ravel())
        psi = [conditional_moments(member, root * s * z, root * width) for root in roots]
        ramps = [_smoothed_ramps(kinks, root * s * z, root * width) for root in roots]
        for which, found in enumerate((value, tangent)):
            whole, ramp = (np.stack([each[which] for each in given]) for given in (psi, ramps))
            found[k] = (whole * weight) @ whole.T - (ramp * weight) @ ramp.T
            found[n - 1 - k] = (whole * weight) @ whole[:, ::-1].T - (ramp * weight) @ ramp[:, ::-1].T
    return value, tangent


def _shared_rule(smooth: float, kinks: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of z ~ N(0, 1) for what a Gaussian of this standard deviation has smoothed.

    `kinks` are the places z > 0 where it bends.
    """
    if smooth > FINE:
        # Equidistant nodes converge as fast as the spectrum of a Gaussian falls.
        half = math.ceil(9.0 / (0.45 * min(smooth, 1.0)))
        z = np.arange(-half, half + 1) * (9.0 / half)
        weight = np.exp(-0.5 * z**2)
        return np.asarray(z), np.asarray(weight / weight.sum())
    # Graded towards 0, where steep activations bend, and towards the kinks.
    fine = np.concatenate([[0.0], np.geomspace(1e-6, 0.5, 20), np.linspace(0.5, 8.5, 17)[1:]])
    graded = smooth * np.concatenate([[0.0], 4.0 ** np.arange(0.0, math.log(0.5 / smooth, 4.0))])
    around = (np.unique(kinks.round(6))[:, None] + np.concatenate([-graded, graded])).ravel()
    ends = np.unique(np.concatenate([fine, around[(around > 0) & (around < 8.5)]]))
    ends = np.concatenate([-ends[:0:-1], ends])
    middle, half_width = (ends[1:] + ends[:-1]) / 2.0, np.diff(ends) / 2.0
    z = (middle[:, None] + half_width[:, None] * _NODES).ravel()
    weight = (half_width[:, None] * _WEIGHTS).ravel() * np.exp(-0.5 * z**2)
    return np.asarray(z), np.asarray(weight / weight.sum())
