"""How good the net is on the validation part, of which each process takes its share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.train.config import TrainConfig
from sciml.train.monitor import Monitor
from sciml.train.objective import Objective
from sciml.train.reading import Batch, Reader, in_sequence, weights_of
from sciml.train.steps import EpochSums, RunningSums, autocast, summands

__all__ = ["Validation"]


@dataclass(frozen=True, eq=False)
class Validation:
    """What is asked of the validation part after each epoch."""

    model: nn.Module
    reader: Reader
    objective: Objective
    monitor: Monitor
    config: TrainConfig

    def run(self, batch_size: int, *, interrupted: Callable[[], bool]) -> tuple[EpochSums, float] | None:
        """Return the sums of loss and accuracy over the part and the value that is monitored; None if interrupted."""
        self.model.eval()
        running, outputs = RunningSums(self.reader.device), _Outputs()
        for batch in self.reader.batches(in_sequence(len(self.reader), batch_size)):
            if interrupted():
                return None
            with torch.no_grad(), autocast(self.config, self.reader.device):
                output = self.model(batch.x)
                total, weight = self.objective.total(output, batch.y, batch.weights, training=False)
            running.add(summands(total, weight, self.objective.right(output, batch.y), batch.n_items))
            if self.monitor.metric is not None:
                outputs.add(batch, output)
        sums = running.read(self.reader.processes)
        if not np.isfinite(sums.mean):
            return sums, float("nan")
        return sums, self.monitor.value(sums.mean, *outputs.of_all(self.reader), weights_of(self.reader.part))


@dataclass(frozen=True, eq=False)
class _Outputs:
    """What the net said of the items that this process was given, and what it should have said."""

    items: list[torch.Tensor] = field(default_factory=list)
    outputs: list[torch.Tensor] = field(default_factory=list)
    targets: list[torch.Tensor] = field(default_factory=list)

    def add(self, batch: Batch, output: torch.Tensor) -> None:
        fills = np.arange(len(batch.items)) >= batch.n_items
        self.items.append(torch.from_numpy(np.where(fills, -1, batch.items)))
        self.outputs.append(output.cpu())
        self.targets.append(batch.y.cpu())

    def of_all(self, reader: Reader) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
        """Return outputs and targets of all processes, each item once, in their order in the part."""
        if not self.items or reader.processes.size == 1:
            return self.outputs, self.targets
        items, *both = (reader.processes.gather(torch.cat(each)) for each in (self.items, self.outputs, self.targets))
        order = _order(items.numpy())
        return [both[0][order]], [both[1][order]]


def _order(items: NDArray[np.int64]) -> torch.Tensor:
    """Return the rows of items in their order, without those that only fill a batch."""
    rows = np.flatnonzero(items >= 0)
    return torch.from_numpy(rows[np.argsort(items[rows], kind="stable")])
