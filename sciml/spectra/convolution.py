r"""The singular values of a convolution as the linear map it is.

A circular convolution of stride 1 is diagonal over frequencies: at frequency f it is the c_out x c_in matrix

.. math:: \hat W(f) = \sum_t W_t \exp(-2\pi i\, f \cdot t), \qquad W_t \text{ the tap at } t,

so its singular values are those of these matrices. The reshaped weight (c_out, c_in · taps) has others.

References
----------
Sedghi, Gupta, Long (2019), arXiv:1805.10408, theorem 6.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import ConfigError

__all__ = ["circular_singular_values", "norm_bound", "operator_norm"]

_OVERSAMPLING = 8  # frequencies a tap: the bound is at most 1 / cos(π / 16) = 1.02 times the norm per dim of the kernel


def circular_singular_values(
    weight: torch.Tensor, grid: int | Sequence[int], *, groups: int = 1, dilation: int | Sequence[int] = 1
) -> NDArray[np.float64]:
    """Return all singular values, descending, of a convolution of stride 1 with circular padding.

    Parameters
    ----------
    weight
        (c_out, c_in / groups, *kernel), real.
    grid
        Size of the signal along each dim of the kernel; kernels that are longer wrap around it.
    groups, dilation
        As in `torch.nn.Conv1d`.

    Raises
    ------
    ConfigError
        A weight without a kernel, or a grid of another number of dims or below one.

    References
    ----------
    Sedghi, Gupta, Long (2019), arXiv:1805.10408, theorem 6.

    Examples
    --------
    >>> difference = torch.tensor([[[1.0, -1.0]]])
    >>> circular_singular_values(difference, 4).round(6).tolist()
    [2.0, 1.414214, 1.414214, 0.0]
    """
    sizes, steps = _per_dim("grid", grid, weight), _per_dim("dilation", dilation, weight)
    blocks = _frequency_blocks(weight, sizes, groups, steps)
    values = torch.linalg.svdvals(blocks).flatten().sort(descending=True).values
    return np.asarray(values.numpy(), dtype=np.float64)


def operator_norm(
    weight: torch.Tensor, grid: int | Sequence[int], *, groups: int = 1, dilation: int | Sequence[int] = 1
) -> float:
    """Return the largest of `circular_singular_values`, without the others.

    Examples
    --------
    >>> round(operator_norm(torch.tensor([[[1.0, -1.0]]]), 4), 12)
    2.0
    """
    sizes, steps = _per_dim("grid", grid, weight), _per_dim("dilation", dilation, weight)
    return _largest(_frequency_blocks(weight, sizes, groups, steps, half=True))


def norm_bound(weight: torch.Tensor, *, groups: int = 1) -> float:
    r"""Return an upper bound, within 2 % per dim of the kernel, of max_f ‖Ŵ(f)‖ over all frequencies.

    No convolution with this weight is stronger, whatever its size, stride or dilation, with zero or circular padding:
    a shorter signal or a stride leaves out rows and columns of the infinite convolution, or frequencies.

    The largest value on m frequencies is raised to a bound for those between them: u^T Ŵ(f) v is, up to a phase, a
    trigonometric polynomial of degree d = (taps - 1) / 2, and such a one is at most its maximum on the grid divided by
    cos(π d / m).

    References
    ----------
    Ehlich, Zeller (1964), doi:10.1007/BF01111276, for the grid.

    Examples
    --------
    >>> 2.0 <= norm_bound(torch.tensor([[[1.0, -1.0]]])) < 2.04
    True
    """
    kernel = weight.shape[2:]
    grid = tuple(1 if taps == 1 else _OVERSAMPLING * taps for taps in kernel)
    raised = math.prod(math.cos(math.pi * (taps - 1) / (2 * size)) for taps, size in zip(kernel, grid, strict=True))
    return _largest(_frequency_blocks(weight, grid, groups, (1,) * len(kernel), half=True)) / raised


def _frequency_blocks(
    weight: torch.Tensor, grid: Sequence[int], groups: int, dilation: Sequence[int], *, half: bool = False
) -> torch.Tensor:
    """Return Ŵ(f): (frequency, group, c_out / groups, c_in / groups), complex128 on the CPU.

    `half` leaves out frequencies whose matrix is the conjugate of one that is there.
    """
    if weight.ndim < 3:
        raise ConfigError(f"expected a weight (c_out, c_in, *kernel), got shape {tuple(weight.shape)}")
    x = weight.detach().to("cpu", torch.complex128)
    x = x.reshape(groups, x.shape[0] // groups, *x.shape[1:])
    for axis, (size, step) in enumerate(zip(grid, dilation, strict=True)):
        frequencies = torch.arange(size // 2 + 1 if half and axis == 0 else size)
        # A sum over taps, not an FFT of the kernel: that would cut off a kernel longer than the grid.
        turns = torch.outer(torch.arange(x.shape[3]) * step, frequencies) % size
        angle = -2 * math.pi / size * turns.double()
        wave = torch.polar(torch.ones_like(angle), angle)
        x = torch.tensordot(x, wave, dims=([3], [0]))  # the dim of this kernel axis moves to the end, as a frequency
    return x.flatten(3).permute(3, 0, 1, 2)


def _largest(blocks: torch.Tensor) -> float:
    gram = blocks @ blocks.mH if blocks.shape[-2] <= blocks.shape[-1] else blocks.mH @ blocks
    return float(torch.linalg.eigvalsh(gram).max().clamp(min=0.0).sqrt())


def _per_dim(name: str, value: int | Sequence[int], weight: torch.Tensor) -> tuple[int, ...]:
    n_dims = weight.ndim - 2
    sizes = (value,) * n_dims if isinstance(value, int) else tuple(value)
    if len(sizes) != n_dims or min(sizes, default=1) < 1:
        raise ConfigError(f"expected {name} to be a whole number >= 1 for each of {n_dims} dims, got {value!r}")
    return sizes
