"""What each weight layer of a net reads, at one position of each input."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.nn.structure import CONVOLUTIONS, TRANSPOSED, undisturbed

__all__ = ["Features", "Inputs", "Reading", "check_takes", "read_features"]

BATCH = 128


@dataclass(frozen=True, eq=False)
class Reading:
    """What one module reads and gives: (sample, unit), each at one random position of each input where it has several.

    Positions are the same for all values of as many positions. `patches` are what its weights multiply to give what
    they give there, (sample, fan_in), or None where that is not known.
    """

    read: torch.Tensor
    given: torch.Tensor | None
    patches: torch.Tensor | None
    n_positions: int


Features = dict[str, Reading]
Inputs = tuple[tuple[Any, ...], Mapping[str, Any]]


def read_features(
    model: nn.Module, modules: Mapping[str, nn.Module], inputs: Inputs, *, seed: int = 0
) -> tuple[Features, torch.Tensor]:
    """Run a net in batches and return what each of some modules reads, and the output of the net.

    Positions are drawn from the seed, each input its own, alike for all modules of as many positions.
    """
    n = _n_items(*inputs)
    parts: dict[str, list[Reading]] = {}
    outputs: list[torch.Tensor] = []
    with undisturbed(model):
        for first in range(0, n, BATCH):
            part = slice(first, min(n, first + BATCH))
            with _watched(modules, part.stop - first, seed + first, parts):
                output = _run(model, *_part(inputs, part, n))
            outputs.append(_first(output).detach().double().flatten(1).cpu())
    n_batches = len(outputs)
    return {name: _concatenated(each) for name, each in parts.items() if len(each) == n_batches}, torch.cat(outputs)


def check_takes(model: nn.Module, inputs: Inputs) -> None:
    """Run a net on the first inputs of a sample.

    Raises
    ------
    ConfigError
        It does not take them.
    """
    n = _n_items(*inputs)
    with undisturbed(model):
        _run(model, *_part(inputs, slice(0, min(2, n)), n))


def _part(inputs: Inputs, part: slice, n: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = inputs
    return tuple(_cut(x, part, n) for x in args), {name: _cut(x, part, n) for name, x in kwargs.items()}


def _run(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    try:
        return model(*args, **kwargs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = [f"{tuple(x.shape)} of {x.dtype}" for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        raise ConfigError(
            f"expected a sample that {type(model).__name__} takes, got {', '.join(shapes)}: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error


@contextmanager
def _watched(modules: Mapping[str, nn.Module], n: int, seed: int, parts: dict[str, list[Reading]]) -> Iterator[None]:
    def look(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            found = _reading(module, inputs, output, n, seed)
            if found is not None:
                parts.setdefault(name, []).append(found)

        return hook

    handles = [module.register_forward_hook(look(name, module)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _reading(module: nn.Module, inputs: tuple[Any, ...], output: Any, n: int, seed: int) -> Reading | None:
    x = inputs[0] if inputs else None
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.ndim < 2:
        return None
    units = _units_last(module, x, n)
    if units is None:
        return None
    sizes = tuple(units.shape[1:-1])
    where = _positions(sizes, n, seed)
    given = _units_last(module, output, n) if isinstance(output, torch.Tensor) else None
    after = where if given is None else _positions(tuple(given.shape[1:-1]), n, seed)
    return Reading(
        read=_at(units, where),
        given=None if given is None else _at(given, after),
        patches=_at(units, where) if isinstance(module, nn.Linear) else _patches(module, x, after),
        n_positions=math.prod(sizes),
    )


def _units_last(module: nn.Module, x: torch.Tensor, n: int) -> torch.Tensor | None:
    """Return values as (input, ...positions, unit)."""
    if isinstance(module, CONVOLUTIONS + TRANSPOSED):
        return x.movedim(1, -1) if x.shape[0] == n else None
    if x.shape[0] == n:
        return x
    return x.transpose(0, 1) if x.ndim == 3 and x.shape[1] == n else None


def _positions(sizes: tuple[int, ...], n: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(size, (n,), generator=generator) for size in sizes]


def _at(values: torch.Tensor, where: list[torch.Tensor]) -> torch.Tensor:
    index = (torch.arange(values.shape[0]), *where)
    return values.detach()[tuple(each.to(values.device) for each in index)].double().cpu()


def _patches(module: nn.Module, x: torch.Tensor, where: list[torch.Tensor]) -> torch.Tensor | None:
    """Return what the kernel of a convolution covers at each position: (sample, channel times taps)."""
    if not isinstance(module, CONVOLUTIONS) or module.groups > 1:
        return None
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    padded = nn.functional.pad(x.detach(), module._reversed_padding_repeated_twice, mode=mode)
    n, dims = x.shape[0], len(where)
    index: list[torch.Tensor] = [torch.arange(n).reshape(n, *(1,) * dims)]
    for d, place in enumerate(where):
        taps = torch.arange(module.kernel_size[d]) * module.dilation[d]
        shape = [n, *(1,) * dims]
        shape[d + 1] = taps.numel()
        index.append((place[:, None] * module.stride[d] + taps).reshape(shape))
    found = padded.movedim(1, -1)[tuple(each.to(x.device) for each in index)]
    return found.movedim(-1, 1).flatten(1).double().cpu()


def _concatenated(parts: Sequence[Reading]) -> Reading:
    def whole(name: str) -> torch.Tensor | None:
        values = [getattr(each, name) for each in parts]
        return None if any(each is None for each in values) else torch.cat(values)

    read = whole("read")
    assert read is not None  # noqa: S101 (every reading has it)
    return Reading(read, whole("given"), whole("patches"), parts[0].n_positions)


def _n_items(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    return next(int(each.shape[0]) for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor))


def _cut(value: Any, part: slice, n: int) -> Any:
    return value[part] if isinstance(value, torch.Tensor) and value.ndim and value.shape[0] == n else value


def _first(output: Any) -> torch.Tensor:
    found = output
    while not isinstance(found, torch.Tensor):
        found = next(iter(found.values() if isinstance(found, Mapping) else found))
    return found
