"""Measuring a net on a batch, beside what theory says of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from sciml.errors import ScimlError
from sciml.nn.propagate.chain import Builder, entry, has_attention
from sciml.nn.propagate.measure import Measurement, Point, measure
from sciml.nn.propagate.result import Propagation, PropagationPoint
from sciml.nn.propagate.words import warnings_of
from sciml.nn.structure.result import Step
from sciml.theory import chain

__all__ = ["propagation"]

Where = tuple[int, str, str, str]  # node, name, kind, residual block


def propagation(model: nn.Module, batch: Any, *, generator: torch.Generator | None = None) -> Propagation:
    r"""Measure how a batch and a gradient travel through a net, and say beside it what mean-field theory expects.

    The net is run as in training (norms use the batch, dropout is off) on a copy in double precision; the model itself
    is left as it was. Its structure is traced from the pass, so that it may be of any classes. Where theory knows
    nothing of a function (a recurrent layer, a maximum over positions) it goes on from what was measured there; a net
    that is no chain of layers and residual blocks is measured alone. Both are said in `notes`.

    Parameters
    ----------
    model
        Any net with weight layers.
    batch
        Inputs, a tensor (batch, ...), or a tuple or mapping of what the net is called with; some tens of samples.
    generator
        Where the random gradient and directions come from; None is a fresh one with seed 0.

    Returns
    -------
    Propagation
        A point for each step of the net: mean square, squared gradient, χ₁, correlation of two inputs, singular values
        of the Jacobian on 8 random directions, each measured; and what theory expects, with the band of single nets of
        these widths. Warnings in words.

    Raises
    ------
    ConfigError
        A net without weights, with lazy layers, or that cannot be copied.

    References
    ----------
    Poole et al. (2016), arXiv:1606.05340; Schoenholz et al. (2017), arXiv:1611.01232, for the depth that can be
    trained; Hanin and Rolnick (2018), arXiv:1803.01719, for the band.

    Examples
    --------
    >>> net = nn.Sequential(*(part for _ in range(60) for part in (nn.Linear(32, 32), nn.Tanh())))
    >>> found = propagation(net, torch.randn(16, 32, generator=torch.Generator().manual_seed(0)))
    >>> len(found.points), any("more than 1000 times" in each for each in found.warnings)
    (121, True)
    """
    measured = measure(model, batch, generator)
    log: dict[str, chain.Marked] = {}
    notes = [*measured.notes, *_follow(measured, log)]
    tokens = has_attention(measured)
    rows = [_point(where, measured, log, tokens) for where in _places(measured)]
    points = tuple(_with_jacobian(_with_chi(rows), measured, log))
    stream = [point for point in points if not point.block]
    return Propagation(points, warnings_of(measured.structure, stream), tuple(notes))


def _follow(measured: Measurement, log: dict[str, chain.Marked]) -> list[str]:
    """Follow the chain that the net is; return what is not known of it."""
    if not measured.path.steps:
        return [*measured.structure.notes, "theory: none, for its inputs meet in no single chain"]
    builder = Builder(measured, log)
    try:
        steps, start, positions = builder.build()
        chain.follow(steps, q=start.second, correlation=builder.correlation(start), positions=positions)
    except (ScimlError, KeyError) as error:
        log.clear()
        return [f"theory: none, {error}"]
    for node in builder.mirrored:  # of the halves u and -u alone theory says nothing
        log[node].correlation = math.nan
    unknown = list(dict.fromkeys(builder.unknown))
    return [f"theory goes on from what was measured after: {', '.join(unknown)}"] if unknown else []


def _places(measured: Measurement) -> list[Where]:
    """Return the points in order of execution: those of the chain, or all layers and sums where there is none."""
    nodes = measured.graph.nodes
    start = min((node.index for node in nodes if node.kind == "input" and node.index in measured.points), default=None)
    if measured.path.steps:
        first = entry(measured, measured.path.steps[0])
        start = first if first in measured.points else start
    found: list[Where] = [] if start is None else [(start, "input", "input", "")]
    if measured.path.steps:
        found += _of_steps(measured, measured.path.steps, "")
    else:
        inside = {i: merge.node for merge in measured.graph.merges.values() for i in merge.inside}
        found += [
            (node.index, node.module or node.name, node.kind, str(inside.get(node.index, "")))
            for node in nodes
            if node.kind in ("affine", "norm") or node.index in measured.graph.merges
        ]
    return [each for each in found if each[0] in measured.points]


def _of_steps(measured: Measurement, steps: Sequence[Step], block: str) -> list[Where]:
    found: list[Where] = []
    for step in steps:
        if step.kind == "branch":
            found += _of_steps(measured, (*step.shortcut, *step.steps), step.name)
        if step.kind == "other":
            inside = measured.graph.between(measured.path.entries[step.node], step.node)
            nodes = [measured.graph.nodes[i] for i in inside if i != step.node]
            found += [
                (each.index, each.module or each.name, each.kind, step.name)
                for each in nodes
                if each.kind in ("affine", "norm")
            ]
        found.append((step.node, step.name, step.kind, block))
    return found


def _point(where: Where, measured: Measurement, log: Mapping[str, chain.Marked], tokens: bool) -> PropagationPoint:
    node, name, kind, block = where
    here: Point = measured.points[node]
    nothing = chain.Marked(math.nan, math.nan, math.nan)
    theory = log.get(str(node), nothing)
    values = measured.singular_values.get(node)
    return PropagationPoint(
        name,
        kind,
        block,
        here.second,
        here.gradient,
        math.nan,
        here.positions if tokens else here.correlation,
        () if values is None else tuple(float(each) for each in values),
        theory.second,
        theory.gradient,
        math.nan,
        theory.correlation,
        _band(theory.second, theory.variance),
        _band(theory.gradient, theory.gradient_variance),
    )


def _band(mean: float, variance: float) -> tuple[float, float]:
    if not math.isfinite(variance):
        return (math.nan, math.nan)
    typical, factor = mean / math.sqrt(1.0 + variance), math.exp(2.0 * math.sqrt(math.log1p(variance)))
    return typical / factor, typical * factor


def _with_chi(points: Sequence[PropagationPoint]) -> list[PropagationPoint]:
    """Set χ₁ of each point: its squared gradient over that of the next point of the same stream or branch."""
    following: dict[str, PropagationPoint] = {}
    found = []
    for point in reversed(points):
        after = following.get(point.block)
        if after is not None:
            factors = _ratio(point.gradient, after.gradient), _ratio(point.gradient_theory, after.gradient_theory)
            point = replace(point, chi_1=factors[0], chi_1_theory=factors[1])
        following[point.block] = point
        found.append(point)
    return found[::-1]


def _with_jacobian(
    points: Sequence[PropagationPoint], measured: Measurement, log: Mapping[str, chain.Marked]
) -> list[PropagationPoint]:
    r"""Set the mean squared singular value that theory expects from the input to each point of the stream.

    .. math:: \mathrm{tr}(J J^T) / n_0 = \frac{n}{n_0} E|J^T v|^2, \quad |v| = 1

    whose last factor is how much the squared gradient grows between there and the input.
    """
    nodes = [str(where[0]) for where in _places(measured)]
    first = log.get(nodes[0]) if nodes else None
    if first is None or not first.gradient > 0:
        return list(points)
    size = math.prod(measured.points[int(nodes[0])].shape[1:])
    return [
        point if point.block else _expecting(point, first, log.get(node), measured.points[int(node)], size)
        for node, point in zip(nodes, points, strict=True)
    ]


def _expecting(
    point: PropagationPoint, first: chain.Marked, here: chain.Marked | None, values: Point, size: int
) -> PropagationPoint:
    if here is None or not here.gradient > 0:
        return point
    mean = math.prod(values.shape[1:]) / size * first.gradient / here.gradient
    variance = max(0.0, (1.0 + first.gradient_variance) / (1.0 + here.gradient_variance) - 1.0)
    return replace(point, jacobian_theory=mean, jacobian_band=_band(mean, variance))


def _ratio(value: float, after: float) -> float:
    return value / after if after > 0 else math.nan
