"""The net of a run as it travels: preprocessing first, then the net, and what a prediction needs to know."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sciml._names import is_import_path
from sciml.data import Preprocess, Windows
from sciml.errors import CheckpointError, ConfigError
from sciml.nn import models
from sciml.nn.init import InitReport
from sciml.pipeline.config import Config, check_named, to_toml
from sciml.pipeline.export import ExportedRun, run_at
from sciml.pipeline.export.state import load_exported
from sciml.pipeline.tasks.base import get_task
from sciml.train import checkpoint

__all__ = [
    "Restored",
    "build_net",
    "inference_state",
    "inputs",
    "is_checkpoint",
    "load_weights",
    "n_parameters",
    "restore",
]

FORMAT = 1


def build_net(config: Config, windows: Windows) -> nn.Module:
    """Return the net for these windows, its weights drawn by torch from the run's seed."""
    options = config.model.options or {}
    if decided := sorted({"name", "n_channels", "n_times", "n_outputs"} & set(options)):
        raise ConfigError(f"model.options: {', '.join(decided)} follow from the data and the task; leave them out")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return models.build(
            config.model.name,
            n_channels=inputs(config, windows),
            n_times=windows.length,
            n_outputs=get_task(config.task).output_shape(windows),
            **options,
        )


def inputs(config: Config, windows: Windows) -> int:
    """Return the channels that a net is given: those of the windows, and of the mask of what is missing."""
    return windows.n_channels * (2 if config.data.missing == "mask" else 1)


def n_parameters(net: nn.Module) -> int:
    """Return the number of weights to train."""
    return sum(each.numel() for each in net.parameters() if each.requires_grad)


def inference_state(
    config: Config, windows: Windows, preprocess: Preprocess, net: nn.Module, began: InitReport
) -> dict[str, Any]:
    """Return what goes into each checkpoint beside the weights: what a prediction needs to know, and how it began."""
    return {
        "run_format": FORMAT,
        "task": config.task,
        "config": to_toml(config),
        "net": dict(net.spec),  # type: ignore[arg-type]
        "preprocess": preprocess.to_state(),
        "classes": list(windows.classes),
        "horizon": windows.horizon,
        "initialization": began.to_dict(),
    }


@dataclass(frozen=True, eq=False)
class Restored:
    """A trained model as a checkpoint holds it, in eval mode on the CPU.

    `n_times` are the samples of its longest window, `initialization` is the report of how it began.
    """

    model: nn.Module
    preprocess: Preprocess
    task: str
    classes: tuple[str, ...]
    epoch: int
    path: Path
    n_times: int
    initialization: Mapping[str, Any]


def restore(run: Path, *, net: str | None = None) -> Restored:
    """Return the model of a run with the weights of its best epoch; of a run with folds, that of the first.

    Parameters
    ----------
    run
        The run directory, or a folder that `export_run` wrote.
    net
        Import path of the net, where the run was trained with one of the user's own: see `check_named`.

    Raises
    ------
    ConfigError
        A net of the user's own that is not named, or cannot be built.
    CheckpointError
        No run, no whole checkpoint, or one that was not written by a run.
    """
    found = _best(run)
    with checkpoint.understood(found.path):
        spec = _spec(found)
    check_named(spec["name"], net, run=run)
    own = models.build(**spec) if is_import_path(spec["name"]) else None  # what it raises is the user's to know
    with checkpoint.understood(found.path):
        return _restored(found, models.build(**spec) if own is None else own)


def _best(run: Path) -> checkpoint.Checkpoint:
    """Return the best epoch of a run, or of what was exported of one."""
    folder = run_at(run)
    return load_exported(folder) if isinstance(folder, ExportedRun) else checkpoint.load_best(folder.checkpoints())


def _spec(found: checkpoint.Checkpoint) -> dict[str, Any]:
    """Return by what the net of a checkpoint is built, after checking that a run wrote it."""
    checkpoint.check_kinds(found.state, {"epoch": int, "model": dict, "extra": dict})
    extra = found.state.get("extra", {})
    if extra.get("run_format") != FORMAT:
        raise CheckpointError(
            f"expected a checkpoint of a run (format {FORMAT}) at {found.path}, got format {extra.get('run_format')}; "
            "train it again with this version"
        )
    checkpoint.check_kinds(extra, {"task": str, "net": dict, "preprocess": dict, "classes": list})
    checkpoint.check_kinds(extra["net"], {"name": str})
    return dict(extra["net"])


def _restored(found: checkpoint.Checkpoint, net: nn.Module) -> Restored:
    extra = found.state["extra"]
    preprocess = Preprocess.from_state(extra["preprocess"])
    model = get_task(extra["task"]).assemble(preprocess, net)
    try:
        model.load_state_dict(found.state["model"])
    except RuntimeError as error:
        raise CheckpointError(f"{found.path} does not fit the net that it names: {error}") from error
    model.eval()
    return Restored(
        model,
        preprocess,
        extra["task"],
        tuple(extra["classes"]),
        found.state["epoch"],
        found.path,
        int(extra["net"]["n_times"]),
        extra.get("initialization") or {},
    )


def load_weights(target: str | Path) -> dict[str, torch.Tensor]:
    """Return the weights of a net by name: of a run directory (best epoch, first fold), or of a checkpoint file.

    Files may be checkpoints of sciml, safetensors, or what `torch.save(net.state_dict(), path)` writes.

    Raises
    ------
    CheckpointError
        Nothing there, or nothing that holds weights.
    """
    path = Path(target)
    if path.is_dir():
        found = _best(path)
        with checkpoint.understood(found.path):
            return _tensors(found.state["model"], path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return _tensors(load_file(path), path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}") from error
    state = checkpoint.load(path) if is_checkpoint(path) else _plain_torch(path)
    return _tensors(next((state[key] for key in ("model", "state_dict") if key in state), state), path)


def is_checkpoint(path: Path) -> bool:
    """Return whether sciml wrote the file, whose hash is then checked; torch would load a damaged one."""
    return path.is_file() and b"sciml-checkpoint" in path.read_bytes()[-128:]


def _plain_torch(path: Path) -> dict[str, Any]:
    try:
        state = checkpoint.read_torch(path, path)
    except FileNotFoundError:
        raise CheckpointError(f"expected a run directory or a checkpoint at {path}, found nothing") from None
    return dict(state) if isinstance(state, Mapping) else {}


def _tensors(state: Any, path: Path) -> dict[str, torch.Tensor]:
    items = state.items() if isinstance(state, Mapping) else ()
    found = {str(key): value for key, value in items if isinstance(value, torch.Tensor)}
    if not found:
        raise CheckpointError(f"expected the weights of a net in {path}, got none; give a state dict")
    return found
