"""From a configuration to windows that are split, and the account of them that a dry run gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sciml.data import Split, WindowDataset, Windows, sliding_windows, split_by_time, windows_around
from sciml.pipeline.config import Config
from sciml.pipeline.load import Source
from sciml.pipeline.model import build_net
from sciml.train import TrainConfig

__all__ = ["DryRun", "Prepared", "account", "prepare", "train_config"]

ADAM = 4  # copies of the weights in training: themselves, their gradient, two moments
FLOAT = 4  # bytes


@dataclass(frozen=True, eq=False)
class Prepared:
    """Windows, their split, and the smallest distance in seconds that was found between its parts."""

    config: Config
    windows: Windows
    split: Split
    smallest_gap: float


def prepare(config: Config, source: Source) -> Prepared:
    """Cut the windows of a resolved configuration and split them by time."""
    windows = _cut(config, source)
    asked = config.split
    split = split_by_time(windows, fractions=asked.fractions, gap=asked.gap, n_blocks=asked.n_blocks, seed=config.seed)
    return Prepared(config, windows, split, split.check(windows))


def _cut(config: Config, source: Source) -> Windows:
    asked = config.windows
    length = asked.length or 0.0
    if source.events is not None:
        return windows_around(source.recording, source.events, label=source.label, before=asked.before, length=length)
    return sliding_windows(source.recording, length=length, step=asked.step or 0.0, horizon=asked.horizon or 0.0)


def train_config(config: Config) -> TrainConfig:
    """Return the settings of `sciml.train.fit`: the run's seed, the task's loss, and 0 as "none"."""
    values: dict[str, Any] = config.train.model_dump()
    values |= {"patience": values["patience"] or None, "clip_norm": values["clip_norm"] or None}
    loss = "cross_entropy" if config.task == "classify" else "mse"
    return TrainConfig(**values, seed=config.seed, loss=loss)


@dataclass(frozen=True)
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


def account(prepared: Prepared) -> DryRun:
    """Return what a run with these windows would do, nothing trained and nothing written."""
    windows, split, config = prepared.windows, prepared.split, prepared.config
    net = build_net(config, windows)
    parameters = sum(each.numel() for each in net.parameters() if each.requires_grad)
    n = min(config.train.batch_size, len(split.train))
    x, y = WindowDataset(windows, split.train).batch(range(n))
    attrs = windows.recording.attrs
    return DryRun(
        config=config,
        recording=describe_recording(windows),
        windows={part: len(indices) for part, indices in split.parts.items()},
        class_counts=split.class_counts(windows),
        dropped=dropped(prepared),
        n_blocks=len(split.blocks),
        gap=prepared.smallest_gap,
        parameters=parameters,
        memory={
            "recording": FLOAT * windows.recording.size,
            "weights": ADAM * FLOAT * parameters,
            "activations": _activations(net, x),
        },
        batch={
            "x": {"dims": ["window", "channel", "time"], "shape": list(x.shape), "unit": str(attrs.get("units", ""))},
            "y": {
                "dims": ["window", "channel", "ahead"] if windows.horizon else ["window"],
                "shape": list(y.shape),
                "unit": str(attrs.get("units", "")) if windows.horizon else "class",
            },
        },
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


def dropped(prepared: Prepared) -> dict[str, int]:
    """Return how many windows were left out, by reason."""
    between = sum(prepared.split.dropped.values())
    return {**prepared.windows.dropped, **({"closer than the gap to another part": between} if between else {})}


def _activations(net: nn.Module, x: torch.Tensor) -> int:
    """Return the bytes of all layers' outputs for a batch, twice for their gradients."""
    sizes: list[int] = []

    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            sizes.append(output[0].numel())

    leaves = [module for module in net.modules() if not list(module.children())]
    handles = [module.register_forward_hook(note) for module in leaves]
    try:
        net.eval()
        with torch.no_grad():
            net(torch.zeros_like(x[:1]))
    finally:
        for handle in handles:
            handle.remove()
    return 2 * FLOAT * len(x) * (sum(sizes) + x[0].numel())
