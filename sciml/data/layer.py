"""Preprocessing as the first layer of a net, which knows what of a batch is missing and what is padding."""

import inspect

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.errors import ConfigError

__all__ = ["PreprocessLayer", "Preprocessed", "last_values", "valid_times"]


class PreprocessLayer(nn.Module):
    """`Preprocess.apply` on tensors (batch, channel, time): buffers only, nothing to train.

    Parameters
    ----------
    mean, scale
        Of each channel, shape (channel,).
    matrix
        Matrix of a denoiser, shape (channel, channel), or None.
    gives_mask
        Let the mask of what is there follow as further channels.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    matrix: torch.Tensor | None

    def __init__(
        self,
        mean: NDArray[np.float64],
        scale: NDArray[np.float64],
        matrix: NDArray[np.float64] | None = None,
        *,
        gives_mask: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean).float()[:, None])
        self.register_buffer("scale", torch.from_numpy(scale).float()[:, None])
        self.register_buffer("matrix", None if matrix is None else torch.from_numpy(matrix).float())
        self.gives_mask = gives_mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, time) in the recording's units to the same without unit, and the mask if asked for."""
        there = ~torch.isnan(x)
        # In bfloat16 the denoiser would cost five of the eight digits that the recording has.
        with torch.autocast(x.device.type, enabled=False):
            centered = torch.where(there, x - self.mean, 0.0)
            if self.matrix is not None:
                centered = torch.where(there, torch.matmul(self.matrix, centered), 0.0)
            z = centered / self.scale
            return torch.cat([z, there.to(z.dtype)], dim=1) if self.gives_mask else z


class Preprocessed(nn.Module):
    """Preprocessing and net, one after the other; a net that can is told what of a batch is padding.

    Examples
    --------
    >>> from sciml.nn import models
    >>> first = PreprocessLayer(np.zeros(1), np.ones(1))
    >>> model = Preprocessed(first, models.build("fcn", n_channels=1, n_times=8, n_outputs=2, width=4)).eval()
    >>> x = torch.randn(3, 1, 8, generator=torch.Generator().manual_seed(0))
    >>> padded = torch.cat([x, torch.full((3, 1, 5), torch.nan)], dim=2)
    >>> torch.allclose(model(x), model(padded), atol=1e-6)
    True
    """

    def __init__(self, preprocess: nn.Module, net: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.net = net
        self.takes_padding = "valid" in inspect.signature(net.forward).parameters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, time) in the recording's units to what the net says of them."""
        valid = valid_times(x)
        z = self.preprocess(x)
        if valid is not None and not self.takes_padding:
            raise ConfigError(
                f"expected a net that is told what of a window is padding, forward(x, valid), got "
                f"{type(self.net).__name__}; set windows.length to seconds, or choose a net of sciml.nn.models"
            )
        found: torch.Tensor = self.net(z) if valid is None else self.net(z, valid)
        return found


def valid_times(x: torch.Tensor) -> torch.Tensor | None:
    """Return which samples of a batch (batch, channel, time) are no padding, (batch, time); None where none is padding.

    Padding is what lies behind the last value of a window in any channel.

    Examples
    --------
    >>> valid_times(torch.tensor([[[1.0, torch.nan, 2.0, torch.nan]]])).tolist()
    [[True, True, True, False]]
    """
    there = (~torch.isnan(x)).any(dim=1)
    if bool(there[:, -1].all()):
        return None
    return there.flip(1).cumsum(dim=1).flip(1) > 0


def last_values(x: torch.Tensor) -> torch.Tensor:
    """Return the last value that is there of each channel of a batch (batch, channel, time); NaN where none is.

    Examples
    --------
    >>> last_values(torch.tensor([[[1.0, 2.0, torch.nan]]])).tolist()
    [[2.0]]
    """
    last: torch.Tensor = x[:, :, -1]
    if not bool(torch.isnan(last).any()):
        return last
    place = (~torch.isnan(x) * torch.arange(x.shape[2], device=x.device)).amax(dim=2, keepdim=True)
    return x.gather(2, place)[:, :, 0]
