"""Residual nets."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Unpack

import torch  # noqa: F401 (for the example)
from torch import nn

from sciml.nn.models.blocks import (
    Readout,
    Residual,
    Shape,
    activation_layer,
    convolution,
    count,
    counts,
    head,
    normed_activation,
    shortcut,
)
from sciml.nn.models.signal_net import SignalNet

__all__ = ["resnet", "resnet1d"]


def resnet1d(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    width: int = 64,
    blocks: int = 4,
    layers: int = 2,
    kernel: int = 7,
    norm: str = "group",
    activation: str = "relu",
    branch_scale: bool = False,
    **readout: Unpack[Readout],
) -> SignalNet:
    """Return a residual net for signals: a stem, then `blocks` pre-activation blocks x + F(x), then linear.

    F is (norm, activation, conv), `layers` times. The skip is the identity, the width and the length are constant, so
    that the stream carries what it was given: the case in which the depth-aware initialization `taki` keeps signal and
    gradient of order one without any norm. Group norm is the default, for batch statistics tell the windows of a batch
    about each other.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    width
        Channels of the residual stream.
    blocks
        Number L of residual blocks.
    layers
        Convolutions in a branch.
    kernel
        Filter length in samples.
    norm
        "group", "batch", or "none".
    branch_scale
        Whether each branch ends in a learned factor, which the initializations `skipinit` and `rezero` start at 0.
    activation, pool, dropout
        As in `fcn`.

    References
    ----------
    He, Zhang, Ren, Sun (2016), arXiv:1603.05027, Fig. 4e; for time series: Wang, Yan, Oates (2017),
    doi:10.1109/IJCNN.2017.7966039, section II-C.

    Examples
    --------
    >>> net = resnet1d(6, 100, (3, 10), blocks=2, width=16)
    >>> net(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 3, 10])
    """
    width, blocks, layers = count("width", width), count("blocks", blocks), count("layers", layers)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Sequential(convolution(n_channels, width, kernel, norm="none", bias=norm == "none"))
    for i in range(1, blocks + 1):
        branch: OrderedDict[str, nn.Module] = OrderedDict()
        for j in range(1, layers + 1):
            branch.update(normed_activation(width, norm=norm, activation=activation, suffix=str(j)))
            conv = convolution(width, width, kernel, norm="none", bias=norm == "none")
            branch.update((f"{key}{j}", module) for key, module in conv.items())
        parts[f"block{i}"] = Residual(nn.Sequential(branch), scale=branch_scale)
    parts.update(normed_activation(width, norm=norm, activation=activation))
    parts.update(head(width, n_outputs, **readout))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)


def resnet(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    widths: Sequence[int] = (64, 128, 128),
    kernels: Sequence[int] = (8, 5, 3),
    norm: str = "batch",
    activation: str = "relu",
    **readout: Unpack[Readout],
) -> SignalNet:
    """Return the residual net of Wang, Yan and Oates: three blocks of three convolutions; mean over time; linear.

    A block is relu(skip(x) + F(x)), F being (conv, norm), (ReLU, conv, norm) for each further filter length; the skip
    is norm(x), behind a convolution of one tap where the width changes. Convolutions keep the length. The published
    code gives each convolution a bias too: 1 152 parameters more, which the norm behind it takes away again.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    widths
        Filters of each block.
    kernels
        Length of the filters in a block, in samples.
    norm, activation, pool, dropout
        As in `fcn`.

    References
    ----------
    Wang, Yan, Oates (2017), IJCNN, doi:10.1109/IJCNN.2017.7966039, section II-C.

    Examples
    --------
    >>> net = resnet(6, 100, (4,))
    >>> net(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 4])
    """
    widths, kernels = counts("widths", widths), counts("kernels", kernels)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (n_in, n_out) in enumerate(zip([n_channels, *widths], widths, strict=False), start=1):
        branch = _branch(n_in, n_out, kernels, norm, activation)
        parts[f"block{i}"] = Residual(branch, shortcut=shortcut(n_in, n_out, norm=norm))
        parts[f"activation{i}"] = activation_layer(activation)
    parts.update(head(widths[-1], n_outputs, **readout))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)


def _branch(n_in: int, n_out: int, kernels: Sequence[int], norm: str, activation: str) -> nn.Module:
    """Return convolutions with norms, an activation between them."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for j, kernel in enumerate(kernels, start=1):
        if j > 1:
            parts[f"activation{j - 1}"] = activation_layer(activation)
        layer = convolution(n_in if j == 1 else n_out, n_out, kernel, norm=norm)
        parts.update((f"{key}{j}", module) for key, module in layer.items())
    return nn.Sequential(parts)
