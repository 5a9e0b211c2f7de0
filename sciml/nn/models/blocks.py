"""Parts that nets are built of: convolutions that keep the length, norms, activations, pools, heads."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypedDict

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.options import check_name

__all__ = [
    "ACTIVATIONS",
    "Concatenated",
    "LastSample",
    "Readout",
    "Residual",
    "Shape",
    "TimeMean",
    "activation_layer",
    "convolution",
    "count",
    "counts",
    "head",
    "normed_activation",
    "outputs",
    "probability",
    "shortcut",
]

Shape = tuple[int, ...]
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "hardtanh": nn.Hardtanh,
    "identity": nn.Identity,
}


class Readout(TypedDict, total=False):
    """Options of `head`: "mean" over time (default) or "last" sample; probability of dropping a feature (default 0)."""

    pool: str
    dropout: float


class Residual(nn.Module):
    """A residual block: skip(x) + branch(x), or skip(x) + scale · branch(x) with one learned factor.

    The skip is the identity, or the module `shortcut` where the branch changes the number of features. The factor
    starts at 1; the initializations `skipinit` and `rezero` set it to 0.
    """

    scale: nn.Parameter | None

    def __init__(self, branch: nn.Module, *, scale: bool = False, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.register_parameter("scale", nn.Parameter(torch.ones(())) if scale else None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return skip(x) + branch(x), shape as the branch gives."""
        return self.add(x if self.shortcut is None else self.shortcut(x), self.branch(x))

    def add(self, x: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
        """Return the sum of the stream and what the branch gave."""
        return x + branch if self.scale is None else x + self.scale * branch


class Concatenated(nn.ModuleDict):
    """Modules beside each other: each is given the same input, their features follow one another."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, feature, time) to (batch, features of all modules, time)."""
        return torch.cat([each(x) for each in self.values()], dim=1)


class TimeMean(nn.Module):
    """The mean over time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, feature, time) to (batch, feature)."""
        return x.mean(dim=-1)


class LastSample(nn.Module):
    """The last sample."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, feature, time) to (batch, feature)."""
        return x[..., -1]


_POOLS: dict[str, Callable[[], nn.Module]] = {"mean": TimeMean, "last": LastSample}


def _batch_norm(width: int) -> nn.Module:
    return nn.BatchNorm1d(width)


def _group_norm(width: int) -> nn.Module:
    # Groups of at least four channels: a group of one would normalise each channel by its own window alone.
    groups = max(g for g in range(1, 17) if width % g == 0 and (g == 1 or width // g >= 4))
    return nn.GroupNorm(groups, width)


_NORMS: dict[str, Callable[[int], nn.Module] | None] = {"batch": _batch_norm, "group": _group_norm, "none": None}


def convolution(
    n_in: int, n_out: int, kernel: int, *, norm: str, bias: bool | None = None
) -> "OrderedDict[str, nn.Module]":
    """Return a convolution that keeps the length, and its norm, as named modules."""
    kernel = count("kernel", kernel)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if kernel % 2 == 0:  # torch's own "same" padding of an even kernel copies the input and warns
        parts["pad"] = nn.ZeroPad1d(((kernel - 1) // 2, kernel // 2))
    parts["conv"] = nn.Conv1d(
        n_in, n_out, kernel, padding=kernel // 2 if kernel % 2 else 0, bias=norm == "none" if bias is None else bias
    )
    normalise = _norm(norm)
    if normalise is not None:
        parts["norm"] = normalise(n_out)
    return parts


def normed_activation(width: int, *, norm: str, activation: str, suffix: str = "") -> "OrderedDict[str, nn.Module]":
    """Return a norm, if there is one, and an activation, as named modules."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    normalise = _norm(norm)
    if normalise is not None:
        parts[f"norm{suffix}"] = normalise(width)
    parts[f"activation{suffix}"] = activation_layer(activation)
    return parts


def shortcut(n_in: int, n_out: int, *, norm: str) -> nn.Module | None:
    """Return the norm of a skip, behind a convolution of one tap where the width changes; None for the identity."""
    if n_in != n_out:
        return nn.Sequential(convolution(n_in, n_out, 1, norm=norm))
    normalise = _norm(norm)
    return None if normalise is None else normalise(n_out)


def head(
    n_features: int, n_outputs: Shape, *, pool: str = "mean", dropout: float = 0.0
) -> "OrderedDict[str, nn.Module]":
    """Return pool, dropout and the linear map to the outputs, as named modules."""
    check_name(pool, _POOLS, what="pool")
    parts: OrderedDict[str, nn.Module] = OrderedDict(pool=_POOLS[pool]())
    if probability("dropout", dropout):
        parts["dropout"] = nn.Dropout(dropout)
    parts.update(outputs(n_features, n_outputs))
    return parts


def outputs(n_features: int, n_outputs: Shape) -> "OrderedDict[str, nn.Module]":
    """Return the linear map from features to outputs of a shape, as named modules."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(head=nn.Linear(n_features, math.prod(n_outputs)))
    if len(n_outputs) > 1:
        parts["reshape"] = nn.Unflatten(1, n_outputs)
    return parts


def activation_layer(name: str) -> nn.Module:
    """Return an activation by its name."""
    check_name(name, ACTIVATIONS, what="activation")
    return ACTIVATIONS[name]()


def _norm(name: str) -> Callable[[int], nn.Module] | None:
    check_name(name, _NORMS, what="norm")
    return _NORMS[name]


def count(name: str, value: Any) -> int:
    """Return a whole number of at least one, or refuse the value."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ConfigError(f"expected {name} to be a whole number >= 1, got {value!r}")
    return int(value)


def probability(name: str, value: float) -> float:
    """Return a probability of dropping a value, or refuse it."""
    if not 0.0 <= value < 1.0:
        raise ConfigError(f"expected 0 <= {name} < 1, got {value}")
    return value


def counts(name: str, values: Any) -> Shape:
    """Return a sequence of whole numbers of at least one, or refuse the values."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ConfigError(f"expected {name} to be a sequence of whole numbers >= 1, got {values!r}")
    return tuple(count(name, value) for value in values)
