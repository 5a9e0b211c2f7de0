"""Batches in the same order in every pass, whatever the loader does."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from sciml._typing import IntArray
from sciml.errors import ConfigError, DataError, ScimlError

__all__ = ["Batch", "accepted", "as_batches", "drawn"]

WHAT = (
    "a loader or list of batches (inputs, targets) or (inputs, targets, weights), a pair of tensors, or a data "
    "set with a length"
)


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs (a tensor, or a tuple or mapping of them), targets, and weights of the items or None."""

    inputs: Any
    targets: Any
    weights: Tensor | None = None

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(_first(self.inputs))

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        """Return the batch on a device; a floating-point input as the parameters are."""
        return Batch(
            _moved(self.inputs, device, dtype), _moved(self.targets, device, None), _moved(self.weights, device, None)
        )

    def rows(self, index: Tensor) -> "Batch":
        """Return some of the items."""
        return Batch(*(_picked(each, index) for each in (self.inputs, self.targets, self.weights)))

    @classmethod
    def concatenated(cls, batches: "Sequence[Batch]") -> "Batch":
        """Return the items of all batches in one."""
        parts = zip(*((each.inputs, each.targets, each.weights) for each in batches), strict=True)
        return cls(*(_concatenated(list(each)) for each in parts))


def _picked(values: Any, index: Tensor) -> Any:
    if isinstance(values, dict):
        return {key: _picked(each, index) for key, each in values.items()}
    if isinstance(values, tuple):
        return tuple(_picked(each, index) for each in values)
    return values[index.to(values.device)] if isinstance(values, Tensor) else values


