"""Looks-linear weights: units in pairs z and -z, so that ReLU loses nothing."""

import math
from typing import Any

import numpy as np
import torch

from sciml.nn.init.draws import haar, normal, paraunitary
from sciml.nn.init.rules import Rule
from sciml.nn.structure import Activation, Slot

__all__ = ["mirrored", "mirrored_sigma_w2", "mirrored_value", "odd_slope", "pair_rows"]


def mirrored(slot: Slot, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    """Return [[A, -A], [-A, A]], or the half of it where only one side comes in pairs; A orthogonal times a gain.

    A unit left over by an odd width reads a random direction and is read by none, so that it learns and disturbs not.
    """
    taps = math.prod(slot.kernel)
    gain = 1.0 if rule.gain is None else rule.gain
    weight = torch.zeros(slot.groups, slot.n_out, slot.weight.shape[1], taps, dtype=torch.float64)
    weight = weight.to(generator.device)
    (rows, minus_rows, odd_rows), (columns, minus_columns, _) = _pairs_of(slot, rule)
    a = gain * _isometry(slot, rule, len(rows), len(columns), generator)
    odd = gain * _unit_rows(slot, len(odd_rows), len(columns), taps, generator, delta=rule.delta)
    for inputs, sign in ((columns, 1.0), (minus_columns, -1.0)):
        if inputs:
            weight[:, _column(rows), inputs] = sign * a
            weight[:, _column(odd_rows), inputs] = sign * odd
            if minus_rows:
                weight[:, _column(minus_rows), inputs] = -sign * a
    return weight.reshape(slot.weight.shape)


def mirrored_sigma_w2(slot: Slot, rule: Rule) -> float:
    """Return fan_in · mean(w²) of such a weight."""
    (rows, minus_rows, odd_rows), (columns, minus_columns, _) = _pairs_of(slot, rule)
    taps = 1 if rule.delta else math.prod(slot.kernel)
    sides = 1 + bool(minus_rows), 1 + bool(minus_columns)
    square = min(len(rows), len(columns) * taps) * sides[0] + len(odd_rows)
    gain = 1.0 if rule.gain is None else rule.gain
    return gain**2 * square * sides[1] / slot.n_out * slot.fan_in / slot.weight[0].numel()


def mirrored_value(rule: Rule) -> float:
    """Return the common singular value other than zero: each side in pairs makes it √2 times that of A."""
    return (1.0 if rule.gain is None else rule.gain) * math.sqrt(2.0 ** sum(bool(side) for side in rule.mirror))


def pair_rows(slot: Slot, rule: Rule) -> tuple[list[int], list[int]]:
    """Return the rows that a rule leaves free, and those that are minus the first of them; of a matrix of one group."""
    if rule.law != "looks_linear":
        return list(range(slot.n_out)), []
    (rows, minus, odd), _ = _pairs_of(slot, rule)
    return rows + odd, minus


def _pairs_of(slot: Slot, rule: Rule) -> tuple[tuple[list[int], list[int], list[int]], ...]:
    sizes = slot.n_out, slot.weight.shape[1]
    reads, gives = rule.mirror
    return tuple(_pairs(size, blocks // slot.groups) for size, blocks in zip(sizes, (gives, reads), strict=True))


def _pairs(size: int, blocks: int) -> tuple[list[int], list[int], list[int]]:
    """Return the first halves of blocks, their second halves, and what is left over; all in the first if no pairs."""
    if blocks == 0:
        return list(range(size)), [], []
    length = size // blocks
    half = length // 2
    first = [block * length + i for block in range(blocks) for i in range(half)]
    return first, [i + half for i in first], [block * length + length - 1 for block in range(blocks) if length % 2]


def _isometry(slot: Slot, rule: Rule, n_out: int, n_in: int, generator: torch.Generator) -> torch.Tensor:
    """Return (groups, n_out, n_in, taps): orthogonal in the central tap alone, over all taps, or paraunitary."""
    if rule.paraunitary and slot.kernel:
        return paraunitary(slot.groups, n_out, n_in, slot.kernel, generator).flatten(3)
    if not rule.delta:
        taps = math.prod(slot.kernel)
        return haar(slot.groups, n_out, n_in * taps, generator).reshape(slot.groups, n_out, n_in, taps)
    return _in_center(slot, haar(slot.groups, n_out, n_in, generator))


def _unit_rows(
    slot: Slot, n_out: int, n_in: int, taps: int, generator: torch.Generator, *, delta: bool
) -> torch.Tensor:
    shape = (slot.groups, n_out, n_in, 1 if delta else taps)
    rows = normal(shape, generator) if n_out else torch.zeros(shape, dtype=torch.float64, device=generator.device)
    rows = rows / rows.flatten(2).norm(dim=-1)[..., None, None]
    return _in_center(slot, rows[..., 0]) if delta else rows


def _in_center(slot: Slot, matrices: torch.Tensor) -> torch.Tensor:
    whole = torch.zeros(*matrices.shape, *(slot.kernel or (1,)), dtype=torch.float64, device=matrices.device)
    center: tuple[Any, ...] = (..., *((size - 1) // 2 for size in slot.kernel or (1,)))
    whole[center] = matrices
    return whole.flatten(3)


def _column(rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.long)[:, None]


def odd_slope(activation: Activation) -> float | None:
    """Return s where φ(z) - φ(-z) = s z for all z, or None."""
    if activation.slope is not None:
        return 1.0 + activation.slope if activation.slope > -1.0 else None
    z = np.array([1e-3, 0.1, 0.5, 1.0, 2.0, 3.5, 8.0])
    ratio = (activation(z) - activation(-z)) / z
    constant = np.allclose(ratio, ratio[0], rtol=1e-6, atol=1e-9) and ratio[0] > 0.0
    return float(ratio[-1]) if constant else None
