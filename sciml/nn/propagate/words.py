"""Warnings in words about how signals and gradients travel."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from sciml.nn.propagate.result import PropagationPoint
from sciml.nn.structure.activations import Activation
from sciml.nn.structure.result import Structure

__all__ = ["warnings_of"]

LARGEST = 1e3
DEPTHS = 6.0  # correlation lengths that can be trained: Schoenholz et al. (2017), arXiv:1611.01232, section 5


def warnings_of(structure: Structure, stream: Sequence[PropagationPoint]) -> tuple[str, ...]:
    """Return what is wrong with a net at its start, one sentence each."""
    second, gradient = (_without(_before_output(stream), key) for key in ("second", "gradient"))
    if not all(math.isfinite(point.second) and math.isfinite(point.gradient) for point in stream):
        return ("signals or gradients are not finite in double precision: choose weaker weights", *_closing(structure))
    return (
        *_changes("signal", 1.0, second, "from end to end"),
        *_changes("squared gradient", gradient, 1.0, "on its way back"),
        *_untrainable(structure, stream),
        *_closing(structure),
    )


def _before_output(stream: Sequence[PropagationPoint]) -> Sequence[PropagationPoint]:
    """Return the points from the first layer to what the last is given: the output has the scale of the answer."""
    layers = [i for i, point in enumerate(stream) if point.kind == "affine"]
    ends = len(layers) > 1 and not any(point.kind == "branch" for point in stream[layers[-1] :])
    return stream[1 : layers[-1]] if ends else stream[1:]


def _without(points: Sequence[PropagationPoint], key: str, kinds: Sequence[str] = ("pool",)) -> float:
    """Return how much a value changes from the first point to the last, but for steps of these kinds.

    A mean over T positions gives each the T-th part of a gradient, and takes power from what varies: both are meant.
    """
    change = 1.0
    for before, after in pairwise(points):
        if after.kind not in kinds:
            change *= _ratio(getattr(after, key), getattr(before, key))
    return change


def _ratio(after: float, before: float) -> float:
    if before == 0.0:
        return 1.0 if after == 0.0 else math.inf
    return after / before


def _changes(what: str, start: float, end: float, where: str) -> Iterator[str]:
    if (start > 0 and end == 0) or math.isinf(start):  # a change from nothing to something
        yield f"the {what} is zero {where}: nothing passes at the start"
    elif start > 0 and not 1 / LARGEST <= end / start <= LARGEST:
        verb = "grows" if end > start else "shrinks"
        yield (
            f"the {what} {verb} {max(end / start, start / end):.3g} times {where}, more than {LARGEST:g} times: expect "
            "steps that diverge or do nothing; choose weights for this depth (spectral, balanced, critical, ...)"
        )


def _untrainable(structure: Structure, stream: Sequence[PropagationPoint]) -> Iterator[str]:
    """Say that a net without skips and norms is deeper than 6 depth scales, by theory."""
    normed = any(point.kind in ("norm", "other") for point in stream)  # what is not known may be a norm
    depth = sum(point.kind == "affine" for point in stream)
    change = _log_change(stream)
    if structure.branches or normed or depth < 2 or abs(change) <= DEPTHS:
        return
    xi = depth / abs(change)
    yield (
        f"{depth} layers are deeper than this start can be trained: gradients change e-fold every ξ_c = {xi:.3g} "
        f"layers by theory, and about 6 ξ_c = {DEPTHS * xi:.3g} layers can be trained"
    )


def _log_change(stream: Sequence[PropagationPoint]) -> float:
    """Return the logarithm of the squared gradient at the first layer over that at the last, by theory."""
    layers = [i for i, point in enumerate(stream) if point.kind == "affine"]
    if len(layers) < 2:
        return 0.0
    change = _without(stream[layers[0] : layers[-1] + 1], "gradient_theory", ("pool", "other"))
    return -math.log(change) if math.isfinite(change) and change > 0 else 0.0


def _closing(structure: Structure) -> Iterator[str]:
    closing = [(branch.name, branch.closing) for branch in structure.branches if branch.closing is not None]
    names = [name for name, activation in closing if _has_mean(activation)]
    if names:
        kind = dict(closing)[names[0]].name.replace("relu", "ReLU")
        yield (
            f"a {kind} closes {len(names)} residual branches ({names[0]}, ...): its mean adds up along the stream, so "
            "that signals grow faster than the variance of the weights says, and rules such as taki do not hold them; "
            "end branches with their weights"
        )


def _has_mean(activation: Activation) -> bool:
    """Whether symmetric values come out with a mean."""
    x = np.linspace(0.1, 3.0, 30)
    values = np.asarray(activation(x)), np.asarray(activation(-x))
    return bool(abs(float((values[0] + values[1]).mean())) > 1e-3 * float(np.abs(values).mean()))
