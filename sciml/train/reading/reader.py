"""Batches of a part on the device that computes, read in a given order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.train.processes import ALONE, Processes
from sciml.train.reading.parts import Batches, weights_of

__all__ = ["Batch", "Reader"]


@dataclass(frozen=True, eq=False)
class Batch:
    """The share that a process has of one batch.

    Attributes
    ----------
    items
        Which items of the part, shape (n,).
    x, y
        Their inputs (n, channel, time) and targets (n, ...), on the device.
    weights
        How much each item counts in the loss, shape (n,), on the device; None where all count alike.
    n_items
        Items of the part; those behind them fill the share, so that all processes take equally many, and weigh nothing.
    """

    items: NDArray[np.int64]
    x: torch.Tensor
    y: torch.Tensor
    weights: torch.Tensor | None
    n_items: int


class Reader:
    """Reads batches of a part, of each the share of this process.

    Parameters
    ----------
    part
        What to read.
    device
        Where the tensors go.
    processes
        Those that share each batch.

    Examples
    --------
    >>> from sciml.train.reading.parts import as_batches
    >>> part = as_batches((np.zeros((5, 1, 2)), np.arange(5)), "train")
    >>> [batch.y.tolist() for batch in Reader(part, torch.device("cpu")).batches([np.array([3, 1]), np.array([4])])]
    [[3, 1], [4]]
    >>> second = Reader(part, torch.device("cpu"), Processes(rank=1, size=2))
    >>> batch = next(second.batches([np.array([3, 1, 4])]))
    >>> batch.items.tolist(), batch.n_items, batch.weights
    ([4, 4], 1, tensor([1., 0.]))
    """

    def __init__(self, part: Batches, device: torch.device, processes: Processes = ALONE) -> None:
        self.part, self.device, self.processes = part, device, processes

    def __len__(self) -> int:
        return len(self.part)

    def batches(self, plan: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield the batches of a plan, which names the items of each."""
        for items in plan:
            yield self.read(items)

    def read(self, items: NDArray[np.int64]) -> Batch:
        """Return this process's share of a batch of items."""
        share, n_items = self.share(items)
        x, y = self.part.batch(share)
        return Batch(share, x.to(self.device), y.to(self.device), self.weights(share, n_items), n_items)

    def share(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Return the items of this process, filled up by its last or, without any, the batch's, and how many it has."""
        length = -(-len(items) // self.processes.size)
        mine = items[self.processes.rank * length :][:length]
        filler = np.full(length - len(mine), (mine if len(mine) else items)[-1])
        return np.concatenate([mine, filler]), len(mine)

    def weights(self, items: NDArray[np.int64], n_items: int) -> torch.Tensor | None:
        """Return how much items count."""
        known = weights_of(self.part)
        if known is None and n_items == len(items):
            return None
        weights = np.ones(len(items)) if known is None else known[items]
        weights[n_items:] = 0.0
        return torch.from_numpy(weights).float().to(self.device)
