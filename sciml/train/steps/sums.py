"""What is added up over an epoch: on the device while it runs, as numbers when somebody asks."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sciml.train.processes import ALONE, Processes

__all__ = ["EpochSums", "RunningSums", "summands"]


@dataclass(frozen=True)
class EpochSums:
    """Sums of one epoch; kept in checkpoints, so that a resumed epoch reports what a whole one would.

    `correct` is -1 where an output is not right or wrong, `gradient_norm` the largest before clipping.
    """

    loss: float = 0.0
    weight: float = 0.0
    correct: int = 0
    n_items: int = 0
    gradient_norm: float = 0.0

    def to_state(self) -> dict[str, Any]:
        """Return the sums as checkpoints hold them."""
        state = asdict(self)
        state["seen"] = state.pop("n_items")  # its name since the first format
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "EpochSums":
        """Return the sums that `to_state` gave.

        Examples
        --------
        >>> EpochSums.from_state(EpochSums(n_items=3).to_state()).n_items
        3
        """
        return cls(**{"n_items" if name == "seen" else name: value for name, value in state.items()})

    @property
    def mean(self) -> float:
        """The mean loss, NaN where nothing was added."""
        return self.loss / self.weight if self.weight else math.nan

    @property
    def accuracy(self) -> float | None:
        """The fraction that was right, None where there is no right or wrong."""
        return self.correct / self.n_items if self.correct >= 0 and self.n_items else None


class RunningSums:
    """Sums of one epoch on the device that computes: nothing waits for them until they are read.

    Parameters
    ----------
    device
        Where the batches are.
    before
        What was added before a run was interrupted.

    Examples
    --------
    >>> sums = RunningSums(torch.device("cpu"))
    >>> sums.add(summands(torch.tensor(3.0), torch.tensor(2.0), torch.tensor([True, False]), 2))
    >>> sums.read().mean, sums.read().accuracy
    (1.5, 0.5)
    """

    def __init__(self, device: torch.device, before: EpochSums | None = None) -> None:
        start = before or EpochSums()
        correct = start.correct if start.correct >= 0 else math.nan
        values = [start.loss, start.weight, correct, start.n_items]
        self.values = torch.tensor(values, dtype=torch.float64, device=device)
        self.gradient_norm = torch.tensor(start.gradient_norm, dtype=torch.float64, device=device)

    def add(self, numbers: torch.Tensor, norm: torch.Tensor | None = None) -> None:
        """Add the `summands` of a batch, and the norm of its gradient."""
        self.values.add_(numbers)
        if norm is not None:
            torch.maximum(self.gradient_norm, norm.to(self.gradient_norm), out=self.gradient_norm)

    def read(self, processes: Processes = ALONE) -> EpochSums:
        """Return the sums as numbers, of all `processes` where each added its share: this waits for the device."""
        values = processes.sum(self.values.clone())
        loss, weight, correct, n_items, norm = torch.cat([values, self.gradient_norm[None]]).tolist()
        return EpochSums(loss, weight, -1 if math.isnan(correct) else round(correct), round(n_items), norm)


def summands(total: torch.Tensor, weight: torch.Tensor, right: torch.Tensor | None, n_items: int) -> torch.Tensor:
    """Return what a batch adds to the sums, shape (4,): loss, weight, items that were right, items.

    Parameters
    ----------
    total, weight
        Summed loss and weight of the batch.
    right
        Which of its items were right, shape (n,); None where an output is not right or wrong.
    n_items
        How many of them count: the first ones.
    """
    if right is None:
        correct = total.new_full((), math.nan)
    else:
        correct = (right if len(right) == n_items else right[:n_items]).sum()
    return torch.stack([total.detach(), weight, correct, total.new_full((), n_items)])
