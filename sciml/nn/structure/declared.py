"""The structure of a net that no pass tells: by the order of its modules, and by branches that are named."""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from sciml.errors import ConfigError
from sciml.nn.models import Residual
from sciml.nn.structure.activations import Activation, known_activation
from sciml.nn.structure.kinds import NORMS, slots_of
from sciml.nn.structure.result import Branch, Layer, Structure
from sciml.nn.structure.slots import Slot

__all__ = ["assign_declared", "declared"]


def declared(model: nn.Module, slots: Sequence[Slot], named: Sequence[str] | None, *, why: str) -> Structure:
    """Return the structure by the order of modules: a layer is followed by the next norm and activation."""
    layers = _in_module_order(model)
    names = _residual(model) if named is None else named
    layers, branches = assign_declared(model, layers, names)
    note = f"read from the order of the modules, not traced: {why}; residual blocks are those of type Residual"
    return Structure(layers, tuple(slots), branches, traced=False, notes=(note,))


def assign_declared(
    model: nn.Module, layers: tuple[Layer, ...], names: Sequence[str]
) -> tuple[tuple[Layer, ...], tuple[Branch, ...]]:
    """Return the layers with the innermost named branch of each, and these branches."""
    modules = dict(model.named_modules())
    for name in names:
        if name not in modules:
            raise ConfigError(f"expected branches to name modules of the net, got {name!r}; see model.named_modules()")
    layers = tuple(replace(layer, branch=_innermost(layer.name, names)) for layer in layers)
    return layers, tuple(_branch(name, modules[name], layers, names) for name in names)


def _branch(name: str, module: nn.Module, layers: Sequence[Layer], names: Sequence[str]) -> Branch:
    inside = tuple(layer for layer in layers if _is_inside(layer.name, name))
    parent = _innermost(name, [other for other in names if other != name])
    norms = tuple(f"{name}.{key}" for key, each in module.named_modules() if isinstance(each, NORMS))
    closing = inside[-1].activation if inside and _ends_with_activation(module) else None
    layer_names = tuple(layer.name for layer in inside)
    return Branch(name, layer_names, len(inside), layer_names[-1:], closing, norms=norms, parent=parent)


def _ends_with_activation(module: nn.Module) -> bool:
    last = [each for each in module.modules() if not list(each.children())][-1]
    return known_activation(last) is not None


def _is_inside(layer: str, branch: str) -> bool:
    return layer == branch or layer.startswith((f"{branch}.", f"{branch}["))


def _innermost(layer: str, branches: Sequence[str]) -> str | None:
    return max((branch for branch in branches if _is_inside(layer, branch)), key=len, default=None)


def _residual(model: nn.Module) -> list[str]:
    found = [name for name, module in model.named_modules() if isinstance(module, Residual)]
    return [f"{name}.branch".removeprefix(".") for name in found]


def _in_module_order(model: nn.Module) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    reads: Activation | None = None
    for name, module in model.named_modules():
        activation = known_activation(module)
        own = tuple(slots_of(name, module))
        if own:
            layers += [Layer(slot, reads=reads, reads_input=not layers) for slot in own]
            reads = None
        elif activation is not None:
            reads = activation
            if layers and layers[-1].activation is None:
                layers[-1] = replace(layers[-1], activation=activation)
        elif isinstance(module, NORMS) and layers:
            layers[-1] = replace(layers[-1], norm=name)
    if layers:
        layers[-1] = replace(layers[-1], gives_output=layers[-1].activation is None)
    return tuple(layers)
