"""The steps of a chain: what a layer of a wide net at its start does to the moments of signal and gradient."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sciml._typing import FloatArray
from sciml.errors import ConfigError, NumericalError
from sciml.theory.chain.scatter import Stream, pass_block
from sciml.theory.chain.signal import Gradient, Signal, Split, Units, activate, add, spread_slope
from sciml.theory.chain.taps import Taps
from sciml.theory.meanfield.activations import AnyActivation, activation

__all__ = ["Activate", "Affine", "Backward", "Branch", "Normalize", "Step", "compound", "run_steps"]

_LAWS = ("gaussian", "orthogonal")
_NORMS = ("batch", "layer", "rms")
_LARGEST = 1e150  # the square of a moment is still a number
Backward = Callable[[Gradient], Gradient]


class Step(Protocol):
    """One step of a chain."""

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the signal after the step, and what takes a gradient from after the step to before it."""


@dataclass(frozen=True)
class Affine:
    r"""A linear layer or convolution with fresh weights: q' = σ_w² A q + σ_b², A the mean over its taps.

    Attributes
    ----------
    sigma_w2
        fan_in · Var(w). Of a delta-orthogonal convolution that of its one tap (`taps` None).
    sigma_b2
        Variance of the biases over the units.
    n_in, n_out
        Units (channels) before and after; inf where only the limit of wide layers is asked for.
    law
        "gaussian" for independent entries, "orthogonal" for orthonormal rows or columns, which keep lengths.
    taps
        The taps of a convolution with independent weights; None where each position has its own.
    """

    sigma_w2: float
    sigma_b2: float = 0.0
    n_in: float = math.inf
    n_out: float = math.inf
    law: str = "gaussian"
    taps: Taps | None = None

    def __post_init__(self) -> None:
        if not (
            0.0 <= self.sigma_w2 < math.inf and 0.0 <= self.sigma_b2 < math.inf and min(self.n_in, self.n_out) >= 1
        ):
            raise ConfigError(f"expected sigma_w2, sigma_b2 >= 0 and at least one unit, got {self}")
        if self.law not in _LAWS:
            raise ConfigError(f"expected law among {', '.join(_LAWS)}, got {self.law!r}")

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return Gaussian units: sums over many units, of independent weights."""
        second, cross = (self._spread(each) for each in (signal.second, signal.cross))
        power, total = self.sigma_w2 * float(second.mean()), self.sigma_w2 * float(second.mean()) + self.sigma_b2
        carried = power / total if total > 0 else 1.0
        after = Signal(
            np.zeros_like(second),
            self.sigma_w2 * second + self.sigma_b2,
            self.sigma_w2 * cross + self.sigma_b2,
            variance=compound(carried**2 * signal.variance, self._noise(self.n_in, self.n_out)),
            elasticity=carried * signal.elasticity,
            n_draws=signal.n_draws,
            outer=signal.outer,
            composition=carried * signal.composition,
        )
        return after, lambda gradient: self._backward(gradient, signal.second.shape)

    def _spread(self, power: FloatArray) -> FloatArray:
        return power if self.taps is None or not power.ndim else self.taps.forward(power)

    def _backward(self, gradient: Gradient, positions: tuple[int, ...]) -> Gradient:
        spread = self.taps is not None and bool(positions)
        power = self.taps.backward(gradient.power, positions) if spread and self.taps else gradient.power
        variance = compound(gradient.variance, self._noise(self.n_out, self.n_in))
        return Gradient(self.sigma_w2 * power, variance, outer=gradient.outer, composition=gradient.composition)

    def _noise(self, n_in: float, n_out: float) -> float:
        """Relative variance of the squared length of W x, given that of x."""
        if self.law == "gaussian":
            return 2.0 / n_out
        return 2.0 * max(0.0, 1.0 - n_out / n_in if math.isfinite(n_in) else 0.0) / n_out


@dataclass(frozen=True)
class Activate:
    """An activation, by its name or as a function of an array, of each of `width` units."""

    activation: AnyActivation
    width: float = math.inf

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return E[φ(h)²] and the like, by quadrature; by a sample where h is no Gaussian of mean zero."""
        member = activation(self.activation)
        after, slope, kurtosis = activate(member, signal, self.width)
        spread = (1.0 + (3.0 * kurtosis - 1.0) / self.width) / (1.0 + 2.0 / self.width) - 1.0

        def backward(gradient: Gradient) -> Gradient:
            variance = compound(gradient.variance, max(0.0, spread))
            own = math.sqrt(max(0.0, kurtosis - 1.0) / self.width) if signal.is_stream else gradient.composition
            if signal.sample is None and gradient.units is None:
                return Gradient(slope * gradient.power, variance, outer=gradient.outer, composition=own)
            factor, units = spread_slope(member, signal, gradient)
            return Gradient(factor * gradient.power, variance, units, gradient.outer, composition=own)

        return after, backward


