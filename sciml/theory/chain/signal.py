"""What is known of a signal, and of a gradient, at one depth of a wide random net."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from sciml._typing import FloatArray, IntArray
from sciml.theory.chain.scatter import Stream
from sciml.theory.meanfield.activations import Activation
from sciml.theory.meanfield.gaussian import hermite, mehler, moments, pair_moments

__all__ = ["Draw", "Gradient", "Signal", "Split", "Units", "activate", "add", "spread_slope"]

_MOST_SAMPLES, _FEWEST_SAMPLES = 1 << 14, 1 << 8
_FEW = 16  # positions up to which each has its own quadrature
# Kronecker sequence with the powers of the plastic number: (i / N, i α, i α²) mod 1 fills the cube evenly.
_PLASTIC = 1.2207440846057596
_GOLDEN = (1.0 + 5.0**0.5) / 2.0

Draw = Callable[[], FloatArray]
Units = FloatArray | None
Split = Callable[[Units], tuple[Units, Units]]


@dataclass(frozen=True, eq=False)
class Signal:
    r"""Moments over the units of a wide layer, for two inputs of equal second moment, at each position.

    Attributes
    ----------
    mean, second, cross
        (positions) E[h], E[h²], E[h h'] over units and nets; no dims where there are no positions.
    variance
        Relative variance, over nets of finite width, of the mean square of one input over the units.
    elasticity
        d ln E[h²] / d ln E[h²] at the start of the chain.
    sample
        Gives (2, n, positions) values of the pair that fill its law evenly, where that is no Gaussian of mean zero.
    n_draws
        Number of laws drawn so far: no two have the same order.
    outer
        Relative variance at the start of the residual block that this is in, where `variance` counts from.
    is_stream
        Whether the units are those of a residual stream, which each block finds much as the block before did.
    composition
        d ln E[h²] by the deviation, of unit variance, of how the units of the stream at the start of the block are made
        up: of ReLU, how much of their power is that of positive ones.
    stream
        What single nets keep from block to block; None where no block is before.
    """

    mean: FloatArray
    second: FloatArray
    cross: FloatArray
    variance: float = 0.0
    elasticity: float = 1.0
    sample: Draw | None = None
    n_draws: int = 0
    outer: float = 0.0
    is_stream: bool = False
    composition: float = 0.0
    stream: Stream | None = None

    @property
    def correlation(self) -> FloatArray:
        """E[h h'] / E[h²], (positions); 0 where there is no signal."""
        return np.divide(self.cross, self.second, out=np.zeros_like(self.cross), where=self.second > 0)

    def values(self) -> FloatArray:
        """Return (2, n, positions) values of the pair."""
        if self.sample is not None:
            return self.sample()
        rho = np.clip(self.correlation, -1.0, 1.0)
        first, second = _normal_pair(_n_samples(self.second.size), self.n_draws)
        shape = (-1, *(1,) * self.second.ndim)
        first, second = first.reshape(shape), second.reshape(shape)
        return np.sqrt(self.second) * np.stack([first + 0.0 * rho, rho * first + np.sqrt(1.0 - rho * rho) * second])


@dataclass(frozen=True, eq=False)
class Gradient:
    """A gradient at one depth.

    Attributes
    ----------
    power
        (positions) squared norm over the units.
    variance
        Its relative variance over nets.
    units
        (2, n, positions) how the power is spread over the units of the signal's sample, of mean 1; None for evenly. A
        skip hands a gradient from unit to unit, so that a unit that passed one activation is likely to pass the next.
    outer
        Relative variance at the end of the residual block that this is in, where `variance` counts from.
    ones, along
        (positions) E[(δ·1)²] and E[(δ·1)(δ·x)] of the gradient δ and the signal x here, sums over the units; None
        where δ has no direction, E[(δ·1)²] = E|δ|².
    composition, memory
        d ln |δ|² by the deviation of how the units of a stream are made up, of unit variance; covariance of both.
    """

    power: FloatArray
    variance: float = 0.0
    units: FloatArray | None = None
    outer: float = 0.0
    ones: FloatArray | None = None
    along: FloatArray | None = None
    composition: float = 0.0
    memory: float = 0.0


def _n_samples(positions: int) -> int:
    return max(_FEWEST_SAMPLES, _MOST_SAMPLES // max(1, positions))


@lru_cache(maxsize=64)
def _normal_pair(n: int, draw: int) -> tuple[FloatArray, FloatArray]:
    index = np.arange(n) + 0.5
    shift = np.array([0.5545497, 0.308517]) * draw
    u = (index[:, None] * np.array([1.0 / _PLASTIC, 1.0 / _PLASTIC**2]) + shift) % 1.0
    first, second = special.ndtri(np.clip(u, 1e-12, 1.0 - 1e-12)).T
    return first, second


@dataclass(frozen=True, eq=False)
class _Image:
    """Moments of φ(h), and of the slope, at each position."""

    mean: FloatArray
    second: FloatArray
    cross: FloatArray
    slope: FloatArray
    elasticity: float
    kurtosis: float
    slope_kurtosis: float


def activate(member: Activation, signal: Signal, width: float) -> tuple[Signal, FloatArray, float]:
    """Return the signal after an activation, E[φ'²] at each position, and the kurtosis of the slope."""
    image = _gaussian_image(member, signal) if signal.sample is None else _sampled_image(member, signal)
    e = image.elasticity
    # Units on a sphere of given radius vary less than free ones: the factor 1 + 2e²/n of the radius is divided out.
    spread = (1.0 + (image.kurtosis - 1.0) / width) / (1.0 + 2.0 * e * e / width)
    after = Signal(
        image.mean,
        image.second,
        image.cross,
        variance=max(0.0, (1.0 + e * e * signal.variance) * spread - 1.0),
        elasticity=signal.elasticity * e,
        sample=lambda: member.phi(signal.values()),
        n_draws=signal.n_draws + 1,
        outer=signal.outer,
        composition=math.sqrt(max(0.0, spread - 1.0)) if signal.is_stream else e * signal.composition,
    )
    return after, image.slope, image.slope_kurtosis


def spread_slope(member: Activation, signal: Signal, gradient: Gradient) -> tuple[FloatArray, Units]:
    """Return E[φ'²] over the units by their part of the gradient, and how that is spread after it."""
    slope = np.asarray(member.slope(signal.values()), dtype=np.float64) ** 2
    units = slope if gradient.units is None else slope * gradient.units
    mean = units.mean(axis=(0, 1))
    return mean, np.divide(units, mean, out=np.ones_like(units), where=mean > 0)


def _gaussian_image(member: Activation, signal: Signal) -> _Image:
    second, ravel = signal.second, signal.second.ravel()
    known, where = np.unique(ravel, return_inverse=True)
    table = _table(member, known)[where].T.reshape(5, *second.shape)
    mean, square, slope, growth, _ = table
    typical = moments(member, float(second.mean()))
    total = float(square.sum())
    elasticity = float((growth * second).sum()) / total if total > 0 else 1.0
    return _Image(mean, square, _cross(member, signal), slope, elasticity, typical.kurtosis, typical.slope_kurtosis)


def _table(member: Activation, q: FloatArray) -> FloatArray:
    """Return (q, 5) mean, second, slope, growth, q; interpolated in ln q where many are close to each other."""
    if q.size > _FEW and 0.0 < q[-1] < 20.0 * q[0]:
        nodes = np.polynomial.chebyshev.chebpts1(16)
        low, high = np.log(q[0]), np.log(q[-1])
        rows = _rows(member, np.exp((low + high) / 2.0 + (high - low) / 2.0 * nodes))
        rows[:, 1] /= rows[:, 4]
        fit = np.polynomial.chebyshev.chebfit(nodes, rows[:, :4], 15)
        found = np.polynomial.chebyshev.chebval(2.0 * (np.log(q) - low) / (high - low) - 1.0, fit).T
        found[:, 1] *= q
        return np.column_stack([found, q])
    return _rows(member, q)


def _rows(member: Activation, q: FloatArray) -> FloatArray:
    found = [moments(member, float(value)) for value in q]
    return np.array([(m.mean, m.second, m.slope, m.growth, value) for m, value in zip(found, q, strict=True)])


def _cross(member: Activation, signal: Signal) -> FloatArray:
    second = signal.second
    bounded = np.clip(signal.cross, -second, second)
    if member.closed is not None or second.size <= _FEW or not (second > 0).all():
        return pair_moments(member, second, second, bounded).value
    # Many positions: one Hermite series, in the middle of them; the second moment carries what they differ by.
    middle = float(np.median(second))
    series = hermite(member, middle)
    value, _ = mehler(series, series, bounded / second, middle)
    own = _table(member, np.unique(second))[np.unique(second, return_inverse=True)[1].reshape(second.shape)][..., 1]
    return value * own / moments(member, middle).second


def _sampled_image(member: Activation, signal: Signal) -> _Image:
    h = signal.values()
    phi, dphi = np.asarray(member.phi(h), dtype=np.float64), np.asarray(member.slope(h), dtype=np.float64)
    square, slope = phi**2, dphi**2
    second = square.mean(axis=(0, 1))
    power = float(second.sum())
    return _Image(
        mean=phi.mean(axis=(0, 1)),
        second=second,
        cross=(phi[0] * phi[1]).mean(axis=0),
        slope=slope.mean(axis=(0, 1)),
        elasticity=float((phi * dphi * h).mean(axis=(0, 1)).sum()) / power if power > 0 else 1.0,
        kurtosis=_ratio(square),
        slope_kurtosis=_ratio(slope),
    )


def _ratio(square: FloatArray) -> float:
    mean = float(square.mean())
    return float((square**2).mean()) / mean**2 if mean > 0 else 1.0


def add(skip: Signal, branch: Signal, scale: float, width: float) -> tuple[Signal, Split]:
    """Return skip + scale · branch, for a branch that its own weights make independent of the skip, unit by unit.

    With it comes what says which units of both a sampled unit of the sum is made of. Elasticity and variance of both
    count from the start of the block.
    """
    together = 2.0 * scale * skip.mean * branch.mean
    second = skip.second + scale**2 * branch.second + together
    total, before, own = (float(x.mean()) for x in (second, skip.second, scale**2 * branch.second))
    own = own if total > 0 else 0.0
    total = total if total > 0 else 1.0
    elasticity = (before * skip.elasticity + (total - before) * branch.elasticity) / total
    # The product of skip and branch has the variance 4 s² E[x²] Var(f) / n, beside that of the branch itself.
    free = max(0.0, own - float((scale * branch.mean).mean()) ** 2)
    noise = (own**2 * branch.variance + before**2 * skip.variance + 4.0 * before * free / width) / total**2
    sample, split = _sum(skip, branch, scale)
    after = Signal(
        skip.mean + scale * branch.mean,
        second,
        skip.cross + scale**2 * branch.cross + together,
        variance=noise,
        elasticity=elasticity,
        sample=sample,
        n_draws=branch.n_draws + 1,
    )
    return after, split


def _sum(skip: Signal, branch: Signal, scale: float) -> tuple[Draw | None, Split]:
    if skip.sample is None and branch.sample is None:
        return None, lambda _: (None, None)
    # Both in order of size; then the ranks of one and the other fill the square evenly, as independent values do.
    one, other = skip.values(), branch.values()
    rank = np.argsort(((np.arange(one.shape[1]) + 0.5) / _GOLDEN + 0.5545497 * branch.n_draws) % 1.0)
    first = np.argsort(one.sum(axis=0), axis=0)[None]
    second = np.argsort(other.sum(axis=0), axis=0)[None][:, rank]
    total = np.take_along_axis(one, first, axis=1) + scale * np.take_along_axis(other, second, axis=1)
    return lambda: total, lambda units: (_unsorted(units, first), _unsorted(units, second))


def _unsorted(units: FloatArray | None, order: IntArray) -> FloatArray | None:
    if units is None:
        return None
    found = np.empty_like(units)
    np.put_along_axis(found, np.broadcast_to(order, units.shape), units, axis=1)
    return found
