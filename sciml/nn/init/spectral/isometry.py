"""Kernels whose operator is an isometry: orthogonal in a single tap, or spread over the taps (paraunitary)."""

import math
from collections.abc import Sequence
from itertools import product

import torch

from sciml.nn.init.laws import haar

__all__ = ["isometry", "mirrored", "mixing_layers"]

SPREAD = 1.0 / 6.0  # of the length of a signal: how far the taps of all layers together carry a sample, as one s.d.


def isometry(
    n_out: int, n_in: int, kernel: Sequence[int], *, mixing: bool, generator: torch.Generator
) -> torch.Tensor:
    r"""Return a kernel (n_out, n_in, \*kernel) whose circular convolution keeps the norm of what it can keep.

    In one tap alone it is an orthogonal matrix Q (delta-orthogonal). With `mixing` it is A D(z) B, where B and A are
    orthogonal and D delays each channel by one of the taps, in turn: as a product of isometries it is one too, and it
    sees all taps. Of unequal widths the wider matrix has orthonormal columns, or rows.

    Parameters
    ----------
    n_out, n_in
        Channels.
    kernel
        Taps along each dim, () for a matrix.
    mixing
        Whether taps other than the center are used.
    generator
        Where the randomness comes from.

    References
    ----------
    Xiao et al. (2018), arXiv:1806.05393, section 3.3 (delta-orthogonal); Vaidyanathan (1993), Multirate systems and
    filter banks, section 14.4 (paraunitary factors).

    Examples
    --------
    >>> kernel = isometry(4, 4, (3,), mixing=True, generator=torch.Generator().manual_seed(0))
    >>> spectrum = torch.linalg.svdvals(torch.fft.fft(kernel, n=16).permute(2, 0, 1))
    >>> bool((spectrum - 1.0).abs().max() < 1e-12)
    True
    """
    weight = torch.zeros(n_out, n_in, *kernel, dtype=torch.float64, device=generator.device)
    if not mixing or math.prod(kernel) == 1:
        center = tuple((size - 1) // 2 for size in kernel)
        weight[(..., *center)] = haar(1, n_out, n_in, generator)[0]
        return weight
    rank = min(n_out, n_in)
    left, right = haar(1, n_out, rank, generator)[0], haar(1, rank, n_in, generator)[0]
    taps = list(product(*(range(size) for size in kernel)))
    order = torch.randperm(rank, generator=generator, device=generator.device)
    for number, tap in enumerate(taps):
        chosen = order[number :: len(taps)]
        weight[(..., *tap)] = left[:, chosen] @ right[chosen]
    return weight


def mirrored(weight: torch.Tensor, n_out: int, n_in: int, *, reads: bool, gives: bool) -> torch.Tensor:
    """Return the kernel of twice the channels that acts as the given one through ReLU: [[A, -A], [-A, A]].

    A stream (u, -u) becomes max(u, 0) and max(-u, 0), whose difference is u: so the layer gives (Au, -Au) again. The
    first layer of a stretch reads u itself, and the last gives it. A channel left over by an odd width stays zero.

    Parameters
    ----------
    weight
        (n, m, *kernel), the kernel A.
    n_out, n_in
        Channels of the result: 2 n or 2 n + 1 where it gives a mirrored stream, n where not; the same for its input.
    reads, gives
        Whether the layer reads, and gives, a mirrored stream.

    References
    ----------
    Balduzzi et al. (2017), arXiv:1702.08591, section 4.

    Examples
    --------
    >>> mirrored(torch.ones(1, 1), 2, 2, reads=True, gives=True).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    rows = torch.cat([weight, -weight]) if gives else weight
    both = torch.cat([rows, -rows], dim=1) if reads else rows
    full = both.new_zeros(n_out, n_in, *weight.shape[2:])
    full[: both.shape[0], : both.shape[1]] = both
    return full


def mixing_layers(kernels: Sequence[Sequence[int]], length: Sequence[int]) -> list[bool]:
    """Return which layers of a stretch spread over their taps, evenly, so that little runs over the border.

    A layer of k taps moves a sample by a uniform step of variance (k² - 1) / 12; zero padding loses what crosses the
    border. Together they may spread by a sixth of the length of the signal, as one standard deviation.

    Examples
    --------
    >>> mixing_layers([(3,)] * 6, (9,))
    [False, True, False, True, False, True]
    """
    steps = [max(((size**2 - 1) / 12 for size in kernel), default=0.0) for kernel in kernels]
    allowed = (SPREAD * min(length, default=0)) ** 2
    total = sum(steps)
    share = 1.0 if total <= allowed else allowed / total
    chosen, due = [], 0.0
    for step in steps:
        due += share if step else 0.0
        chosen.append(bool(step) and due >= 1.0 - 1e-9)
        due -= chosen[-1]
    return chosen
