"""Causal convolutions whose dilation doubles from block to block."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Unpack

import torch  # noqa: F401 (for the example)
from torch import nn

from sciml.nn.models.blocks import (
    Readout,
    Residual,
    Shape,
    activation_layer,
    count,
    head,
    normed_activation,
    probability,
)
from sciml.nn.models.signal_net import SignalNet

__all__ = ["causal_blocks", "tcn"]


def tcn(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    width: int = 55,
    blocks: int = 5,
    kernel: int = 16,
    norm: str = "batch",
    activation: str = "relu",
    channel_dropout: float = 0.05,
    **readout: Unpack[Readout],
) -> SignalNet:
    """Return the temporal convolutional net: causal convolutions of dilation 1, 2, 4, ... in residual blocks; linear.

    What it says at a sample depends on that sample and earlier ones alone, on 1 + 2 (kernel - 1) (2^blocks - 1) of them
    (with `norm` "group", which averages over the window, on all). 456 502 parameters at 21 channels and 2 outputs, as
    published: the norm behind each convolution has a weight and a bias a filter, as many as the gain and the bias of
    the weight norm in the paper; with `norm` "none" 550 fewer, one bias a filter alone.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    width, blocks, kernel
        Filters of a layer, residual blocks of two convolutions each, filter length in samples.
    norm
        "batch", "group" or "none".
    channel_dropout
        Probability of dropping a filter's whole time course in training, after each convolution.
    activation, pool, dropout
        As in `fcn`: "mean" over time, as in the paper, or "last" sample, for forecasts.

    References
    ----------
    Bai, Kolter, Koltun (2018), arXiv:1803.01271, section 3; these sizes: Gemein et al. (2020), NeuroImage 220,
    doi:10.1016/j.neuroimage.2020.117021 (BD-TCN). Weight norm, which is left out so that the weights are plain ones:
    Salimans and Kingma (2016), arXiv:1602.07868.

    Examples
    --------
    >>> net = tcn(21, 600, (2,))
    >>> net(torch.zeros(1, 21, 600)).shape, sum(each.numel() for each in net.parameters())
    (torch.Size([1, 2]), 456502)
    """
    width, blocks, kernel = count("width", width), count("blocks", blocks), count("kernel", kernel)
    p = probability("channel_dropout", channel_dropout)
    convolutions: dict[str, Any] = {"kernel": kernel, "norm": norm, "activation": activation, "bias": norm == "none"}
    parts = causal_blocks(n_channels, width, blocks, dropout=lambda: nn.Dropout1d(p), **convolutions)
    parts.update(head(width, n_outputs, **readout))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)


def causal_blocks(
    n_in: int,
    width: int,
    blocks: int,
    *,
    kernel: int,
    norm: str,
    activation: str,
    bias: bool,
    dropout: Callable[[], nn.Module],
) -> "OrderedDict[str, nn.Module]":
    """Return residual blocks of two causal convolutions each, the dilation of block i being 2^i, as named modules.

    A block is activation(skip(x) + F(x)), F being (convolution, norm, activation, dropout) twice; the skip is a
    convolution of one tap where the number of features changes.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i in range(blocks):
        branch: OrderedDict[str, nn.Module] = OrderedDict()
        for j, n in (("1", n_in), ("2", width)):
            branch[f"pad{j}"] = nn.ZeroPad1d(((kernel - 1) * 2**i, 0))
            branch[f"conv{j}"] = nn.Conv1d(n, width, kernel, dilation=2**i, bias=bias)
            branch.update(normed_activation(width, norm=norm, activation=activation, suffix=j))
            branch[f"dropout{j}"] = dropout()
        shortcut = nn.Conv1d(n_in, width, 1) if n_in != width else None
        parts[f"block{i + 1}"] = Residual(nn.Sequential(branch), shortcut=shortcut)
        parts[f"activation{i + 1}"] = activation_layer(activation)
        n_in = width
    return parts
