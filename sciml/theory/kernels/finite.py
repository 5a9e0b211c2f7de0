"""Kernels of one random net of finite width: what limits are checked against, and how far a real net is from them."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional

from sciml.errors import ConfigError
from sciml.theory.kernels.evaluate import KernelMatrices, checked_inputs
from sciml.theory.kernels.nets import Conv, Dense, MeanPool, Net, Nonlinear, Residual, Step, check_net, plain
from sciml.theory.meanfield import Activation, activation

__all__ = ["finite_kernels"]


def finite_kernels(
    net: Net, X: ArrayLike | Tensor, *, width: int, generator: torch.Generator | None = None
) -> KernelMatrices:
    r"""Return the kernels of one net drawn at random, of `width` units or channels in each layer.

    The NNGP kernel is that of the features before the last layer, σ_w² h·h' / n + σ_b², and the tangent kernel the
    product of the derivatives of the one output by all parameters. Both differ from those of wide nets as 1/√width.

    Parameters
    ----------
    net
        Steps that end in a `Dense`.
    X
        Inputs as in `nngp`.
    width
        Units of each layer but the last.
    generator
        Draws the weights.

    Raises
    ------
    ConfigError
        A net that does not end in a `Dense`.

    References
    ----------
    Jacot, Gabriel, Hongler (2018), arXiv:1806.07572, for the parametrisation; the rate: Hanin and Nica (2020),
    arXiv:1909.05989.

    Examples
    --------
    >>> from sciml.theory.kernels import fully_connected
    >>> x = np.sqrt(2.0) * np.eye(2)
    >>> found = finite_kernels(fully_connected(1), x, width=4096, generator=torch.Generator().manual_seed(0))
    >>> bool((found.nngp - torch.tensor([[2.0, 0.6366], [0.6366, 2.0]])).abs().max() < 0.2)
    True
    """
    check_net(net)
    if not isinstance(net[-1], Dense) or width < 1:
        raise ConfigError(f"expected a net that ends in a Dense, and width >= 1, got {net[-1]!r} and {width}")
    drawn = _Drawn(width, generator)
    features = drawn.run(net[:-1], checked_inputs(X, net))
    last = net[-1]
    outputs = drawn.dense(last, features, 1)
    sigma_w2, sigma_b2 = plain(last.sigma_w2), plain(last.sigma_b2)
    flat = features.detach()
    found = sigma_w2 * (flat @ flat.T) / flat.shape[1] + sigma_b2
    gradients = [torch.autograd.grad(each, drawn.parameters, retain_graph=True) for each in outputs[:, 0]]
    tangent = sum(_products([each[k] for each in gradients]) for k in range(len(drawn.parameters)))
    assert isinstance(tangent, Tensor)  # noqa: S101 - there is a parameter
    return KernelMatrices(found, tangent, 0.0, 0.0)


def _products(gradients: list[Tensor]) -> Tensor:
    stacked = torch.stack([each.flatten() for each in gradients])
    return stacked @ stacked.T


@dataclass(eq=False)
class _Drawn:
    """A net that draws its parameters as it is run."""

    width: int
    generator: torch.Generator | None
    parameters: list[Tensor] = field(default_factory=list)

    def run(self, net: Net, x: Tensor) -> Tensor:
        for step in net:
            x = self._step(step, x)
        return x

    def _step(self, step: Step, x: Tensor) -> Tensor:
        if isinstance(step, Dense):
            return self.dense(step, x, self.width)
        if isinstance(step, Conv):
            return self._conv(step, x)
        if isinstance(step, Nonlinear):
            found: Tensor = _Elementwise.apply(x, activation(step.activation))  # type: ignore[no-untyped-call]
            return found
        if isinstance(step, Residual):
            return x + plain(step.scale) * self.run(step.branch, x)
        return x.mean(dim=2) if isinstance(step, MeanPool) else x.flatten(1)

    def dense(self, step: Dense, x: Tensor, n_out: int) -> Tensor:
        weight = math.sqrt(plain(step.sigma_w2) / x.shape[1]) * self._draw(n_out, x.shape[1])
        bias = math.sqrt(plain(step.sigma_b2)) * self._draw(n_out)
        return torch.einsum("oi,ni...->no...", weight, x) + bias.reshape(-1, *[1] * (x.ndim - 2))

    def _conv(self, step: Conv, x: Tensor) -> Tensor:
        fan_in = x.shape[1] * step.kernel
        weight = math.sqrt(plain(step.sigma_w2) / fan_in) * self._draw(self.width, x.shape[1], step.kernel)
        bias = math.sqrt(plain(step.sigma_b2)) * self._draw(self.width)
        left = (step.kernel - 1) // 2 * step.dilation
        around = left, (step.kernel - 1) * step.dilation - left
        mode = "circular" if step.padding == "circular" else "constant"
        return functional.conv1d(functional.pad(x, around, mode), weight, bias, step.stride, 0, step.dilation)

    def _draw(self, *shape: int) -> Tensor:
        drawn = torch.randn(*shape, generator=self.generator, dtype=torch.float64).requires_grad_()
        self.parameters.append(drawn)
        return drawn


class _Elementwise(torch.autograd.Function):
    """An activation of arrays, applied to tensors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, member: Activation) -> Tensor:
        values = x.detach().numpy()
        ctx.save_for_backward(torch.from_numpy(np.asarray(member.slope(values), dtype=np.float64)))
        return torch.from_numpy(np.asarray(member.phi(values), dtype=np.float64))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None
