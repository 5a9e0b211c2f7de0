"""Progress on stderr: a bar on a terminal, one line an epoch elsewhere, nothing when quiet."""

import sys
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sciml.train.loop import Callback, EpochRecord, TrainState

__all__ = ["ProgressBar"]


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
        self._task = self._bar.add_task(
            _head(state), total=state.steps_per_epoch * state.config.epochs, completed=state.step
        )
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
            if state.epoch < state.config.epochs:
                self._bar.update(self._task, total=state.step)
            self._bar.stop()
            self._bar = None


def _head(state: TrainState) -> str:
    return f"epoch {state.epoch}/{state.config.epochs}"


def _values(record: EpochRecord) -> str:
    accuracy = "" if record.validation_accuracy is None else f"  accuracy {record.validation_accuracy:.3f}"
    return f"train {record.train_loss:.4g}  validation {record.validation_loss:.4g}{accuracy}"
