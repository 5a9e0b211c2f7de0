"""Methods that are one variance for every layer."""

from sciml.nn.init.rules import Law, Net, Plan, Rule, positive, usual
from sciml.nn.options import check_name
from sciml.nn.structure import Layer

__all__ = ["default", "glorot", "he", "lecun", "selu", "spectral_mup"]


def he(net: Net) -> Plan:
    """Var(w) = 2 / (1 + a²) / fan_in, a the slope left of zero of the (leaky) ReLU that the layer reads.

    Keeps the second moment through ReLU, a = 0. He, Zhang, Ren, Sun (2015), arXiv:1502.01852, Eq. 10 and 15.
    """

    def rule(layer: Layer) -> Rule:
        slope = layer.reads.slope if layer.reads is not None and layer.reads.name == "leaky_relu" else None
        if slope is not None:
            return usual(net, layer.slot) or Rule("gaussian", 2.0 / (1.0 + slope**2), note=f"slope {slope:g}")
        return usual(net, layer.slot) or Rule("gaussian", 2.0)

    return Plan(rule)


def lecun(net: Net) -> Plan:
    """Var(w) = 1 / fan_in: keeps it through linear layers, and SELU. LeCun, Bottou, Orr, Müller (1998), section 4.6."""
    return Plan(lambda layer: usual(net, layer.slot) or Rule("gaussian", 1.0))


def glorot(net: Net, *, gain: float = 1.0, law: str = "gaussian") -> Plan:
    """Var(w) = 2 gain² / (fan_in + fan_out): between keeping the signal and keeping the gradient of linear layers.

    `law` is "gaussian" or "uniform", which is within ±gain √(6 / (fan_in + fan_out)). Glorot, Bengio (2010),
    proceedings.mlr.press/v9/glorot10a, Eq. 12 and 16.
    """
    check_name(law, ("gaussian", "uniform"), what="law")
    gain, chosen = positive("gain", gain), _law(law)

    def rule(layer: Layer) -> Rule:
        slot = layer.slot
        return usual(net, slot) or Rule(chosen, 2.0 * gain**2 * slot.fan_in / (slot.fan_in + slot.fan_out))

    return Plan(rule)


def selu(net: Net) -> Plan:
    """Var(w) = 1 / fan_in and no biases, with which SELU keeps mean 0 and variance 1 of its units.

    Klambauer, Unterthiner, Mayr, Hochreiter (2017), arXiv:1706.02515, theorem 1.
    """
    others = sorted({each.name for each in net.structure.activations()} - {"selu"})
    note = f"the rule is for SELU alone; the net applies {', '.join(others)}: use 'critical' or 'he'"
    return Plan(lecun(net).rule, notes=(note,) if others else ())


def spectral_mup(net: Net, *, gain: float = 1.0) -> Plan:
    r"""‖W‖₂ = gain √(n_out / fan_in): entries of every layer's output move by order one, whatever its width.

    Gaussian draws, scaled so that their largest singular value is exactly this (of a convolution that of the matrix
    (n_out, n_in · taps)); embeddings keep unit variance. The learning rate has to follow for changes of the weights to
    obey the same: with Adam in proportion to 1 / fan_in. Yang, Simon, Bernstein (2023), arXiv:2310.17813, condition 1.
    """
    gain = positive("gain", gain)

    def rule(layer: Layer) -> Rule:
        slot = layer.slot
        if slot.role == "lookup":
            return Rule("gaussian", 1.0, note="embedding: unit variance")
        value = gain * (slot.n_out / slot.fan_in) ** 0.5
        bias = net.forget_bias if slot.gate == "forget" else 0.0
        # The edge of independent entries of this variance is at that value.
        edge = 1.0 + (slot.n_out / slot.fan_in) ** 0.5
        return Rule("spectral", (value / edge) ** 2, gain=value, bias=bias)

    return Plan(rule, notes=("with Adam scale the learning rate of each layer in proportion to 1 / fan_in",))


def default(_: Net) -> Plan:
    """Leave every parameter as it is; a fresh torch layer has fan_in · Var(w) = 1/3, not the 2 of He."""
    return Plan(lambda layer: Rule("kept", *_torch_default(layer)))


def _torch_default(layer: Layer) -> tuple[float, float]:
    slot = layer.slot
    if slot.role == "lookup":
        return 1.0, 0.0
    if slot.role in ("input", "recurrent", "projection"):  # U(±1/√hidden)
        return slot.fan_in / (3.0 * slot.n_out), 1.0 / (3.0 * slot.n_out)
    return 1.0 / 3.0, 1.0 / (3.0 * slot.fan_in)


def _law(name: str) -> Law:
    return "uniform" if name == "uniform" else "gaussian"
