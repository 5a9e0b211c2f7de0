"""From a configuration to windows that are split, and what a dry run says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.data import Split, WindowDataset, Windows, split_by_time
from sciml.data.cutting import MISSING, trial_seconds
from sciml.data.recordings.concat import Spans
from sciml.pipeline.config import Config
from sciml.pipeline.load import Loaded, check_files, load
from sciml.pipeline.model import build_net, inputs, n_parameters
from sciml.pipeline.tasks.base import get_task
from sciml.train import TrainConfig

__all__ = [
    "DryRun",
    "SplitWindows",
    "cut_windows",
    "describe_recording",
    "load_for",
    "plan",
    "resolve",
    "split_windows",
    "train_config",
]

ADAM = 4  # arrays as large as the weights in training: themselves, their gradient, two moments
FLOAT = 4  # bytes
MANY = 0.05  # of the windows left out: said
UNEQUAL = 0.05  # of the length: trials that differ by more are of unequal length


@dataclass(frozen=True, eq=False)
class SplitWindows:
    """Windows of a configuration that is decided, their split, and the smallest distance between its parts [s].

    `notes` say what was done to bring files and trials together, `spans` where each of them lies.
    """

    config: Config
    windows: Windows
    split: Split
    smallest_gap: float
    notes: tuple[str, ...] = ()
    spans: Spans | None = None

    @property
    def dropped(self) -> dict[str, int]:
        """How many windows were left out, by reason."""
        between = sum(self.split.dropped.values())
        return {**self.windows.dropped, **({"closer than the gap to another part": between} if between else {})}


def load_for(config: Config) -> Loaded:
    """Open what the task of a configuration learns from.

    Raises
    ------
    ConfigError
        No file, or no labels where the task needs them.
    DataError
        As `sciml.pipeline.load.load`.
    """
    check_files(config)
    return load(config, *get_task(config.task).labels(config))


def resolve(config: Config, loaded: Loaded) -> Config:
    """Return the configuration with everything decided that was left to the task and the recording.

    Raises
    ------
    ConfigError
        A window length that the events do not determine.
    DataError
        A column of labels that is not there.
    """
    files = tuple(str(Path(file).absolute()) for file in config.data.files)
    decided = get_task(config.task).defaults(config, loaded)
    return decided.model_copy(update={"data": config.data.model_copy(update={"files": files})})


def split_windows(config: Config, loaded: Loaded) -> SplitWindows:
    """Cut the windows of a resolved configuration and split them by time."""
    windows, asked = cut_windows(config, loaded), config.split
    split = split_by_time(windows, fractions=asked.fractions, gap=asked.gap, n_blocks=asked.n_blocks, seed=config.seed)
    notes = (*loaded.notes, *_length_notes(config, loaded, windows))
    return SplitWindows(config, windows, split, split.check(windows), notes, loaded.spans)


def cut_windows(config: Config, loaded: Loaded) -> Windows:
    """Cut the windows of a resolved configuration; each knows its file, session, subject and trial where they do."""
    windows = get_task(config.task).windows(config, loaded)
    known = {} if loaded.spans is None else loaded.spans.of(windows.starts)
    return windows.changed(units={**known, **windows.units})


def _length_notes(config: Config, loaded: Loaded, windows: Windows) -> tuple[str, ...]:
    """Return in words what windows do with trials of unequal length, and with missing samples."""
    found = []
    if loaded.events is not None and windows.events is not None:
        found = trial_notes(config, trial_seconds(loaded.events, before=config.windows.before)[windows.events], windows)
    n_missing = windows.dropped.get(MISSING, 0)
    if n_missing > MANY * (len(windows) + n_missing):
        found.append(
            f"{n_missing} of {len(windows) + n_missing} windows were left out for missing samples; "
            "data.missing = 'mask' keeps them and masks those samples"
        )
    return tuple(found)


def trial_notes(config: Config, seconds: NDArray[np.float64], windows: Windows) -> list[str]:
    """Return how many trials are padded or cropped, where their lengths differ by more than a twentieth."""
    known, window = seconds[np.isfinite(seconds)], windows.length / windows.rate
    if not len(known) or np.ptp(known) <= UNEQUAL * np.median(known):
        return []
    spread = f"{len(known)} trials last {known.min():.3g} to {known.max():.3g} s"
    longer, shorter = (int((side * (known - window) * windows.rate > 1).sum()) for side in (1, -1))
    if config.windows.length == "trial":
        return [f"{spread}: {shorter} are padded to the longest, and masked there"]
    if config.windows.length == "crop":
        return [f"{spread}: {longer} are cropped to the shortest"]
    return [
        f"{spread}, windows {window:.3g} s: {longer} trials are cropped, {shorter} windows run past the end of their "
        "trial; windows.length = 'trial' pads instead, 'crop' cuts to the shortest"
    ]


def train_config(config: Config) -> TrainConfig:
    """Return the settings of `sciml.train.fit`: the run's seed, the task's loss, and 0 as "none"."""
    values: dict[str, Any] = config.train.model_dump()
    values |= {"patience": values["patience"] or None, "clip_norm": values["clip_norm"] or None}
    return TrainConfig(**values, seed=config.seed, loss=get_task(config.task).loss)


@dataclass(frozen=True, repr=False)
class DryRun:
    """What a run would do.

    Attributes
    ----------
    config
        The configuration with everything decided.
    recording
        Source, signal, dims, units and rate.
    windows, class_counts
        Number of windows of each part, and of each class in it.
    dropped
        Windows that were left out, by reason.
    n_blocks, gap
        Blocks of time that the windows were dealt in, and the smallest distance between parts [s].
    parameters
        Number of weights to train.
    memory
        Estimated bytes: the recording, the weights in training, the activations of a batch.
    batch
        Shape and unit of one batch.
    notes
        What was done to bring files and trials together.
    """

    config: Config
    recording: Mapping[str, Any]
    windows: Mapping[str, int]
    class_counts: Mapping[str, Mapping[str, int]]
    dropped: Mapping[str, int]
    n_blocks: int
    gap: float
    parameters: int
    memory: Mapping[str, int]
    batch: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {**vars(self), "config": self.config.model_dump(mode="json")}

    def summary(self) -> str:
        """Return sizes in one line."""
        parts = ", ".join(f"{n} {part}" for part, n in self.windows.items())
        return f"{parts} windows; {self.config.model.name} of {self.parameters:,} parameters"

    def __repr__(self) -> str:
        return f"DryRun({self.summary()})"


def plan(cut: SplitWindows) -> DryRun:
    """Return what a run with these windows would do, nothing trained and nothing written."""
    windows, split, config = cut.windows, cut.split, cut.config
    net = build_net(config, windows)
    n = min(train_config(config).batch(len(split.train)), len(split.train))
    x, y = WindowDataset(windows, split.train).batch(range(n))
    units = str(windows.recording.attrs.get("units", ""))
    return DryRun(
        config=config,
        recording=describe_recording(windows),
        windows={part: len(indices) for part, indices in split.parts.items()},
        class_counts=split.class_counts(windows),
        dropped=cut.dropped,
        n_blocks=len(split.blocks),
        gap=cut.smallest_gap,
        parameters=n_parameters(net),
        memory={
            "recording": FLOAT * windows.recording.size,
            "weights": ADAM * FLOAT * n_parameters(net),
            "activations": _activations(net, x, inputs(config, windows)),
        },
        batch={
            "x": {"dims": ["window", "channel", "time"], "shape": list(x.shape), "unit": units},
            "y": {**get_task(config.task).target(windows), "shape": list(y.shape)},
        },
        notes=cut.notes,
    )


def describe_recording(windows: Windows) -> dict[str, Any]:
    """Return the few values that say what was read."""
    recording, attrs = windows.recording, windows.recording.attrs
    return {
        "source": str(attrs.get("source", "")),
        "signal": str(attrs.get("signal", "")),
        "dims": list(map(str, recording.dims)),
        "shape": list(recording.shape),
        "units": str(attrs.get("units", "")),
        "sampling_rate": windows.rate,
        "sha256": str(attrs.get("sha256", "")),
    }


def _activations(net: nn.Module, x: torch.Tensor, n_inputs: int) -> int:
    """Return the bytes of all layers' outputs for a batch, twice for their gradients."""
    sizes: list[int] = []

    def record_size(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            sizes.append(output[0].numel())

    leaves = [module for module in net.modules() if not list(module.children())]
    handles = [module.register_forward_hook(record_size) for module in leaves]
    try:
        net.eval()
        with torch.no_grad():
            net(torch.zeros(1, n_inputs, x.shape[2]))
    finally:
        for handle in handles:
            handle.remove()
    return 2 * FLOAT * len(x) * (sum(sizes) + x[0].numel())
