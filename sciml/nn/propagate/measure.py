"""What a batch and a gradient are at each function of a net, measured in one pass in double precision."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.nn.propagate.steps import Path, path_of
from sciml.nn.structure.facts import Facts
from sciml.nn.structure.graph import Graph
from sciml.nn.structure.inputs import arguments_of, check_sample
from sciml.nn.structure.kinds import NORMS, weight_slots
from sciml.nn.structure.read import owners
from sciml.nn.structure.recorder import Recorder
from sciml.nn.structure.result import Structure

__all__ = ["Measurement", "Point", "measure"]

DIRECTIONS, SAMPLES, BATCH = 8, 4, 16
_STEP = 1e-5  # of the length of the input: central differences in double precision, good to 1e-9 where f is smooth


@dataclass
class Point:
    """What is measured of the values of one function.

    Attributes
    ----------
    shape
        (batch, ...) of the values.
    second
        Mean square.
    correlation
        Mean cosine of two inputs; NaN for a single one.
    positions
        The same of pairs along the second dim of (batch, token, feature) values.
    gradient
        Mean over the inputs of the squared norm of the gradient, over that at the output of the net.
    """

    shape: tuple[int, ...]
    second: float
    correlation: float
    positions: float = math.nan
    gradient: float = math.nan


@dataclass(frozen=True, eq=False)
class Measurement:
    """The structure of a net, and what was measured at the nodes of its graph."""

    model: nn.Module
    structure: Structure
    graph: Graph
    points: Mapping[int, Point]
    path: Path
    singular_values: Mapping[int, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class _Watch(Recorder):
    """A recorder that calls a function with the values of each node."""

    def __init__(
        self, model: nn.Module, by_param: Mapping[str, Any], look: Callable[[int, torch.Tensor], None]
    ) -> None:
        super().__init__(model, by_param)
        self._look = look
        self._known: set[int] = set()

    def _remember(self, tensor: torch.Tensor, node: int | None, params: tuple[str, ...] = ()) -> None:
        super()._remember(tensor, node, params)
        if node is not None and node not in self._known and tensor.is_floating_point():
            self._known.add(node)
            with torch._C.DisableTorchFunction():
                self._look(node, tensor)


def measure(model: nn.Module, batch: Any, generator: torch.Generator | None = None) -> Measurement:
    """Run a net on a batch in double precision, and a random gradient back, and measure both at each function.

    Norms use the statistics of the batch, as in training; all else acts as in evaluation. The net itself is left alone:
    a copy is run.
    """
    net = _copied(model)
    if not weight_slots(net):
        raise ConfigError(f"expected a net with weight layers such as Linear, got {type(model).__name__} without any")
    found = _measured(net, batch, generator or torch.Generator().manual_seed(0))
    silent = [each for each in found.structure.layers if each.gives_output and not bool(each.slot.weight.any())]
    if not silent:
        return found
    draws = torch.Generator().manual_seed(0)
    for layer in silent:
        weight = torch.randn(layer.slot.weight.shape, generator=draws, dtype=torch.float64) / layer.slot.fan_in**0.5
        layer.slot.write(weight.to(layer.slot.weight.device))
    names = ", ".join(layer.name for layer in silent)
    note = f"{names} gives the output and is zero: measured with fan_in · Var(w) = 1 in its place"
    return replace(_measured(net, batch, generator or torch.Generator().manual_seed(0)), notes=(note,))


def _measured(net: nn.Module, batch: Any, generator: torch.Generator) -> Measurement:
    """Run a net on a batch, a gradient back, and directions of the input forward."""
    slots = weight_slots(net)
    args, kwargs = arguments_of(net, batch)
    check_sample((*args, *kwargs.values()))
    points = _Points(_batch_size(args, kwargs))
    watch = _Watch(net, owners(net, slots), points.look)
    given = tuple(_with_gradient(each) for each in args)
    with _as_in_training(net), torch.enable_grad():
        output = _first(_run(net, watch, given, kwargs))
        cotangent = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output.device)
        points.scale = float(cotangent.square().sum())
        if output.requires_grad and bool(torch.isfinite(output).all()):
            torch.autograd.backward(output, cotangent, inputs=_leaves(net, given))
    graph = Graph(watch.nodes, watch.outputs, owners(net, slots))
    facts = Facts(net, slots, graph, None)
    values = _singular_values(net, args, kwargs, generator)
    return Measurement(net, facts.structure(), graph, points.found, path_of(facts), values)


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model).double()
    except RuntimeError as error:  # weight norm by hooks keeps a weight that is no leaf
        raise ConfigError(
            f"{type(model).__name__} cannot be copied ({error}); use torch.nn.utils.parametrizations.weight_norm"
        ) from error


def _with_gradient(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.clone().requires_grad_()
    return value


def _leaves(net: nn.Module, given: Sequence[Any]) -> list[torch.Tensor]:
    """Return what the gradient goes back to: the input, or the parameters where the input is no number of its own."""
    inputs = [each for each in given if isinstance(each, torch.Tensor) and each.requires_grad]
    return inputs or [each for each in net.parameters() if each.requires_grad]


def _first(output: Any) -> torch.Tensor:
    found = output
    while not isinstance(found, torch.Tensor):
        found = next(iter(found.values() if isinstance(found, Mapping) else found))
    return found


def _run(net: nn.Module, watch: Recorder, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    handles = list(watch.hooks(net))
    try:
        watch.enter(each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor))
        with watch:
            output = net(*args, **kwargs)
        watch.leave(output)
        return output
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _as_in_training(net: nn.Module) -> Iterator[None]:
    """Norms use the statistics of the batch; dropout is off; the global random state comes back."""
    with torch.random.fork_rng(devices=[]):
        for module in net.modules():
            module.training = isinstance(module, NORMS)
        yield


class _Points:
    """What is found at the nodes while a net runs, and while the gradient comes back."""

    def __init__(self, n_inputs: int) -> None:
        self.n_inputs = n_inputs
        self.found: dict[int, Point] = {}
        self.scale = 1.0

    def look(self, node: int, tensor: torch.Tensor) -> None:
        with torch.no_grad():
            x = _batch_first(tensor.detach(), self.n_inputs)
            point = Point(tuple(x.shape), float(x.square().mean()), _correlation(x), _along_positions(x))
        self.found[node] = point
        if tensor.requires_grad:
            tensor.register_hook(lambda gradient: self._returned(point, gradient))  # type: ignore[no-untyped-call]

    def _returned(self, point: Point, gradient: torch.Tensor) -> None:
        point.gradient = float(gradient.detach().square().sum()) / self.scale


def _batch_size(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    sizes = [each.shape[0] for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor) and each.ndim]
    if not sizes:
        raise ConfigError("expected a batch of inputs as a tensor, or a tuple or mapping of tensors")
    return int(sizes[0])


def _batch_first(x: torch.Tensor, n: int) -> torch.Tensor:
    """Return values with the batch in front, as (token, batch, feature) inside an attention have not."""
    return x.transpose(0, 1) if x.ndim == 3 and x.shape[0] != n and x.shape[1] == n else x


def _correlation(x: torch.Tensor) -> float:
    """Return the mean cosine of pairs of rows; rows of zeros have none."""
    return _mean_cosine(x.reshape(1, x.shape[0], -1)) if x.ndim else math.nan


def _along_positions(x: torch.Tensor) -> float:
    return _mean_cosine(x) if x.ndim == 3 else math.nan


def _mean_cosine(x: torch.Tensor) -> float:
    """Return the mean cosine of two vectors of one group, of (group, vector, entry)."""
    unit = nn.functional.normalize(x, dim=2)
    own = unit.square().sum(dim=(1, 2))  # the number of vectors that are not zero
    pairs = float((own * (own - 1.0)).sum())
    return float((unit.sum(dim=1).square().sum(dim=1) - own).sum()) / pairs if pairs > 0.5 else math.nan


def _singular_values(
    net: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], generator: torch.Generator
) -> dict[int, FloatArray]:
    """Return, at each node, the singular values of the Jacobian on a few random directions of the input.

    By central differences, which every function has, forward derivatives of group norms included.
    """
    x = args[0] if args else None
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or len(args) > 1 or kwargs or x[0].numel() < 2:
        return {}
    x = x[:BATCH]
    k = min(DIRECTIONS, x[0].numel())
    noise = torch.randn(x.shape[0], x[0].numel(), k, generator=generator, dtype=torch.float64).to(x.device)
    directions = torch.linalg.qr(noise)[0].mT.reshape(-1, *x.shape[1:])
    many = x.repeat_interleave(k, dim=0)
    size = _STEP * float(x.flatten(1).norm(dim=1).mean().clamp(min=1e-300))
    kept = min(SAMPLES, x.shape[0]) * k
    ahead, behind = (_values(net, many + sign * size * directions, kept) for sign in (1.0, -1.0))
    return {
        node: _spectrum((value - behind[node]) / (2.0 * size), k) for node, value in ahead.items() if node in behind
    }


def _values(net: nn.Module, x: torch.Tensor, kept: int) -> dict[int, torch.Tensor]:
    found: dict[int, torch.Tensor] = {}

    def look(node: int, tensor: torch.Tensor) -> None:
        values = _batch_first(tensor.detach(), x.shape[0])
        if values.ndim > 1 and values.shape[0] == x.shape[0]:
            found[node] = values[:kept].flatten(1).clone()

    watch = _Watch(net, owners(net, weight_slots(net)), look)
    # With gradients, as the first pass: torch runs some layers by other functions where there are none.
    with _as_in_training(net), torch.enable_grad():
        _run(net, watch, (x,), {})
    return found


def _spectrum(tangents: torch.Tensor, k: int) -> FloatArray:
    """Return the k singular values, the largest first, as root mean squares over the samples."""
    parts = tangents.reshape(-1, k, tangents.shape[1])
    if not bool(torch.isfinite(parts).all()):
        return torch.full((k,), math.nan, dtype=torch.float64).numpy()
    values = torch.linalg.svdvals(parts)
    squares: FloatArray = values.square().mean(dim=0).sqrt().numpy()
    return squares
