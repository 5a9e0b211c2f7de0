"""What the spectra of a net come to, in words, the most important first."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sciml.report.document.parts import Finding
from sciml.report.net_record import NetRecord
from sciml.report.sections.nets.curvature import curvature_findings
from sciml.wording import count, p_value, percent, sentence, series

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import ActivationSpectrum, JacobianSpectrum, LayerSpectrum, WeightSpectra

__all__ = ["net_findings", "weights_findings"]

NAMED = 4  # layers by name in a sentence


def net_findings(record: NetRecord) -> tuple[Finding, ...]:
    """Return the findings on one net."""
    found = [*weights_findings(record.weights)]
    if record.jacobian is not None:
        found += _jacobian(record.jacobian, record.initial_jacobian)
    if record.activations is not None and len(record.activations) > 1:
        found += _activations(record.activations[-2])
    if record.curvature is not None:
        found += curvature_findings(record.curvature, record.learning_rate, record.optimizer)
    found += [Finding(sentence(note), "note") for note in record.notes]
    return tuple(found)


def weights_findings(weights: "WeightSpectra") -> Iterator[Finding]:
    """Say which layers learned, which look like their start, which have no noise left, and what was not analyzed."""
    n, verdicts = len(weights.own), weights.verdicts
    learned = [x for x in weights.own if x.rank]
    numbers = {"matrices": n, **{name: len(layers) for name, layers in verdicts.items()}}
    if learned:
        strongest = sorted(learned, key=lambda x: -(x.tested_values[0] / x.edge if x.edge else 0.0))
        named = series(f"{x.name} ({x.rank} of {len(x.tested_values)}, {_p(x)})" for x in strongest[:NAMED])
        most = "most clearly " if len(learned) > NAMED else ""
        head = f"{len(learned)} of {count(n, 'weight matrix')} {'holds' if len(learned) == 1 else 'hold'}"
        yield Finding(
            f"{head} directions that noise does not explain: {most}{named}; at most {percent(weights.alpha, 0)} of "
            "such layers are expected to be false.",
            numbers=numbers,
        )
    alike = verdicts.get("like its initialization", ())
    if alike:
        yield Finding(
            f"{_named(alike, n)} {'looks' if len(alike) == 1 else 'look'} like random weights: what was learned there, "
            "if anything, is hidden by them; the net may need them all the same.",
            "result" if not learned else "note",
            numbers,
        )
    yield from _changed(weights)
    yield from _without_rank(weights, n)
    yield from _not_analyzed(weights)


def _changed(weights: "WeightSpectra") -> Iterator[Finding]:
    """Say how far the weights moved, and whether along what the layers are given."""
    moved = [x for x in weights.own if x.change is not None and x.change.relative_size is not None]
    if not moved:
        return
    sizes = {x.name: float(x.change.relative_size or 0.0) for x in moved if x.change is not None}
    far = max(sizes, key=lambda name: sizes[name])
    aligned = [x.change.data_alignment for x in moved if x.change is not None and x.change.data_alignment is not None]
    along = [each for each in aligned if each.p_values[0] * len(aligned) < weights.alpha]  # Bonferroni
    data = ""
    if aligned:
        data = (
            f"; in {len(along)} of {len(aligned)} the strongest direction of the change lies along the strongest "
            f"components of what the layer multiplies, more than by chance (level {weights.alpha:g} over all)"
        )
    least, most = percent(min(sizes.values())), percent(sizes[far])
    how = f"by {most} of their size" if len(sizes) == 1 else f"by {least} to {most} of their size, most in {far}"
    yield Finding(
        f"Since the start the weights changed {how}{data}.",
        "result",
        {"sizes": sizes, "along_data": len(along), "with_data": len(aligned)},
    )


def _without_rank(weights: "WeightSpectra", n: int) -> Iterator[Finding]:
    texts = {
        "no noise bulk left": "no noise bulk left: no number of directions is given, for there is nothing random to "
        "hold them against",
        "orthogonal: nothing to test": "equal singular values: there is nothing to test",
    }
    for verdict, text in texts.items():
        names = weights.verdicts.get(verdict, ())
        if names:
            yield Finding(f"{_named(names, n)} {'has' if len(names) == 1 else 'have'} {text}.", "note")
    names = weights.verdicts.get("undetermined", ())
    if names:
        reasons = dict.fromkeys(
            x.reason or "a bulk that noise does not explain" for x in weights.own if x.name in names
        )
        verb = "is" if len(names) == 1 else "are"
        yield Finding(f"{_named(names, n)} {verb} undetermined: {series(reasons, 'or')}.", "note")


def _not_analyzed(weights: "WeightSpectra") -> Iterator[Finding]:
    left = weights.left_out
    if not left:
        return
    fraction = sum(each.n_parameters for each in left) / max(1, weights.n_parameters)
    named = series(f"{each.name} ({each.reason})" for each in left[:NAMED])
    more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    yield Finding(
        f"Not analyzed: {named}{more}, {percent(fraction)} of the parameters.", "caution", {"fraction": fraction}
    )


def _p(layer: "LayerSpectrum") -> str:
    return "untested" if layer.q_value is None else p_value(layer.q_value)


def _named(names: tuple[str, ...], n: int) -> str:
    if len(names) == n:
        return "The weight matrix" if n == 1 else f"All {n} weight matrices"
    shown = series(names[:NAMED]) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and others"
    return f"{len(names)} of {count(n, 'weight matrix')} ({shown})"


def _jacobian(now: "JacobianSpectrum", start: "JacobianSpectrum | None") -> Iterator[Finding]:
    measured = float(now.squared_gain.mean())
    if measured == 0.0:
        n = len(now.singular_values)
        text = (
            f"At {n} windows of the train part the net does not react to small changes of its input: the Jacobian is 0."
        )
        yield Finding(text, "result", {"squared_gain": 0.0})
        return
    spread = "" if not now.squared_gain_se > 0 else f" (standard error {now.squared_gain_se:.2g})"
    told = f"A small random change of the input comes out with {measured:.3g} of its squared length{spread}"
    numbers = {"squared_gain": measured, "largest": now.largest}
    if start is None:
        yield Finding(f"{told}.", "note", numbers)
        return
    before = float(start.squared_gain.mean())
    numbers |= {"squared_gain_start": before, "expected": start.expected_squared_gain}
    text = f"{told}, {_times(measured, before)} what it was at the start ({before:.3g}"
    yield Finding(f"{text}{_theory(start)}).", "result", numbers)


def _theory(start: "JacobianSpectrum") -> str:
    if not math.isfinite(start.expected_squared_gain):
        return ""
    low, high = start.expected_band
    most = f", {low:.2g} to {high:.2g} in most nets of these widths" if math.isfinite(low + high) else ""
    return f"; theory expects {start.expected_squared_gain:.3g} of random weights{most}"


def _times(value: float, other: float) -> str:
    return f"{value / other:.3g} times" if other > 0 else "against"


def _activations(last: "ActivationSpectrum") -> Iterator[Finding]:
    random = "" if last.random_dimension is None else f"; random weights in {last.source} would give "
    random += "" if last.random_dimension is None else f"{last.random_dimension:.3g}"
    constant = "" if not last.n_constant else f" ({last.n_constant} of them are the same for every input)"
    yield Finding(
        f"What the last layer ({last.name}) reads has {last.n_units} units{constant} and a participation ratio of "
        f"{last.dimension:.3g}{random}.",
        "note",
        {"dimension": last.dimension, "random": last.random_dimension, "units": last.n_units},
    )
    if last.collapse is not None and np.isfinite(last.collapse.within):
        yield Finding(
            f"There the scatter within the {last.collapse.n_classes} classes is {last.collapse.within:.3g} (± "
            f"{last.collapse.within_se:.1g}) of that between them (0 is neural collapse), over "
            f"{last.collapse.n_samples} windows of the train part.",
            "note",
            last.collapse.to_dict(),
        )
