"""What a method wants of a net: a rule for each of its weight matrices, and what it found out on the way."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.structure import Layer, Slot, Structure

__all__ = ["Finish", "Finished", "Law", "Net", "Plan", "Rule", "positive", "usual"]

Law = Literal[
    "gaussian", "uniform", "orthogonal", "delta", "paraunitary", "looks_linear", "spectral", "zero", "given", "kept"
]


@dataclass(frozen=True)
class Rule:
    """What a method wants of one matrix.

    Attributes
    ----------
    law
        How the weights are drawn: see `sciml.nn.init.laws.LAWS`. "given": by the method itself; "kept": not at all.
    sigma_w2
        σ_w² = fan_in · Var(w).
    sigma_b2
        Variance of the biases.
    note
        Anything unusual.
    mirror
        Of the law "looks_linear": in how many blocks what the matrix reads, and what it gives, comes in pairs z, -z;
        0 where it does not.
    gain
        Of the laws that have a common or a largest singular value: that value, if it does not follow from σ_w²; of
        "looks_linear" that of A.
    delta
        Of "looks_linear" in a convolution: whether A is its central tap alone.
    paraunitary
        Of "looks_linear" in a convolution: whether A is spread over all taps, and the convolution an isometry still.
    bias
        Mean of the biases.
    """

    law: Law
    sigma_w2: float
    sigma_b2: float = 0.0
    note: str = ""
    mirror: tuple[int, int] = (0, 0)
    gain: float | None = None
    delta: bool = True
    paraunitary: bool = False
    bias: float = 0.0


@dataclass(frozen=True)
class Net:
    """What a method is given: the net, its structure, and the data that it may look at.

    Attributes
    ----------
    model
        The net itself.
    structure
        Its weight matrices, activations and residual branches.
    sample
        A batch of inputs, or None.
    targets
        What the net should say of that batch, or None.
    generator
        Where the randomness comes from.
    forget_bias
        Bias of forget gates.
    groups
        Unit of independence of each item of the sample, or None where each is its own.
    """

    model: nn.Module
    structure: Structure
    sample: Any = None
    targets: torch.Tensor | None = None
    generator: torch.Generator = field(default_factory=torch.Generator)
    forget_bias: float = 1.0
    groups: Sequence[int] | None = None

    def owns(self, slot: Slot) -> bool:
        """Return whether no other matrix of the net shares the weight of this one."""
        own = set(map(id, slot.parameters()))
        return (
            sum(bool(own & set(map(id, each.parameters()))) for each in self.structure.slots if each is not slot) == 0
        )

    def parameter(self, name: str) -> nn.Parameter:
        """Return a parameter by its dotted name."""
        return self.model.get_parameter(name)


@dataclass(frozen=True)
class Finished:
    """What a method changed after the draws: rules that took the place of others, and notes."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Finish = Callable[[Net], Finished]


@dataclass(frozen=True)
class Plan:
    """What a method wants of a net.

    Attributes
    ----------
    rule
        From a layer to its rule.
    notes
        What the method found out, or where it does not apply.
    scalars
        Values of other parameters, by name: factors and scalar biases of residual branches.
    finish
        What is done after the draws, on data: calibration, or weights that are computed.
    """

    rule: Callable[[Layer], Rule]
    notes: tuple[str, ...] = ()
    scalars: Mapping[str, float] = field(default_factory=dict)
    finish: Finish | None = None


def usual(net: Net, slot: Slot) -> Rule | None:
    """Return the rule for the matrices that every method starts alike, or None for others.

    Recurrent matrices are orthogonal (Saxe, McClelland, Ganguli 2014, arXiv:1312.6120; Le, Jaitly, Hinton 2015,
    arXiv:1504.00941, for the reason), the matrices from the input to a gate and the projections of attention have
    Glorot's variance (Glorot, Bengio 2010), each gate and projection by its own shape, forget gates the bias asked for
    (Gers, Schmidhuber, Cummins 2000, doi:10.1162/089976600300015015), and embeddings unit variance.
    """
    glorot = 2.0 * slot.fan_in / (slot.fan_in + slot.fan_out)
    if slot.role == "recurrent":
        return Rule("orthogonal", min(1.0, slot.fan_in / slot.n_out), gain=1.0, note="recurrent: orthogonal")
    if slot.role in ("input", "projection"):
        bias = net.forget_bias if slot.gate == "forget" else 0.0
        return Rule("gaussian", glorot, bias=bias, note="gate: Glorot" if slot.gate else "recurrent layer: Glorot")
    if slot.role in ("query", "key", "value", "output"):
        return Rule("gaussian", glorot, note="attention: Glorot")
    return Rule("gaussian", 1.0, note="embedding: unit variance") if slot.role == "lookup" else None


def positive(name: str, value: float) -> float:
    """Return a positive finite number, or raise ConfigError."""
    if not 0.0 < value < math.inf:
        raise ConfigError(f"expected {name} > 0 and finite, got {value!r}")
    return float(value)
