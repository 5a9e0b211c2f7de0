"""Singular values of circular convolutions, frequency by frequency."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import ConfigError

__all__ = ["circular_singular_values", "frequency_blocks", "largest_value", "operator_norm", "per_dim"]

Sizes = int | Sequence[int]
_MOST = 2**22  # complex numbers of the blocks that are held at once


def circular_singular_values(
    weight: torch.Tensor,
    grid: Sizes,
    *,
    groups: int = 1,
    dilation: Sizes = 1,
    stride: Sizes = 1,
    transposed: bool = False,
) -> NDArray[np.float64]:
    """Return all singular values, descending, of a convolution with circular padding.

    Parameters
    ----------
    weight
        (c_out, c_in / groups, *kernel), real; of a transposed convolution (c_in, c_out / groups, *kernel): as torch
        keeps it.
    grid
        Size of the input signal along each dim of the kernel; kernels that are longer wrap around it.
    groups, dilation, stride
        As in `torch.nn.Conv1d`; the stride divides the grid, but for transposed convolutions.
    transposed
        Whether it is a transposed convolution, whose output is `stride` times as long as its input.

    Returns
    -------
    array
        min(n_out, n_in) of each block, the zeros among them included.

    Raises
    ------
    ConfigError
        A weight without a kernel, a grid of another number of dims or below one, a stride that does not divide it.

    References
    ----------
    Sedghi, Gupta, Long (2019), arXiv:1805.10408, theorem 6, for stride 1.

    Examples
    --------
    >>> difference = torch.tensor([[[1.0, -1.0]]])
    >>> circular_singular_values(difference, 4).round(6).tolist()
    [2.0, 1.414214, 1.414214, 0.0]
    >>> circular_singular_values(difference, 4, stride=2).round(6).tolist()
    [1.414214, 1.414214]
    """
    found = [
        np.repeat(torch.linalg.svdvals(blocks).numpy(), counts, axis=0).ravel()
        for blocks, counts in _blocks(weight, grid, groups, dilation, stride, transposed)
    ]
    return np.sort(np.concatenate(found, dtype=np.float64))[::-1]


def operator_norm(
    weight: torch.Tensor,
    grid: Sizes,
    *,
    groups: int = 1,
    dilation: Sizes = 1,
    stride: Sizes = 1,
    transposed: bool = False,
) -> float:
    """Return the largest of `circular_singular_values`, without the others.

    Examples
    --------
    >>> round(operator_norm(torch.tensor([[[1.0, -1.0]]]), 4), 12)
    2.0
    """
    return max(largest_value(blocks) for blocks, _ in _blocks(weight, grid, groups, dilation, stride, transposed))


def _blocks(
    weight: torch.Tensor, grid: Sizes, groups: int, dilation: Sizes, stride: Sizes, transposed: bool
) -> Iterator[tuple[torch.Tensor, NDArray[np.int64]]]:
    """Yield blocks of frequencies, and how many frequencies have each: two where the conjugate is left out."""
    steps, strides = per_dim("dilation", dilation, weight), per_dim("stride", stride, weight)
    sizes = per_dim("grid", grid, weight)
    if transposed:
        sizes = tuple(size * each for size, each in zip(sizes, strides, strict=True))
    if any(size % each for size, each in zip(sizes, strides, strict=True)):
        raise ConfigError(f"expected a stride that divides the grid {sizes}, got {strides}; give a multiple of it")
    outputs = tuple(size // each for size, each in zip(sizes, strides, strict=True))
    axes = [torch.arange(size) for size in outputs]
    axes[0] = axes[0][: outputs[0] // 2 + 1]  # of real weights the other half is the conjugate of this one
    points = torch.cartesian_prod(*axes).reshape(-1, len(outputs))
    alone = (points[:, 0] == 0) | (2 * points[:, 0] == outputs[0])
    counts = np.where(alone.numpy(), 1, 2)
    at_once = max(1, _MOST // (weight.numel() // math.prod(weight.shape[2:]) * math.prod(strides)))
    for first in range(0, len(points), at_once):
        chosen = slice(first, first + at_once)
        yield frequency_blocks(weight, points[chosen], sizes, groups, steps, strides), counts[chosen]


def frequency_blocks(
    weight: torch.Tensor,
    points: torch.Tensor,
    sizes: Sequence[int],
    groups: int,
    dilation: Sequence[int],
    stride: Sequence[int],
) -> torch.Tensor:
    """Return the blocks (frequency, group, c_out / groups, c_in / groups · strides), complex128 on the CPU.

    `points` are frequencies (n, dims) of the output, as whole numbers.
    """
    x = weight.detach().to("cpu", torch.float64)
    x = x.reshape(groups, x.shape[0] // groups, x.shape[1], -1)
    aliases = torch.cartesian_prod(*[torch.arange(n) for n in stride]).reshape(-1, len(stride))
    outputs = torch.tensor([size // n for size, n in zip(sizes, stride, strict=True)])
    frequencies = points[:, None] + aliases * outputs  # (n, alias, dim)
    taps = torch.cartesian_prod(*[torch.arange(n) for n in weight.shape[2:]]).reshape(-1, len(stride))
    # A sum over taps, not an FFT of the kernel: that would cut off a kernel longer than the grid.
    turns = frequencies[:, :, None] * taps * torch.tensor(dilation) % torch.tensor(sizes)
    angle = (-2 * math.pi * turns.double() / torch.tensor(sizes, dtype=torch.float64)).sum(-1)  # (n, alias, tap)
    wave = torch.polar(torch.full_like(angle, math.prod(stride) ** -0.5), angle)
    parts = torch.einsum("goit,nat->ngoia", x.to(wave.dtype), wave)
    return parts.flatten(3)


def largest_value(blocks: torch.Tensor) -> float:
    """Return the largest singular value of any of the blocks."""
    gram = blocks @ blocks.mH if blocks.shape[-2] <= blocks.shape[-1] else blocks.mH @ blocks
    return float(torch.linalg.eigvalsh(gram).max().clamp(min=0.0).sqrt())


def per_dim(name: str, value: Sizes, weight: torch.Tensor) -> tuple[int, ...]:
    """Return one number for each dim of the kernel of a weight."""
    if weight.ndim < 3:
        raise ConfigError(f"expected a weight (c_out, c_in, *kernel), got shape {tuple(weight.shape)}")
    n_dims = weight.ndim - 2
    sizes = (value,) * n_dims if isinstance(value, int) else tuple(value)
    if len(sizes) != n_dims or min(sizes, default=1) < 1:
        raise ConfigError(f"expected {name} to be a whole number >= 1 for each of {n_dims} dims, got {value!r}")
    return sizes
