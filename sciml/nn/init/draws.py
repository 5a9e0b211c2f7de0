"""What every draw is made of: normal values, Haar matrices, isometric convolutions of one tap or of all."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch

from sciml.nn.structure import Slot

__all__ = ["centered", "haar", "normal", "paraunitary"]


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


def paraunitary(groups: int, n_out: int, n_in: int, kernel: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    r"""Return kernels (groups, n_out, n_in, \*kernel) over all taps whose circular convolution is an isometry.

    Each is A D(z) B: B and A orthogonal, D a delay of each channel by one of the taps, in turn. A product of isometries
    is one; of unequal widths the wider side has orthonormal columns, or rows. Vaidyanathan (1993), Multirate systems
    and filter banks, section 14.4.

    Examples
    --------
    >>> kernel = paraunitary(1, 4, 4, (3,), torch.Generator().manual_seed(0))[0]
    >>> spectrum = torch.linalg.svdvals(torch.fft.fft(kernel, n=16).permute(2, 0, 1))
    >>> bool((spectrum - 1.0).abs().max() < 1e-12)
    True
    """
    rank, taps = min(n_out, n_in), math.prod(kernel)
    left, right = haar(groups, n_out, rank, generator), haar(groups, rank, n_in, generator)
    order = torch.randperm(rank, generator=generator, device=generator.device)
    weight = torch.zeros(groups, n_out, n_in, *kernel, dtype=torch.float64, device=generator.device)
    for number, tap in enumerate(product(*(range(size) for size in kernel))):
        chosen = order[number::taps]
        index: tuple[Any, ...] = (..., *tap)
        weight[index] = left[:, :, chosen] @ right[:, chosen]
    return weight