@dataclass(frozen=True)
class Normalize:
    r"""A normalization as it starts: divided by the standard deviation, times `scale`.

    Attributes
    ----------
    kind
        "batch": each unit over the inputs of a large batch; what they have in common, E[h h'], is taken away, so that
        the variance is E[h²] - E[h h'], with the pair of the chain for any two inputs of the batch (for an instance
        norm: any two positions). "layer": each input over the units (and, `joint`, the positions: a group norm of
        few groups); the variance is E[h²] - E[h]². "rms": without taking the mean away.
    scale
        The weight that the result is multiplied by.
    joint
        Whether the statistics of "layer" and "rms" are those of all positions together.
    """

    kind: str
    scale: float = 1.0
    joint: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _NORMS:
            raise ConfigError(f"expected a norm among {', '.join(_NORMS)}, got {self.kind!r}")

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the signal of unit variance; its length no longer depends on what came before."""
        shift, cross_shift, variance = self._statistics(signal)
        if not (variance > 0).all():
            raise NumericalError(f"a {self.kind} norm met a signal that does not vary: nothing to divide by")
        factor = self.scale**2 / variance
        after = Signal(
            (signal.mean - shift) * np.sqrt(factor),
            (signal.second - cross_shift) * factor,
            (signal.cross - cross_shift) * factor,
            elasticity=0.0,
            sample=None if signal.sample is None or self.kind == "batch" else self._shifted(signal, shift, factor),
            n_draws=signal.n_draws,
            outer=signal.outer,
            is_stream=signal.is_stream,
        )
        return after, lambda g: Gradient(g.power * factor, g.variance, g.units, g.outer, composition=g.composition)

    def _statistics(self, signal: Signal) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the mean taken away, what that takes from E[h h'], and the variance divided by."""
        if self.kind == "batch":
            return signal.mean, signal.cross, np.full_like(signal.second, (signal.second - signal.cross).mean())
        second = np.full_like(signal.second, signal.second.mean()) if self.joint else signal.second
        mean = np.full_like(signal.mean, signal.mean.mean()) if self.joint else signal.mean
        if self.kind == "rms":
            return np.zeros_like(mean), np.zeros_like(mean), second
        # E[(h - m)(h' - m)] = E[h h'] - 2 m E[h] + m²
        return mean, mean * (2.0 * signal.mean - mean), second - mean**2

    def _shifted(self, signal: Signal, shift: FloatArray, factor: FloatArray) -> Callable[[], FloatArray]:
        return lambda: (signal.values() - shift) * np.sqrt(factor)


