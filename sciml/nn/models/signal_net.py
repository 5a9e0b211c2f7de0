"""A net for windows: a chain of named parts."""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.models.blocks import Shape
from sciml.nn.models.masked import masked, of_length

__all__ = ["SignalNet", "constrain"]


class SignalNet(nn.Sequential):
    """A chain of named parts that checks its input once, at the door.

    Attributes
    ----------
    input_shape
        (n_channels, n_times) of one window.
    output_shape
        Shape of the output for one window.
    any_length
        Whether it takes windows of any length; one that does not takes n_times samples, and sees a window that is
        padded as one that ends in zeros.
    max_norms
        Largest Euclidean norm of the weights into one output, by the name of the part; see `constrain`.
    """

    def __init__(
        self,
        parts: "OrderedDict[str, nn.Module]",
        *,
        input_shape: Shape,
        output_shape: Shape,
        any_length: bool = True,
        max_norms: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(parts)
        self.input_shape = input_shape
        self.output_shape = output_shape
        self.any_length = any_length
        self.max_norms = dict(max_norms or {})

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        """Map (batch, channel, time) to (batch, *output_shape); `valid` (batch, time) tells what is no padding."""
        if x.ndim != 3 or x.shape[1] != self.input_shape[0]:
            raise ConfigError(
                f"expected input of shape (batch, channel = {self.input_shape[0]}, time), got {tuple(x.shape)}; "
                "select the channels the net was built for"
            )
        if not self.any_length:
            x = self._of_one_length(x, valid)
        elif valid is not None:
            return self._masked(x, valid)
        for part in self:
            x = part(x)
        return x

    def _masked(self, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        for part in self:
            x = masked(part, x, valid)
        return x

    def _of_one_length(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        if valid is not None:
            x, valid = of_length(x, valid, self.input_shape[1])
            return x * valid[:, None]
        if x.shape[-1] != self.input_shape[1]:
            raise ConfigError(
                f"expected windows of {self.input_shape[1]} samples, which the net was built for, got {x.shape[-1]}; "
                "cut windows of that length, or use a net that averages over time, such as fcn"
            )
        return x


@torch.no_grad()
def constrain(model: nn.Module) -> None:
    """Bring weights back within the largest norms that their nets name; to call after each step of an optimizer.

    The weights into one output, w, become w · min(1, c / |w|), in place: the projection onto the ball of radius c.
    `sciml.train.fit` calls it; the weights of a step are feasible then, and so is their average.

    References
    ----------
    Srebro and Shraibman (2005), doi:10.1007/11503415_37; in nets: Srivastava et al. (2014), JMLR 15, section 5.1.

    Examples
    --------
    >>> net = SignalNet(
    ...     OrderedDict(flatten=nn.Flatten(), head=nn.Linear(2, 1)),
    ...     input_shape=(1, 2), output_shape=(1,), max_norms={"head": 0.5},
    ... )
    >>> _ = nn.init.constant_(net.head.weight, 3.0)
    >>> constrain(net)
    >>> round(net.head.weight.norm().item(), 4)
    0.5
    """
    for module in model.modules():
        for name, limit in getattr(module, "max_norms", {}).items():
            weight = module.get_parameter(f"{name}.weight")
            weight.copy_(torch.renorm(weight, 2, 0, limit))
