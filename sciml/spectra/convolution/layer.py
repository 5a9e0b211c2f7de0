"""The norm and the singular values of a convolutional layer, by the way that its padding allows."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.errors import ConfigError, NumericalError
from sciml.nn.structure import TRANSPOSED
from sciml.spectra.convolution.bound import affordable_bound, norm_bound
from sciml.spectra.convolution.circular import Sizes, circular_singular_values, operator_norm, per_dim
from sciml.spectra.convolution.operator import LayerOperator

__all__ = ["layer_norms", "layer_singular_values"]

_MOST_DENSE = 4096  # inputs or outputs of an operator that is written out


def layer_singular_values(layer: nn.Module, grid: Sizes, *, weight: torch.Tensor | None = None) -> NDArray[np.float64]:
    """Return all singular values, descending, of a (transposed) convolution with its own padding.

    With circular padding that keeps the size, from the blocks of frequencies; with any other from the matrix written
    out, for signals of at most 4096 numbers.

    Parameters
    ----------
    layer
        A layer of torch.
    grid
        Size of the input signal along each dim of the kernel.
    weight
        In the place of the weight of the layer, of the same shape.

    Raises
    ------
    ConfigError
        Another layer, a grid that does not fit it, or an operator too large to be written out: ask for its norm.

    Examples
    --------
    >>> layer = nn.Conv1d(1, 1, 3, padding=1)
    >>> layer_singular_values(layer, 3, weight=torch.tensor([[[1.0, 0.0, 1.0]]])).round(6).tolist()
    [1.414214, 1.414214, 0.0]
    """
    found: torch.Tensor = layer.weight if weight is None else weight  # type: ignore[assignment]
    if is_circulant(layer, grid, found):
        return circular_singular_values(found, grid, **_options(layer))
    operator = LayerOperator(layer, grid, weight=found)
    if max(operator.shape) > _MOST_DENSE:
        raise ConfigError(
            f"expected an operator of at most {_MOST_DENSE} inputs and outputs, got {operator.shape}; take a smaller "
            "grid, circular padding, or the norm alone: LayerOperator(layer, grid).norm()"
        )
    return np.asarray(np.linalg.svd(operator.dense(), compute_uv=False), dtype=np.float64)


def layer_norms(layer: nn.Module, weight: torch.Tensor, grid: Sizes | None = None) -> tuple[float | None, float]:
    """Return the norm of a convolutional layer for signals of a size, and an upper bound.

    Circular padding that keeps the size: from the blocks of frequencies. Any other: Lanczos iteration on the operator,
    to a relative error of 1e-6. None without a size, and where the iteration does not get there (signals of tens of
    thousands of samples), for which the bound is all that is known.
    Without a grid the bound of a large layer is `quick_bound`, else it is `norm_bound`, within 2 % per dim.

    Parameters
    ----------
    layer
        A (transposed) convolution of torch.
    weight
        Its weight, as torch keeps it.
    grid
        Size of the input signal along each dim of the kernel.

    Examples
    --------
    >>> layer = nn.Conv1d(1, 1, 2, padding=1)
    >>> norm, bound = layer_norms(layer, torch.tensor([[[1.0, -1.0]]]), 5)
    >>> round(norm, 6), 1.931852 < bound
    (1.931852, True)
    """
    groups = _options(layer)["groups"]
    copies = math.prod(_copies(layer))
    if grid is None:
        return None, affordable_bound(weight, groups=groups) * copies
    bound = norm_bound(weight, groups=groups) * copies
    if is_circulant(layer, grid, weight):
        norm = operator_norm(weight, grid, **_options(layer))
    else:
        try:
            norm = LayerOperator(layer, grid, weight=weight).norm()
        except NumericalError:
            return None, bound
    return norm, max(bound, norm)


def is_circulant(layer: Any, grid: Sizes, weight: torch.Tensor) -> bool:
    """Return whether a layer is a circular convolution, the stride of which divides the grid."""
    if layer.padding_mode != "circular":
        return False
    sizes = per_dim("grid", grid, weight)
    fits = all(size % step == 0 for size, step in zip(sizes, layer.stride, strict=True))
    outputs = (
        (size + sum(pads) - span - 1) // step + 1
        for pads, span, step, size in zip(_paddings(layer), _spans(layer), layer.stride, sizes, strict=True)
    )
    return fits and all(n == size // step for n, size, step in zip(outputs, sizes, layer.stride, strict=True))


def _spans(layer: Any) -> list[int]:
    return [step * (taps - 1) for step, taps in zip(layer.dilation, layer.kernel_size, strict=True)]


def _paddings(layer: Any) -> list[tuple[int, int]]:
    """Return the padding before and after the signal along each dim."""
    if layer.padding == "same":
        return [(span // 2, span - span // 2) for span in _spans(layer)]
    if layer.padding == "valid":
        return [(0, 0)] * len(layer.kernel_size)
    return [(pad, pad) for pad in layer.padding]


def _copies(layer: Any) -> Iterator[float]:
    """Yield, for each dim, what padding can add to the norm: the root of how often one sample can come in."""
    for (before, after), span in zip(_paddings(layer), _spans(layer), strict=True):
        if layer.padding_mode == "replicate":
            yield math.sqrt(1 + before + after)
        elif layer.padding_mode == "reflect":
            yield math.sqrt(1 + (before > 0) + (after > 0))
        elif layer.padding_mode == "circular":
            excess = before + after - span
            yield math.sqrt(1 + math.ceil(excess / max(before, after))) if excess > 0 else 1.0
        else:
            yield 1.0


def _options(layer: Any) -> dict[str, Any]:
    return {
        "groups": layer.groups,
        "dilation": layer.dilation,
        "stride": layer.stride,
        "transposed": isinstance(layer, TRANSPOSED),
    }
