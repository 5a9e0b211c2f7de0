"""The two parts that `fit` sees, and in which order: every draw is a function of (seed, stream, index)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import DataError

__all__ = ["Batches", "FitData", "as_batches", "batch_order", "fingerprint", "key"]

HASHED_BYTES = 2**26  # of a part: it is hashed whole up to this size
HASHED_ITEMS = 256  # of one that is larger
AT_ONCE = 64


class Batches(Protocol):
    """A part of the data that hands out batches; `sciml.data.WindowDataset` is one."""

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs (n, channel, time) and targets (n, ...) of the items."""
        ...


@dataclass(frozen=True, eq=False)
class FitData:
    """What to learn from, and what to choose the best epoch by; the test part stays outside.

    Each part is a pair of arrays or tensors `(X, y)` with X of shape (n, channel, time), an object with a method
    `batch(indices)` such as `sciml.data.WindowDataset`, or any torch data set with a length.

    Examples
    --------
    >>> data = FitData((np.zeros((8, 1, 4)), np.zeros(8, int)), (np.zeros((4, 1, 4)), np.zeros(4, int)))
    >>> len(as_batches(data.train, "train"))
    8
    """

    train: Any
    validation: Any


@dataclass(frozen=True, eq=False)
class _Arrays:
    X: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.X)

    def batch(self, indices: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(indices)
        return self.X[rows], self.y[rows]


@dataclass(frozen=True, eq=False)
class _Items:
    items: Any

    def __len__(self) -> int:
        return len(self.items)

    def batch(self, indices: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = [self.items[int(k)] for k in indices]
        return torch.stack([torch.as_tensor(x) for x, _ in pairs]), torch.stack([torch.as_tensor(y) for _, y in pairs])


def as_batches(part: Any, name: str) -> Batches:
    """Return a part of the data as something that hands out batches.

    Raises
    ------
    DataError
        An empty part, or inputs and targets of different number.

    Examples
    --------
    >>> as_batches((np.zeros((8, 1, 4)), np.arange(8)), "train").batch(np.array([2, 5]))[1]
    tensor([2, 5])
    """
    batches: Batches
    if isinstance(part, tuple):
        X, y = (torch.as_tensor(array) for array in part)
        if len(X) != len(y):
            raise DataError(f"expected as many targets as inputs in the {name} part, got {len(y)} and {len(X)}")
        batches = _Arrays(X.float(), y.float() if y.is_floating_point() else y.long())
    else:
        batches = part if hasattr(part, "batch") else _Items(part)
    if not len(batches):
        raise DataError(f"expected at least one item in the {name} part, got none; choose a larger fraction for it")
    return batches


def key(seed: int, stream: str, index: int) -> int:
    """Return the seed of one random draw: the same whether the run was interrupted before it or not.

    Examples
    --------
    >>> key(0, "order", 1) == key(0, "order", 1), key(0, "order", 1) == key(0, "dropout", 1)
    (True, False)
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}/{index}".encode()).digest()[:8], "little")


def batch_order(n: int, batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Return the items of each batch of an epoch: every item once, in random order.

    A last batch of a single item joins the one before: batch normalization cannot use it.

    Examples
    --------
    >>> [len(batch) for batch in batch_order(9, 4, seed=0, epoch=0)]
    [4, 5]
    """
    order = np.random.default_rng(key(seed, "order", epoch)).permutation(n)
    return np.split(order, _cuts(n, batch_size))


def in_sequence(n: int, batch_size: int) -> list[NDArray[np.int64]]:
    """Return the items of each batch in their order, for evaluation."""
    return np.split(np.arange(n), range(batch_size, n, batch_size))


def fingerprint(parts: Sequence[Batches]) -> str:
    """Return a hash of parts: of all their items up to 64 MiB, else of 256 of them, spread evenly from first to last.

    Examples
    --------
    >>> a, b = (as_batches((np.full((8, 1, 4), v), np.arange(8)), "train") for v in (0, 1))
    >>> fingerprint([a]) == fingerprint([b])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(len(part)).encode())
        n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in part.batch(np.array([0])))
        n_items = min(len(part), max(HASHED_ITEMS, HASHED_BYTES // max(1, n_bytes)))
        for items in np.array_split(np.linspace(0, len(part) - 1, n_items).astype(np.int64), -(-n_items // AT_ONCE)):
            for tensor in part.batch(items):
                digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()


def _cuts(n: int, batch_size: int) -> list[int]:
    cuts = list(range(batch_size, n, batch_size))
    return cuts[:-1] if cuts and n - cuts[-1] == 1 else cuts
