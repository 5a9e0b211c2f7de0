"""What is called while a net trains, what it is given, and the progress bar."""

import sys
from dataclasses import dataclass
from typing import TextIO

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from sciml.train.config import TrainConfig
from sciml.wording import percent

__all__ = ["Callback", "EpochRecord", "ProgressBar", "TrainState"]


@dataclass(frozen=True)
class EpochRecord:
    """What was measured in one epoch, counted from 1; accuracies are None for a forecast.

    `step` counts optimizer steps so far, `lr` is that of the last one, `gradient_norm` the largest before clipping,
    `monitored` the validation value that epochs are compared by.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    validation_loss: float
    train_accuracy: float | None
    validation_accuracy: float | None
    gradient_norm: float
    monitored: float | None = None


@dataclass(frozen=True, eq=False)
class TrainState:
    """What a callback sees: `epoch` and `step` count what is done, `last_loss` is that of the last step on its device.

    `epochs` are those that there will be at most.
    """

    model: nn.Module
    config: TrainConfig
    device: torch.device
    epoch: int
    step: int
    steps_per_epoch: int
    lr: float
    last_loss: torch.Tensor
    epochs: int
    history: tuple[EpochRecord, ...]
    best_epoch: int | None
    best_value: float | None

    @property
    def loss(self) -> float:
        """The loss of the last step: to ask for it waits for the device."""
        return float(self.last_loss)


class Callback:
    """What `fit` calls; any object with one of these methods will do."""

    def on_fit_start(self, state: TrainState) -> None:
        """Before the first step (after a resume: the first that is taken)."""

    def on_step_end(self, state: TrainState) -> None:
        """After each step of the optimizer."""

    def on_epoch_end(self, state: TrainState) -> None:
        """After validation, and after the checkpoint of the epoch is on the disk."""

    def on_fit_end(self, state: TrainState) -> None:
        """After training, also when an error or a signal ends it."""


class ProgressBar(Callback):
    """Callback of `fit` that shows how far training is.

    Parameters
    ----------
    quiet
        Show nothing.
    stream
        Where to; default stderr, as it is when training starts.

    Examples
    --------
    >>> import io
    >>> ProgressBar(quiet=True, stream=io.StringIO()).quiet
    True
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self.stream = stream
        self._bar: Progress | None = None

    def on_fit_start(self, state: TrainState) -> None:
        """Open the bar where there is a terminal."""
        self._out = sys.stderr if self.stream is None else self.stream
        if self.quiet or not self._out.isatty():
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            console=Console(file=self._out),
            transient=False,
        )
        self._task = self._bar.add_task(_head(state), total=state.steps_per_epoch * state.epochs, completed=state.step)
        self._bar.start()

    def on_step_end(self, state: TrainState) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=state.step)

    def on_epoch_end(self, state: TrainState) -> None:
        """Show what the epoch gave."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"{_head(state)}  {_values(state.history[-1])}")
        elif not self.quiet:
            print(f"{_head(state)}  {_values(state.history[-1])}", file=self._out, flush=True)

    def on_fit_end(self, state: TrainState) -> None:
        """Close the bar, so that the terminal is left as it was."""
        if self._bar is not None:
            if state.epoch < state.epochs:
                self._bar.update(self._task, total=state.step)
            self._bar.stop()
            self._bar = None


def _head(state: TrainState) -> str:
    return f"epoch {state.epoch}/{state.epochs}"


def _values(record: EpochRecord) -> str:
    accuracy = "" if record.validation_accuracy is None else f"  accuracy {percent(record.validation_accuracy)}"
    return f"train {record.train_loss:.4g}  validation {record.validation_loss:.4g}{accuracy}"
