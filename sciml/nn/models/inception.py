"""Convolutions of several lengths beside each other."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Unpack

import torch  # noqa: F401 (for the example)
from torch import nn

from sciml.nn.models.blocks import (
    Concatenated,
    Readout,
    Residual,
    Shape,
    activation_layer,
    convolution,
    count,
    counts,
    head,
    normed_activation,
)
from sciml.nn.models.signal_net import SignalNet

__all__ = ["inceptiontime"]

IN_A_BLOCK = 3  # modules between two sums with the skip


def inceptiontime(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    width: int = 32,
    kernels: Sequence[int] = (40, 20, 10),
    depth: int = 6,
    norm: str = "batch",
    activation: str = "relu",
    **readout: Unpack[Readout],
) -> SignalNet:
    """Return a net of InceptionTime: modules of filters of several lengths, a skip over every three; mean; linear.

    A module is a convolution of one tap to `width` features (of several channels alone), then filters of each length on
    those, and beside them a convolution of one tap on the largest of three samples; norm and ReLU follow. A skip is a
    convolution of one tap and a norm. As many parameters as in the published code, where no convolution has a bias. The
    paper's classifier averages the probabilities of five such nets that start otherwise.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    width
        Filters of each length; a module gives len(kernels) + 1 times as many features.
    kernels
        Lengths of the filters, in samples.
    depth
        Number of modules; over the last one or two that make no three there is no skip.
    norm, activation, pool, dropout
        As in `fcn`.

    References
    ----------
    Ismail Fawaz et al. (2020), Data Mining and Knowledge Discovery 34, doi:10.1007/s10618-020-00710-y,
    arXiv:1909.04939, Fig. 1 and 2.

    Examples
    --------
    >>> net = inceptiontime(6, 100, (4,))
    >>> net(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 4])
    """
    width, kernels, depth = count("width", width), counts("kernels", kernels), count("depth", depth)
    wide = width * (len(kernels) + 1)
    n_in = [n_channels, *[wide] * (depth - 1)]
    modules = [_module(n, width, kernels, norm, activation) for n in n_in]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for first in range(0, depth, IN_A_BLOCK):
        block = modules[first : first + IN_A_BLOCK]
        if len(block) < IN_A_BLOCK:  # no skip over these
            parts.update((f"module{first + i}", each) for i, each in enumerate(block, start=1))
            continue
        name, skip = first // IN_A_BLOCK + 1, convolution(n_in[first], wide, 1, norm=norm)
        parts[f"block{name}"] = Residual(nn.Sequential(*block), shortcut=nn.Sequential(skip))
        parts[f"activation{name}"] = activation_layer(activation)
    parts.update(head(wide, n_outputs, **readout))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)


def _module(n_in: int, width: int, kernels: Sequence[int], norm: str, activation: str) -> nn.Module:
    """Return one Inception module."""
    bias = norm == "none"
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    n_filtered = width if n_in > 1 else n_in
    filters = [nn.Sequential(convolution(n_filtered, width, each, norm="none", bias=bias)) for each in kernels]
    bank = Concatenated({f"filter{i}": each for i, each in enumerate(filters, start=1)})
    several: nn.Module = bank
    if n_in > 1:
        bottleneck = nn.Conv1d(n_in, width, 1, bias=bias)
        several = nn.Sequential(OrderedDict(bottleneck=bottleneck, filters=bank))
    largest = nn.Sequential(OrderedDict(pool=nn.MaxPool1d(3, 1, 1), conv=nn.Conv1d(n_in, width, 1, bias=bias)))
    parts["features"] = Concatenated({"filters": several, "largest": largest})
    parts.update(normed_activation(width * (len(kernels) + 1), norm=norm, activation=activation))
    return nn.Sequential(parts)
