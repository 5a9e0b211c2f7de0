"""The linear map."""

from collections import OrderedDict

import torch  # noqa: F401 (for the example)
from torch import nn

from sciml.nn.models.blocks import Shape, outputs
from sciml.nn.models.signal_net import SignalNet

__all__ = ["linear"]


def linear(n_channels: int, n_times: int, n_outputs: Shape) -> SignalNet:
    """Return the linear map from a whole window to the outputs: what every deeper net must beat.

    Examples
    --------
    >>> linear(6, 100, (4,))(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 4])
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    parts.update(outputs(n_channels * n_times, n_outputs))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs, any_length=False)
