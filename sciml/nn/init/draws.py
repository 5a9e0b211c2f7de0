"""What every draw is made of: independent normal values, Haar matrices, and a convolution with one tap."""

from collections.abc import Sequence
from typing import Any

import torch

from sciml.nn.structure import Slot

__all__ = ["centered", "haar", "normal"]


def normal(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Return independent standard normal values, the same for every dtype and device of the net."""
    return torch.randn(*shape, generator=generator, device=generator.device, dtype=torch.float64)


def haar(groups: int, n_out: int, n_in: int, generator: torch.Generator) -> torch.Tensor:
    """Return (groups, n_out, n_in) matrices with orthonormal rows or columns, uniform over all such matrices."""
    q: torch.Tensor
    q, r = torch.linalg.qr(normal((groups, max(n_out, n_in), min(n_out, n_in)), generator))
    # QR leaves the signs of R's diagonal open; fixing them makes Q uniform (Mezzadri 2007, arXiv:math-ph/0609050).
    q = q * torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).unsqueeze(-2)
    return q if n_out >= n_in else q.mT


def centered(slot: Slot, taps: torch.Tensor) -> torch.Tensor:
    """Return the weight of a convolution whose only tap is this matrix (n_out, n_in / groups), in the center."""
    weight = torch.zeros(slot.weight.shape, dtype=torch.float64, device=taps.device)
    center: tuple[Any, ...] = (..., *((size - 1) // 2 for size in slot.kernel))
    weight[center] = taps
    return weight
