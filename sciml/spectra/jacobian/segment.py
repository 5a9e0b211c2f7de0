"""A part of a net as a function of a vector, and products with its Jacobian at each input of a batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.nn.structure import arguments_of, check_sample, unwrapped

__all__ = ["Segment", "at_rest"]


class Segment:
    """The part of a net from one point to another, run once on a batch: products with J and its transpose.

    Attributes
    ----------
    start, end
        The values there, (batch, ...): `start` is a leaf of the graph.
    """

    def __init__(self, model: nn.Module, sample: Any, start: str | None, end: str | None) -> None:
        net = unwrapped(model)
        args, kwargs = arguments_of(net, sample)
        check_sample((*args, *kwargs.values()))
        if start is None:
            args = (_leaf(args[0] if args else None), *args[1:])
        found = _Points(net, start, end)
        with found.watched():
            output = _run(net, args, kwargs)
        self.start = args[0] if start is None else found.value(start, found.start)
        self.end = _tensor(output) if end is None else found.value(end, found.end)
        self._check()
        self._zero = torch.zeros_like(self.end, requires_grad=True)
        self._pulled: torch.Tensor | None = None

    @property
    def n_in(self) -> int:
        """Entries of the start, of one input."""
        return self.start[0].numel()

    @property
    def n_out(self) -> int:
        """Entries of the end, of one input."""
        return self.end[0].numel()

    def transposed(self, u: torch.Tensor) -> torch.Tensor:
        """Return u J: (batch, n_out) -> (batch, n_in)."""
        return self._pull(u.reshape(self.end.shape), create_graph=False).flatten(1)

    def times(self, v: torch.Tensor) -> torch.Tensor:
        """Return J v: (batch, n_in) -> (batch, n_out), as the derivative of u J by u."""
        if self._pulled is None:
            self._pulled = self._pull(self._zero, create_graph=True)
        if not self._pulled.requires_grad:  # the end does not depend on the start but linearly in u: J is zero
            return torch.zeros_like(self.end).flatten(1)
        [product] = torch.autograd.grad(self._pulled, self._zero, v.reshape(self.start.shape), retain_graph=True)
        return product.flatten(1)

    def _pull(self, u: torch.Tensor, *, create_graph: bool) -> torch.Tensor:
        [found] = torch.autograd.grad(
            self.end, self.start, u, retain_graph=True, create_graph=create_graph, allow_unused=True
        )
        if found is None:
            raise ConfigError("expected an end that depends on the start, got one that does not")
        return found

    def _check(self) -> None:
        if not self.end.requires_grad:
            raise ConfigError("expected an end that depends on the start, got one that does not")
        if self.start.shape[0] != self.end.shape[0]:
            raise ConfigError(
                f"expected the batch in front at both points, got shapes {tuple(self.start.shape)} and "
                f"{tuple(self.end.shape)}"
            )
        if not bool(torch.isfinite(self.end).all()):
            raise DataError("the net gives values that are not finite on this sample; a Jacobian has no spectrum there")


def _run(net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return net(*args, **kwargs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = [f"{tuple(x.shape)} of {x.dtype}" for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"expected a sample that {type(net).__name__} takes, got {', '.join(shapes)}: {why}"
        ) from error


class _Points:
    """The outputs of two modules, caught while the net runs; the first is cut from what came before it."""

    def __init__(self, net: nn.Module, start: str | None, end: str | None) -> None:
        self.modules = dict(net.named_modules())
        for name in (start, end):
            if name is not None and name not in self.modules:
                known = ", ".join(list(self.modules)[1:6])
                raise ConfigError(f"expected the name of a module such as {known}, got {name!r}")
        self.names = start, end
        self.start: list[torch.Tensor] = []
        self.end: list[torch.Tensor] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        hooks: tuple[Callable[..., Any], ...] = (self._cut, self._keep)
        handles = [
            self.modules[name].register_forward_hook(hook)
            for name, hook in zip(self.names, hooks, strict=True)
            if name is not None
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def value(self, name: str, found: list[torch.Tensor]) -> torch.Tensor:
        if len(found) != 1:
            raise ConfigError(f"expected module {name!r} to run once in a pass, it ran {len(found)} times")
        return found[0]

    def _cut(self, _: nn.Module, __: Any, output: Any) -> Any:
        leaf = _leaf(_tensor(output))
        self.start.append(leaf)
        return leaf if isinstance(output, torch.Tensor) else (leaf, *output[1:])

    def _keep(self, _: nn.Module, __: Any, output: Any) -> None:
        self.end.append(_tensor(output))


def _leaf(value: Any) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        raise ConfigError(
            "expected an input of real numbers, got one without a derivative; name the module after which to start, "
            "such as the embedding"
        )
    return value.detach().clone().requires_grad_()


def _tensor(output: Any) -> torch.Tensor:
    first = output
    while not isinstance(first, torch.Tensor):
        first = next(iter(first.values() if isinstance(first, dict) else first))
    return first


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Run a net as in evaluation with gradients on, by functions that have second derivatives; leave no trace."""
    modes = [(module, module.training) for module in model.modules()]
    devices = {each.device for each in model.parameters() if each.device.type == "cuda"}
    plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    try:
        with plain, torch.backends.cudnn.flags(enabled=False), torch.random.fork_rng(devices=list(devices)):
            model.eval()
            with torch.enable_grad():
                yield
    finally:
        for module, mode in modes:
            module.training = mode
