"""Which convolutions of a net spread over their taps."""

from collections.abc import Mapping, Sequence
from typing import Any

from sciml.nn.structure import TRANSPOSED, Step, Structure

__all__ = ["spread_layers"]

SPREAD = 1.0 / 6.0  # of the length of a signal: how far all layers together carry a sample, as one standard deviation


def spread_layers(structure: Structure, strength: Mapping[str, float]) -> frozenset[str]:
    """Return the convolutions that spread over their taps, evenly in depth, so that little runs over the border.

    A layer of k taps moves a sample by a uniform step of variance (k² - 1) / 12, of which a residual branch counts the
    share that it adds to the stream; zero padding loses what crosses the border. Together the steps may spread by a
    sixth of the length of the signal, as one standard deviation. A layer with a stride always spreads: it would
    leave samples out.

    Parameters
    ----------
    structure
        Of the net, traced on a sample: without one the lengths are not known, and none but those with a stride spread.
    strength
        Share of the stream's variance that a layer's branch adds, by name of the layer; 1 where none is given.
    """
    lengths = dict(_lengths(structure.steps))
    chosen, due = set(), 0.0
    layers = [layer for layer in structure.layers if len(layer.slot.kernel) and not layer.reads_input]
    steps = {layer.name: strength.get(layer.name, 1.0) * _step(layer.slot.kernel) for layer in layers}
    total = sum(steps.values())
    for layer in layers:
        strided = max(getattr(layer.slot.module, "stride", (1,))) > 1 or isinstance(layer.slot.module, TRANSPOSED)
        allowed = (SPREAD * lengths.get(layer.name, 0)) ** 2
        due += min(1.0, allowed / total) if total else 0.0
        if strided or (due >= 1.0 - 1e-9 and steps[layer.name] > 0):
            chosen.add(layer.name)
            due = max(0.0, due - 1.0)
    return frozenset(chosen)


def _step(kernel: Sequence[int]) -> float:
    return max((size**2 - 1) / 12 for size in kernel)


def _lengths(steps: Sequence[Step]) -> Any:
    """Yield the shortest side of the signal after each layer, by name of the layer."""
    for step in steps:
        for name in step.layers:
            if step.shape[2:]:
                yield name, min(step.shape[2:])
        yield from _lengths(step.steps)
        yield from _lengths(step.shortcut)
