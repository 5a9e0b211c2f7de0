"""One forward pass, recorded as a graph: what each function was given, and what became of it.

Functions are recorded as they are called (`relu`, `linear`, `__add__`), whoever calls them: a module, the user's own
forward, a callable. A function is pointwise where all that torch's kernels did in it is.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from sciml.nn.structure.kinds import NORMS

__all__ = ["Call", "Node", "Recorder", "Ref"]

Kind = Literal["input", "affine", "norm", "pointwise", "shape", "pool", "other"]
_NORM_FUNCTIONS = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"}
_NORM_FUNCTIONS |= {"normalize"}
_POOLS = {"mean", "sum", "amax", "amin", "max", "logsumexp"}
_CASTS = {"detach", "float", "double", "half", "bfloat16", "type", "type_as", "cpu", "cuda", "positive"}
_SHAPES = _CASTS | {
    "cat",
    "stack",
    "concat",
    "pad",
    "dropout",
    "feature_dropout",
    "contiguous",
    "clone",
    "to",
    "getitem",
}
# Pointwise kernels that torch has not labeled so, and those that move values without changing them.
_POINTWISE = {"aten::hardswish", "aten::log_sigmoid_forward", "aten::_prelu_kernel", "aten::empty_like", "aten::prelu"}
_POINTWISE |= {"aten::detach", "aten::hardswish_", "aten::_to_copy"}
_MOVES = {"aten::cat", "aten::constant_pad_nd", "aten::slice", "aten::index", "aten::index_select", "aten::stack"}
_MOVES |= {"aten::_unsafe_view", "aten::clone", "aten::empty_like", "aten::copy_", "aten::_to_copy", "aten::roll"}
_MOVES |= {"aten::reflection_pad1d", "aten::reflection_pad2d", "aten::replication_pad1d", "aten::replication_pad2d"}


@dataclass(frozen=True)
class Ref:
    """Stands for what a node gave, in the arguments of a call."""

    node: int


@dataclass(frozen=True)
class Call:
    """A pointwise function with its arguments, so that it can be called again on other values."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """What one function did.

    Attributes
    ----------
    index
        Position in the order of execution.
    name
        Name of the function without underscores: "relu", "linear", "add".
    kind
        What it is to a net.
    parents
        Nodes whose values it was given, in the order of its arguments; values that do not depend on the input of the
        net, such as parameters, are none.
    params
        Names of the parameters that it was given, or that what it was given was computed from.
    module
        Dotted name of the module that called it.
    shape
        Of what it gave.
    call
        The call itself where it is pointwise and none of its constants has more than one value.
    """

    index: int
    name: str
    kind: Kind
    parents: tuple[int, ...]
    params: tuple[str, ...] = ()
    module: str = ""
    shape: tuple[int, ...] = ()
    call: Call | None = None


@dataclass
class _Value:
    tensor: "weakref.ref[torch.Tensor]"
    node: int | None
    params: tuple[str, ...] = ()


class _Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes which kernels run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernels: list[Any] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Not to be wrapped for the compiler: the wrapping alone loads it, which takes seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.kernels.append(func)
        return func(*args, **(kwargs or {}))


class Recorder(TorchFunctionMode):
    """Records every function called on tensors as nodes; what does not depend on the input makes none."""

    def __init__(self, model: nn.Module, slot_params: Iterable[str]) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.outputs: tuple[int, ...] = ()
        self._values: dict[int, _Value] = {}
        self._slot_params = frozenset(slot_params)
        self._path: list[tuple[str, nn.Module, int]] = []
        self._paused = False
        for name, parameter in model.named_parameters(remove_duplicate=True):
            self._remember(parameter, None, (name,))

    def enter(self, tensors: Iterable[torch.Tensor]) -> None:
        """Declare the input of the net."""
        for tensor in tensors:
            self._remember(tensor, self._add("input", "input", (), tensor))

    def leave(self, output: Any) -> None:
        """Declare the output of the net."""
        self.outputs = tuple(dict.fromkeys(self._nodes_of([output])))

    def hooks(self, model: nn.Module) -> Iterator[Any]:
        """Follow which module runs, and bridge those inside which no function is seen."""
        for name, module in model.named_modules():
            yield module.register_forward_pre_hook(partial(self._begin, name))
            yield module.register_forward_hook(self._end, with_kwargs=True)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._paused:
            return func(*args, **kwargs)
        with _Kernels() as ran:
            out = func(*args, **kwargs)
        name = getattr(func, "__name__", str(func)).strip("_")
        given = args[0] if name == "setitem" else out
        results = list(_tensors([given]))
        if results and (ran.kernels or name in _SHAPES):
            self._record(name, func, args, kwargs, results, ran.kernels)
        return out

    def _record(
        self, name: str, func: Any, args: Any, kwargs: Any, results: list[torch.Tensor], kernels: list[Any]
    ) -> None:
        operands = list(_tensors([args, kwargs]))
        parents = tuple(dict.fromkeys(self._nodes_of(operands)))
        params = tuple(dict.fromkeys(p for each in operands for p in self._params_of(each)))
        table = name in ("embedding", "embedding_bag") and self._slot_params.intersection(params)
        if (not parents and not table) or name.endswith("_like") or name.startswith("new_"):
            for each in results:
                self._remember(each, None, params)
            return
        kind = self._kind(name, params, kernels)
        call = self._call(func, args, kwargs) if kind == "pointwise" else None
        node = None
        for each in results:
            # The parts of what is split are nodes each; what a layer gives besides its output is not told apart.
            if node is None or kind == "shape":
                node = self._add(name, kind, parents, each, params, call)
            self._remember(each, node)

    def _kind(self, name: str, params: tuple[str, ...], kernels: list[Any]) -> Kind:
        moves = name in _SHAPES or all(_is_view(each) or each.name().split(".")[0] in _MOVES for each in kernels)
        pointwise = "rrelu" in name or all(_is_pointwise(each) for each in kernels)
        if self._slot_params.intersection(params) and (moves or not pointwise):
            return "affine"
        if name in _NORM_FUNCTIONS or (self._path and isinstance(self._path[-1][1], NORMS)):
            return "norm"
        if moves or pointwise:
            return "shape" if moves else "pointwise"
        return "pool" if name in _POOLS or "pool" in name else "other"

    def _call(self, func: Any, args: Any, kwargs: Any) -> Call | None:
        try:
            return Call(
                func, tuple(self._frozen(each) for each in args), {k: self._frozen(v) for k, v in kwargs.items()}
            )
        except ValueError:
            return None

    def _frozen(self, value: Any) -> Any:
        """Return an argument with nodes in place of values of the data; other tensors must have one value."""
        if isinstance(value, torch.Tensor):
            known = self._value(value)
            if known is not None and known.node is not None:
                return Ref(known.node)
            if value.numel() != 1:
                raise ValueError("a constant of many values")
            return value.detach().to("cpu", torch.float64 if value.is_floating_point() else value.dtype, copy=True)
        if isinstance(value, (list, tuple)):
            return type(value)(self._frozen(each) for each in value)
        return value

    def _add(self, name: str, kind: Kind, parents: Any, out: torch.Tensor, params: Any = (), call: Any = None) -> int:
        module = self._path[-1][0] if self._path else ""
        self.nodes.append(Node(len(self.nodes), name, kind, parents, params, module, tuple(out.shape), call))
        return len(self.nodes) - 1

    def _begin(self, name: str, module: nn.Module, _: Any) -> None:
        self._path.append((name, module, len(self.nodes)))

    def _end(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        name, _, start = self._path[-1]
        if not self._paused:
            self._bridge(name, module, args, kwargs, output)
            if not kwargs:
                self._find_norm(module, args, output, self.nodes[start:])
        self._path.pop()

    def _find_norm(self, module: nn.Module, args: Any, output: Any, inside: list[Node]) -> None:
        """Make one norm of a module of the user's that reduces its input and does not mind its scale."""
        reduces = any(node.kind in ("pool", "other") for node in inside)
        if not reduces or any(node.kind in ("affine", "norm") for node in inside) or len(args) != 1:
            return
        x, known = args[0], self._nodes_of(_tensors(args))
        if not isinstance(output, torch.Tensor) or not known or output.shape != x.shape:
            return
        self._paused = True
        try:
            scaled = module.forward(16.0 * x)
        except Exception:
            return
        finally:
            self._paused = False
        size = output.detach().abs().amax()
        if torch.allclose(scaled, output, rtol=1e-2, atol=float(1e-2 * size)) and not torch.equal(output, x):
            self._remember(output, self._add("norm", "norm", tuple(known[:1]), output))

    def _bridge(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        results = list(_tensors([output]))
        if results and not self._nodes_of(results):
            parents = tuple(dict.fromkeys(self._nodes_of(_tensors([args, kwargs]))))
            if parents:
                params = tuple(f"{name}.{key}".removeprefix(".") for key, _ in module.named_parameters())
                kind: Kind = "affine" if self._slot_params.intersection(params) else "other"
                node = self._add(type(module).__name__, kind, parents, results[0], params)
                for each in results:
                    self._remember(each, node)

    def _remember(self, tensor: torch.Tensor, node: int | None, params: tuple[str, ...] = ()) -> None:
        self._values[id(tensor)] = _Value(weakref.ref(tensor), node, params)

    def _value(self, tensor: torch.Tensor) -> _Value | None:
        found = self._values.get(id(tensor))
        return found if found is not None and found.tensor() is tensor else None

    def _nodes_of(self, values: Iterable[Any]) -> list[int]:
        found = [self._value(each) for each in _tensors(values)]
        return [each.node for each in found if each is not None and each.node is not None]

    def _params_of(self, tensor: torch.Tensor) -> tuple[str, ...]:
        found = self._value(tensor)
        return found.params if found is not None else ()


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested lists, tuples, mappings and records."""
    for each in values:
        if isinstance(each, torch.Tensor):
            yield each
        elif isinstance(each, Mapping):
            yield from _tensors(each.values())
        elif isinstance(each, (list, tuple)):
            yield from _tensors(each)
        elif hasattr(each, "__dataclass_fields__"):
            yield from _tensors(vars(each).values())


def _is_view(kernel: Any) -> bool:
    return bool(kernel.is_view)


def _is_pointwise(kernel: Any) -> bool:
    name = kernel.name().split(".")[0]
    return torch.Tag.pointwise in kernel.tags or kernel.is_view or name in _POINTWISE
