"""Steps that name a point of a chain, or take from a measurement what theory does not say."""

import math
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace

import numpy as np

from sciml.theory.chain.signal import Draw, Gradient, Signal
from sciml.theory.chain.steps import Backward, compound

__all__ = ["Mark", "Marked", "Measured", "Scale"]


@dataclass
class Marked:
    """Moments at a marked point: means over positions, and relative variances over nets of finite width.

    `second`, `correlation` and `variance` are those of the signal; `gradient` the squared norm of the gradient over
    that at the end of the chain, NaN until a gradient has come back.
    """

    second: float
    correlation: float
    variance: float
    gradient: float = math.nan
    gradient_variance: float = math.nan


@dataclass(frozen=True)
class Mark:
    """A point, inside a residual branch too, whose moments go into `log` under `name` when the chain is followed."""

    name: str
    log: MutableMapping[str, Marked] = field(compare=False, repr=False)

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the signal as it is."""
        second, cross = float(signal.second.mean()), float(signal.cross.mean())
        variance = compound(signal.elasticity**2 * signal.outer, signal.variance)
        found = Marked(second, cross / second if second > 0 else 0.0, variance)
        self.log[self.name] = found

        def backward(gradient: Gradient) -> Gradient:
            found.gradient = float(gradient.power.sum())
            found.gradient_variance = compound(gradient.outer, gradient.variance)
            return gradient

        return signal, backward


@dataclass(frozen=True)
class Measured:
    """A step that no theory is known of: its moments, and its factor on a squared gradient, are those measured."""

    second: float
    correlation: float
    gradient: float
    positions: tuple[int, ...] = ()

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the moments measured, evenly over the positions."""
        before = signal.second.shape
        second = np.full(self.positions, self.second)
        after = Signal(
            np.zeros_like(second),
            second,
            self.correlation * second,
            elasticity=0.0,
            n_draws=signal.n_draws,
            outer=signal.outer,
        )
        factor = self.gradient / max(1, math.prod(before))
        return after, lambda g: Gradient(np.full(before, g.power.sum() * factor), g.variance, outer=g.outer)


@dataclass(frozen=True)
class Scale:
    """A factor, and a vector of parameters of this mean square that is added."""

    factor: float = 1.0
    shift2: float = 0.0

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the moments of the multiple."""
        f2 = self.factor**2
        total = f2 * float(signal.second.mean()) + self.shift2
        kept = f2 * float(signal.second.mean()) / total if total > 0 else 1.0
        after = replace(
            signal,
            mean=self.factor * signal.mean,
            second=f2 * signal.second + self.shift2,
            cross=f2 * signal.cross + self.shift2,
            variance=kept**2 * signal.variance,
            elasticity=kept * signal.elasticity,
            sample=self._multiple(signal),
        )
        return after, lambda g: replace(g, power=f2 * g.power, ones=None, along=None)

    def _multiple(self, signal: Signal) -> Draw | None:
        if signal.sample is None or self.shift2:
            return None
        return lambda: self.factor * signal.values()
