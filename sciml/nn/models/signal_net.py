"""A net for windows: a chain of named parts."""

from collections import OrderedDict

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.models.blocks import Shape
from sciml.nn.models.masked import masked, of_length

__all__ = ["SignalNet"]


class SignalNet(nn.Sequential):
    """A chain of named parts that checks its input once, at the door.

    Attributes
    ----------
    input_shape
        (n_channels, n_times) of one window; nets that average over time take any n_times.
    output_shape
        Shape of the output for one window.
    """

    def __init__(self, parts: "OrderedDict[str, nn.Module]", *, input_shape: Shape, output_shape: Shape) -> None:
        super().__init__(parts)
        self.input_shape = input_shape
        self.output_shape = output_shape

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        """Map (batch, channel, time) to (batch, *output_shape); `valid` (batch, time) tells what is no padding."""
        if x.ndim != 3 or x.shape[1] != self.input_shape[0]:
            raise ConfigError(
                f"expected input of shape (batch, channel = {self.input_shape[0]}, time), got {tuple(x.shape)}; "
                "select the channels the net was built for"
            )
        if valid is not None:
            return self._masked(x, valid)
        for part in self:
            x = part(x)
        return x

    def _masked(self, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        if any(isinstance(part, nn.Flatten) for part in self):  # a net of one length
            x, valid = of_length(x, valid, self.input_shape[1])
        for part in self:
            x = masked(part, x, valid)
        return x
