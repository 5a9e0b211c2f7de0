"""Compact convolutional nets of electrodes: filters in time, then over channels; the power or the shape of each."""

from collections import OrderedDict

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.models.blocks import Shape, activation_layer, count, counts, outputs, probability
from sciml.nn.models.signal_net import SignalNet

__all__ = ["Log", "Square", "eegnet", "enough", "filter_bank", "pair", "same", "shallow", "stage"]

SMALLEST = 1e-6  # power: the logarithm of less is that of this


class Square(nn.Module):
    """The square of each value."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x², shape as x."""
        return x.square()


class Log(nn.Module):
    """The natural logarithm of each value, of at least 1e-6."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log x, shape as x."""
        return x.clamp(min=SMALLEST).log()


def shallow(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    filters: int = 40,
    kernel: int = 25,
    pool: int = 75,
    stride: int = 15,
    dropout: float = 0.5,
) -> SignalNet:
    r"""Return the shallow net of Schirrmeister et al.: the logarithm of the power of filtered signals; linear.

    .. math:: y = W \log \langle (\mathrm{BN}(S\, (k * x)))^2 \rangle + b

    with filters k in time, filters S over channels, and means over `pool` samples, as in filter bank common spatial
    patterns. It takes windows of one length. 46 084 parameters at 22 channels, 1000 samples and 4 outputs, as
    published.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    filters
        Filters in time, and as many over channels.
    kernel, pool, stride
        Length of a filter, of a mean, and from mean to mean, in samples (of 4 ms in the paper).
    dropout
        Probability of dropping a logarithm in training.

    Raises
    ------
    ConfigError
        Windows of fewer than kernel + pool - 1 samples.

    References
    ----------
    Schirrmeister et al. (2017), Human Brain Mapping 38, doi:10.1002/hbm.23730, Fig. 2.

    Examples
    --------
    >>> net = shallow(22, 1000, (4,))
    >>> net(torch.zeros(2, 22, 1000)).shape, sum(each.numel() for each in net.parameters())
    (torch.Size([2, 4]), 46084)
    """
    filters, kernel = count("filters", filters), count("kernel", kernel)
    pool, stride = count("pool", pool), count("stride", stride)
    enough("shallow", n_times, kernel + pool - 1, "kernel and pool")
    n_means = (n_times - kernel + 1 - pool) // stride + 1
    parts: OrderedDict[str, nn.Module] = OrderedDict(image=nn.Unflatten(1, (1, n_channels)))
    parts["conv_time"] = nn.Conv2d(1, filters, (1, kernel))
    parts["conv_space"] = nn.Conv2d(filters, filters, (n_channels, 1), bias=False)
    parts["norm"] = nn.BatchNorm2d(filters)
    parts["square"] = Square()
    parts["pool"] = nn.AvgPool2d((1, pool), (1, stride))
    parts["log"] = Log()
    parts["dropout"] = nn.Dropout(probability("dropout", dropout))
    parts["flatten"] = nn.Flatten()
    parts.update(outputs(filters * n_means, n_outputs))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs, any_length=False)


def eegnet(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    filters: int = 8,
    depth: int = 2,
    kernels: tuple[int, int] = (64, 16),
    pools: tuple[int, int] = (4, 8),
    activation: str = "elu",
    dropout: float = 0.25,
) -> SignalNet:
    """Return EEGNet: filters in time, `depth` filters over channels for each, a separable convolution, linear.

    It takes windows of one length. While it is trained, the filters over channels have norms of at most 1, the rows of
    the last layer of at most .25, as in the paper (`constrain`). 2 484 parameters at 22 channels, 512 samples and 4
    outputs, as published.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    filters, depth
        F1 filters in time, and D filters over channels for each of them; the separable convolution has F1 · D.
    kernels
        Length of the filters in time and of the separable convolution, in samples (of 7.8 ms in the paper, where the
        first are half a second long).
    pools
        Samples that are averaged after each of the two.
    activation
        A name in `ACTIVATIONS`.
    dropout
        Probability of dropping a value after each pool (in the paper .25 across subjects, .5 within one).

    Raises
    ------
    ConfigError
        Windows of fewer samples than the product of the pools.

    References
    ----------
    Lawhern et al. (2018), Journal of Neural Engineering 15, doi:10.1088/1741-2552/aace8c, arXiv:1611.08024, Table 2.

    Examples
    --------
    >>> net = eegnet(22, 512, (4,))
    >>> net(torch.zeros(2, 22, 512)).shape, sum(each.numel() for each in net.parameters())
    (torch.Size([2, 4]), 2484)
    """
    kernels, pools = pair("kernels", kernels), pair("pools", pools)
    filters, depth = count("filters", filters), count("depth", depth)
    enough("eegnet", n_times, pools[0] * pools[1], "pools")
    width = filters * depth
    parts = filter_bank(n_channels, filters, depth, kernels[0])
    parts.update(stage(width, "2", pools[0], activation, dropout))
    parts.update(same(width, width, kernels[1], "depthwise", groups=width))
    parts["pointwise"] = nn.Conv2d(width, width, 1, bias=False)
    parts.update(stage(width, "3", pools[1], activation, dropout))
    parts["flatten"] = nn.Flatten()
    parts.update(outputs(width * (n_times // pools[0] // pools[1]), n_outputs))
    limits = {"conv_space": 1.0, "head": 0.25}
    window = (n_channels, n_times)
    return SignalNet(parts, input_shape=window, output_shape=n_outputs, any_length=False, max_norms=limits)


def filter_bank(n_channels: int, filters: int, depth: int, kernel: int) -> "OrderedDict[str, nn.Module]":
    """Return filters in time, and `depth` filters over channels for each of them, as named modules.

    They map (batch, channel, time) to (batch, filters · depth, 1, time).
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(image=nn.Unflatten(1, (1, n_channels)))
    parts.update(same(1, filters, kernel, "conv_time"))
    parts["norm1"] = _norm(filters)
    parts["conv_space"] = nn.Conv2d(filters, filters * depth, (n_channels, 1), groups=filters, bias=False)
    return parts


def stage(width: int, suffix: str, pool: int, activation: str, dropout: float) -> "OrderedDict[str, nn.Module]":
    """Return norm, activation, mean over `pool` samples and dropout, as named modules."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts[f"norm{suffix}"] = _norm(width)
    parts[f"activation{suffix}"] = activation_layer(activation)
    parts[f"pool{suffix}"] = nn.AvgPool2d((1, pool))
    parts[f"dropout{suffix}"] = nn.Dropout(probability("dropout", dropout))
    return parts


def same(n_in: int, n_out: int, kernel: int, name: str, *, groups: int = 1) -> "OrderedDict[str, nn.Module]":
    """Return a convolution in time that keeps the length, without bias, as named modules."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts[f"pad_{name}"] = nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0))
    parts[name] = nn.Conv2d(n_in, n_out, (1, kernel), groups=groups, bias=False)
    return parts


def _norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, momentum=0.01, eps=1e-3)  # of the published code


def pair(name: str, values: object) -> tuple[int, int]:
    """Return two whole numbers of at least one, or refuse the values."""
    found = counts(name, values)
    if len(found) != 2:
        raise ConfigError(f"expected two whole numbers as {name}, got {values!r}")
    return found[0], found[1]


def enough(model: str, n_times: int, fewest: int, options: str) -> None:
    """Refuse windows that are too short for a net."""
    if n_times < fewest:
        raise ConfigError(
            f"model {model!r}: expected windows of at least {fewest} samples, got {n_times}; take longer windows, or "
            f"make its options {options} smaller"
        )
