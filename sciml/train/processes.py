"""The processes that train one net together: how many there are, which one this is, and what they tell each other."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

__all__ = ["ALONE", "Processes"]


@dataclass(frozen=True)
class Processes:
    """The processes of a training and this one among them; of one process, whatever it tells comes back to it.

    Attributes
    ----------
    rank, size
        Number of this process, from 0, and how many there are.
    local_rank, local_size
        The same among the processes of this machine.

    Examples
    --------
    >>> Processes().sum(torch.tensor(3.0)), Processes().share("seed"), Processes().is_first
    (tensor(3.), 'seed', True)
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all processes; it takes the place of the tensor."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def any(self, value: bool) -> bool:
        """Return whether it is so in one process at least."""
        return value if self.size == 1 else bool(self.sum(torch.tensor(float(value))) > 0)

    def share(self, value: Any) -> Any:
        """Return what the first process has."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held)
        return held[0]

    def gather(self, value: torch.Tensor) -> torch.Tensor:
        """Return the rows of a tensor of all processes, one process after the other; all have equally many."""
        if self.size == 1:
            return value
        found = [torch.empty_like(value) for _ in range(self.size)]
        distributed.all_gather(found, value.contiguous())
        return torch.cat(found)


ALONE = Processes()
