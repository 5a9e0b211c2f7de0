"""Chains of whole nets, by depth and rule."""

import math
from collections.abc import Sequence

from sciml.errors import ConfigError
from sciml.theory.chain.steps import Activate, Affine, Branch, Normalize, Step
from sciml.theory.chain.taps import Taps
from sciml.theory.meanfield.activations import AnyActivation

__all__ = ["plain_net", "residual_net"]


def plain_net(
    depth: int,
    activation: AnyActivation = "relu",
    *,
    sigma_w2: float,
    sigma_b2: float = 0.0,
    width: float = math.inf,
    law: str = "gaussian",
    norm: str | None = None,
    taps: Taps | None = None,
) -> tuple[Step, ...]:
    """Return `depth` layers of weights, norm if any, and activation.

    Examples
    --------
    >>> from sciml.theory.chain import follow
    >>> round(float(follow(plain_net(10, sigma_w2=2.0, width=32)).variance[-1]), 4)  # (1 + 5/32)^10 - 1
    3.2709
    """
    _whole("depth", depth)
    layer: list[Step] = [Affine(sigma_w2, sigma_b2, width, width, law, taps)]
    layer += [] if norm is None else [Normalize(norm)]
    return (*layer, Activate(activation, width)) * depth


def residual_net(
    blocks: int,
    layers: int = 1,
    activation: AnyActivation = "relu",
    *,
    sigma_w2: float | Sequence[float],
    scale: float = 1.0,
    closing: bool = False,
    norm: str | None = None,
    norm_last: bool = False,
    width: float = math.inf,
    taps: Taps | None = None,
) -> tuple[Step, ...]:
    """Return `blocks` residual blocks x + scale · W_m φ(... W_1 φ(x)).

    Parameters
    ----------
    blocks, layers
        Number L of blocks, and of layers m in a branch.
    activation
        Before each layer, or, `closing`, after each: then it closes the branch, x + φ(W x).
    sigma_w2
        fan_in · Var(w) of each layer, or one for each of the m.
    scale
        What each branch is multiplied by.
    norm
        "batch", "layer" or "rms" before each activation (after each layer where the activation closes); None for none.
    norm_last
        The norm after the last layer of a branch instead, x + BN(W φ(x)).
    width, taps
        Units of each layer; taps of a convolution.

    Examples
    --------
    >>> from sciml.theory.chain import follow
    >>> round(follow(residual_net(10, sigma_w2=2.0)).growth)
    1024
    """
    _whole("blocks", blocks)
    _whole("layers", layers)
    strengths = [float(sigma_w2)] * layers if isinstance(sigma_w2, (int, float)) else list(sigma_w2)
    if len(strengths) != layers:
        raise ConfigError(f"expected one sigma_w2 for each of {layers} layers, got {len(strengths)}")
    before: list[Step] = [] if norm is None or norm_last else [Normalize(norm)]
    steps: list[Step] = []
    for strength in strengths:
        weights = Affine(strength, 0.0, width, width, taps=taps)
        steps += [weights, *before, Activate(activation, width)] if closing else [
            *before, Activate(activation, width), weights
        ]  # fmt: skip
    steps += [Normalize(norm)] if norm is not None and norm_last else []
    return (Branch(tuple(steps), scale, width=width),) * blocks


def _whole(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"expected {name} as a whole number of at least 1, got {value!r}")
