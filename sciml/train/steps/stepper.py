"""One step of the optimizer."""

import numpy as np
import torch
from torch import nn

from sciml.errors import DivergedError
from sciml.nn.models import constrain
from sciml.train.config import TrainConfig
from sciml.train.objective import Objective
from sciml.train.processes import ALONE, Processes
from sciml.train.reading import Batch, key
from sciml.train.steps.sums import EpochSums

__all__ = ["Stepper"]

SMALLEST_WEIGHT = 1e-12  # of a batch: one whose items all weigh nothing has loss zero


class Stepper:
    """Takes steps of an optimizer on batches, whose loss is a mean over the items of all processes.

    Parameters
    ----------
    model
        What is called with a batch: the net, or what spreads it over processes.
    optimizer, objective, config
        How.
    device
        Where the net is.
    processes
        Those that share each batch.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        objective: Objective,
        config: TrainConfig,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self.model, self.optimizer, self.objective = model, optimizer, objective
        self.config, self.device, self.processes = config, device, processes
        self.loss = float("nan")

    def take(self, batch: Batch, sums: EpochSums, *, number: int, epoch: int, lr: float) -> None:
        """Take step `number` of an epoch, both counted from 0, and add what it gave to the sums.

        Raises
        ------
        DivergedError
            A loss or gradient that is not finite.
        """
        torch.manual_seed(key(self.config.seed, _stream(self.processes.rank), number))
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        with autocast(self.config, self.device):
            output = self.model(batch.x)
        total, weight = self.objective.total(output, batch.y, batch.weights, training=True)
        shared = self.processes.sum(weight.to(total.device).clone()).clamp(min=SMALLEST_WEIGHT)
        loss = total * self.processes.size / shared  # gradients are averaged over processes
        self.loss = float(self.processes.sum(total.detach().clone()) / shared)
        if np.isfinite(self.loss):
            loss.backward()  # type: ignore[no-untyped-call]
        norm = self.clip() if np.isfinite(self.loss) else float("nan")
        if not np.isfinite(norm):
            raise DivergedError(self._divergence(batch, f"step {number} (epoch {epoch + 1}, lr {lr:g})", norm))
        self.optimizer.step()
        constrain(self.model)
        correct = self.objective.correct(output[: batch.n_items], batch.y[: batch.n_items])
        sums.add(total.item(), weight.item(), correct, batch.n_items)
        sums.gradient_norm = max(sums.gradient_norm, norm)

    def clip(self) -> float:
        """Limit the norm of the gradient; return what it was."""
        limit = float("inf") if self.config.clip_norm is None else self.config.clip_norm
        return float(nn.utils.clip_grad_norm_(self.model.parameters(), limit))

    def _divergence(self, batch: Batch, where: str, norm: float) -> str:
        """Say where training diverged, and whether the input was to blame."""
        bad = int((~torch.isfinite(batch.x)).sum())
        what = f"loss {self.loss}" if not np.isfinite(self.loss) else f"gradient norm {norm}"
        cause = f"the input holds {bad} values that are not finite" if bad else "the input is finite; lower lr"
        return f"training diverged: {what} at {where}, items {batch.items.tolist()} of the training part; {cause}"


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """Return the block in which a net computes in the precision of a configuration."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")


def _stream(rank: int) -> str:
    """Return the name of the draws of a process: dropout must not drop the same units in all."""
    return "step" if rank == 0 else f"step of process {rank}"
