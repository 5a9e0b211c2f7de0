"""What a method wants of a layer, and the draws that give it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from sciml.nn.layers import WeightLayer

__all__ = ["Law", "Plan", "Rule", "draw", "n_columns", "singular_value"]

Law = Literal["gaussian", "orthogonal", "delta", "kept"]


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


@torch.no_grad()
def draw(layer: WeightLayer, rule: Rule, generator: torch.Generator) -> None:
    """Draw the weight and bias of a layer by its rule, in place."""
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
    return singular_value(layer, rule) * blocks.reshape(layer.weight.shape)


def _delta(layer: WeightLayer, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    kernel = layer.weight.shape[2:]
    weight = torch.zeros(layer.weight.shape, dtype=torch.float64, device=generator.device)
    center: tuple[Any, ...] = (..., *((size - 1) // 2 for size in kernel))
    taps = _haar(layer.groups, layer.n_out, layer.weight.shape[1], generator).flatten(0, 1)
    weight[center] = singular_value(layer, rule) * taps
    return weight


_DRAWS = {"gaussian": _gaussian, "orthogonal": _orthogonal, "delta": _delta}


def _haar(groups: int, n_out: int, n_in: int, generator: torch.Generator) -> torch.Tensor:
    """Return (groups, n_out, n_in) matrices with orthonormal rows or columns, uniform over all such matrices."""
    q: torch.Tensor
    q, r = torch.linalg.qr(_normal((groups, max(n_out, n_in), min(n_out, n_in)), generator))
    # QR leaves the signs of R's diagonal open; fixing them makes Q uniform (Mezzadri 2007, arXiv:math-ph/0609050).
    q = q * torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).unsqueeze(-2)
    return q if n_out >= n_in else q.mT


def n_columns(layer: WeightLayer, law: Law) -> int:
    """Return the number of columns of the matrix that is orthogonal."""
    return layer.weight.shape[1] if law == "delta" else layer.fan_in


def singular_value(layer: WeightLayer, rule: Rule) -> float:
    """Return the common singular value that makes fan_in · mean(w²) = σ_w²."""
    return math.sqrt(rule.sigma_w2 * max(1.0, layer.n_out / n_columns(layer, rule.law)))
