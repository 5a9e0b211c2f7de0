"""Which parameters, and how they lie in one vector."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from sciml.errors import ConfigError
from sciml.wording import series

__all__ = ["Blocks", "Layout", "layout"]

Blocks = str | Mapping[str, Sequence[str]] | None


@dataclass(frozen=True, eq=False)
class Layout:
    """Names and shapes of the parameters, in the order in which one vector holds them.

    Attributes
    ----------
    blocks
        Groups of positions between which a block-diagonal operator has zeros, by name; None: one matrix.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    blocks: dict[str, tuple[int, ...]] | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each."""
        return tuple(shape.numel() for shape in self.shapes)

    @property
    def n(self) -> int:
        """Number of values in all."""
        return sum(self.sizes)

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return a vector (n,), or vectors (k, n), as tensors of the parameters' shapes, (k, ...) each."""
        lead = vector.shape[:-1]
        return [
            part.reshape(*lead, *shape)
            for part, shape in zip(torch.split(vector, list(self.sizes), -1), self.shapes, strict=True)
        ]

    def join(self, tensors: Iterable[Tensor], lead: int = 0) -> Tensor:
        """Return tensors of the parameters' shapes as a vector (n,), or (k, n) with `lead` = 1."""
        return torch.cat([each.flatten(lead) for each in tensors], -1)


def layout(named: Mapping[str, Tensor], subset: Sequence[str] | str | None, blocks: Blocks) -> Layout:
    """Return the layout of the parameters that are asked for.

    Parameters
    ----------
    named
        The parameters of a model by name, tied ones once.
    subset
        Names or patterns ("head.*"); None takes all that require a gradient.
    blocks
        "parameter", "layer" (parameters of one module together), or names of blocks with the parameters in each.

    Raises
    ------
    ConfigError
        A name or pattern that no parameter has, none at all, or a block that is not whole.

    Examples
    --------
    >>> net = torch.nn.Linear(3, 2)
    >>> layout(dict(net.named_parameters()), None, "parameter").blocks
    {'weight': (0,), 'bias': (1,)}
    """
    names = [name for name, each in named.items() if each.requires_grad] if subset is None else _chosen(named, subset)
    if not names:
        raise ConfigError("expected parameters that require a gradient, got none; name them with parameters=[...]")
    for name in names:
        if named[name].is_complex() or not named[name].is_floating_point():
            raise ConfigError(f"expected real parameters, got {named[name].dtype} for {name}; leave it out by name")
    shapes = tuple(named[name].shape for name in names)
    return Layout(tuple(names), shapes, None if blocks is None else _blocks(names, blocks))


def _chosen(named: Mapping[str, Tensor], subset: Sequence[str] | str) -> list[str]:
    patterns = [subset] if isinstance(subset, str) else list(subset)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            known = series(list(named)[:12])
            raise ConfigError(f"no parameter is called {pattern!r}; expected names or patterns of {known}")
    return [name for name in named if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _blocks(names: list[str], blocks: Any) -> dict[str, tuple[int, ...]]:
    if blocks == "parameter":
        return {name: (i,) for i, name in enumerate(names)}
    if blocks == "layer":
        layers = [name.rpartition(".")[0] for name in names]
        return {layer: tuple(i for i, each in enumerate(layers) if each == layer) for layer in dict.fromkeys(layers)}
    if not isinstance(blocks, Mapping):
        raise ConfigError(f"expected blocks 'parameter', 'layer' or a mapping of names to parameters, got {blocks!r}")
    found = {block: tuple(names.index(name) for name in members) for block, members in blocks.items()}
    if sorted(i for members in found.values() for i in members) != list(range(len(names))):
        raise ConfigError("expected every parameter in exactly one block")
    return found
