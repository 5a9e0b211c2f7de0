"""Several processes on one product: batches shared out, sums over all, vectors in parts where parameters are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler

from sciml.spectra.curvature.operators.function import Function

__all__ = ["Processes"]


class Processes:
    """The processes of a group; without one, this process alone.

    Where parameters are sharded (FSDP2), each process holds its rows of every vector, n / size of them, and parameters
    are whole while a pass runs alone; the group is that of the parameters' mesh.

    Parameters
    ----------
    group
        A process group, or None.
    function
        The model as a function; its parameters are gathered where they are sharded.
    """

    def __init__(self, group: Any, function: Function) -> None:
        self.group = function.group if group is None else group
        self.sharded = function.sharded
        self.rank = dist.get_rank(self.group) if self.group is not None else 0
        self.size = dist.get_world_size(self.group) if self.group is not None else 1
        n = function.layout.n
        self.longest = -(-n // self.size)
        self.n = n

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

    def total(self, numbers: list[float], device: torch.device) -> list[float]:
        """Return the sums of some numbers over the processes."""
        found: list[float] = self.summed(torch.tensor(numbers, dtype=torch.float64, device=device)).tolist()
        return found

    def own_rows(self, vectors: Tensor) -> Tensor:
        """Return the part of vectors (n, ...) that this process holds."""
        if not self.sharded:
            return vectors
        return vectors[self.rank * self.longest : (self.rank + 1) * self.longest]

    def all_rows(self, vectors: Tensor) -> Tensor:
        """Return vectors (k, n) whole, of parts (k, n / size)."""
        if not self.sharded:
            return vectors
        padded = vectors.new_zeros(len(vectors), self.longest)
        padded[:, : vectors.shape[1]] = vectors
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded, group=self.group)
        return torch.cat(parts, 1)[:, : self.n].contiguous()

    @contextmanager
    def gathered(self, function: Function) -> Iterator[None]:
        """Hold the parameters whole while a pass runs, and let no hook of FSDP shard them."""
        if not self.sharded:
            yield
            return
        with _without_hooks(function.model):
            function.gather()
            try:
                yield
            finally:
                function.release()


@contextmanager
def _without_hooks(model: nn.Module) -> Iterator[None]:
    """Take out the hooks by which FSDP gathers and shards the parameters of a forward pass."""
    kept = [(hooks, dict(hooks)) for module in model.modules() for hooks in _hooks(module)]
    try:
        for hooks, before in kept:
            for key, hook in before.items():
                if _is_sharding(hook):
                    del hooks[key]
        yield
    finally:
        for hooks, before in kept:
            hooks.clear()
            hooks.update(before)


def _hooks(module: nn.Module) -> tuple[Any, Any]:
    return module._forward_pre_hooks, module._forward_hooks


def _is_sharding(hook: Any) -> bool:
    owner = getattr(hook, "__self__", getattr(getattr(hook, "func", hook), "__self__", None))
    return type(owner).__module__.startswith("torch.distributed.fsdp") or str(
        getattr(hook, "__module__", "")
    ).startswith("torch.distributed.fsdp")
