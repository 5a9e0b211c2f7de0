"""Steps along the positions of a signal: means over them, padding, another shape."""

import math
from dataclasses import dataclass, replace

import numpy as np

from sciml._typing import FloatArray
from sciml.theory.chain.signal import Gradient, Signal
from sciml.theory.chain.steps import Backward
from sciml.theory.chain.taps import Taps

__all__ = ["Pad", "Pool", "Reshape"]


@dataclass(frozen=True)
class Pool:
    r"""A mean over positions: over the windows of `taps`, or over all of them.

    Attributes
    ----------
    correlation
        E[h_s h_t] / E[h²] of two positions, which no recursion for single positions knows: 1 for signals that do not
        vary along the positions, 0 for independent ones. Gradients do not depend on it.
    taps
        Windows; None for the mean over all positions.
    pair
        Correlation of the two inputs after it, where it is known; None where it stays.
    """

    correlation: float = 1.0
    taps: Taps | None = None
    pair: float | None = None

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the mean: of n values it has the share 1/n + (1 - 1/n) correlation of their power."""
        positions = signal.second.shape
        n = self.taps.n_taps if self.taps is not None else signal.second.size
        share = 1.0 / n + (1.0 - 1.0 / n) * self.correlation
        mean, second, cross = (self._mean(each) for each in (signal.mean, signal.second, signal.cross))
        after = Signal(
            mean,
            share * second,
            share * (cross if self.pair is None else self.pair * second),
            signal.variance,
            signal.elasticity,
            n_draws=signal.n_draws + 1,
            outer=signal.outer,
        )
        return after, lambda gradient: self._backward(gradient, positions, n)

    def _mean(self, power: FloatArray) -> FloatArray:
        return np.asarray(power.mean()) if self.taps is None else self.taps.forward(power)

    def _backward(self, gradient: Gradient, positions: tuple[int, ...], n: int) -> Gradient:
        if self.taps is None:
            power = np.full(positions, float(gradient.power) / n**2)
        else:
            power = self.taps.backward(gradient.power, positions) / n
        return Gradient(power, gradient.variance, outer=gradient.outer)


@dataclass(frozen=True)
class Reshape:
    """Other positions than before, as where a convolution gives its features to a linear layer: () for none.

    What was at the positions becomes their mean, unless there are as many after it: then they keep their order.
    """

    positions: tuple[int, ...] = ()

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the moments at the new positions."""
        before = signal.second.shape
        moved = [self._moved(each) for each in (signal.mean, signal.second, signal.cross)]
        after = replace(signal, mean=moved[0], second=moved[1], cross=moved[2], sample=None)
        return after, lambda g: Gradient(self._returned(g.power, before), g.variance, outer=g.outer)

    def _moved(self, power: FloatArray) -> FloatArray:
        if power.size == math.prod(self.positions):
            return power.reshape(self.positions)
        return np.full(self.positions, power.mean())

    def _returned(self, power: FloatArray, before: tuple[int, ...]) -> FloatArray:
        if power.size == math.prod(before):
            return power.reshape(before)
        return np.full(before, power.sum() / math.prod(before))


@dataclass(frozen=True)
class Pad:
    """Zeros before and after, along each dim of positions."""

    widths: tuple[tuple[int, int], ...]

    def forward(self, signal: Signal) -> tuple[Signal, Backward]:
        """Return the moments with zeros beside them."""
        padded = [np.pad(each, self.widths) for each in (signal.mean, signal.second, signal.cross)]
        inner = tuple(slice(low, low + n) for (low, _), n in zip(self.widths, signal.second.shape, strict=True))
        after = replace(signal, mean=padded[0], second=padded[1], cross=padded[2], sample=None)
        return after, lambda g: Gradient(g.power[inner], g.variance, outer=g.outer)
