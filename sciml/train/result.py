"""What training gives."""

from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from sciml.result import Plots
from sciml.train.callbacks import EpochRecord
from sciml.wording import count

__all__ = ["FitResult"]


@dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """What training gave. `model` is in eval mode on `device`, with the weights of `best_epoch`.

    `best_value` is the validation value that was monitored (`monitor`: "loss" or the name of a metric), `seconds` the
    time of all sessions of the run, `resumed_from` the step that this session began with, if it resumed,
    `batch_size` the items of a step, which `processes` shared, `micro_batch` those of one of them that went through the
    net at once, None for all.

    `extended_from` are the steps that an extended run was planned with: rate and average follow them.
    `steps_skipped` counts steps that were left out since loss or gradient was not finite, `steps_overflowed` those of
    fp16 whose scaled gradient was too large.
    """

    model: nn.Module = field(repr=False)
    history: tuple[EpochRecord, ...]
    best_epoch: int
    best_value: float
    epochs_run: int
    stopped_early: bool
    seconds: float
    device: str
    resumed_from: int | None = None
    monitor: str = "loss"
    batch_size: int | None = None
    micro_batch: int | None = None
    steps_skipped: int = 0
    steps_overflowed: int = 0
    processes: int = 1
    extended_from: int | None = None

    plot = Plots("learning_curve")

    def summary(self) -> str:
        """Return epochs and best value in one line.

        Examples
        --------
        >>> FitResult(nn.Identity(), (), 3, 0.25, 5, False, 1.5, "cpu").summary()
        '5 epochs on cpu, best validation loss 0.25 in epoch 3'
        """
        best = f"best validation {self.monitor} {self.best_value:.4g} in epoch {self.best_epoch}"
        return f"{self.epochs_run} epochs on {self.device}, {best}"

    def notes(self) -> tuple[str, ...]:
        """Return what a reader should know of the steps: pieces of a batch, and steps that were left out.

        Examples
        --------
        >>> FitResult(nn.Identity(), (), 3, 0.25, 5, False, 1.5, "cpu", micro_batch=8, steps_skipped=2).notes()
        ('8 items of a batch went through the net at once', '2 steps were left out: loss or gradient was not finite')
        """
        found = (
            [] if self.micro_batch is None else [f"{self.micro_batch} items of a batch went through the net at once"]
        )
        for n, why in (
            (self.steps_skipped, "loss or gradient was not finite"),
            (self.steps_overflowed, "the scaled gradient was too large for fp16"),
        ):
            if n:
                found.append(f"{count(n, 'step')} {'was' if n == 1 else 'were'} left out: {why}")
        if self.extended_from is not None:
            found.append(
                f"the run was extended: warm-up and average are those of the {self.extended_from} steps it began with"
            )
        return tuple(found)

    def __repr__(self) -> str:
        return f"FitResult({self.summary()})"

    def to_dict(self) -> dict[str, Any]:
        """Return all but the model as plain numbers and strings.

        Examples
        --------
        >>> FitResult(nn.Identity(), (), 3, 0.25, 5, False, 1.5, "cpu").to_dict()["best_epoch"]
        3
        """
        content = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "model"}
        return {**content, "history": [asdict(record) for record in self.history]}
