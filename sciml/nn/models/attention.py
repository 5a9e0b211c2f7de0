"""Convolutions, then self-attention and causal convolutions on sliding windows of what they give."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from sciml.nn.models.blocks import LastSample, Residual, Shape, count, outputs, probability
from sciml.nn.models.signal_net import SignalNet
from sciml.nn.models.spatial import enough, filter_bank, pair, same, stage
from sciml.nn.models.temporal import causal_blocks

__all__ = ["SelfAttention", "WindowMean", "atcnet"]

KERNELS, POOLS = (64, 16), (8, 7)  # in samples of 4 ms
ACTIVATION = "elu"
HEADS, HEAD_DIM = 2, 8
CAUSAL_BLOCKS, CAUSAL_KERNEL = 2, 4
LARGEST_NORM = 0.25  # of a row of the last layer


class SelfAttention(nn.Module):
    r"""Self-attention of a layer-normalized sequence, by plain linear layers.

    .. math:: O\,\mathrm{softmax}(Q K^\top / \sqrt d)\, V

    References
    ----------
    Vaswani et al. (2017), arXiv:1706.03762, Eq. 1.
    """

    def __init__(self, width: int, *, heads: int, head_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.query, self.key, self.value = (nn.Linear(width, heads * head_dim) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(heads * head_dim, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, feature, time) to the same shape."""
        z = self.norm(x.mT)
        q, k, v = (self._split(each(z)) for each in (self.query, self.key, self.value))
        weights = self.dropout(torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1))
        attended: torch.Tensor = self.output((weights @ v).transpose(1, 2).flatten(2))
        return attended.mT

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, time, heads · dim) to (batch, head, time, dim)."""
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2)


class WindowMean(nn.ModuleList):
    """The mean of what several nets say of a sequence: each of a window of its own, a sample later from net to net."""

    def __init__(self, nets: Iterable[nn.Module]) -> None:
        super().__init__(nets)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, feature, time) to the mean of what the nets give."""
        length = x.shape[-1] - len(self) + 1
        said = [net(x[..., i : i + length]) for i, net in enumerate(self)]
        return torch.stack(said).mean(dim=0)


def atcnet(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    filters: int = 16,
    depth: int = 2,
    kernels: tuple[int, int] = KERNELS,
    pools: tuple[int, int] = POOLS,
    windows: int = 5,
    dropout: float = 0.3,
    attention_dropout: float = 0.5,
) -> SignalNet:
    """Return ATCNet: an EEGNet-like stem, attention and causal convolutions on sliding windows; mean vote.

    It takes windows of one length. 113 732 parameters at 22 channels, 1000 samples and 4 outputs, as published; 640 of
    them are the biases of causal convolutions before their batch norm, which the published code has too. While it is
    trained, rows of the last layers have norms of at most .25 (`constrain`).

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    filters, depth
        Filters in time, and filters over channels for each of them.
    kernels, pools
        Length of the two convolutions in time, and the samples that are averaged after each (of 4 ms in the paper).
    windows
        Sliding windows of what the stem gives, each shorter than it by `windows` - 1 samples.
    dropout, attention_dropout
        Probability of dropping a value, or a weight of the attention, in training.

    Raises
    ------
    ConfigError
        Windows of fewer samples than the product of the pools times `windows`.

    References
    ----------
    Altaheri, Muhammad, Alsulaiman (2022), IEEE Transactions on Industrial Informatics, doi:10.1109/TII.2022.3197419,
    Fig. 2.

    Examples
    --------
    >>> net = atcnet(22, 1000, (4,))
    >>> net(torch.zeros(1, 22, 1000)).shape, sum(each.numel() for each in net.parameters())
    (torch.Size([1, 4]), 113732)
    """
    kernels, pools = pair("kernels", kernels), pair("pools", pools)
    filters, depth, windows = count("filters", filters), count("depth", depth), count("windows", windows)
    enough("atcnet", n_times, pools[0] * pools[1] * windows, "pools and windows")
    width = filters * depth
    parts = filter_bank(n_channels, filters, depth, kernels[0])
    parts.update(stage(width, "2", pools[0], ACTIVATION, dropout))
    parts.update(same(width, width, kernels[1], "conv"))
    parts.update(stage(width, "3", pools[1], ACTIVATION, dropout))
    parts["sequence"] = nn.Flatten(1, 2)
    parts["windows"] = WindowMean(_vote(width, n_outputs, dropout, attention_dropout) for _ in range(windows))
    limits = {f"windows.{i}.head": LARGEST_NORM for i in range(windows)}
    window = (n_channels, n_times)
    return SignalNet(parts, input_shape=window, output_shape=n_outputs, any_length=False, max_norms=limits)


def _vote(width: int, n_outputs: Shape, dropout: float, attention_dropout: float) -> nn.Module:
    """Return attention, causal convolutions and the linear map from the last sample to the outputs."""
    p, of_weights = probability("dropout", dropout), probability("attention_dropout", attention_dropout)
    attention = SelfAttention(width, heads=HEADS, head_dim=HEAD_DIM, dropout=of_weights)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["attention"] = Residual(nn.Sequential(OrderedDict(attention=attention, dropout=nn.Dropout(p))))
    convolutions: dict[str, Any] = {"kernel": CAUSAL_KERNEL, "norm": "batch", "activation": ACTIVATION, "bias": True}
    parts.update(causal_blocks(width, width, CAUSAL_BLOCKS, dropout=lambda: nn.Dropout(p), **convolutions))
    parts["last"] = LastSample()
    parts.update(outputs(width, n_outputs))
    return nn.Sequential(parts)
