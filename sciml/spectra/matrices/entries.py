"""The named tensors of a source: their shapes at once, their values when asked for."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["Entry", "Pool", "of_state", "of_tensor", "state_in"]

NO_WEIGHTS = re.compile(r"optim|sched|scaler|rng|random|grad|loss|history|hyper|metric|config|args|callback", re.I)
COPIES = re.compile(r"ema|averag|avg|shadow|swa|teacher|target|momentum|best|last|prev|backup|copy", re.I)
_DEEPEST = 50  # mappings within mappings
STATISTICS = re.compile(r"(^|\.)(running_mean|running_var|num_batches_tracked)$")
WRAPPERS = re.compile(r"(^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.)")


@dataclass(frozen=True)
class Entry:
    """One tensor of a source.

    Attributes
    ----------
    key, shape, dtype
        As the source names and stores it.
    read
        Returns its values.
    n_parameters
        Stored numbers behind it: more than its size where it is formed of several tensors.
    note
        How it was formed, or "".
    kind
        Type of the module that holds it, where that is known.
    problem
        Why it has no values to analyze, or "".
    place
        Where its values lie, so that a weight of two names is known; None where that is not known.
    groups
        Of a convolution, where known; else 0.
    """

    key: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], torch.Tensor] = field(repr=False, compare=False)
    n_parameters: int
    note: str = ""
    kind: str = ""
    problem: str = ""
    place: tuple[Any, ...] | None = None
    groups: int = 0

    @property
    def layer(self) -> str:
        """Name of the module that holds it."""
        return self.key.rpartition(".")[0]

    @property
    def last(self) -> str:
        """Name within its module."""
        return self.key.rpartition(".")[2]


class Pool:
    """Entries in their order, to be claimed one after the other; `all` keeps those that are claimed."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self.all: dict[str, Entry] = {each.key: each for each in entries}
        self.open: dict[str, Entry] = dict(self.all)

    def take(self, *keys: str) -> list[Entry]:
        """Claim the entries of these keys that are there."""
        return [self.open.pop(key) for key in keys if key in self.open]

    def put(self, entry: Entry, *keys: str) -> None:
        """Put an entry that was formed of others in the place of the first of them."""
        for name in ("open", "all"):
            order = [(entry.key, entry) if key == keys[0] else (key, each) for key, each in getattr(self, name).items()]
            setattr(self, name, {key: each for key, each in order if key not in keys[1:]})


def of_tensor(key: str, tensor: torch.Tensor, *, kind: str = "") -> Entry:
    """Return the entry of a tensor that is in memory."""
    shape = () if nn.parameter.is_lazy(tensor) else tuple(tensor.shape)
    n = 0 if nn.parameter.is_lazy(tensor) else tensor.numel()
    problem = _problem(tensor)
    place = _place(tensor) if n > 1 and not problem else None
    return Entry(key, shape, tensor.dtype, lambda: tensor.detach(), n, kind=kind, problem=problem, place=place)


def _place(tensor: torch.Tensor) -> tuple[Any, ...] | None:
    if tensor.layout != torch.strided:
        return None
    return tensor.device, tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


def _problem(tensor: torch.Tensor) -> str:
    if nn.parameter.is_lazy(tensor) or tensor.is_meta:
        return "expected weights with values, got a lazy or meta tensor; load them"
    return problem_of(tuple(tensor.shape), tensor.dtype)


def problem_of(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    """Return why numbers of this shape and dtype cannot be analyzed, or ""."""
    if not dtype.is_floating_point:
        return f"expected real floating-point weights, got {dtype}; convert them first"
    return f"expected weights, got the empty shape {shape}" if 0 in shape else ""


def of_state(state: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the entries of a flat mapping from names to tensors."""
    for key, value in state.items():
        if isinstance(value, torch.Tensor) and not STATISTICS.search(key):
            yield of_tensor(plain_name(key, state), value)


def plain_name(key: str, keys: Mapping[str, Any]) -> str:
    """Return a key without the prefixes of wrappers: compiled, sharded, data-parallel nets."""
    key = WRAPPERS.sub(r"\1", key).replace("..", ".").removeprefix(".")
    parallel = all(each.startswith("module.") for each in keys)
    return key.removeprefix("module.") if parallel else key


def state_in(source: Mapping[Any, Any]) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Return the tensors of a mapping, nested ones too, by dotted names, and what was passed over, in words.

    States of optimizers and the like are no weights; a running mean or another copy of a net, by its name and with the
    same names and shapes as an earlier one, is not read again.
    """
    notes: list[str] = []
    parts: dict[str, dict[str, torch.Tensor]] = {"": {}}
    for key, value in source.items():
        if (tensor := _tensor(value)) is not None:
            parts[""][str(key)] = tensor
        elif found := _flat(str(key), value, notes):
            same = _same(found, parts) if COPIES.search(str(key)) else None
            if same is None:
                parts[str(key)] = found
            else:
                notes.append(f"{key!r} has the names and shapes of {same!r}: passed over; give it alone to read it")
    nested = [key for key in parts if key]
    if len(nested) == 1 and not parts[""]:
        return parts[nested[0]], (*notes, f"read from {nested[0]!r} of the checkpoint")
    whole = {f"{key}.{name}".removeprefix("."): value for key, part in parts.items() for name, value in part.items()}
    return whole, tuple(notes)


def _flat(place: str, value: Any, notes: list[str], depth: int = 0) -> dict[str, torch.Tensor]:
    """Return the tensors of a mapping or list within a checkpoint, by dotted names."""
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    )
    found: dict[str, torch.Tensor] = {}
    for key, inner in items if depth < _DEEPEST else ():
        if (tensor := _tensor(inner)) is not None:
            found[str(key)] = tensor
        else:
            deeper = _flat(f"{place}.{key}", inner, notes, depth + 1)
            found |= {f"{key}.{name}": each for name, each in deeper.items()}
    if found and NO_WEIGHTS.search(place.rpartition(".")[2]):
        notes.append(f"{place!r} holds tensors that are no weights by its name: passed over")
        return {}
    return found


def _tensor(value: Any) -> torch.Tensor | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(value))
    return value if isinstance(value, torch.Tensor) else None


def _same(found: Mapping[str, torch.Tensor], parts: Mapping[str, Mapping[str, torch.Tensor]]) -> str | None:
    shapes = {key: value.shape for key, value in found.items()}
    same = (key for key, part in parts.items() if key and {k: v.shape for k, v in part.items()} == shapes)
    return next(same, None)
