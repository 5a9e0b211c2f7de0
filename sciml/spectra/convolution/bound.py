"""Upper bounds of the norm of a convolution, whatever the size of the signal: a tight one, and a quick one."""

import math

import torch

from sciml.spectra.convolution.circular import chunks_of, largest_of, per_dim
from sciml.spectra.convolution.largest import largest_value

__all__ = ["affordable_bound", "norm_bound", "quick_bound"]

_OVERSAMPLING = 8  # frequencies a tap: the bound is at most 1 / cos(π / 16) = 1.02 times the norm per dim of the kernel

_MOST = 6e7  # multiplications that the tight bound may cost where a quick one will do: a tenth of a second


def norm_bound(weight: torch.Tensor, *, groups: int = 1) -> float:
    r"""Return an upper bound, within 2 % per dim of the kernel, of max_f ‖Ŵ(f)‖ over all frequencies.

    No convolution with this weight is stronger, whatever its size, stride or dilation, with zero or circular padding:
    a shorter signal or a stride leaves out rows and columns of the infinite convolution, or frequencies. Nor is a
    transposed convolution, whose weight is given as torch keeps it, (c_in, c_out / groups, *kernel).

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
    ones, grid = per_dim("stride", 1, weight), _fine(weight)
    raised = math.prod(math.cos(math.pi * (taps - 1) / (2 * size)) for taps, size in zip(kernel, grid, strict=True))
    return largest_of(chunks_of(weight, grid, groups, ones, ones, transposed=False)) / raised


def quick_bound(weight: torch.Tensor, *, groups: int = 1) -> float:
    r"""Return the upper bound √taps ‖W‖ with W the weight reshaped to (c_out, c_in · taps), whatever the signal.

    Each sample of a signal enters an output with at most so many taps. It may exceed the norm by a factor of √taps.

    References
    ----------
    Singla, Feizi (2021), arXiv:1911.10258, theorem 1.

    Examples
    --------
    >>> round(quick_bound(torch.tensor([[[1.0, -1.0]]])), 12)
    2.0
    """
    x = weight.detach().to("cpu", torch.float64)
    return math.sqrt(math.prod(x.shape[2:])) * largest_value(x.reshape(groups, x.shape[0] // groups, -1))


def affordable_bound(weight: torch.Tensor, *, groups: int = 1) -> float:
    """Return `norm_bound` of small layers, `quick_bound` of those where the tight one would take seconds.

    Examples
    --------
    >>> weight = torch.tensor([[[1.0, -1.0]]])
    >>> affordable_bound(weight) == norm_bound(weight)
    True
    """
    first, second = weight.shape[0] // groups, weight.shape[1]
    cost = math.prod(_fine(weight)) / 2 * groups * first * second * min(first, second)
    return norm_bound(weight, groups=groups) if cost <= _MOST else quick_bound(weight, groups=groups)


def _fine(weight: torch.Tensor) -> tuple[int, ...]:
    return tuple(1 if taps == 1 else _OVERSAMPLING * taps for taps in weight.shape[2:])