def _concatenated(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {key: _concatenated([each[key] for each in values]) for key in values[0]}
    if isinstance(values[0], tuple):
        return tuple(_concatenated(list(each)) for each in zip(*values, strict=True))
    return torch.cat(values) if isinstance(values[0], Tensor) else values[0]


def _first(inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return _first(next(iter(inputs.values())))
    return _first(inputs[0]) if isinstance(inputs, list | tuple) else inputs


def _moved(values: Any, device: torch.device, dtype: torch.dtype | None) -> Any:
    if isinstance(values, Tensor):
        real = dtype is not None and values.is_floating_point()
        return values.to(device=device, dtype=dtype if real else None)
    if isinstance(values, dict):
        return {key: _moved(each, device, dtype) for key, each in values.items()}
    if isinstance(values, list | tuple):
        return tuple(_moved(each, device, dtype) for each in values)
    return torch.as_tensor(values, device=device) if isinstance(values, np.ndarray | np.generic) else values


def _batch(parts: Any) -> Batch:
    if not isinstance(parts, Batch) and not (isinstance(parts, list | tuple) and len(parts) in (2, 3)):
        raise DataError(f"expected batches of inputs, targets and perhaps weights, got {type(parts).__name__}")
    batch = parts if isinstance(parts, Batch) else Batch(*parts)
    if not batch.n_items:
        raise DataError("expected batches of at least one item, got an empty batch; leave it out")
    return batch


@dataclass(frozen=True, eq=False)
class _Slices:
    """Batches of tensors of equal length."""

    tensors: tuple[Any, ...]
    batch_size: int

    def __iter__(self) -> Iterator[Batch]:
        n = len(_first(self.tensors[0]))
        for start in range(0, n, self.batch_size):
            yield _batch([_sliced(each, start, start + self.batch_size) for each in self.tensors])


def _sliced(values: Any, start: int, stop: int) -> Any:
    if isinstance(values, tuple):
        return tuple(_sliced(each, start, stop) for each in values)
    return torch.as_tensor(values[start:stop])


@dataclass(frozen=True, eq=False)
class _Part:
    """Batches of a part of `sciml.train`."""

    part: Any
    batch_size: int

    def __iter__(self) -> Iterator[Batch]:
        weights = getattr(self.part, "weights", None)
        for start in range(0, len(self.part), self.batch_size):
            index = np.arange(start, min(start + self.batch_size, len(self.part)))
            own = None if weights is None else torch.as_tensor(np.asarray(weights)[index])
            inputs, targets = self.part.batch(index)
            yield Batch(inputs, targets, own)


class _Frozen:
    """A loader whose batches were drawn once: the same items in the same batches in every pass."""

    def __init__(self, loader: "DataLoader[Any]", seed: int) -> None:
        if isinstance(loader.sampler, DistributedSampler):
            _check_sampler(loader.sampler)
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            batches = loader.batch_sampler if loader.batch_sampler is not None else ([i] for i in loader.sampler)
            index = [list(each) for each in batches]
        self.loader: DataLoader[Any] = DataLoader(
            loader.dataset,
            batch_sampler=index,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            generator=torch.Generator().manual_seed(seed),
        )

    def __iter__(self) -> Iterator[Batch]:
        self.loader.generator.manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            yield from map(_batch, self.loader)


def _check_sampler(sampler: "DistributedSampler[Any]") -> None:
    n = len(sampler.dataset)  # type: ignore[arg-type]
    if n % sampler.num_replicas and not sampler.drop_last:
        raise ConfigError(
            f"the DistributedSampler repeats items, for {n} are no multiple of {sampler.num_replicas} processes: they "
            "would count twice; give every process the same plain loader instead, its batches are shared out"
        )


class _Checked:
    """Batches of something that can be iterated again; a pass that differs from the first is an error."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches
        self.known: list[tuple[int, float]] | None = None

    def __iter__(self) -> Iterator[Batch]:
        met = []
        for i, parts in enumerate(self.batches):
            batch = _batch(parts)
            met.append((batch.n_items, _digest(batch.inputs)))
            if self.known is not None and (i >= len(self.known) or met[i] != self.known[i]):
                raise DataError(
                    "expected the same batches in every pass, got others: the data are shuffled or drawn anew; give a "
                    "DataLoader (it is held in one order), a list of batches or a pair of tensors"
                )
            yield batch
        if self.known is not None and len(met) != len(self.known):
            raise DataError(f"expected {len(self.known)} batches as in the first pass, got {len(met)}")
        self.known = met


def _digest(inputs: Any) -> float:
    first = _first(inputs)
    return float(first.double().sum()) if isinstance(first, Tensor) else 0.0


@contextmanager
def accepted(where: str, **given: Any) -> Iterator[None]:
    """Say what came, with its shape and dtype, where a model or a loss does not take it."""
    try:
        yield
    except (ScimlError, torch.OutOfMemoryError, NotImplementedError):
        raise
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        came = " and ".join(map(_kind, given.values()))
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"expected {' and '.join(given)} that the {where} takes, got {came} ({reason}); give them in the shape and "
            "dtype that it was written for"
        ) from error


def _kind(values: Any) -> str:
    if isinstance(values, dict | tuple | list):
        each = values.values() if isinstance(values, dict) else values
        return f"({', '.join(map(_kind, each))})"
    return f"{str(values.dtype)[6:]} {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__


def drawn(batches: Iterable[tuple[int, Batch]], wanted: Sequence[IntArray]) -> list[Batch]:
    """Return the items of numbers `wanted`, each set as one batch, from one pass over numbered batches."""
    pieces: list[list[Batch]] = [[] for _ in wanted]
    start = 0
    for _, batch in batches:
        for own, rows in zip(pieces, wanted, strict=True):
            inside = np.sort(rows[(rows >= start) & (rows < start + batch.n_items)]) - start
            if len(inside):
                own.append(batch.rows(torch.from_numpy(inside)))
        start += batch.n_items
    return [Batch.concatenated(own) for own in pieces]


def as_batches(data: Any, *, batch_size: int = 128, seed: int = 0) -> Iterable[Batch]:
    """Return data as batches that are the same in every pass.

    A `DataLoader` keeps its batches, drawn once; what its data set draws at random is drawn the same each time.

    Parameters
    ----------
    data
        A loader or list of batches (inputs, targets) or (inputs, targets, weights); a pair or three of tensors of one
        length; a part of `sciml.train` (with `batch`), or a torch data set of pairs.
    batch_size
        Of what is not in batches yet.
    seed
        Of what the data set draws.

    Raises
    ------
    ConfigError
        A batch size below one, or a sampler that repeats items.
    DataError
        Nothing that batches can be made of.

    Examples
    --------
    >>> [batch.n_items for batch in as_batches((torch.zeros(5, 2), torch.zeros(5)), batch_size=3)]
    [3, 2]
    """
    if batch_size < 1:
        raise ConfigError(f"expected a batch size of at least one, got {batch_size}")
    if isinstance(data, DataLoader):
        iterable = isinstance(data.dataset, torch.utils.data.IterableDataset)
        return _Checked(data) if iterable else _Frozen(data, seed)
    if isinstance(data, tuple) and len(data) in (2, 3) and _is_array(data[1]):
        return _Slices(data, batch_size)
    if hasattr(data, "batch") and hasattr(data, "__len__"):
        return _Part(data, batch_size)
    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        return _Frozen(DataLoader(data, batch_size=batch_size), seed)
    return _of_iterable(data)


def _is_array(values: Any) -> bool:
    return isinstance(values, Tensor | np.ndarray)


def _of_iterable(data: Any) -> Iterable[Batch]:
    if isinstance(data, Iterator) or inspect.isgenerator(data):
        return [_batch(each) for each in data]
    if isinstance(data, Sequence):
        return [_batch(each) for each in data]
    if isinstance(data, Iterable):
        return _Checked(data)
    raise DataError(f"expected {WHAT}, got {type(data).__name__}")
