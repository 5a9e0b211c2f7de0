"""Singular values of circular convolutions, frequency by frequency."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import ConfigError
from sciml.linalg.batched import ordered_map
from sciml.spectra.convolution.largest import largest_value, upper_estimates

__all__ = [
    "Chosen",
    "chunks_of",
    "circular_singular_values",
    "frequency_blocks",
    "largest_of",
    "operator_norm",
    "per_dim",
]

Sizes = int | Sequence[int]
_AT_ONCE = 4  # frequencies that are decomposed before the next are compared
_MOST = 2**19  # complex numbers of the blocks that a core holds at once


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

    def values(chosen: Chosen) -> NDArray[np.float64]:
        return np.repeat(torch.linalg.svdvals(chosen.blocks(chosen.points)).numpy(), chosen.counts, axis=0).ravel()

    found = list(ordered_map(values, chunks_of(weight, grid, groups, dilation, stride, transposed)))
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
    return largest_of(chunks_of(weight, grid, groups, dilation, stride, transposed))


@dataclass(frozen=True)
class Chosen:
    """Some frequencies of a convolution, and how many of all have the same block as each."""

    points: torch.Tensor
    counts: NDArray[np.int64]
    blocks: Callable[[torch.Tensor], torch.Tensor]

    def upper(self) -> torch.Tensor:
        """Return what the largest singular value at each frequency is below."""
        return upper_estimates(self.blocks(self.points))


def chunks_of(
    weight: torch.Tensor, grid: Sizes, groups: int, dilation: Sizes, stride: Sizes, transposed: bool
) -> Iterator[Chosen]:
    """Yield the frequencies, a few at a time: those alone whose blocks differ."""
    steps, strides = per_dim("dilation", dilation, weight), per_dim("stride", stride, weight)
    sizes = per_dim("grid", grid, weight)
    if transposed:
        sizes = tuple(size * each for size, each in zip(sizes, strides, strict=True))
    if any(size % each for size, each in zip(sizes, strides, strict=True)):
        raise ConfigError(f"expected a stride that divides the grid {sizes}, got {strides}; give a multiple of it")
    outputs = [size // each for size, each in zip(sizes, strides, strict=True)]
    # Along a dim with one tap all frequencies have the same block, and so have those that alias.
    flat = [taps == 1 for taps in weight.shape[2:]]
    same = math.prod(n for n, one in zip(outputs, flat, strict=True) if one)
    sizes = tuple(1 if one else size for size, one in zip(sizes, flat, strict=True))
    strides = tuple(1 if one else each for each, one in zip(strides, flat, strict=True))
    points, counts = half_of_frequencies([1 if one else n for n, one in zip(outputs, flat, strict=True)])
    at_once = max(1, _MOST // (weight.shape[:2].numel() * math.prod(strides)))
    blocks = partial(frequency_blocks, weight, sizes=sizes, groups=groups, dilation=steps, stride=strides)
    for chosen, n in zip(torch.split(points, at_once), torch.split(counts, at_once), strict=True):
        yield Chosen(chosen, same * n.numpy(), blocks)


def largest_of(chunks: Iterable[Chosen]) -> float:
    """Return the largest singular value of all blocks, of which only those that may have it are decomposed."""
    chunks = list(chunks)
    estimates = list(ordered_map(lambda chosen: chosen.upper(), chunks))
    if all(bool(torch.isinf(each).all()) for each in estimates):
        return max(ordered_map(lambda chosen: largest_value(chosen.blocks(chosen.points)), chunks))
    upper, points = torch.cat(estimates), torch.cat([each.points for each in chunks])
    largest, blocks = 0.0, chunks[0].blocks
    for some in torch.split(torch.argsort(upper, descending=True), _AT_ONCE):
        wanted = some[upper[some] > largest]
        if len(wanted) == 0:
            break
        largest = max(largest, *ordered_map(lambda i: largest_value(blocks(points[i : i + 1])), wanted.tolist()))
    return largest


def half_of_frequencies(outputs: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the frequencies without those whose blocks are the conjugates of others, and how often each counts."""
    first = next((i for i, n in enumerate(outputs) if n > 1), 0)
    axes = [torch.arange(n // 2 + 1 if i == first else n) for i, n in enumerate(outputs)]
    points = torch.cartesian_prod(*axes).reshape(-1, len(outputs))
    alone = (points[:, first] == 0) | (2 * points[:, first] == outputs[first])
    return points, torch.where(alone, 1, 2)


def frequency_blocks(
    weight: torch.Tensor,
    points: torch.Tensor,
    sizes: Sequence[int],
    groups: int,
    dilation: Sequence[int],
    stride: Sequence[int],
) -> torch.Tensor:
    """Return the blocks (frequency, group, c_out / groups, c_in / groups · strides) on the CPU.

    complex128, float64 of a kernel of one tap. `points` are frequencies (n, dims) of the output, as whole numbers.
    """
    x = weight.detach().to("cpu", torch.float64)
    aliases = torch.cartesian_prod(*[torch.arange(n) for n in stride]).reshape(-1, len(stride))
    outputs = torch.tensor([size // n for size, n in zip(sizes, stride, strict=True)])
    frequencies = points[:, None] + aliases * outputs  # (n, alias, dim)
    taps = torch.cartesian_prod(*[torch.arange(n) for n in weight.shape[2:]]).reshape(-1, len(stride))
    # A sum over taps, not an FFT of the kernel: that would cut off a kernel longer than the grid.
    turns = frequencies[:, :, None] * taps * torch.tensor(dilation) % torch.tensor(sizes)
    angle = (-2 * math.pi * turns.double() / torch.tensor(sizes, dtype=torch.float64)).sum(-1)  # (n, alias, tap)
    by_tap = x.reshape(-1, len(taps)).mT * math.prod(stride) ** -0.5
    blocks = torch.complex(torch.cos(angle) @ by_tap, torch.sin(angle) @ by_tap)  # (n, alias, all channels)
    blocks = blocks.reshape(len(points), len(aliases), groups, x.shape[0] // groups, x.shape[1])
    return (blocks if len(taps) > 1 else blocks.real).permute(0, 2, 3, 4, 1).flatten(3)


def per_dim(name: str, value: Sizes, weight: torch.Tensor) -> tuple[int, ...]:
    """Return one number for each dim of the kernel of a weight."""
    if weight.ndim < 3:
        raise ConfigError(f"expected a weight (c_out, c_in, *kernel), got shape {tuple(weight.shape)}")
    n_dims = weight.ndim - 2
    sizes = (value,) * n_dims if isinstance(value, int) else tuple(value)
    if len(sizes) != n_dims or min(sizes, default=1) < 1:
        raise ConfigError(f"expected {name} to be a whole number >= 1 for each of {n_dims} dims, got {value!r}")
    return sizes
