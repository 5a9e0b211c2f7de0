"""What the other processes of a run do: they train with the first one, and leave everything else to it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sciml.data import Preprocess, WindowDataset
from sciml.data.parts.augment import Augment
from sciml.pipeline.model import build_net
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.tasks.base import get_task
from sciml.pipeline.windows import SplitWindows, train_config
from sciml.train import FitData, fit
from sciml.train.processes import Processes

__all__ = ["fit_data", "follow"]


def fit_data(cut: SplitWindows, number: int, preprocess: Preprocess, augment: Augment | None) -> FitData:
    """Return what a fold, counted from 0, is trained on; only the train part is augmented."""
    split, part = (
        cut.splits[number],
        partial(WindowDataset, cut.windows, target_transform=preprocess.standardize_target, spans=cut.spans),
    )
    return FitData(part(split.train, augment=augment), part(split.validation))


def follow(cut: SplitWindows, folder: RunFolder, processes: Processes) -> Mapping[str, Any]:
    """Train with the first process in each fold, from what it has learned; return the numbers that it found."""
    for number in range(len(cut.splits)):
        processes.wait()  # it learns noise floor and denoiser, and starts the net
        state, augment = processes.share(None)
        preprocess = Preprocess.from_state(state["preprocess"])
        model = get_task(cut.config.task).assemble(preprocess, build_net(cut.config, cut.windows))
        run_dir = folder.path if len(cut.splits) == 1 else folder.path / "folds" / str(number + 1)
        data = fit_data(cut, number, preprocess, augment)
        fit(model, data, train_config(cut.config), run_dir=run_dir, extra_state=state)
    processes.wait()  # it scores, and writes the report
    found: Mapping[str, Any] = processes.share(None)
    return found
