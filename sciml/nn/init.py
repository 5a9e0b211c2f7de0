r"""How weights start, and a report of whether they started as theory says.

A method gives each `Linear` and `ConvNd` layer a law and a strength σ_w² = fan_in · Var(w):

============== ================================ ============================================================
method         σ_w²                             biases
============== ================================ ============================================================
``he``         2                                0
``lecun``      1                                0
``orthogonal`` gain² (square layers)            0
``taki``       c / L^e in branches, 2 elsewhere 0
``critical``   mean-field critical value        variance σ_b² of the critical point
``default``    1/3, torch's own draw            torch's own draw, U(±fan_in^-1/2)
============== ================================ ============================================================

Norm layers start as torch starts them: weight 1, bias 0, fresh running statistics (``default`` leaves them alone). The
draws come from the `generator` given, in float64 on its device, so that they are the same for every dtype and device of
the net; the global random state is never touched. Frozen parameters (`requires_grad=False`) stay as they are.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils import parametrize

from sciml.errors import ConfigError, DataError
from sciml.nn.layers import WeightLayer, weight_layers
from sciml.nn.models import Residual
from sciml.nn.options import check_name, check_options
from sciml.theory import meanfield

__all__ = ["METHODS", "InitReport", "LayerInit", "Plan", "Rule", "initialize"]

Law = Literal["gaussian", "orthogonal", "delta", "kept"]

_ACTIVATION_TYPES: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.Tanh: "tanh",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.ELU: "elu",
    nn.SELU: "selu",
    nn.Hardtanh: "hardtanh",
    nn.Softplus: "softplus",
    nn.Sigmoid: "sigmoid",
}
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Rule:
    """What a method wants of one layer: the law of its weights, σ_w² = fan_in · Var(w), and the bias variance."""

    law: Law
    sigma_w2: float
    sigma_b2: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """What a method wants of a net: a rule for each layer, and what it found out on the way."""

    rule: Callable[[WeightLayer], Rule]
    notes: tuple[str, ...] = ()


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


@dataclass(frozen=True)
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


def he(_: nn.Module) -> Plan:
    """Var(w) = 2 / fan_in: keeps the second moment through ReLU. He, Zhang, Ren, Sun (2015), arXiv:1502.01852."""
    return Plan(lambda _: Rule("gaussian", 2.0))


def lecun(_: nn.Module) -> Plan:
    """Var(w) = 1 / fan_in: keeps it through linear layers, and SELU. LeCun, Bottou, Orr, Müller (1998), section 4.6."""
    return Plan(lambda _: Rule("gaussian", 1.0))


def orthogonal(_: nn.Module, *, gain: float = 1.0, conv: str = "reshape") -> Plan:
    """Haar orthogonal matrices, all singular values equal to `gain`; rows or columns orthonormal, whichever are fewer.

    Of a convolution the matrix (c_out, c_in · taps) is orthogonal (`conv="reshape"`), which leaves the operator itself
    with many singular values, or the central tap alone (`conv="delta"`), which makes the whole circular convolution an
    isometry times `gain` (c_out >= c_in). Saxe, McClelland, Ganguli (2014), arXiv:1312.6120; Xiao et al. (2018),
    arXiv:1806.05393, section 3.
    """
    check_name(conv, ("reshape", "delta"), what="conv")
    gain = _positive("gain", gain)

    def rule(layer: WeightLayer) -> Rule:
        law: Law = "delta" if conv == "delta" and layer.weight.ndim > 2 else "orthogonal"
        return Rule(law, gain**2 * min(1.0, _n_in(layer, law) / layer.n_out))

    return Plan(rule)


def taki(
    model: nn.Module,
    *,
    c: float = 2.0,
    depth_exponent: float | str = 1.0,
    branches: Sequence[str] | None = None,
) -> Plan:
    r"""Depth-aware weights in residual branches, Var(w) = c / (n L^e); He elsewhere.

    From the paper: Var(w) = c / (n L), n the fan-in, proposed to hold signal and gradient together in nets with many
    residual blocks. L is read as the number of residual blocks of the net.

    Derived here, for zero-mean weights and ReLU: a block x + W_m φ(... W_1 φ(x)) multiplies the mean square of signal
    and gradient by 1 + (n Var(w) / 2)^m. With one layer in a branch, m = 1, the rule of the paper gives
    (1 + c / 2L)^L -> e^{c/2} for any depth. With m layers it makes each branch O(L^-m) weak; `depth_exponent` = 1/m
    ("balanced": m counted in each branch) restores (1 + (c/2)^m / L)^L -> e^{(c/2)^m}. A ReLU at the end of a branch
    breaks all this, for it adds a mean to the stream at each block.

    `branches` names the modules that are residual branches in a net not built of `Residual` blocks.
    Taki (2017), arXiv:1709.02956.
    """
    c, found = _positive("c", c), _branches(model, branches)
    if not found:
        raise ConfigError(
            "expected a net with residual branches (sciml.nn.models.Residual, or named by branches=[...]), got none; "
            "use method 'he' or 'critical'"
        )
    exponents = {name: _depth_exponent(model, name, depth_exponent) for name in found}

    def rule(layer: WeightLayer) -> Rule:
        branch = _branch_of(layer.name, found)
        if branch is None:
            return Rule("gaussian", 2.0, note="outside the branches: He")
        return Rule("gaussian", c / len(found) ** exponents[branch])

    return Plan(rule, notes=(f"L = {len(found)} residual branches, c = {c:g}",))


def critical(
    model: nn.Module,
    *,
    activation: str | None = None,
    sigma_b2: float | None = None,
    q: float | None = None,
    law: str = "gaussian",
) -> Plan:
    """Mean-field critical weights and biases: squared gradients keep their size from layer to layer, χ₁ = 1.

    σ_w² and σ_b² come from `theory.meanfield.critical_point` for the activation found in the net (or the one named, for
    nets that call functions). `law="gaussian"` draws independent entries, whose singular values have a noise edge that
    training can be seen to cross; `law="orthogonal"` Haar matrices, of a convolution in its central tap
    (delta-orthogonal). Where a layer widens, the matrix is scaled by
    √(n_out / n_in), so that the second moment of each unit, not of the whole layer, is what the theory says: fan_in ·
    mean(w²) is σ_w² in every layer. Norm layers and skips are outside this theory.

    Schoenholz et al. (2017), arXiv:1611.01232; Xiao et al. (2018), arXiv:1806.05393.
    """
    check_name(law, ("gaussian", "orthogonal"), what="law")
    name = activation or _activation(model)
    point = meanfield.critical_point(name, sigma_b2=sigma_b2, q=q)

    def rule(layer: WeightLayer) -> Rule:
        chosen: Law = "gaussian" if law == "gaussian" else ("delta" if layer.weight.ndim > 2 else "orthogonal")
        if layer.module.bias is None and point.sigma_b2:
            return Rule(chosen, point.sigma_w2, note="no bias to carry σ_b²")
        return Rule(chosen, point.sigma_w2, point.sigma_b2)

    notes = [
        f"critical point of {name}: σ_w² = {point.sigma_w2:.6g}, σ_b² = {point.sigma_b2:.6g}, q = {point.q:.6g}, "
        f"χ_q = {point.chi_q:.6g}"
    ]
    if any(isinstance(module, _NORMS) for module in model.modules()):
        notes.append("the net has norm layers, which set the length themselves: the critical point is only nominal")
    return Plan(rule, notes=tuple(notes))


def default(_: nn.Module) -> Plan:
    """Leave every parameter as it is; a fresh torch layer has fan_in · Var(w) = 1/3, not the 2 of He."""
    return Plan(lambda layer: Rule("kept", 1.0 / 3.0, 1.0 / (3.0 * layer.fan_in)))


METHODS: dict[str, Callable[..., Plan]] = {
    "he": he,
    "lecun": lecun,
    "orthogonal": orthogonal,
    "taki": taki,
    "critical": critical,
    "default": default,
}


def initialize(
    model: nn.Module,
    *,
    method: str,
    sample: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
    **options: Any,
) -> InitReport:
    r"""Draw the weights of a net anew, in place, and report how each layer started.

    Parameters
    ----------
    model
        A net of `Linear` and `Conv1d/2d/3d` layers, as plain parameters.
    method
        A name in `METHODS`.
    sample
        A batch of inputs. The report then carries the mean square of each layer's output on it, with batch norm using
        the statistics of the batch and dropout off. The net's mode, buffers and gradients stay as they were.
    generator
        Where the randomness comes from; None is a fresh generator with seed 0, so that two calls agree.
    **options
        What the method takes: `gain`, `conv` (orthogonal); `c`, `depth_exponent`, `branches` (taki); `activation`,
        `sigma_b2`, `q`, `law` (critical).

    Returns
    -------
    InitReport
        With the target and the measured fan_in · Var(w) of each layer, and its largest singular value beside the edge
        σ_w (1 + √(n_out / n_in)) that a matrix of independent entries has.

    Raises
    ------
    ConfigError
        An unknown method or option, a net without weight layers, or weights that are computed from others
        (parametrizations, weight norm) or not yet there (lazy layers).
    DataError
        A sample, or an output on it, that is not finite.

    References
    ----------
    The methods name theirs. Edge: Geman (1980), doi:10.1214/aop/1176994775.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(400, 100), nn.ReLU(), nn.Linear(100, 10))
    >>> report = initialize(net, method="orthogonal", gain=2.0)
    >>> [round(row.largest_singular_value, 6) for row in report.layers]
    [2.0, 2.0]
    """
    check_name(method, METHODS, what="method")
    check_options(METHODS[method], options, what=f"method {method!r}")
    layers = _layers(model)
    plan = METHODS[method](model, **options)
    generator = generator or torch.Generator().manual_seed(0)
    rules = _apply(model, layers, plan, generator, renew=method != "default")
    moments = {} if sample is None else _preactivations(model, layers, sample)
    branches = _branches(model, options.get("branches"))
    return InitReport(
        method=method,
        options=dict(options),
        layers=tuple(_row(layer, rules[layer.name], branches, moments) for layer in layers),
        n_blocks=len(branches),
        untouched=_untouched(model, layers),
        notes=plan.notes,
    )


def _layers(model: nn.Module) -> list[WeightLayer]:
    layers = list(weight_layers(model))
    if not layers:
        raise ConfigError(f"expected a net with Linear or ConvNd layers, got {type(model).__name__} without any")
    for layer in layers:
        if isinstance(layer.weight, nn.parameter.UninitializedParameter):
            raise ConfigError(f"layer {layer.name!r} is lazy and has no shape yet; pass one batch through the net")
        if parametrize.is_parametrized(layer.module) or not isinstance(layer.weight, nn.Parameter):
            raise ConfigError(
                f"expected plain parameters, got a parametrized weight in layer {layer.name!r}; "
                "initialize first and add weight norm or other parametrizations after"
            )
    return layers


def _apply(
    model: nn.Module, layers: Sequence[WeightLayer], plan: Plan, generator: torch.Generator, *, renew: bool
) -> dict[str, Rule]:
    """Draw each layer by its rule; return what was done, layer by layer."""
    rules: dict[str, Rule] = {}
    owners: dict[int, str] = {}
    for layer in layers:
        rule = plan.rule(layer)
        owner = owners.setdefault(id(layer.weight), layer.name)
        if owner != layer.name:
            rule = Rule("kept", rules[owner].sigma_w2, rule.sigma_b2, note=f"shares its weight with {owner}")
        elif not layer.weight.requires_grad:
            rule = Rule("kept", rule.sigma_w2, rule.sigma_b2, note="frozen: left as it was")
        elif rule.law != "kept":
            _draw(layer, rule, generator)
        rules[layer.name] = rule
    if renew:
        for module in model.modules():
            if isinstance(module, _NORMS) and all(parameter.requires_grad for parameter in module.parameters()):
                module.reset_parameters()
    return rules


@torch.no_grad()
def _draw(layer: WeightLayer, rule: Rule, generator: torch.Generator) -> None:
    layer.weight.copy_(_DRAWS[rule.law](layer, rule, generator))
    bias = layer.module.bias
    if bias is not None and bias.requires_grad:
        bias.copy_(math.sqrt(rule.sigma_b2) * _normal(bias.shape, generator) if rule.sigma_b2 else torch.zeros(()))


def _normal(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, device=generator.device, dtype=torch.float64)


def _gaussian(layer: WeightLayer, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    return math.sqrt(rule.sigma_w2 / layer.fan_in) * _normal(layer.weight.shape, generator)


def _orthogonal(layer: WeightLayer, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    blocks = _haar(layer.groups, layer.n_out, layer.fan_in, generator)
    return _scale(layer, rule) * blocks.reshape(layer.weight.shape)


def _delta(layer: WeightLayer, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    kernel = layer.weight.shape[2:]
    weight = torch.zeros(layer.weight.shape, dtype=torch.float64, device=generator.device)
    center: tuple[Any, ...] = (..., *((size - 1) // 2 for size in kernel))
    taps = _haar(layer.groups, layer.n_out, layer.weight.shape[1], generator).flatten(0, 1)
    weight[center] = _scale(layer, rule) * taps
    return weight


_DRAWS = {"gaussian": _gaussian, "orthogonal": _orthogonal, "delta": _delta}


def _haar(groups: int, n_out: int, n_in: int, generator: torch.Generator) -> torch.Tensor:
    """Return (groups, n_out, n_in) matrices with orthonormal rows or columns, uniform over all such matrices."""
    q: torch.Tensor
    q, r = torch.linalg.qr(_normal((groups, max(n_out, n_in), min(n_out, n_in)), generator))
    # QR leaves the signs of R's diagonal open; fixing them makes Q uniform (Mezzadri 2007, arXiv:math-ph/0609050).
    q = q * torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).unsqueeze(-2)
    return q if n_out >= n_in else q.mT


def _n_in(layer: WeightLayer, law: Law) -> int:
    """Return the number of columns of the matrix that is orthogonal."""
    return layer.weight.shape[1] if law == "delta" else layer.fan_in


def _scale(layer: WeightLayer, rule: Rule) -> float:
    """Return the common singular value that makes fan_in · mean(w²) = σ_w²."""
    return math.sqrt(rule.sigma_w2 * max(1.0, layer.n_out / _n_in(layer, rule.law)))


def _row(layer: WeightLayer, rule: Rule, branches: Sequence[str], moments: Mapping[str, float]) -> LayerInit:
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
        branch=_branch_of(layer.name, branches),
        largest_singular_value=largest,
        edge=_scale(layer, rule) if rule.law in ("orthogonal", "delta") else independent,
        preactivation=moments.get(layer.name),
        note=rule.note,
    )


def _branches(model: nn.Module, named: Sequence[str] | None = None) -> list[str]:
    """Return the names of the modules that are residual branches."""
    modules = dict(model.named_modules())
    if named is None:
        return [f"{name}.branch".removeprefix(".") for name, each in modules.items() if isinstance(each, Residual)]
    for name in named:
        if name not in modules:
            raise ConfigError(f"expected branches to name modules of the net, got {name!r}; see model.named_modules()")
    return list(named)


def _branch_of(layer: str, branches: Sequence[str]) -> str | None:
    inside = [branch for branch in branches if layer == branch or layer.startswith(f"{branch}.")]
    return max(inside, key=len, default=None)


def _depth_exponent(model: nn.Module, branch: str, exponent: float | str) -> float:
    if exponent == "balanced":
        return 1.0 / max(1, sum(1 for _ in weight_layers(model.get_submodule(branch))))
    if isinstance(exponent, str) or not 0.0 <= exponent < math.inf:
        raise ConfigError(f"expected depth_exponent >= 0 or 'balanced', got {exponent!r}")
    return float(exponent)


def _activation(model: nn.Module) -> str:
    found = {name for each in model.modules() for kind, name in _ACTIVATION_TYPES.items() if isinstance(each, kind)}
    if len(found) > 1:
        raise ConfigError(f"expected one kind of activation, got {', '.join(sorted(found))}; name one: activation=...")
    if not found and len(list(weight_layers(model))) > 1:
        raise ConfigError(
            "found no activation module in a net of several layers; name it with activation=..., 'identity' if none"
        )
    return found.pop() if found else "identity"


def _untouched(model: nn.Module, layers: Sequence[WeightLayer]) -> tuple[str, ...]:
    covered = [layer.module for layer in layers] + [each for each in model.modules() if isinstance(each, _NORMS)]
    known = {id(p) for module in covered for p in module.parameters(recurse=False) if p.requires_grad}
    return tuple(name for name, parameter in model.named_parameters() if id(parameter) not in known)


def _preactivations(model: nn.Module, layers: Sequence[WeightLayer], sample: torch.Tensor) -> dict[str, float]:
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
            module.training = isinstance(module, _NORMS)
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _positive(name: str, value: float) -> float:
    if not 0.0 < value < math.inf:
        raise ConfigError(f"expected {name} > 0 and finite, got {value!r}")
    return float(value)
