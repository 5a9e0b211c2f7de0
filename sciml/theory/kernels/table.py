r"""Dual activations by quadrature, as Chebyshev polynomials of both log variances and of the angle.

With s² = |ρ| the two Gaussians share a part, u = √a (s z + √(1-s²) w), so that

.. math:: E[\varphi(u)\varphi(v)] = E_z[\Psi_a(z)\, \Psi_b(\pm z)], \qquad
          \Psi_a(z) = E_w[\varphi(\sqrt a (s z + \sqrt{1 - s^2}\, w))]

and one table of Ψ at the nodes of log a serves all pairs of variances. In the angle θ = arccos ρ the moments are smooth
for activations with kinks too (those of ReLU are sines and polynomials of it), so that some fifty polynomials reach
1e-11.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from sciml._typing import FloatArray
from sciml.errors import NumericalError
from sciml.theory.kernels.covariance import Covariance, safe_sqrt
from sciml.theory.kernels.dual import Through, smooth_through
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
    (angle, row, column).
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
    limit: float = LIMIT

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
        return self._evaluate(self.value, row, column, gap, cogap)

    def slope_correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        """Return E[φ'(u) φ'(v)] / √(E[φ'(u)²] E[φ'(v)²])."""
        return self._evaluate(self.tangent, row, column, gap, cogap)

    def powers(self, end: float) -> tuple[float, float]:
        """Return d log E[φ²] / dt and d log E[φ'²] / dt beyond one end of the limits."""
        return self.ends[0 if end < 0 else 1]

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
    value, tangent = _pair_moments(member, np.exp(t / 2.0), np.cos(theta))
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
    sizes = np.abs(coefficients).sum(axis=(1, 2))
    if sizes[-2:].max() > DECAYED * sizes.max():
        raise NumericalError(
            f"{member.name}: its moments of pairs do not converge with {len(sizes)} polynomials of the angle "
            f"(the last is {sizes[-1] / sizes.max():.1e}); it jumps or oscillates: choose a smoother function"
        )
    return torch.from_numpy(coefficients[: np.flatnonzero(sizes > 1e-15 * sizes.max())[-1] + 1].copy())


def _is_odd(member: Activation) -> bool:
    x = np.geomspace(1e-3, 30.0, 50)
    plus, minus = member.phi(x), member.phi(-x)
    return bool(np.abs(plus + minus).max() <= 1e-14 * np.abs(plus).max())


def _powers(member: Activation) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return d log E[φ²] / dt and d log E[φ'²] / dt at both limits."""
    found = []
    for t in (-LIMIT, LIMIT):
        inner, outer = (moments(member, math.exp(each)) for each in (t - math.copysign(1.0, t), t))
        with np.errstate(divide="ignore"):
            change = np.log([outer.second, outer.slope]) - np.log([inner.second, inner.slope])
        found.append(tuple(round(2.0 * float(each)) / 2.0 for each in change * math.copysign(1.0, t)))
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


def _pair_moments(member: Activation, roots: FloatArray, cosines: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return E[φφ] and E[φ'φ'], shape (cosine, root, root), for standard deviations and correlations."""
    n = len(cosines)
    value, tangent = (np.empty((n, len(roots), len(roots))) for _ in range(2))
    for k in range(n // 2):  # cosines are symmetric: one Ψ serves ρ and -ρ
        s = math.sqrt(cosines[k])
        width = math.sqrt(1.0 - cosines[k])
        z, weight = _shared_rule(member, roots, s, width)
        psi = [conditional_moments(member, root * s * z, root * width) for root in roots]
        for found, each in ((value, np.stack([p[0] for p in psi])), (tangent, np.stack([p[1] for p in psi]))):
            found[k] = (each * weight) @ each.T
            found[n - 1 - k] = (each * weight) @ each[:, ::-1].T
    return value, tangent


def _shared_rule(member: Activation, roots: FloatArray, s: float, width: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of z ~ N(0, 1) for what a Gaussian of this width has smoothed."""
    smooth = width / s
    if smooth > FINE:
        # Equidistant nodes converge as fast as the spectrum of a Gaussian falls.
        half = math.ceil(9.0 / (0.45 * min(smooth, 1.0)))
        z = np.arange(-half, half + 1) * (9.0 / half)
        weight = np.exp(-0.5 * z**2)
        return np.asarray(z), np.asarray(weight / weight.sum())
    kinks = np.outer(np.concatenate([[0.0], np.abs(member.kinks)]), 1.0 / (s * roots)).ravel()
    graded = smooth * np.concatenate([[0.0], 2.0 ** np.arange(-1.0, math.log2(0.5 / smooth))])
    fine = np.concatenate([[0.0], np.geomspace(1e-6, 0.5, 20), np.linspace(0.5, 8.5, 17)[1:]])
    around = (np.unique(kinks.round(6))[:, None] + np.concatenate([-graded, graded])).ravel()
    ends = np.unique(np.concatenate([fine, around[(around > 0) & (around < 8.5)]]))
    ends = np.concatenate([-ends[:0:-1], ends])
    middle, half_width = (ends[1:] + ends[:-1]) / 2.0, np.diff(ends) / 2.0
    z = (middle[:, None] + half_width[:, None] * _NODES).ravel()
    weight = (half_width[:, None] * _WEIGHTS).ravel() * np.exp(-0.5 * z**2)
    return np.asarray(z), np.asarray(weight / weight.sum())
