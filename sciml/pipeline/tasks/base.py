"""What a task answers; whatever differs between tasks is asked of it, nothing else looks at its name."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

import xarray as xr
from torch import nn

from sciml._typing import AnyArray
from sciml.data import Preprocess, Split, Windows
from sciml.errors import CheckpointError
from sciml.pipeline.config import Config
from sciml.pipeline.evaluation import Tested
from sciml.pipeline.load import Loaded
from sciml.pipeline.tasks import TASKS
from sciml.report import Evaluation

__all__ = ["Task", "get_task"]


class Task(Protocol):
    """One kind of question to a recording.

    Attributes
    ----------
    loss
        `loss` of `sciml.train.TrainConfig`.
    score, greater_is_better
        The number of `metrics.json` that models are compared by, for the net and each baseline; which way is better.
    columns
        Heads of the table of scores that the command line prints, the name of the model first.
    """

    loss: str
    score: str
    greater_is_better: bool
    columns: tuple[str, ...]

    def labels(self, config: Config) -> tuple[str, str]:
        """Return the table of events and the column in it that are read beside the recording; both empty if none."""

    def defaults(self, config: Config, loaded: Loaded) -> Config:
        """Return the configuration with its windows, denoising and options of the net decided."""

    def windows(self, config: Config, loaded: Loaded) -> Windows:
        """Cut the windows of a configuration that is decided, each with its target."""

    def output_shape(self, windows: Windows) -> list[int]:
        """Return the shape of what the net puts out for one window."""

    def target(self, windows: Windows) -> dict[str, Any]:
        """Return `dims` and `unit` of the targets of a batch."""

    def assemble(self, preprocess: Preprocess, net: nn.Module) -> nn.Module:
        """Return the whole model, from windows in the recording's units to what the loss is taken of."""

    def test(self, model: nn.Module, preprocess: Preprocess, windows: Windows, split: Split, *, seed: int) -> Tested:
        """Return what a model, and baselines, say of the test part of one split.

        Parameters
        ----------
        model
            As `assemble` gives it, trained.
        preprocess
            What was fitted on the train part.
        seed
            Of whatever is drawn.
        """

    def evaluate(self, tested: Tested, windows: Windows, splits: Sequence[Split], *, seed: int) -> Evaluation:
        """Score what was said of the test parts of all folds.

        Parameters
        ----------
        tested
            As `test` gives it; of several folds, as `pool` lays them together.
        splits
            One split, or the folds; all number the units of independence alike.
        seed
            Of whatever is drawn.
        """

    def predict(
        self,
        outputs: AnyArray,
        windows: Windows,
        *,
        preprocess: Preprocess,
        classes: tuple[str, ...],
        labels: AnyArray | None,
        fitted: Mapping[str, Any],
    ) -> xr.Dataset:
        """Return what a model says of windows, shape (n, *output_shape), by name, with dim `window`.

        Parameters
        ----------
        classes
            Names of the classes in training.
        labels
            Labels of the windows where the recording has some.
        fitted
            What was fitted to the validation part to say how sure the model is, as `metrics.json` holds it of the
            fold; empty where it is not known.
        """

    def question(self, config: Config, windows: Windows) -> tuple[str, str]:
        """Return the title of a run, and in one sentence the question that it answers."""

    def row(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the cells of a row of the table of scores, after the name, from a model's part of `metrics.json`."""


def get_task(name: str) -> Task:
    """Return a task by its name in `TASKS`.

    Raises
    ------
    CheckpointError
        No such task: the name comes from a run of another version, for a configuration is checked before.

    Examples
    --------
    >>> get_task("classify").loss
    'cross_entropy'
    """
    if name not in TASKS:
        raise CheckpointError(f"expected a run of a task among {', '.join(TASKS)}, got {name!r}; train it again")
    module, _, attribute = TASKS[name].partition(":")
    task: Task = getattr(import_module(module), attribute)()
    return task
