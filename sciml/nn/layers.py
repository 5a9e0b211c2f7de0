"""The weight layers of a net, and the matrix that each of them is."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["CONVOLUTIONS", "NORMS", "WeightLayer", "weight_layers"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


@dataclass(frozen=True)
class WeightLayer:
    """A `Linear` or `ConvNd` of a net.

    Attributes
    ----------
    name
        Dotted name of the module.
    module
        The module itself.
    """

    name: str
    module: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d

    @property
    def kind(self) -> str:
        """Name of the layer's type, such as "Conv1d"."""
        return type(self.module).__name__

    @property
    def weight(self) -> torch.Tensor:
        """The weight, (n_out, n_in) or (c_out, c_in / groups, *kernel)."""
        return self.module.weight

    @property
    def groups(self) -> int:
        """Number of groups of channels that do not see each other; 1 in a linear layer."""
        return self.module.groups if isinstance(self.module, CONVOLUTIONS) else 1

    @property
    def fan_in(self) -> int:
        """Number of inputs that one output adds up: c_in / groups times the taps of the kernel."""
        return self.weight[0].numel()

    @property
    def n_out(self) -> int:
        """Number of outputs (channels) of one group."""
        return self.weight.shape[0] // self.groups

    def blocks(self) -> torch.Tensor:
        """Return the weight as one matrix a group: (groups, n_out, fan_in), a view."""
        return self.weight.detach().reshape(self.groups, self.n_out, self.fan_in)


def weight_layers(model: nn.Module) -> Iterator[WeightLayer]:
    """Yield every `Linear` and `Conv1d/2d/3d` of a net in the order of its modules.

    Examples
    --------
    >>> [(layer.name, layer.kind, layer.fan_in) for layer in weight_layers(nn.Sequential(nn.Conv1d(3, 8, 5)))]
    [('0', 'Conv1d', 15)]
    """
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, *CONVOLUTIONS)):
            yield WeightLayer(name, module)
