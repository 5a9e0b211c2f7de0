"""A batch to trace a net on, and the care that the pass leaves no trace on the net."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from sciml.errors import DataError
from sciml.nn.structure.kinds import weight_slots
from sciml.nn.structure.slots import CONVOLUTIONS, TRANSPOSED, Slot

__all__ = ["Arguments", "arguments_of", "check_sample", "made_up", "undisturbed", "unwrapped"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_MOST = 40  # batches to try
_SIZES = {1: (64, 100, 128, 256, 32, 16), 2: (32, 64, 28, 224, 16), 3: (16, 32, 8)}  # by the number of dims


def arguments_of(model: nn.Module, sample: Any) -> Arguments:
    """Return what the net is called with: a tensor, a tuple of positional or a mapping of named arguments.

    Tensors move to the device of the net, floating-point ones to its dtype.
    """
    weight = next((each for each in model.parameters() if each.is_floating_point()), torch.zeros(()))

    def moved(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.detach().to(weight.device, weight.dtype if value.is_floating_point() else value.dtype)

    if isinstance(sample, Mapping):
        return (), {key: moved(value) for key, value in sample.items()}
    values = sample if isinstance(sample, tuple) else (torch.as_tensor(sample),)
    return tuple(moved(value) for value in values), {}


def check_sample(values: Iterable[Any]) -> None:
    """Refuse tensors that are empty or hold values that are not finite.

    Raises
    ------
    DataError
        Either.
    """
    for each in values:
        if isinstance(each, torch.Tensor) and each.numel() == 0:
            raise DataError(f"expected a sample with items, got a tensor of shape {tuple(each.shape)}")
        if isinstance(each, torch.Tensor) and not torch.isfinite(each).all():
            bad = int((~torch.isfinite(each)).sum())
            raise DataError(f"expected a finite sample, got {bad} values that are not")


def made_up(model: nn.Module) -> Iterator[torch.Tensor]:
    """Yield batches that a net might take, by what it says of its input and by its first layer."""
    generator = torch.Generator().manual_seed(0)
    for shape in _shapes(model):
        if shape is None:
            yield torch.zeros(2, 8, dtype=torch.long)
        else:
            yield torch.randn(*shape, generator=generator)


def _shapes(model: nn.Module) -> Iterator[tuple[int, ...] | None]:
    """Yield shapes to try, None for a batch of whole numbers."""
    said = getattr(model, "input_shape", None)
    if isinstance(said, (tuple, list)) and all(isinstance(each, int) for each in said):
        yield (2, *said)
    slots = weight_slots(model)
    given: set[tuple[int, ...] | None] = set()
    for slot in slots[:_MOST]:  # the first layer, unless it is not the first to run
        for shape in _shapes_of(slot, slots):
            if shape not in given and len(given) < _MOST:
                given.add(shape)
                yield shape


def _shapes_of(slot: Slot, slots: Sequence[Slot]) -> Iterator[tuple[int, ...] | None]:
    n_in = int(slot.weight.shape[1]) * slot.groups
    if slot.role == "lookup":
        yield None
    elif isinstance(slot.module, CONVOLUTIONS + TRANSPOSED):
        dims = slot.weight.ndim - 2
        yield from ((2, n_in, *(size,) * dims) for size in (*_SIZES[dims], *_flattened(slots, dims)))
    elif slot.role in ("weight", "input", "query"):
        yield from ((2, n_in), (2, 16, n_in), (16, 2, n_in))


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the net inside what `torch.compile`, `DataParallel` or `DistributedDataParallel` made of it."""
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    inner: nn.Module = model.module if isinstance(model, wrappers) else getattr(model, "_orig_mod", model)
    return inner if inner is model else unwrapped(inner)


def _flattened(slots: Sequence[Slot], dims: int) -> Iterator[int]:
    """Yield sizes that a linear layer after a flattened convolution speaks of, halved once or more on the way."""
    channels = sorted({slot.weight.shape[0] for slot in slots if slot.kernel}, reverse=True)
    for n_in in dict.fromkeys(slot.weight.shape[1] for slot in slots if isinstance(slot.module, nn.Linear)):
        for width in channels:
            size = round((n_in / width) ** (1 / dims))
            if size > 1 and width * size**dims == n_in:
                yield from (size * 2**halved for halved in range(6))


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a net as in evaluation, without gradients; restore its modes and the random state."""
    modes = [(module, module.training) for module in model.modules()]
    devices = {each.device for each in model.parameters() if each.device.type == "cuda"}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=list(devices)):
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode
