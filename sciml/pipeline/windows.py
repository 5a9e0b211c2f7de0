"""From a configuration to windows that are split, and what a dry run says of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciml.data import Split, WindowDataset, Windows, folds_by, split_by
from sciml.data.cutting import MISSING, trial_seconds
from sciml.data.identity import Items
from sciml.data.leakage import Leakage, find_leakage
from sciml.data.recordings.concat import Spans
from sciml.data.shared import local_size
from sciml.data.splits import class_counts
from sciml.errors import ConfigError
from sciml.pipeline.config import Config
from sciml.pipeline.load import Loaded, check_files, load
from sciml.pipeline.model import build_net, inputs, n_parameters
from sciml.pipeline.tasks.base import get_task
from sciml.train import TrainConfig
from sciml.train.reading import choose_workers

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
UNITS = ("auto", "time", "random", "subject", "session", "file", "trial")  # of `split.by`, besides columns
MANY = 0.05  # of the windows left out: said
UNEQUAL = 0.05  # of the length: trials that differ by more are of unequal length


@dataclass(frozen=True, eq=False)
class SplitWindows:
    """Windows of a configuration that is decided, how they are split, and what was found on the split.

    `splits` are the folds, or one split; `items` the hashes of the windows, once they were made; `notes` say what was
    done to bring files and trials together, `spans` where each of them lies.
    """

    config: Config
    windows: Windows
    splits: tuple[Split, ...]
    leakage: Leakage
    items: Items | None = None
    notes: tuple[str, ...] = ()
    spans: Spans | None = None

    def hashed(self, items: Items) -> "SplitWindows":
        """Return this with the hashes of the windows, and what may leak with the windows that are equal."""
        return replace(self, leakage=find_leakage(self.windows, self.splits, items.samples), items=items)

    def to_dict(self) -> dict[str, Any]:
        """Return what `split.json` holds."""
        splits = [split.to_dict() for split in self.splits]
        items = {} if self.items is None else {"items": self.items.to_dict()}
        return {**(splits[0] if len(splits) == 1 else {"folds": splits}), **items, "leakage": self.leakage.to_dict()}

    @property
    def split(self) -> Split:
        """The split, or that of the first fold."""
        return self.splits[0]

    @property
    def smallest_gap(self) -> float:
        """The smallest distance in seconds between windows of different parts in one file."""
        return self.leakage.nearest

    @property
    def independence(self) -> str:
        """What is kept whole, how many of it there are, and in how many folds."""
        folds = f", {len(self.splits)} folds" if len(self.splits) > 1 else ""
        return f"{self.split.independence()}{folds}"

    @property
    def class_counts(self) -> dict[str, dict[str, int]]:
        """How many windows of each class each part has, by name of the part."""
        if self.windows.labels is None:
            return {}
        return {name: class_counts(self.windows, indices) for name, indices in self.parts.items()}

    @property
    def parts(self) -> dict[str, NDArray[np.int64]]:
        """Indices of the windows of each part by its name: those of all folds, each named with its fold."""
        if len(self.splits) == 1:
            return self.split.parts
        folds = enumerate(self.splits, start=1)
        return {f"{name}, fold {k}": indices for k, split in folds for name, indices in split.parts.items()}

    @property
    def dropped(self) -> dict[str, int]:
        """How many windows were left out, by reason; of several folds, as many as in all of them together."""
        between = sum(sum(split.dropped.values()) for split in self.splits)
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
    """Cut the windows of a resolved configuration, and split them by what is independent."""
    asked = config.split
    windows = cut_windows(config, loaded)
    settings: dict[str, Any] = asked.model_dump(include={"fractions", "gap", "n_blocks", "allow_leakage"})
    splits: tuple[Split, ...]
    if asked.folds is None:
        splits = (split_by(windows, asked.by, **settings, seed=config.seed),)
    else:
        splits = folds_by(windows, asked.by, n_folds=asked.folds, **settings, seed=config.seed)
    for split in splits:
        split.check(windows)
    notes = (*loaded.notes, *_length_notes(config, loaded, windows), *_augment_notes(config))
    return SplitWindows(config, windows, splits, find_leakage(windows, splits), notes=notes, spans=loaded.spans)


def cut_windows(config: Config, loaded: Loaded) -> Windows:
    """Cut the windows of a resolved configuration; each knows its file, session, subject and trial where they do."""
    windows = get_task(config.task).windows(config, loaded)
    known = {} if loaded.spans is None else loaded.spans.of(windows.starts)
    units = _units_of_events({**known, **windows.units}, windows, loaded)
    return _with_column(windows.changed(units=units), loaded, config.split.by)


def _units_of_events(known: dict[str, NDArray[Any]], windows: Windows, loaded: Loaded) -> dict[str, NDArray[Any]]:
    """Return the units with the sessions and subjects that the events table tells, where it has such a column."""
    if loaded.events is None or windows.events is None:
        return known
    for unit in ("session", "subject"):
        column = next((name for name in (unit, f"{unit}_id") if name in loaded.events.variables), None)
        if column is not None:
            told = np.array([str(value) for value in loaded.events[column].values[windows.events]])
            # sessions are numbered anew in each file; a subject has one name in all
            inside = known.get("file") if unit == "session" else None
            names = told if inside is None else [f"{value} of {file}" for value, file in zip(told, inside, strict=True)]
            known = {**known, unit: np.array(names)}
    return known


def _with_column(windows: Windows, loaded: Loaded, by: str) -> Windows:
    """Return windows that know a column of the events table as a unit, if that is what they are split by."""
    if by in UNITS or by in windows.units:
        return windows
    if loaded.events is None or windows.events is None or by not in loaded.events.variables:
        columns = [] if loaded.events is None or windows.events is None else map(str, loaded.events.variables)
        known = ", ".join(sorted({*UNITS, *windows.units, *columns}))
        raise ConfigError(f"split.by: expected one of {known}, got {by!r}")
    return windows.changed(units={**windows.units, by: loaded.events[by].values[windows.events]})


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


def _augment_notes(config: Config) -> tuple[str, ...]:
    """Return in words how train windows are changed while the net learns."""
    asked = config.augment
    found = [
        f"shifted by up to {asked.shift:g} s" if asked.shift else "",
        f"without each channel with probability {asked.channel_dropout:g}" if asked.channel_dropout else "",
        f"with {asked.noise:g} times the noise of the recording added" if asked.noise else "",
    ]
    said = ", ".join(filter(None, found))
    kept = "; where all channels were to go, one stays" if asked.channel_dropout else ""
    return (f"train windows are changed anew in each pass: {said}{kept}",) if said else ()


def trial_notes(config: Config, seconds: NDArray[np.float64], windows: Windows) -> list[str]:
    """Return how many trials are padded or cropped, where their lengths differ by more than a twentieth."""
    known, window = seconds[np.isfinite(seconds)], windows.length / windows.rate
    if not len(known) or max(np.ptp(known), known.max() - window) <= UNEQUAL * np.median(known):
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
        Units that the windows were dealt in, and the smallest distance between parts of a file [s].
    parameters
        Number of weights to train.
    memory
        Estimated bytes: the recording, the weights in training, the activations of a batch.
    batch
        Shape and unit of one batch.
    independence
        What is kept whole, and how many of it there are, in words.
    leakage
        Units in two parts, and the nearest windows of different parts.
    notes
        What was done to bring files and trials together.
    reading
        Where samples are held, and who reads them, in words.
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
    independence: str = ""
    leakage: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reading: str = ""

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
    train = WindowDataset(windows, split.train)
    x, y = train.batch(range(n))
    units = str(windows.recording.attrs.get("units", ""))
    return DryRun(
        config=config,
        recording=describe_recording(windows),
        windows={part: len(indices) for part, indices in cut.parts.items()},
        class_counts=cut.class_counts,
        dropped=cut.dropped,
        n_blocks=len(split.blocks),
        gap=cut.smallest_gap,
        independence=cut.independence,
        leakage=cut.leakage.to_dict(),
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
        reading=_reading(config, train),
    )


def _reading(config: Config, train: WindowDataset) -> str:
    """Return in words where samples are held, and who reads them."""
    in_memory = train.blocks is None
    workers = choose_workers(config.train.workers, in_memory=in_memory, local_size=local_size())
    by = f"{workers} worker{'' if workers == 1 else 's'}" if workers else "a thread"
    if train.blocks is None:
        return f"all samples are held in memory; {by} reads ahead" if workers else "all samples are held in memory"
    n_blocks, held = int(train.blocks.number.max()) + 1, train.blocks.at_once
    found = f"train windows are read from the file in {n_blocks} blocks, {held} at a time, ahead of the net by {by}"
    windows, memory = train.windows, train.windows.table_of_samples.memory
    n_bytes = FLOAT * windows.n_channels * windows.span * train_config(config).batch(len(train))
    return f"{found}; a batch alone takes {n_bytes} bytes, more than data.memory" if n_bytes > memory else found


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
