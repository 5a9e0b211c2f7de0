"""What a net costs on held-out data: loss, and the operations of one sample."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sciml.errors import DataError

__all__ = ["Batches", "Loss", "flops", "held_out_loss"]

Loss = Callable[[Any, torch.Tensor], torch.Tensor]
Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    active = [each for each in model.modules() if each.training]
    model.eval()
    try:
        yield
    finally:
        for each in active:
            each.training = True


@torch.no_grad()
def held_out_loss(model: nn.Module, loss: Loss, data: Batches) -> float:
    """Return the loss of a net, evaluated in eval mode, batches weighted by their number of samples."""
    total, n = 0.0, 0
    with _evaluating(model):
        for x, y in data:
            total += len(x) * float(loss(model(x), y))
            n += len(x)
    if n == 0:
        raise DataError("expected held-out data, got no batch; a generator is empty after one pass: give a list")
    return total / n


@torch.no_grad()
def flops(model: nn.Module, data: Batches) -> float:
    """Return the floating-point operations of matrix products and convolutions for one sample."""
    x, _ = next(iter(data))
    with _evaluating(model), FlopCounterMode(display=False) as counter:
        model(x)
    return float(counter.get_total_flops()) / len(x)
