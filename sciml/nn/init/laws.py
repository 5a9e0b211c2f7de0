"""The laws of weights: from a slot and a rule to a draw, in double precision on the device of the generator."""

import math
from collections.abc import Callable

import torch

from sciml.nn.init.draws import centered, haar, normal, paraunitary
from sciml.nn.init.mirror import mirrored, mirrored_value
from sciml.nn.init.rules import Rule
from sciml.nn.init.singular import largest_singular_value
from sciml.nn.structure import Slot

__all__ = ["LAWS", "draw", "draw_bias", "singular_value"]


def draw(slot: Slot, rule: Rule, generator: torch.Generator) -> str:
    """Draw the weight and bias of a slot by its rule, in place; return why they are not what was drawn, or ""."""
    weight = LAWS[rule.law](slot, rule, generator)
    padding = getattr(slot.module, "padding_idx", None) if slot.role == "lookup" else None
    if padding is not None:
        weight[:, padding] = 0.0
    why = slot.write(weight.to(slot.weight.device))
    draw_bias(slot, rule, generator)
    return why


def draw_bias(slot: Slot, rule: Rule, generator: torch.Generator) -> None:
    """Draw the biases of a slot: equal ones where they have no variance."""
    size = slot.weight.shape[0]
    if any(each.requires_grad for each in slot.bias_vectors()):
        slot.write_bias(
            rule.bias + math.sqrt(rule.sigma_b2) * normal([size], generator) if rule.sigma_b2 else rule.bias
        )


def singular_value(slot: Slot, rule: Rule) -> float:
    """Return the common singular value: the gain of the rule, or what makes fan_in · mean(w²) = σ_w²."""
    if rule.law == "looks_linear":
        return mirrored_value(rule)
    if rule.gain is not None:
        return rule.gain
    columns = slot.weight.shape[1] if rule.law in ("delta", "paraunitary") else slot.weight[0].numel()
    taps = slot.weight[0].numel() / slot.fan_in  # in a strided transposed convolution fewer reach an output
    return math.sqrt(rule.sigma_w2 * taps * max(1.0, slot.n_out / columns))


def _gaussian(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    return math.sqrt(rule.sigma_w2 / slot.fan_in) * normal(slot.weight.shape, generator)


def _uniform(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    bound = math.sqrt(3.0 * rule.sigma_w2 / slot.fan_in)
    unit = torch.rand(*slot.weight.shape, generator=generator, device=generator.device, dtype=torch.float64)
    return bound * (2.0 * unit - 1.0)


def _orthogonal(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    blocks = haar(slot.groups, slot.n_out, slot.weight[0].numel(), generator)
    return singular_value(slot, rule) * blocks.reshape(slot.weight.shape)


def _delta(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    taps = haar(slot.groups, slot.n_out, slot.weight.shape[1], generator).flatten(0, 1)
    return singular_value(slot, rule) * centered(slot, taps)


def _paraunitary(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    kernels = paraunitary(slot.groups, slot.n_out, slot.weight.shape[1], slot.kernel, generator)
    return singular_value(slot, rule) * kernels.flatten(0, 1)


def _looks_linear(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    return mirrored(slot, rule, generator)


def _spectral(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    weight = normal(slot.weight.shape, generator)
    largest = largest_singular_value(weight.reshape(slot.groups, slot.n_out, -1))
    return weight * (singular_value(slot, rule) / largest)


def _zero(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:  # noqa: ARG001 (of the family)
    return torch.zeros(slot.weight.shape, dtype=torch.float64, device=generator.device)


LAWS: dict[str, Callable[[Slot, Rule, torch.Generator], torch.Tensor]] = {
    "gaussian": _gaussian,
    "uniform": _uniform,
    "orthogonal": _orthogonal,
    "delta": _delta,
    "paraunitary": _paraunitary,
    "looks_linear": _looks_linear,
    "spectral": _spectral,
    "zero": _zero,
}