@dataclass(frozen=True)
class Branch:
    """A residual block: skip(x) + scale · f(x).

    Attributes
    ----------
    steps
        The steps of f; at least one has weights.
    scale
        What the branch is multiplied by at the start.
    skip
        Steps of the skip; () for the identity.
    width
        Units of the stream, for its fluctuation.
    """

    steps: tuple[Step, ...]
    scale: float = 1.0
    skip: tuple[Step, ...] = ()
    width: float = math.inf

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        object.__setattr__(self, "skip", tuple(self.skip))
        if not any(isinstance(step, (Affine, Branch)) or hasattr(step, "tokens") for step in self.steps):
            raise ConfigError(
                "expected weights in a residual branch: without them it is no independent part of the sum"
            )

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the sum of skip and branch; weights of their own make both independent."""
        outer = compound(signal.elasticity**2 * signal.outer, signal.variance)
        start = replace(signal, variance=0.0, elasticity=1.0, outer=outer, is_stream=True, composition=0.0)
        branch, inward = run_steps(self.steps, start)
        skip, along = run_steps(self.skip, start)
        total, split = add(skip, branch, self.scale, self.width)
        stream: Stream | None
        variance, stream = pass_block(signal, signal.stream, branch, scale=self.scale, width=self.width)
        if self.skip:
            variance, stream = compound(total.elasticity**2 * signal.variance, total.variance), None
        kept = 0.0 if self.skip else _correlation(signal, total)
        after = Signal(
            total.mean,
            total.second,
            total.cross,
            variance=variance,
            elasticity=signal.elasticity * total.elasticity,
            sample=total.sample,
            n_draws=total.n_draws,
            outer=signal.outer,
            is_stream=signal.is_stream,
            stream=stream,
        )

        def backward(gradient: Gradient) -> Gradient:
            back = self._backward(gradient, split, inward, along, kept)
            drifts = not self.skip and math.isfinite(self.width)
            return self._drift(gradient, back, signal, branch, after.mean) if drifts else back

        return after, backward

    def _backward(
        self, gradient: Gradient, split: Split, inward: Backward, along: Backward, correlation: float
    ) -> Gradient:
        kept, entering = split(gradient.units)
        outer = compound(gradient.outer, gradient.variance)
        branch = inward(Gradient(self.scale**2 * gradient.power, units=entering, outer=outer))
        skip = along(Gradient(gradient.power, units=kept, outer=outer))
        total = branch.power + skip.power
        size = float(total.sum())
        if size <= 0.0:
            return Gradient(total, gradient.variance, outer=gradient.outer)
        one, other = float(branch.power.sum()) / size, float(skip.power.sum()) / size
        noise = one**2 * branch.variance + other**2 * skip.variance + 4.0 * one * other / self.width
        own = one * branch.composition if correlation else 0.0
        return Gradient(
            total,
            compound(gradient.variance + 2.0 * own * gradient.memory, noise),
            _together(branch, skip),
            gradient.outer,
            memory=correlation * (gradient.memory + own),
        )

    def _drift(
        self, gradient: Gradient, back: Gradient, signal: Signal, branch: Signal, mean_after: FloatArray
    ) -> Gradient:
        r"""Return the gradient with what the mean M(q) of a branch makes of it, of order 1 / width.

        Where a nonlinearity closes the branch its mean depends on q = |x|² / n, and hands (δ·1) M'(q) 2x / n back:

        .. math::
            |\delta'|^2 = |\delta|^2 (1 + \chi) + \frac4n \big(M' (AB - M A^2) + M'^2 q A^2\big), \qquad
            A = \delta \cdot 1, \; B = \delta \cdot x

        Along the mean of a stream this adds up as the signal does. M' is that of a branch whose mean grows as the root
        of its second moment.
        """
        q, m = signal.second, signal.mean
        mean = self.scale * branch.mean
        slope = np.divide(mean * branch.elasticity, 2.0 * q, out=np.zeros_like(q), where=q > 0)
        ones = gradient.power if gradient.ones is None else gradient.ones
        along = gradient.power * mean_after if gradient.along is None else gradient.along
        fresh = back.power - gradient.power
        power = back.power + 4.0 / self.width * (slope * (along - mean * ones) + slope**2 * q * ones)
        factor = 1.0 + 2.0 * slope * m
        return replace(
            back,
            power=power,
            ones=factor**2 * ones + fresh,
            along=factor * (along + ones * (2.0 * slope * q - mean)) + fresh * m,
        )


def run_steps(steps: Sequence[Step], signal: Signal) -> tuple[Signal, Backward]:
    """Follow a signal through steps; return it, and what takes a gradient back through all of them."""
    back: list[Backward] = []
    for step in steps:
        signal, one = step.forward(signal)
        if not float(signal.second.max()) < _LARGEST:
            raise NumericalError(f"the second moment exceeds {_LARGEST:g} after {step}; choose weaker weights")
        back.append(one)

    def backward(gradient: Gradient) -> Gradient:
        for one in reversed(back):
            gradient = one(gradient)
        return gradient

    return signal, backward


def _correlation(before: Signal, after: Signal) -> float:
    """Return the correlation of units before and after a block, √(q / q')."""
    size = float(after.second.mean())
    return math.sqrt(min(1.0, float(before.second.mean()) / size)) if size > 0.0 else 1.0


def _together(branch: Gradient, skip: Gradient) -> Units:
    """Return how the sum of two gradients is spread over the units."""
    if branch.units is None and skip.units is None:
        return None
    total = branch.power + skip.power
    parts = [each.power / total * (1.0 if each.units is None else each.units) for each in (branch, skip)]
    return np.asarray(parts[0] + parts[1])


def compound(variance: float, noise: float) -> float:
    """Return the relative variance of a product of independent factors."""
    return (1.0 + variance) * (1.0 + noise) - 1.0
