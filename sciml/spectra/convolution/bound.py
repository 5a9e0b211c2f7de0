"""An upper bound of the norm of a convolution, whatever the size of the signal."""

import math

import torch

from sciml.spectra.convolution.circular import frequency_blocks, largest_value, per_dim

__all__ = ["norm_bound"]

_OVERSAMPLING = 8  # frequencies a tap: the bound is at most 1 / cos(π / 16) = 1.02 times the norm per dim of the kernel


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
    ones = per_dim("stride", 1, weight)
    grid = tuple(1 if taps == 1 else _OVERSAMPLING * taps for taps in kernel)
    raised = math.prod(math.cos(math.pi * (taps - 1) / (2 * size)) for taps, size in zip(kernel, grid, strict=True))
    axes = [torch.arange(size) for size in grid]
    axes[0] = axes[0][: grid[0] // 2 + 1]  # of real weights the other half is the conjugate of this one
    points = torch.cartesian_prod(*axes).reshape(-1, len(grid))
    return (
        max(largest_value(frequency_blocks(weight, each, grid, groups, ones, ones)) for each in torch.split(points, 64))
        / raised
    )
