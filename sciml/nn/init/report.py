"""How a net started: one row a layer, measured beside what theory expects."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from sciml.errors import DataError
from sciml.nn.init.laws import singular_value
from sciml.nn.init.passes import run
from sciml.nn.init.rules import Law, Rule
from sciml.nn.init.singular import largest_singular_value
from sciml.nn.structure import Layer, Slot

__all__ = ["InitReport", "LayerInit", "layer_row", "preactivations"]

_ONE_VALUE = ("orthogonal", "delta", "paraunitary", "looks_linear", "spectral")


@dataclass(frozen=True)
class LayerInit:
    """How one weight matrix started.

    Attributes
    ----------
    name, kind, shape
        Dotted name of the module, and of the gate or projection where it holds several; its type, and the shape of its
        weight, (n_out, n_in / groups, *kernel).
    fan_in
        Inputs that one output adds up.
    law
        "gaussian", "uniform", "orthogonal" (the matrix (c_out, fan_in) has equal singular values), "delta" (a
        convolution whose only tap is an orthogonal matrix in the center), "looks_linear" (mirrored blocks), "spectral"
        (its largest singular value is set), "zero", "given" (computed by the method), or "kept" (not drawn here).
    sigma_w2
        Target of fan_in · Var(w).
    measured
        fan_in · mean(w²) of the weights as they are now.
    sigma_b2
        Target variance of the biases.
    branch
        The residual branch that the layer is in, or None.
    largest_singular_value
        Of the matrix (c_out, fan_in); of the largest group where a convolution has groups.
    edge
        What theory expects it to be: σ_w (1 + √(n_out / fan_in)) in the limit of large independent entries, the common
        singular value itself where the law has one.
    preactivation
        Mean square of the layer's output on `sample`; None without a sample, or when the sample never reached it.
    note
        Anything unusual.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    fan_in: float
    law: Law
    sigma_w2: float
    measured: float
    sigma_b2: float
    branch: str | None
    largest_singular_value: float
    edge: float
    preactivation: float | None = None
    note: str = ""


@dataclass(frozen=True, repr=False)
class InitReport:
    """How a net started: one row a layer, in the order of its modules.

    Attributes
    ----------
    method, options
        What was asked for.
    layers
        One `LayerInit` a layer.
    n_blocks
        Number L of residual branches.
    untouched
        Names of parameters that no rule covers: of no known layer, or frozen.
    untouched_fraction
        The fraction of all parameters that they are.
    notes
        What the method found out: the activation, the critical point, ...
    """

    method: str
    options: Mapping[str, Any]
    layers: tuple[LayerInit, ...]
    n_blocks: int = 0
    untouched: tuple[str, ...] = ()
    untouched_fraction: float = 0.0
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        return f"InitReport(method {self.method!r}, {len(self.layers)} layers)"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return asdict(self)

    def summary(self) -> str:
        """Return the report as a table of plain text."""
        rows = [f"{'layer':<28} {'law':<10} {'σ_w²':>8} {'measured':>9} {'s_max':>8} {'edge':>8} {'E[z²]':>9}"]
        for row in self.layers:
            moment = "" if row.preactivation is None else f"{row.preactivation:.4g}"
            rows.append(
                f"{row.name:<28} {row.law:<10} {row.sigma_w2:>8.4g} {row.measured:>9.4g} "
                f"{row.largest_singular_value:>8.4g} {row.edge:>8.4g} {moment:>9} {row.note}".rstrip()
            )
        return "\n".join(
            [f"method {self.method}, {self.n_blocks} residual branches", *rows, *self.notes, *self._untouched_words()]
        )

    def _untouched_words(self) -> list[str]:
        if not self.untouched:
            return []
        named = ", ".join(self.untouched[:8]) + (f" and {len(self.untouched) - 8} more" if self.untouched[8:] else "")
        return [f"left untouched, {100 * self.untouched_fraction:.2g} % of the parameters: {named}"]


def layer_row(layer: Layer, rule: Rule, moments: Mapping[str, float]) -> LayerInit:
    """Measure one matrix beside what its rule wants."""
    slot = layer.slot
    blocks = slot.blocks()
    independent = math.sqrt(rule.sigma_w2) * (1.0 + math.sqrt(slot.n_out / slot.fan_in))
    return LayerInit(
        name=layer.name,
        kind=slot.kind,
        shape=tuple(slot.weight.shape),
        fan_in=slot.fan_in,
        law=rule.law,
        sigma_w2=rule.sigma_w2,
        measured=slot.fan_in * float(blocks.double().square().mean()),
        sigma_b2=rule.sigma_b2,
        branch=layer.branch,
        largest_singular_value=largest_singular_value(blocks),
        edge=singular_value(slot, rule) if rule.law in _ONE_VALUE else independent,
        preactivation=moments.get(layer.name),
        note=rule.note,
    )


def preactivations(model: nn.Module, slots: Sequence[Slot], sample: Any) -> dict[str, float]:
    """Return the mean square on the sample of the output of each layer that is one matrix."""
    moments: dict[str, list[float]] = {}

    def watch(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            moments.setdefault(name, []).append(float(output.detach().double().square().mean()))

        return hook

    whole = [slot for slot in slots if slot.rows is None and slot.parameter == "weight"]
    run(model, sample, {slot.module: watch(slot.name) for slot in whole})
    return {name: _finite(name, sum(values) / len(values)) for name, values in moments.items()}


def _finite(name: str, moment: float) -> float:
    if not math.isfinite(moment):
        raise DataError(f"layer {name!r} overflows on the sample; choose a weaker initialization or scale the input")
    return moment
