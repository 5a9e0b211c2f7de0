"""Activations of a traced net: a function of each value alone, whoever wrote it, to be called again on other values."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from sciml._typing import FloatArray
from sciml.nn.structure.recorder import Call, Node, Ref

__all__ = ["Activation", "activation_of", "constant", "is_linear", "known_activation"]

LINEAR = {"mul", "imul", "rmul", "div", "truediv", "itruediv", "neg", "add", "iadd", "radd", "sub", "isub", "rsub"}
# Functions that have a name, with their usual arguments. What a net applies is one of them if its values are the same.
STANDARD: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
    "elu": nn.functional.elu,
    "selu": nn.functional.selu,
    "hardtanh": nn.functional.hardtanh,
    "softplus": nn.functional.softplus,
    "sigmoid": torch.sigmoid,
    "sin": torch.sin,
    "mish": nn.functional.mish,
    "hardswish": nn.functional.hardswish,
    "relu6": nn.functional.relu6,
    "softsign": nn.functional.softsign,
}
_GRID = torch.tensor([-7.0, -2.5, -1.0, -0.3, -0.01, 0.0, 0.01, 0.3, 1.0, 2.5, 7.0], dtype=torch.float64)


@dataclass(frozen=True)
class Activation:
    """A function of each value alone, as a net applies it.

    Attributes
    ----------
    name
        "relu", "leaky_relu", "gelu", ... for a function that has the values of one of torch's with its usual arguments,
        however it is written; else the functions it is composed of, such as "sin.pow.add", or "elu(0.5)".
    slope
        Slope left of zero of a function that is linear on both sides of it (ReLU 0, leaky ReLU its slope, the identity
        1); None for others.
    calls
        The functions in their order, by the number of the node; the last gives the value.
    entry
        Node whose values the first is given.
    values
        What it gives on a few points: two activations are equal if these are, and names.
    """

    name: str
    slope: float | None = None
    calls: Mapping[int, Call] = field(default_factory=dict, compare=False, repr=False)
    entry: int = field(default=0, compare=False, repr=False)
    values: tuple[float, ...] = field(default=(), repr=False)

    @property
    def __name__(self) -> str:
        """Its name, for those to whom it is any function."""
        return self.name

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the function of each value, in double precision: arrays of any shape."""
        with torch.no_grad():
            return np.asarray(self.tensor(torch.from_numpy(np.array(x, dtype=np.float64))).numpy())

    def derivative(self, x: FloatArray) -> FloatArray:
        """Return its derivative at each value."""
        with torch.enable_grad():
            at = torch.from_numpy(np.array(x, dtype=np.float64)).requires_grad_()
            (slope,) = torch.autograd.grad(self.tensor(at).sum() + 0.0 * at.sum(), at)
        return np.asarray(slope.numpy())

    def tensor(self, x: torch.Tensor) -> torch.Tensor:
        """Return the function of a tensor."""
        values: dict[int, Any] = {self.entry: x}
        for index, call in self.calls.items():
            args = [_filled(each, values) for each in call.args]
            values[index] = call.function(*args, **{key: _filled(each, values) for key, each in call.kwargs.items()})
        found: torch.Tensor = values[[self.entry, *self.calls][-1]]
        return found.reshape(x.shape)


def _filled(value: Any, values: Mapping[int, Any]) -> Any:
    """Return an argument with values for nodes; a copy, for the function may work in place."""
    if isinstance(value, Ref):
        return values[value.node].clone()
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(each, values) for each in value)
    return value


def activation_of(nodes: Sequence[Node], entry: int) -> Activation:
    """Return the activation that pointwise nodes, in their order, make of the values of `entry`."""
    calls = {node.index: node.call for node in nodes if node.call is not None}
    return _named(Activation(_composed(nodes), calls=calls, entry=entry))


def known_activation(module: nn.Module) -> Activation | None:
    """Return the activation that a module of torch is, without a trace."""
    if type(module).__module__ != "torch.nn.modules.activation" or isinstance(module, nn.MultiheadAttention):
        return None
    call = Call(copy.deepcopy(module).double().cpu().eval(), (Ref(0),), {})
    bare = Activation(type(module).__name__.lower(), calls={1: call})
    named = _named(bare)
    return named if _values(bare) is not None else None


def _named(function: Activation) -> Activation:
    """Return it by the name of the function whose values it has, where it is a well-known one."""
    values = _values(function)
    if values is None:
        return function
    function = replace(function, values=tuple(round(value, 12) for value in values.tolist()))
    slope = float(-values[2])
    if torch.allclose(values, torch.where(_GRID > 0, _GRID, slope * _GRID), rtol=1e-6, atol=1e-12):
        slope = round(slope, 7) + 0.0
        return replace(function, name={0.0: "relu", 1.0: "identity"}.get(slope, "leaky_relu"), slope=slope)
    same = (name for name, each in STANDARD.items() if torch.allclose(values, each(_GRID), rtol=1e-9, atol=1e-12))
    return replace(function, name=next(same, function.name))


def _values(function: Activation) -> torch.Tensor | None:
    """Return its values on a grid, or None where it takes no vector of any length."""
    try:
        with torch.no_grad():
            return function.tensor(_GRID)
    except (RuntimeError, TypeError, ValueError):
        return None


def _composed(nodes: Sequence[Node]) -> str:
    """Return the functions that it is made of, and the constants of a single one: "elu(0.5)"."""
    name = ".".join(dict.fromkeys(node.name for node in nodes))
    call = nodes[0].call if len(nodes) == 1 else None
    given = (*call.args, *call.kwargs.values()) if call else ()
    constants = [str(each) for each in given if isinstance(each, (int, float, str)) and not isinstance(each, bool)]
    return f"{name}({','.join(constants)})" if constants else name


def is_linear(node: Node) -> bool:
    """Whether a pointwise function multiplies what it is given by a constant or a parameter, or adds one to it."""
    if node.kind != "pointwise" or node.name not in LINEAR or len(node.parents) != 1:
        return False
    if node.call is None:  # a vector of constants or parameters is the other argument
        return True
    given = [isinstance(each, Ref) for each in node.call.args]
    return sum(given) == 1 and (given[0] or "div" not in node.name)


def constant(node: Node) -> float | None:
    """Return what a linear function multiplies by, or adds, where that is one number and no parameter."""
    numbers = [each for each in (node.call.args if node.call else ()) if isinstance(each, (int, float, torch.Tensor))]
    if node.params or not numbers:
        return -1.0 if node.name == "neg" else None
    value = float(numbers[0])
    if "div" in node.name:
        return 1.0 / value
    return -value if node.name in ("sub", "isub") else value
