r"""Wide nets as a sequence of steps, whose Gaussian-process kernels are known.

A net is a tuple of steps: `Dense`, `Conv`, `Nonlinear`, `Residual`, `MeanPool`, `Flatten`. Three builders make the
common ones. Weights have variance σ_w² / fan_in and biases σ_b²; in the tangent kernel both are factors on parameters
of variance 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from sciml.errors import ConfigError
from sciml.theory.meanfield import AnyActivation

__all__ = [
    "ARCHITECTURES",
    "Conv",
    "Dense",
    "Flatten",
    "MeanPool",
    "Net",
    "Nonlinear",
    "Number",
    "Residual",
    "Step",
    "check_net",
    "convolutional",
    "fully_connected",
    "plain",
    "residual",
]

Number: TypeAlias = float | Tensor  # a hyper-parameter; a tensor of no dims where its derivative is wanted


@dataclass(frozen=True, eq=False)
class Dense:
    """A layer W x + b that treats each position alike."""

    sigma_w2: Number
    sigma_b2: Number = 0.0


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution over time that keeps the length but for the stride.

    Padding is of zeros, which take power from the ends, or "circular". An even kernel sees one sample more of what
    follows than of what came before.
    """

    sigma_w2: Number
    sigma_b2: Number = 0.0
    kernel: int = 3
    padding: str = "zeros"
    stride: int = 1
    dilation: int = 1


@dataclass(frozen=True)
class Nonlinear:
    """An activation: a name, an `Activation`, or a function of an array."""

    activation: AnyActivation


@dataclass(frozen=True)
class Residual:
    """x + scale branch(x), where the branch ends in a layer with weights of its own."""

    branch: "Net"
    scale: Number = 1.0


@dataclass(frozen=True)
class MeanPool:
    """The mean over time."""


@dataclass(frozen=True)
class Flatten:
    """All positions side by side, for a layer with weights for each of them."""


Step: TypeAlias = Dense | Conv | Nonlinear | Residual | MeanPool | Flatten
Net: TypeAlias = tuple[Step, ...]


def fully_connected(
    depth: int, activation: AnyActivation = "relu", *, sigma_w2: Number = 2.0, sigma_b2: Number = 0.0
) -> Net:
    """Return a net of `depth` hidden layers and a linear output.

    Examples
    --------
    >>> len(fully_connected(2))
    5
    """
    layer = (Nonlinear(activation), Dense(sigma_w2, sigma_b2))
    return (Dense(sigma_w2, sigma_b2), *layer * _count(depth))


def residual(
    depth: int,
    activation: AnyActivation = "relu",
    *,
    sigma_w2: Number = 2.0,
    sigma_b2: Number = 0.0,
    layers: int = 1,
    scale: Number | None = None,
) -> Net:
    """Return a residual net: a stem, `depth` blocks x + scale (W φ)^layers x, and a linear output after φ.

    The scale is 1/√depth by default, which keeps the kernel of order one at any depth.

    Examples
    --------
    >>> len(residual(10))
    13
    """
    branch = (Nonlinear(activation), Dense(sigma_w2, sigma_b2)) * _count(layers)
    size = _count(depth) ** -0.5 if scale is None else scale
    blocks = (Residual(branch, size),) * depth
    return (Dense(sigma_w2, sigma_b2), *blocks, Nonlinear(activation), Dense(sigma_w2, sigma_b2))


def convolutional(
    depth: int,
    activation: AnyActivation = "relu",
    *,
    sigma_w2: Number = 2.0,
    sigma_b2: Number = 0.0,
    kernel: int = 3,
    padding: str = "zeros",
    readout: str = "mean",
) -> Net:
    """Return a plain 1-D convolutional net: `depth` convolutions, each with φ, and a linear readout.

    The readout is of the "mean" over time, whose kernel compares every position with every other, or "flatten", which
    compares each position with itself and costs the number of positions less.

    Examples
    --------
    >>> len(convolutional(3))
    8
    """
    readouts: dict[str, Step] = {"mean": MeanPool(), "flatten": Flatten()}
    if readout not in readouts:
        raise ConfigError(f"expected readout 'mean' or 'flatten', got {readout!r}")
    layer = (Conv(sigma_w2, sigma_b2, kernel, padding), Nonlinear(activation))
    return (*layer * _count(depth), readouts[readout], Dense(sigma_w2, sigma_b2))


ARCHITECTURES = {"fully_connected": fully_connected, "residual": residual, "convolutional": convolutional}


def plain(value: Number) -> float:
    """Return a hyper-parameter as a number."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def check_net(net: Sequence[Step]) -> None:
    """Raise if the kernel of a net is none of Gaussian variables.

    Raises
    ------
    ConfigError
        A nonlinearity on what is not the output of a layer, a branch that no layer ends, a number out of range.
    """
    if not net:
        raise ConfigError("expected a net of at least one step, got none")
    _check(net, gaussian=False)


def _check(net: Sequence[Step], *, gaussian: bool) -> bool:
    for step in net:
        if isinstance(step, Nonlinear):
            if not gaussian:
                raise ConfigError(
                    "expected a Dense or a Conv before each Nonlinear: the kernel is that of Gaussian pre-activations; "
                    "put one before it"
                )
            gaussian = False
        elif isinstance(step, Residual):
            if not step.branch or not isinstance(step.branch[-1], Dense | Conv):
                raise ConfigError(
                    "expected a residual branch that ends in a Dense or a Conv: an activation that closes it has a "
                    "mean, which adds up with the stream's; put a layer at its end"
                )
            _check(step.branch, gaussian=gaussian)
        elif isinstance(step, Dense | Conv):
            _check_layer(step)
            gaussian = True
        elif not isinstance(step, MeanPool | Flatten):
            raise ConfigError(f"expected Dense, Conv, Nonlinear, Residual, MeanPool or Flatten, got {step!r}")
    return gaussian


def _check_layer(step: Dense | Conv) -> None:
    sigma_w2, sigma_b2 = plain(step.sigma_w2), plain(step.sigma_b2)
    if not 0 < sigma_w2 < math.inf or not 0 <= sigma_b2 < math.inf:
        raise ConfigError(f"expected sigma_w2 > 0 and sigma_b2 >= 0, finite, got {sigma_w2:g} and {sigma_b2:g}")
    if isinstance(step, Conv):
        if min(step.kernel, step.stride, step.dilation) < 1:
            raise ConfigError(f"expected kernel, stride and dilation of at least 1, got {step}")
        if step.padding not in ("zeros", "circular"):
            raise ConfigError(f"expected padding 'zeros' or 'circular', got {step.padding!r}")


def _count(n: int) -> int:
    if n < 1:
        raise ConfigError(f"expected at least one layer, got {n}")
    return n
