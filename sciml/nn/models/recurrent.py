"""The recurrent net."""

from collections import OrderedDict

import torch
from torch import nn

from sciml.nn.models.blocks import Shape, count, head, probability
from sciml.nn.models.signal_net import SignalNet

__all__ = ["Recurrent", "gru"]


class Recurrent(nn.Module):
    """A recurrent layer, or several, along time: what it gives at a sample depends on that and earlier ones alone."""

    def __init__(self, cells: nn.RNNBase) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, feature, time) to (batch, hidden, time)."""
        states: torch.Tensor = self.cells(x.mT)[0]
        return states.mT


def gru(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    width: int = 64,
    layers: int = 1,
    pool: str = "last",
    dropout: float = 0.0,
) -> SignalNet:
    r"""Return gated recurrent units that read a window from its begin to its end; linear map of the last state.

    .. math::
        r = \sigma(W_r x_t + U_r h_{t-1} + b), \quad z = \sigma(W_z x_t + U_z h_{t-1} + b'),\\
        h_t = z\, h_{t-1} + (1 - z) \tanh(W x_t + c + r (U h_{t-1} + c'))

    A layer has 3 width (n_in + width + 2) parameters: torch gives each gate two biases, where the paper has one.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    width
        Units of each layer.
    layers
        Layers, each of which reads the states of the one before.
    pool
        "last" state, or their "mean" over time.
    dropout
        Probability of dropping a state in training: between layers, and before the last one.

    References
    ----------
    Cho et al. (2014), arXiv:1406.1078, Eq. 5 to 8.

    Examples
    --------
    >>> net = gru(6, 100, (3, 10))
    >>> net(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 3, 10])
    """
    width, layers, p = count("width", width), count("layers", layers), probability("dropout", dropout)
    between = p if layers > 1 else 0.0
    cells = nn.GRU(n_channels, width, layers, batch_first=True, dropout=between)
    parts: OrderedDict[str, nn.Module] = OrderedDict(recurrent=Recurrent(cells))
    parts.update(head(width, n_outputs, pool=pool, dropout=p))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)
