"""How a net started: one row a layer, measured beside what theory expects."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from sciml.errors import DataError
from sciml.nn.init.branches import branch_of
from sciml.nn.init.rules import Law, Rule, singular_value
from sciml.nn.layers import NORMS, WeightLayer

__all__ = ["InitReport", "LayerInit", "layer_row", "preactivations"]


@dataclass(frozen=True)
class LayerInit:
    """How one layer started.

    Attributes
    ----------
    name, kind, shape
        Dotted module name, its type, and the shape of its weight.
    fan_in
        Inputs that one output adds up.
    law
        "gaussian", "orthogonal" (the matrix (c_out, fan_in) has equal singular values), "delta" (a convolution whose
        only tap is an orthogonal matrix in the center), or "kept" (not drawn here).
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
        singular value itself where the law is orthogonal.
    preactivation
        Mean square of the layer's output on `sample`; None without a sample, or when the sample never reached it.
    note
        Anything unusual.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    fan_in: int
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
        Names of parameters that no rule covers: not of a Linear, ConvNd or norm layer, or frozen.
    notes
        What the method found out: the activation, the critical point, ...
    """

    method: str
    options: Mapping[str, Any]
    layers: tuple[LayerInit, ...]
    n_blocks: int = 0
    untouched: tuple[str, ...] = ()
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
                f"{row.largest_singular_value:>8.4g} {row.edge:>8.4g} {moment:>9}"
            )
        return "\n".join([f"method {self.method}, {self.n_blocks} residual branches", *rows, *self.notes])


def layer_row(layer: WeightLayer, rule: Rule, branches: Sequence[str], moments: Mapping[str, float]) -> LayerInit:
    """Measure one layer beside what its rule wants."""
    blocks = layer.blocks().to("cpu", torch.float64)
    gram = blocks @ blocks.mT if layer.n_out <= layer.fan_in else blocks.mT @ blocks
    largest = float(torch.linalg.eigvalsh(gram).max().clamp(min=0.0).sqrt())
    independent = math.sqrt(rule.sigma_w2) * (1.0 + math.sqrt(layer.n_out / layer.fan_in))
    return LayerInit(
        name=layer.name,
        kind=layer.kind,
        shape=tuple(layer.weight.shape),
        fan_in=layer.fan_in,
        law=rule.law,
        sigma_w2=rule.sigma_w2,
        measured=layer.fan_in * float(blocks.square().mean()),
        sigma_b2=rule.sigma_b2,
        branch=branch_of(layer.name, branches),
        largest_singular_value=largest,
        edge=singular_value(layer, rule) if rule.law in ("orthogonal", "delta") else independent,
        preactivation=moments.get(layer.name),
        note=rule.note,
    )


def preactivations(model: nn.Module, layers: Sequence[WeightLayer], sample: torch.Tensor) -> dict[str, float]:
    """Return the mean square of each layer's output on the sample."""
    weight = layers[0].weight
    x = torch.as_tensor(sample).to(weight.device, weight.dtype)
    if not torch.isfinite(x).all():
        raise DataError(f"expected a finite sample, got {int((~torch.isfinite(x)).sum())} values that are not")
    moments: dict[str, list[float]] = {}

    def watch(layer: WeightLayer) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            moments.setdefault(layer.name, []).append(float(output.detach().double().square().mean()))

        return layer.module.register_forward_hook(hook)

    handles = [watch(layer) for layer in layers]
    try:
        with torch.no_grad(), _batch_statistics(model):
            buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
            torch.func.functional_call(model, buffers, (x,))
    finally:
        for handle in handles:
            handle.remove()
    return {name: _finite(name, sum(values) / len(values)) for name, values in moments.items()}


def _finite(name: str, moment: float) -> float:
    if not math.isfinite(moment):
        raise DataError(f"layer {name!r} overflows on the sample; choose a weaker initialization or scale the input")
    return moment


@contextmanager
def _batch_statistics(model: nn.Module) -> Iterator[None]:
    """Norms use the statistics of the batch, as in training; all else, dropout above all, acts as in evaluation."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = isinstance(module, NORMS)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
