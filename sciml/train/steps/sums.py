"""What is added up over an epoch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sciml.train.processes import Processes

__all__ = ["EpochSums"]


@dataclass
class EpochSums:
    """Running sums of one epoch; kept in checkpoints, so that a resumed epoch reports what a whole one would."""

    loss: float = 0.0
    weight: float = 0.0
    correct: int = 0
    n_items: int = 0
    gradient_norm: float = 0.0

    def add(self, loss: float, weight: float, correct: int | None, n_items: int) -> None:
        """Add a batch; `correct` is None where an output is not right or wrong."""
        self.loss += loss
        self.weight += weight
        self.n_items += n_items
        self.correct = self.correct + correct if correct is not None else -1

    def over(self, processes: Processes) -> "EpochSums":
        """Return the sums over the items of all processes; the gradient is the same in each.

        Examples
        --------
        >>> EpochSums(n_items=3).over(Processes()).n_items
        3
        """
        values = torch.tensor([self.loss, self.weight, self.correct, self.n_items], dtype=torch.float64)
        loss, weight, correct, n_items = processes.sum(values).tolist()
        return EpochSums(loss, weight, int(correct), int(n_items), self.gradient_norm)

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
        """The mean loss."""
        return self.loss / self.weight

    @property
    def accuracy(self) -> float | None:
        """The fraction that was right, None where there is no right or wrong."""
        return self.correct / self.n_items if self.correct >= 0 else None
