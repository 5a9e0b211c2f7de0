r"""Dual activations: from the covariance of pre-activations to that of activations and of their derivatives.

.. math:: \hat\varphi(a, b, \rho) = E[\varphi(u)\varphi(v)], \qquad \dot\varphi(a, b, \rho) = E[\varphi'(u)\varphi'(v)]

for Gaussian u, v of variances a, b and correlation ρ. All is said of the logarithms of the variances and of 1 ∓ ρ.

References
----------
Daniely, Frostig, Singer (2016), arXiv:1602.05897, section 4 (dual activations); Cho and Saul (2009) (ReLU); Williams
(1997), doi:10.1162/089976698300017412 (erf); Tsuchida et al. (2020), arXiv:2002.08517 (GELU).
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sciml.theory.kernels.covariance import Covariance, safe_sqrt

__all__ = ["ERF", "GELU", "SINE", "Dual", "Moderate", "PiecewiseLinear", "Through", "smooth_through"]

BEND = 1e-2  # (1 - ρ) (1 + variance) below which differences are integrated from slopes, of smooth activations
SIDE = 1e-4  # difference of log variances below which 1 - ρ' of parallel inputs is a parabola
_NODES, _WEIGHTS = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(8))


@dataclass(frozen=True, eq=False)
class Through:
    """Covariance of activations, and of their derivatives as logarithms of second moments and 1 - ρ."""

    value: Covariance
    log_slope_row: Tensor
    log_slope_column: Tensor
    slope_gap: Tensor


class Dual(Protocol):
    """What an activation does to covariances."""

    def through(self, covariance: Covariance) -> Through:
        """Return the covariance of the activations, and of their derivatives."""


@dataclass(frozen=True)
class PiecewiseLinear:
    r"""Dual of r max(x, 0) + l min(x, 0): ReLU for l = 0, linear for l = r, |x| for l = -r.

    With θ = arccos ρ and w = (r - l)² / (r² + l²),

    .. math:: 1 \mp \rho' = 1 \mp \rho \mp \frac{w}{\pi} (\sin\theta - \theta\cos\theta), \qquad
              \dot\rho = 1 - w\, \theta / \pi .
    """

    left: float
    right: float = 1.0

    def through(self, covariance: Covariance) -> Through:
        """Return the covariance of the activations, and of their derivatives."""
        squares = self.left**2 + self.right**2
        gain, w = math.log(squares / 2.0), (self.right - self.left) ** 2 / squares
        log_slope = torch.full_like(covariance.log_row, gain), torch.full_like(covariance.log_column, gain)
        if w == 0.0:
            return Through(covariance, *log_slope, torch.zeros_like(covariance.gap))
        gap, cogap = covariance.gap, covariance.cogap
        low, high = safe_sqrt(gap), safe_sqrt(cogap)
        theta = _angle(low, high)
        bent = (w / math.pi) * _bend(theta, low * high, covariance.correlation)
        value = Covariance(
            covariance.log_row + gain, covariance.log_column + gain, (gap - bent).clamp(min=0.0), cogap + bent
        )
        return Through(value, *log_slope, theta * (w / math.pi))


def _angle(low: Tensor, high: Tensor) -> Tensor:
    """Return arccos ρ from the roots of 1 - ρ and 1 + ρ."""
    both = low + high > 0  # the angle of nothing (a hadamard product of constants) is no matter
    return 2.0 * torch.atan2(low, torch.where(both, high, 1.0))


def _bend(theta: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
    """Return sin θ - θ cos θ, by its series where that cancels."""
    square = theta.square()
    series = theta * square * (1.0 / 3.0 - square * (1.0 / 30.0 - square / 840.0))
    return torch.where(theta < 0.02, series, sine - theta * cosine)


class Moderate(Protocol):
    """An activation whose moments have a scale: what `smooth_through` asks of it at log variances within `limit`."""

    @property
    def odd(self) -> bool:
        """Whether φ(-x) = -φ(x)."""

    @property
    def limit(self) -> float:
        """Largest log variance, up or down, that the moments are asked at."""

    @property
    def reach(self) -> float:
        """(1 - ρ) (1 + variance) of a pair below which its difference is integrated from slopes."""

    def log_second(self, t: Tensor) -> Tensor:
        """Return log E[φ²] at log variance t."""

    def log_slope(self, t: Tensor) -> Tensor:
        """Return log E[φ'²]."""

    def curvature(self, t: Tensor) -> Tensor:
        """Return half the squared speed of φ / √E[φ²] as t grows: 1 - ρ' = curvature (t - t')² of parallel inputs."""

    def correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        """Return E[φ(u) φ(v)] / √(E[φ(u)²] E[φ(v)²])."""

    def slope_correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        """Return E[φ'(u) φ'(v)] / √(E[φ'(u)²] E[φ'(v)²])."""

    def powers(self, end: float) -> tuple[float, float]:
        """Return d log E[φ²] / dt and d log E[φ'²] / dt beyond one end of the limits."""


def smooth_through(dual: Moderate, covariance: Covariance) -> Through:
    """Return what an activation with a scale makes of a covariance; beyond `limit` the moments are powers."""
    row, column = (t.clamp(-dual.limit, dual.limit) for t in (covariance.log_row, covariance.log_column))
    gap, cogap = covariance.gap, covariance.cogap
    log_second = [_beyond(dual, t, each, 0) for t, each in ((row, covariance.log_row), (column, covariance.log_column))]
    log_slope = [_beyond(dual, t, each, 1) for t, each in ((row, covariance.log_row), (column, covariance.log_column))]
    if row.shape == column.shape and bool((row == column).all()) and not bool(gap.any()):
        # Inputs with themselves stay what they are.
        return Through(Covariance(log_second[0], log_second[1], gap, cogap), log_slope[0], log_slope[1], gap)
    # An odd activation treats opposite pairs as it treats duplicates: the smaller distance is followed.
    flip = cogap < gap if dual.odd else torch.zeros((), dtype=torch.bool, device=gap.device)
    near, far = torch.where(flip, cogap, gap), torch.where(flip, gap, cogap)
    small = (1.0 - dual.correlation(row, column, near, far)).clamp(0.0, 2.0)
    same = (near == 0) & (row == column)
    small = torch.where(same, 0.0, small)
    close = ~same & (near * (1.0 + torch.exp(torch.maximum(row, column))) < dual.reach)
    if bool(close.any()):
        small = small.masked_scatter(close, _close_gap(dual, *_picked(close, row, column, near)))
    slope = dual.slope_correlation(row, column, near, far)
    value = Covariance(
        log_second[0], log_second[1], torch.where(flip, 2.0 - small, small), torch.where(flip, small, 2.0 - small)
    )
    return Through(value, log_slope[0], log_slope[1], 1.0 - slope)


def _picked(close: Tensor, *arrays: Tensor) -> list[Tensor]:
    return [each.expand(close.shape)[close] for each in arrays]


def _close_gap(dual: Moderate, row: Tensor, column: Tensor, gap: Tensor) -> Tensor:
    r"""Return 1 - ρ' of close pairs to their relative precision.

    By Price's theorem dE[φφ] = E[φ'φ'] dc: from parallel inputs the difference is an integral of slopes over the angle.
    """
    none, two = torch.zeros_like(gap), torch.full_like(gap, 2.0)
    apart = row - column
    parabola = dual.curvature((row + column) / 2.0) * apart.square()
    # Whichever errs less: the parabola by its next term, the difference from one by rounding.
    bent = (apart.abs() > SIDE) & (parabola * apart.square() > 1e-16)
    lengths = torch.where(bent, 1.0 - dual.correlation(row, column, none, two), parabola)
    theta = 2.0 * torch.asin(safe_sqrt(gap / 2.0))
    nodes, weights = _NODES.to(gap.device), _WEIGHTS.to(gap.device)
    angle = theta[..., None] * (1.0 + nodes) / 2.0
    between = 2.0 * torch.sin(angle / 2.0).square()
    slope = dual.slope_correlation(row[..., None], column[..., None], between, 2.0 - between)
    integral = theta / 2.0 * ((weights * torch.sin(angle)) * slope).sum(dim=-1)
    sizes = [t + dual.log_slope(t) - dual.log_second(t) for t in (row, column)]
    return lengths + torch.exp((sizes[0] + sizes[1]) / 2.0) * integral


def _beyond(dual: Moderate, t: Tensor, asked: Tensor, which: int) -> Tensor:
    """Return the log second moment of φ (0) or φ' (1), continued as a power beyond the limits."""
    found = (dual.log_slope if which else dual.log_second)(t)
    excess = asked - t
    if not bool((excess != 0).any()):
        return found + excess  # for the derivative alone
    low, high = (dual.powers(end)[which] for end in (-1.0, 1.0))
    return found + torch.where(excess < 0, low, high) * excess


@dataclass(frozen=True)
class _Erf:
    odd: bool = True
    limit: float = 80.0
    reach: float = BEND

    def through(self, covariance: Covariance) -> Through:
        return smooth_through(self, covariance)

    def log_second(self, t: Tensor) -> Tensor:
        return torch.log(2.0 / math.pi * self._angle(torch.exp(t)))

    def log_slope(self, t: Tensor) -> Tensor:
        return math.log(4.0 / math.pi) - 0.5 * torch.log1p(4.0 * torch.exp(t))

    def curvature(self, t: Tensor) -> Tensor:
        a = torch.exp(t)
        second = 2.0 / math.pi * self._angle(a)
        growth = 4.0 / math.pi * a / ((1.0 + 4.0 * a).sqrt() * (1.0 + 2.0 * a))
        return _half_speed(4.0 / math.pi * a * (1.0 + 4.0 * a) ** -1.5, growth, second)

    def correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        a, b = torch.exp(row), torch.exp(column)
        angle = torch.atan2((a * b).sqrt() * (cogap - gap), self._root(a, b, gap, cogap))
        return angle / (self._angle(a).sqrt() * self._angle(b).sqrt())

    def slope_correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        a, b = torch.exp(row), torch.exp(column)
        return (1.0 + 4.0 * a) ** 0.25 * (1.0 + 4.0 * b) ** 0.25 / self._root(a, b, gap, cogap)

    def powers(self, end: float) -> tuple[float, float]:
        return (1.0, 0.0) if end < 0 else (0.0, -0.5)

    @staticmethod
    def _angle(a: Tensor) -> Tensor:
        return torch.atan2(2.0 * a, (1.0 + 4.0 * a).sqrt())

    @staticmethod
    def _root(a: Tensor, b: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        # (1 + 2a)(1 + 2b) - 4c² without the cancellation
        return (1.0 + 2.0 * a + 2.0 * b + 4.0 * (a * b) * (gap * cogap)).sqrt()


@dataclass(frozen=True)
class _Gelu:
    odd: bool = False
    limit: float = 80.0
    reach: float = BEND

    def through(self, covariance: Covariance) -> Through:
        return smooth_through(self, covariance)

    def log_second(self, t: Tensor) -> Tensor:
        return t + torch.log(self._gain(torch.exp(t)))

    def log_slope(self, t: Tensor) -> Tensor:
        return torch.log(self._slope(torch.exp(t)))

    def curvature(self, t: Tensor) -> Tensor:
        q = torch.exp(t)
        r, p = (1.0 + 2.0 * q).sqrt(), 1.0 + q
        # all three moments over q; E[x² φ'²] = q E[φ'²] + 2 q² dE[φ'²]/dq by parts
        bend = 3.0 / (r * p) + r**-3 - 3.0 * q * r**-5 - 2.0 * q / (r**3 * p) - 2.0 * q / (r * p * p)
        rational = q * (2.0 * p * r**2 - q * (2.0 + 3.0 * q)) / (p**2 * r**3)
        growth = 0.25 + (rational + 0.5 * torch.atan2(q, r) + 0.5 * q / (p * r)) / math.pi
        return _half_speed(self._slope(q) + q * bend / math.pi, growth, self._gain(q))

    def correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        a, b = torch.exp(row), torch.exp(column)
        root, rho = (a * b).sqrt(), (cogap - gap) / 2.0
        product, d = (1.0 + a) * (1.0 + b), self._root(a, b, gap, cogap)
        c = root * rho
        middle = root * (rho * rho + d * d) / (product * d)
        found = rho / 4.0 + (middle + rho * torch.atan2(c, d)) / (2.0 * math.pi)
        return found / (self._gain(a).sqrt() * self._gain(b).sqrt())

    def slope_correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        a, b = torch.exp(row), torch.exp(column)
        product, d = (1.0 + a) * (1.0 + b), self._root(a, b, gap, cogap)
        c = (a * b).sqrt() * (cogap - gap) / 2.0
        rational = c / d * (1.0 / (d * d) + (2.0 + a + b) / product)
        found = 0.25 + (torch.atan2(c, d) + rational) / (2.0 * math.pi)
        return found / (self._slope(a).sqrt() * self._slope(b).sqrt())

    def powers(self, end: float) -> tuple[float, float]:  # noqa: ARG002 (linear at both)
        return 1.0, 0.0

    @staticmethod
    def _gain(q: Tensor) -> Tensor:
        r = (1.0 + 2.0 * q).sqrt()
        return 0.25 + (q / ((q + 1.0) * r) + 0.5 * torch.atan2(q, r)) / math.pi

    @staticmethod
    def _slope(q: Tensor) -> Tensor:
        r = (1.0 + 2.0 * q).sqrt()
        return 0.25 + (torch.atan2(q, r) + q / r * (1.0 / (r * r) + 2.0 / (1.0 + q))) / (2.0 * math.pi)

    @staticmethod
    def _root(a: Tensor, b: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        return (1.0 + a + b + (a * b) * (gap * cogap)).sqrt()


@dataclass(frozen=True)
class _Sine:
    odd: bool = True
    limit: float = 80.0
    reach: float = BEND

    def through(self, covariance: Covariance) -> Through:
        return smooth_through(self, covariance)

    def log_second(self, t: Tensor) -> Tensor:
        return torch.log(-torch.expm1(-2.0 * torch.exp(t)) / 2.0)

    def log_slope(self, t: Tensor) -> Tensor:
        return torch.log((1.0 + torch.exp(-2.0 * torch.exp(t))) / 2.0)

    def curvature(self, t: Tensor) -> Tensor:
        q = torch.exp(t)
        decay = torch.exp(-2.0 * q)
        return _half_speed(q * (1.0 + decay) / 2.0 - 2.0 * q * q * decay, q * decay, -torch.expm1(-2.0 * q) / 2.0)

    def correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        same, opposite = self._exponentials(row, column, gap, cogap)
        # of a small c, sinh c is not a difference of exponentials
        c = torch.exp((row + column) / 2.0) * (cogap - gap)
        value = torch.where(c > 0, -same * torch.expm1(-c), opposite * torch.expm1(c)) / 2.0
        return value * torch.exp(-(self.log_second(row) + self.log_second(column)) / 2.0)

    def slope_correlation(self, row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> Tensor:
        same, opposite = self._exponentials(row, column, gap, cogap)
        return (same + opposite) / 2.0 * torch.exp(-(self.log_slope(row) + self.log_slope(column)) / 2.0)

    def powers(self, end: float) -> tuple[float, float]:
        return (1.0, 0.0) if end < 0 else (0.0, 0.0)

    @staticmethod
    def _exponentials(row: Tensor, column: Tensor, gap: Tensor, cogap: Tensor) -> tuple[Tensor, Tensor]:
        """Return e^(c - (a + b)/2) and e^(-c - (a + b)/2)."""
        root = torch.exp((row + column) / 2.0)
        lengths = 2.0 * root * torch.sinh((row - column) / 4.0).square()  # (√a - √b)² / 2
        return torch.exp(-(lengths + root * gap)), torch.exp(-(lengths + root * cogap))


def _half_speed(steep: Tensor, growth: Tensor, second: Tensor) -> Tensor:
    """Return `curvature` from E[x² φ'²], E[x φ φ'] and E[φ²] at x ~ N(0, e^t)."""
    return ((steep - growth.square() / second) / (8.0 * second)).clamp(min=0.0)


ERF, GELU, SINE = _Erf(), _Gelu(), _Sine()
