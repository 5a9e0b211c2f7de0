"""Batches of a part on the device that computes, read in a given order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.train.processes import ALONE, Processes
from sciml.train.reading.order import InBlocks
from sciml.train.reading.parts import Batches, weights_of
from sciml.train.reading.schedule import Step, schedule
from sciml.train.reading.workers import Call, Workers, ahead, choose_workers

__all__ = ["Batch", "Reader"]

Share = tuple[NDArray[np.int64], int]  # items, and how many of them count
Keys = NDArray[np.uint64] | None  # of the draws by which items are augmented, (n,)
T = TypeVar("T", np.int64, np.uint64)
Pair = tuple[torch.Tensor, torch.Tensor]
AHEAD = 2  # batches that are ready before they are asked for


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
    whole
        The items of the batch in all processes.
    """

    items: NDArray[np.int64]
    x: torch.Tensor
    y: torch.Tensor
    weights: torch.Tensor | None
    n_items: int
    whole: NDArray[np.int64]

    def mapped(self, function: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        """Return the batch with a function of each of its tensors."""
        weights = None if self.weights is None else function(self.weights)
        return replace(self, x=function(self.x), y=function(self.y), weights=weights)


class Reader:
    """Reads batches of a part, of each the share of this process.

    What is in memory is read when it is asked for; what is not, or goes to a GPU, by a thread or by workers ahead of
    it. Of a file the blocks that batches are drawn from are held, each read once in a pass.

    Parameters
    ----------
    part
        What to read.
    device
        Where the tensors go.
    processes
        Those that share each batch.
    workers
        Processes that read; None for as many as suit the part and the machine (`choose_workers`).

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

    def __init__(
        self,
        part: Batches,
        device: torch.device,
        processes: Processes = ALONE,
        *,
        workers: int | None = None,
    ) -> None:
        self.part, self.device, self.processes = part, device, processes
        self.blocks: InBlocks | None = getattr(part, "blocks", None)
        self.is_augmented = getattr(part, "augment", None) is not None
        self.n_workers = choose_workers(workers, in_memory=self.blocks is None, local_size=processes.local_size)
        self._known = weights_of(part)
        self._workers: Workers | None = None
        self._under_way: Iterator[Batch] | None = None

    def __len__(self) -> int:
        return len(self.part)

    def batches(
        self, plan: Sequence[NDArray[np.int64]], *, keys: Sequence[NDArray[np.uint64]] | None = None
    ) -> Iterator[Batch]:
        """Return an iterator over the batches of a plan, which names the items of each.

        Items are augmented by the draws of their keys (`draw_keys`), where there are some and the part says how.

        Raises
        ------
        WorkerError
            A worker was killed.
        DataError
            A file that is no longer what it was.
        """
        shares = [self.share(items) for items in plan]
        if not shares:
            return iter(())
        by = keys if self.is_augmented and keys is not None else [None] * len(plan)
        drawn = [None if each is None else self.share(each)[0] for each in by]
        read = self._in_memory(shares, drawn) if self.blocks is None else self._in_blocks(shares, drawn, self.blocks)
        whole = zip(plan, shares, read, strict=True)
        found: Iterator[Batch] = (self._made(x, y, *share, items) for items, share, (x, y) in whole)
        if self.n_workers or self.blocks is not None or self.device.type == "cuda":
            found = ahead(found, AHEAD)
        self._under_way = (self._sent(batch) for batch in found)
        return self._under_way

    def read(self, items: NDArray[np.int64]) -> Batch:
        """Return this process's share of a batch of items as they are, read now."""
        share, n_items = self.share(items)
        return self._sent(self._made(*self.part.batch(share), share, n_items, items))

    def close(self) -> None:
        """End the workers, and what is being read."""
        if self._under_way is not None and hasattr(self._under_way, "close"):
            self._under_way.close()
        if self._workers is not None:
            self._workers.close()
        self._under_way = self._workers = None

    def share(self, items: NDArray[T]) -> tuple[NDArray[T], int]:
        """Return the items of this process, filled up by its last or, without any, the batch's, and how many it has."""
        length = -(-len(items) // self.processes.size)
        mine = items[self.processes.rank * length :][:length]
        filler = np.full(length - len(mine), (mine if len(mine) else items)[-1])
        return np.concatenate([mine, filler]), len(mine)

    # ---- reading

    def _in_memory(self, shares: Sequence[Share], drawn: Sequence[Keys]) -> Iterator[Pair]:
        """Return the batches, each read as a whole."""
        return self._answers(
            partial(_whole, self.part), [(items, by) for (items, _), by in zip(shares, drawn, strict=True)], AHEAD
        )

    def _in_blocks(self, shares: Sequence[Share], drawn: Sequence[Keys], blocks: InBlocks) -> Iterator[Pair]:
        """Return the batches, made of blocks that are read one after the other ahead of them."""
        wanted = [blocks.number[items] for items, _ in shares]
        steps = schedule(wanted, 2 * blocks.at_once)
        inside = _by_block(np.unique(np.concatenate([items for items, _ in shares])), blocks)
        calls = [(inside[block],) for step in steps for block in step.read]
        read = self._answers(self.part.read, calls, blocks.at_once)  # type: ignore[attr-defined]
        if not self.n_workers:
            read = ahead(read, blocks.at_once)
        return self._cut(shares, steps, read, drawn)

    def _cut(
        self, shares: Sequence[Share], steps: Sequence[Step], read: Iterator[Any], drawn: Sequence[Keys]
    ) -> Iterator[Pair]:
        held = self.part.held()  # type: ignore[attr-defined]
        try:
            for (items, _), by, step in zip(shares, drawn, steps, strict=True):
                for block in step.read:
                    held.add(block, next(read))
                yield self.part.batch(items, key=by, pieces=held)  # type: ignore[call-arg]
                for block in step.drop:
                    held.drop(block)
        finally:
            read.close()  # type: ignore[attr-defined]

    def _answers(self, function: Callable[..., Any], calls: Sequence[Call], depth: int) -> Iterator[Any]:
        """Return an iterator over the values of a function, which workers compute where there are some."""
        if not self.n_workers:
            return (function(*call) for call in calls)
        if self._workers is None:
            self._workers = Workers(function, self.n_workers, depth=depth)
        return self._workers.answers(calls)

    # ---- batches

    def _made(
        self, x: torch.Tensor, y: torch.Tensor, items: NDArray[np.int64], n_items: int, whole: NDArray[np.int64]
    ) -> Batch:
        """Return a batch on the CPU, pinned where it goes to a GPU."""
        batch = Batch(items, x, y, self.weights(items, n_items), n_items, whole)
        return batch.mapped(torch.Tensor.pin_memory) if self.device.type == "cuda" else batch

    def _sent(self, batch: Batch) -> Batch:
        """Return a batch on the device; the copy of a pinned one is not waited for."""
        if self.device.type == "cpu":
            return batch
        return batch.mapped(partial(torch.Tensor.to, device=self.device, non_blocking=True))

    def weights(self, items: NDArray[np.int64], n_items: int) -> torch.Tensor | None:
        """Return how much items count, on the CPU."""
        if self._known is None and n_items == len(items):
            return None
        weights = np.ones(len(items)) if self._known is None else self._known[items]
        weights[n_items:] = 0.0
        return torch.from_numpy(weights).float()


def _whole(part: Any, items: NDArray[np.int64], drawn: Keys) -> Pair:
    """Return a batch of a part, changed by draws where there are keys for them."""
    found: Pair = part.batch(items) if drawn is None else part.batch(items, key=drawn)
    return found


def _by_block(items: NDArray[np.int64], blocks: InBlocks) -> dict[int, NDArray[np.int64]]:
    """Return items by the number of their block."""
    number = blocks.number[items]
    order = np.argsort(number, kind="stable")
    found, begins = np.unique(number[order], return_index=True)
    return dict(zip(found.tolist(), np.split(items[order], begins[1:]), strict=True))
