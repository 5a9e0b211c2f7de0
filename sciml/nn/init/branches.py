"""The residual branches of a net."""

import math
from collections.abc import Sequence

from torch import nn

from sciml.errors import ConfigError
from sciml.nn.layers import weight_layers
from sciml.nn.models import Residual

__all__ = ["branch_of", "branches_of", "resolve_exponent"]


def branches_of(model: nn.Module, named: Sequence[str] | None = None) -> list[str]:
    """Return the names of the modules that are residual branches."""
    modules = dict(model.named_modules())
    if named is None:
        return [f"{name}.branch".removeprefix(".") for name, each in modules.items() if isinstance(each, Residual)]
    for name in named:
        if name not in modules:
            raise ConfigError(f"expected branches to name modules of the net, got {name!r}; see model.named_modules()")
    return list(named)


def branch_of(layer: str, branches: Sequence[str]) -> str | None:
    """Return the innermost of these branches that a layer is in."""
    inside = [branch for branch in branches if layer == branch or layer.startswith(f"{branch}.")]
    return max(inside, key=len, default=None)


def resolve_exponent(model: nn.Module, branch: str, exponent: float | str) -> float:
    """Return the exponent of L in a branch; "balanced" is one over the layers of the branch."""
    if exponent == "balanced":
        return 1.0 / max(1, sum(1 for _ in weight_layers(model.get_submodule(branch))))
    if isinstance(exponent, str) or not 0.0 <= exponent < math.inf:
        raise ConfigError(f"expected depth_exponent >= 0 or 'balanced', got {exponent!r}")
    return float(exponent)
