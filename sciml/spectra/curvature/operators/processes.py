"""Several processes on one product: batches shared out, sums over all, vectors in parts where parameters are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

__all__ = ["Processes"]


class Processes:
    """The processes of a group; without one, this process alone.

    Parameters
    ----------
    group
        A process group, or None.
    """

    def __init__(self, group: Any, function: Any) -> None:  # noqa: ARG002
        self.group = group
        self.sharded = False
        self.rank = dist.get_rank(group) if group is not None else 0
        self.size = dist.get_world_size(group) if group is not None else 1

    def takes(self, index: int) -> bool:
        """Return whether a batch is this process's."""
        return index % self.size == self.rank

    def is_own_part(self, data: Any) -> bool:
        """Return whether the data are this process's part already."""
        return isinstance(data, DataLoader) and isinstance(data.sampler, DistributedSampler)

    def summed(self, values: Tensor) -> Tensor:
        """Return the sum over the processes."""
        if self.size > 1:
            values = values.contiguous()
            dist.all_reduce(values, group=self.group)
        return values

    def summed_parts(self, values: Tensor) -> Tensor:
        """Return the sum over the processes of what is of parts of vectors."""
        return self.summed(values) if self.sharded else values

    def total(self, numbers: list[float]) -> list[float]:
        """Return the sums of some numbers over the processes."""
        found: list[float] = self.summed(torch.tensor(numbers, dtype=torch.float64)).tolist()
        return found

    def own_rows(self, vectors: Tensor) -> Tensor:
        """Return the part of vectors (n, k) that this process holds."""
        return vectors

    def all_rows(self, vectors: Tensor) -> Tensor:
        """Return vectors (k, n) whole."""
        return vectors

    @contextmanager
    def gathered(self, function: Any) -> Iterator[None]:  # noqa: ARG002
        """Hold the parameters whole while a pass runs."""
        yield
