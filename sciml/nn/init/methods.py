"""The methods of initialization: from a net to a rule for each of its layers."""

import math
from collections.abc import Callable, Sequence

from torch import nn

from sciml.errors import ConfigError
from sciml.nn.init.branches import branch_of, branches_of, resolve_exponent
from sciml.nn.init.rules import Law, Plan, Rule, n_columns
from sciml.nn.layers import NORMS, WeightLayer, weight_layers
from sciml.nn.options import check_name
from sciml.theory import meanfield

__all__ = ["METHODS", "critical", "default", "he", "lecun", "orthogonal", "taki"]

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
        return Rule(law, gain**2 * min(1.0, n_columns(layer, law) / layer.n_out))

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
    c, found = _positive("c", c), branches_of(model, branches)
    if not found:
        raise ConfigError(
            "expected a net with residual branches (sciml.nn.models.Residual, or named by branches=[...]), got none; "
            "use method 'he' or 'critical'"
        )
    exponents = {name: resolve_exponent(model, name, depth_exponent) for name in found}

    def rule(layer: WeightLayer) -> Rule:
        branch = branch_of(layer.name, found)
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
    if any(isinstance(module, NORMS) for module in model.modules()):
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


def _activation(model: nn.Module) -> str:
    found = {name for each in model.modules() for kind, name in _ACTIVATION_TYPES.items() if isinstance(each, kind)}
    if len(found) > 1:
        raise ConfigError(f"expected one kind of activation, got {', '.join(sorted(found))}; name one: activation=...")
    if not found and len(list(weight_layers(model))) > 1:
        raise ConfigError(
            "found no activation module in a net of several layers; name it with activation=..., 'identity' if none"
        )
    return found.pop() if found else "identity"


def _positive(name: str, value: float) -> float:
    if not 0.0 < value < math.inf:
        raise ConfigError(f"expected {name} > 0 and finite, got {value!r}")
    return float(value)
