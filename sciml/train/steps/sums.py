"""What is added up over an epoch: on the device while it runs, as numbers when somebody asks."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sciml.train.objective import constant
from sciml.train.processes import ALONE, Processes

__all__ = ["EpochSums", "RunningSums", "summands"]

AT_ONCE = 64  # batches that are added up together


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
    >>> sums.add(summands(torch.tensor(torch.nan), torch.tensor(2.0), None, 2), torch.tensor(1.0))
    >>> sums.read().mean, sums.read().accuracy
    (1.5, 0.5)
    """

    def __init__(self, device: torch.device, before: EpochSums | None = None) -> None:
        start = before or EpochSums()
        correct = start.correct if start.correct >= 0 else math.nan
        values = [start.loss, start.weight, correct, start.n_items]
        self.values = torch.tensor(values, dtype=torch.float64, device=device)
        self.gradient_norm = torch.tensor(start.gradient_norm, dtype=torch.float64, device=device)
        self._waiting = list[tuple[torch.Tensor, torch.Tensor]]()

    def add(self, numbers: torch.Tensor, norm: torch.Tensor | None = None) -> None:
        """Add the `summands` of a batch; of a step that is learned from, with the norm of its gradient.

        A step whose loss or gradient is not finite adds nothing to the loss, or to the largest gradient.
        """
        if norm is None:
            self.values += numbers
            return
        self._waiting.append((numbers, norm))
        if len(self._waiting) >= AT_ONCE:
            self._add_up()

    def _add_up(self) -> None:
        """Add what is waiting: few operations for many batches."""
        if not self._waiting:
            return
        numbers, norms = (torch.stack(each).double() for each in zip(*self._waiting, strict=True))
        self._waiting.clear()
        self.values += numbers.masked_fill(~numbers[:, :1].isfinite(), 0.0).sum(dim=0)
        self.gradient_norm = torch.maximum(self.gradient_norm, norms.masked_fill(~norms.isfinite(), 0.0).max())

    def read(self, processes: Processes = ALONE) -> EpochSums:
        """Return the sums as numbers, of all `processes` where each added its share: this waits for the device."""
        self._add_up()
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
        correct = torch.full_like(total, math.nan)
    else:
        correct = (right if len(right) == n_items else right[:n_items]).sum()
    return torch.stack([total.detach(), weight, correct, constant(n_items, total.device)])
