"""The two parts that `fit` sees."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.train.reading.order import in_sequence

__all__ = ["Batches", "FitData", "as_batches", "fingerprint", "labels_of", "weights_of"]

HASHED_BYTES = 2**26  # of a part: it is hashed whole up to this size
HASHED_ITEMS = 256  # of one that is larger
AT_ONCE = 64


class Batches(Protocol):
    """A part of the data that hands out batches; `sciml.data.WindowDataset` is one.

    It may have `targets`, the labels of all items without reading them, and `weights` of the items, shape (n,) each.
    One that changes items in each pass has `augment`, not None, and `batch(indices, key=...)`, which draws by the keys
    of the items, unsigned integers of shape (n,).
    One whose samples lie in a file has `blocks` (`InBlocks`); `read(items)` gives what is read for some items of a
    block as tensors, `held()` what holds these (`add(block, piece)`, `drop(block)`), and
    `batch(indices, key=..., pieces=...)` the batch from what it holds.
    """

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs (n, channel, time) and targets (n, ...) of the items."""
        ...


@dataclass(frozen=True, eq=False)
class FitData:
    """What to learn from, and what to choose the best epoch by; the test part stays outside.

    Each part is a pair of arrays or tensors `(X, y)` with X of shape (n, channel, time), or three with the weights of
    the items, an object with a method `batch(indices)` such as `sciml.data.WindowDataset`, or any torch data set with
    a length.

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
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.X)

    @property
    def targets(self) -> NDArray[Any]:
        return np.asarray(self.y.numpy())

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
        X, y = (torch.as_tensor(array) for array in part[:2])
        if len(X) != len(y):
            raise DataError(f"expected as many targets as inputs in the {name} part, got {len(y)} and {len(X)}")
        weights = np.asarray(part[2], dtype=np.float64) if len(part) > 2 else None
        batches = _Arrays(X.float(), y.float() if y.is_floating_point() else y.long(), weights)
    else:
        batches = part if hasattr(part, "batch") else _Items(part)
    _check_weights(weights_of(batches), len(batches), name)
    if not len(batches):
        raise DataError(f"expected at least one item in the {name} part, got none; choose a larger fraction for it")
    return batches


def _check_weights(weights: NDArray[np.float64] | None, n: int, name: str) -> None:
    if weights is None:
        return
    if weights.shape != (n,) or not np.isfinite(weights).all() or weights.min(initial=0.0) < 0 or not weights.any():
        raise DataError(
            f"expected a weight of at least 0 for each of {n} items of the {name} part, some above 0, got shape "
            f"{weights.shape} from {weights.min(initial=np.inf):.4g} to {weights.max(initial=-np.inf):.4g}"
        )


def weights_of(part: Batches) -> NDArray[np.float64] | None:
    """Return the weights of the items of a part, shape (n,), None where all count alike."""
    weights = getattr(part, "weights", None)
    return None if weights is None else np.asarray(weights, dtype=np.float64)


def labels_of(part: Batches) -> NDArray[np.int64]:
    """Return the labels of all items of a part, shape (n,); they are read where the part does not know them."""
    labels = getattr(part, "targets", None)
    if labels is None:
        labels = np.concatenate([part.batch(indices)[1].numpy() for indices in in_sequence(len(part), 1024)])
    return np.asarray(labels)


def fingerprint(parts: Sequence[Batches]) -> str:
    """Return a hash of parts: of all their items up to 64 MiB, else of 256 of them, spread evenly from first to last.

    What a part tells without reading (`targets`, `starts`, `weights`, `blocks`) is hashed whole.

    Examples
    --------
    >>> a, b = (as_batches((np.full((8, 1, 4), v), np.arange(8)), "train") for v in (0, 1))
    >>> fingerprint([a]) == fingerprint([b])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(len(part)).encode())
        if (weights := weights_of(part)) is not None:
            digest.update(weights.tobytes())
        blocks = getattr(part, "blocks", None)  # they decide the order
        for known in (getattr(part, "targets", None), getattr(part, "starts", None), getattr(blocks, "number", None)):
            if known is not None:
                digest.update(np.ascontiguousarray(known).tobytes())
        n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in part.batch(np.array([0])))
        n_items = min(len(part), max(HASHED_ITEMS, HASHED_BYTES // max(1, n_bytes)))
        for items in np.array_split(np.linspace(0, len(part) - 1, n_items).astype(np.int64), -(-n_items // AT_ONCE)):
            for tensor in part.batch(items):
                digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()
