"""The spectra that a run follows while it trains."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from sciml.data import WindowDataset
from sciml.pipeline.config import Config
from sciml.pipeline.spectra.dataset import FileStore
from sciml.pipeline.spectra.trained import TrainedLoss
from sciml.pipeline.windows import train_config
from sciml.spectra.tracking import Hessian, Measure, SpectrumTracker, Weights
from sciml.train.objective import objective
from sciml.train.reading import as_batches

__all__ = ["FILE", "tracked"]

FILE = "spectra.nc"
BATCH = 64


def tracked(config: Config, train: WindowDataset, folder: Path) -> list[SpectrumTracker]:
    """Return the callback that a configuration asks for, if it asks for one.

    Parameters
    ----------
    train
        The train part, of whose windows the Hessian is taken.
    folder
        Where the track is kept, as `spectra.nc`.
    """
    asked = config.track
    if not asked.what:
        return []
    measures = [_MEASURES[name](config, train) for name in asked.what]
    return [SpectrumTracker(measures, every=asked.every, budget=asked.budget, store=FileStore(folder / FILE))]


def _weights(_config: Config, _train: WindowDataset) -> Weights:
    return Weights("net")


def _hessian(config: Config, train: WindowDataset) -> Hessian:
    n = min(config.track.samples, len(train))
    items = np.unique(np.linspace(0, len(train) - 1, n).round().astype(np.int64))
    data = [train.batch(items[k : k + BATCH]) for k in range(0, len(items), BATCH)]
    return Hessian(TrainedLoss(objective(train_config(config), as_batches(train, "train"), torch.device("cpu"))), data)


_MEASURES: dict[str, Callable[[Config, WindowDataset], Measure]] = {"weights": _weights, "hessian": _hessian}
