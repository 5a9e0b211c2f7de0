"""A run opened again: its net at the best epoch and at its start, and the windows that it learned from."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.data import Split, WindowDataset, Windows
from sciml.data.layer import valid_times
from sciml.errors import CheckpointError, ScimlError
from sciml.nn import models
from sciml.pipeline.config import Config, check_named
from sciml.pipeline.export import is_export, run_at
from sciml.pipeline.model import Restored, build_net, restore
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.start import first_batch, start
from sciml.pipeline.windows import load_for, resolve, split_windows, train_config
from sciml.train.objective import Objective, objective
from sciml.train.reading import as_batches

__all__ = ["Learned", "TrainedLoss", "TrainedRun", "open_run"]

CPU = torch.device("cpu")
CALIBRATION = 256  # windows that batch norms of a start are measured on
CLOSE = 1e-4  # of the numbers of a start: what machines and versions differ by


@dataclass(frozen=True, eq=False)
class Learned:
    """What a run learned from: the windows of its recordings, cut and split as then."""

    config: Config
    windows: Windows
    split: Split
    restored: Restored

    def part(self, name: str = "train") -> WindowDataset:
        """Return a part of the split as the loop trains on it."""
        chosen = self.split.parts[name]
        return WindowDataset(self.windows, chosen, target_transform=self.restored.preprocess.standardize_target)

    def items(self, n: int, part: str = "train") -> NDArray[np.int64]:
        """Return at most n items of a part, evenly taken."""
        size = len(self.split.parts[part])
        return np.unique(np.linspace(0, size - 1, min(n, size)).round().astype(np.int64))

    def sample(self, n: int, part: str = "train") -> tuple[torch.Tensor, torch.Tensor]:
        """Return windows as the net sees them (sample, channel, time), and their targets; none with padding in it."""
        data = self.part(part)
        x, y = data.batch(self.items(n, part))
        valid = valid_times(x)
        whole = slice(None) if valid is None else valid.all(dim=-1)
        x, y = x[whole], y[whole]
        if not len(x):
            raise ScimlError("expected windows of full length, got none: trials of this run are all padded")
        return torch.from_numpy(self.restored.preprocess.apply(x.numpy())), y

    def batches(self, n: int, batch_size: int = 64, part: str = "train") -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return windows in the recording's units with targets, in batches: what the whole model takes."""
        data, items = self.part(part), self.items(n, part)
        return [data.batch(items[k : k + batch_size]) for k in range(0, len(items), batch_size)]

    @cached_property
    def loss(self) -> "TrainedLoss":
        """The loss of the run, as it was trained on."""
        return TrainedLoss(objective(train_config(self.config), as_batches(self.part("train"), "train"), CPU))


@dataclass(frozen=True, eq=False)
class TrainedLoss:
    """An objective whose label smoothing always counts: the loss whose curvature training met."""

    objective: Objective

    def total(
        self, output: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None, *, training: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the summed loss and the summed weight of a batch, as in training."""
        del training
        return self.objective.total(output, target, weights, training=True)


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run on the disk.

    Attributes
    ----------
    path, config, restored
        The folder, its configuration, and the model of its best epoch (of the first fold where there are folds).
    """

    path: Path
    config: Config
    restored: Restored

    @property
    def net(self) -> nn.Module:
        """The net behind the preprocessing."""
        net: nn.Module = self.restored.model.net  # type: ignore[assignment]
        return net

    @cached_property
    def learned(self) -> Learned | str:
        """What it learned from, or why that is not at hand."""
        if is_export(self.path):
            return "the windows that the run learned from are not at hand: an export holds none; measure the run itself"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # said by the run
                loaded = load_for(self.config)
                attrs = loaded.recording.attrs
                config = resolve(self.config, loaded)
                identity = {name: str(attrs.get(name, "")) for name in ("signal", "sha256")}
                RunFolder(self.path).match(config, identity)
                cut = split_windows(config, loaded.held())
        except (ScimlError, OSError) as error:
            return f"the windows that the run learned from are not at hand: {error}"
        return Learned(config, cut.windows, cut.split, self.restored)

    @cached_property
    def initial(self) -> nn.Module | str:
        """The net as it began, drawn again from the seed and method of the run, or why it cannot be."""
        if isinstance(self.learned, str):
            return self.learned
        config, windows = self.learned.config, self.learned.windows
        net = build_net(config, windows)
        batch = first_batch(config, windows, self.restored.preprocess, self.learned.split)
        began = start(net, config.init.method, batch, seed=config.seed, options=config.init.options).to_dict()
        if not _same_start(began, self.restored.initialization):
            return "the start cannot be drawn again: this version, or this machine, draws other numbers than the run's"
        _measured_norms(net, self.learned.sample(CALIBRATION)[0])
        return net


def open_run(path: str | Path, *, net: str | None = None) -> TrainedRun:
    """Open a run again; `net` names its net, where that is one of the user's own.

    Raises
    ------
    ConfigError
        A net of the user's own that is not named.
    CheckpointError
        No run there, or none with a whole checkpoint.
    """
    folder = Path(path)
    config = run_at(folder).config()
    check_named(config.model.name, net, run=folder)
    restored = restore(folder, net=net)
    if not isinstance(getattr(restored.model, "net", None), models.SignalNet | nn.Module):
        raise CheckpointError(f"expected a net behind the preprocessing in {restored.path}, got none")
    return TrainedRun(folder, config, restored)


def _measured_norms(net: nn.Module, sample: torch.Tensor) -> None:
    """Give batch norms the statistics of a sample: a start has none yet, and would act as no net in training does."""
    norms = [each for each in net.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    kept = [(each, each.momentum) for each in norms if each.track_running_stats]
    if not kept:
        return
    net.eval()
    for each, _ in kept:
        each.reset_running_stats()
        each.momentum = None  # the mean over all batches
        each.train()
    with torch.no_grad():
        net(sample)
    for each, momentum in kept:
        each.momentum = momentum
    net.eval()


def _same_start(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two reports of a start are of the same weights, by the numbers of each layer."""
    rows = [each.get("layers") or () for each in (one, other)]
    if len(rows[0]) != len(rows[1]) or not rows[0]:
        return False
    keys = ("measured", "largest_singular_value")
    return all(
        a["name"] == b["name"] and all(math.isclose(a[key], b[key], rel_tol=CLOSE) for key in keys)
        for a, b in zip(*rows, strict=True)
    )
