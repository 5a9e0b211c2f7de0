"""Writing what `predict` needs of a run, and no object of Python."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sciml import files
from sciml._printable import json_text
from sciml.errors import CheckpointError, StorageError
from sciml.pipeline.config import Config
from sciml.pipeline.export.folder import DOCUMENT, SCHEMA, WEIGHTS, digest, is_export
from sciml.pipeline.export.state import MODEL, PREPROCESSING, RUN_FORMAT, separated
from sciml.pipeline.run_folder import RunFolder
from sciml.report.document.plain import plain
from sciml.train import checkpoint

__all__ = ["Exported", "export_run"]

SCORED = ("metric", "net", "baselines", "calibration", "intervals")  # of the metrics of a run
LIBRARIES = ("sciml", "torch", "numpy", "safetensors")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    path
        The folder.
    document
        The content of its `model.json`.
    n_bytes
        Of both files.
    """

    path: Path
    document: Mapping[str, Any]
    n_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the folder, its size, and the document without configuration and start."""
        long = ("config", "initialization", "learned_from", "metrics", "schema")
        content = {key: value for key, value in self.document.items() if key not in long}
        return {"out": str(self.path), "n_bytes": self.n_bytes, **content}

    def summary(self) -> str:
        """Return in one line what the model is."""
        said = self.document
        unit = said["units"] or "no unit"
        classes = f", {len(said['classes'])} classes" if said["classes"] else ""
        return (
            f"{said['net']['name']}, epoch {said['epoch']}, to {said['task']} {said['net']['n_times']} samples of "
            f"{said['n_channels']} channels [{unit}] at {said['sampling_rate']:g} Hz{classes}"
        )


def export_run(run: str | Path, out: str | Path, *, overwrite: bool = False) -> Exported:
    """Write the model of a run as `model.safetensors` and `model.json`, which `predict` reads like the run.

    The document says what the model is for: task, net, unit, sampling rate, channels and classes; how it was made:
    configuration, digests of data and split, scores, versions; and the digest of the weights. Of a run with folds it is
    the net of the first. Nothing in either file is code or a pickled object.

    Parameters
    ----------
    run
        A run directory; its best epoch so far where it is not finished.
    out
        Folder to write, made if it is not there.
    overwrite
        Replace an export in `out`.

    Raises
    ------
    CheckpointError
        No run, or no whole checkpoint.
    StorageError
        `out` holds something, or cannot be written.

    Examples
    --------
    >>> export_run("nowhere", "out")
    Traceback (most recent call last):
    sciml.errors.CheckpointError: expected a run directory with a config.toml at nowhere, got: ...
    """
    folder, target = RunFolder(Path(run)), Path(out)
    config = folder.config()
    _check_target(target, overwrite=overwrite)
    found = checkpoint.load_best(folder.checkpoints())
    with checkpoint.understood(found.path):
        tensors, document = _contents(folder, config, found)
    return _written(target, tensors, document, overwrite=overwrite)


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.is_file():
        raise StorageError(f"{target} is a file; choose a folder to export to")
    if target.is_dir() and any(target.iterdir()):
        if not is_export(target):
            raise StorageError(f"{target} holds other things than an export; choose another folder")
        if not overwrite:
            raise StorageError(
                f"{target} exists; choose another folder, or replace it with overwrite=True (--overwrite)"
            )


def _contents(
    folder: RunFolder, config: Config, found: checkpoint.Checkpoint
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors of a model, and the document that goes with them."""
    extra = found.state["extra"]
    if extra.get("run_format") != RUN_FORMAT:
        raise CheckpointError(f"expected a checkpoint of a run at {found.path}; train it again with this version")
    tensors, preprocessing = separated(extra["preprocess"], PREPROCESSING)
    n_channels = len(tensors[f"{PREPROCESSING}mean"])
    tensors |= {f"{MODEL}{name}": each for name, each in found.state["model"].items()}
    document = {
        "task": extra["task"],
        "units": preprocessing.pop("units"),
        "sampling_rate": preprocessing.pop("sampling_rate"),
        "channels": preprocessing.pop("labels"),
        "n_channels": n_channels,
        "classes": extra["classes"],
        "horizon": extra["horizon"],
        "net": extra["net"],
        "preprocessing": preprocessing,
        "initialization": plain(extra["initialization"], flags={}),
        "epoch": found.state["epoch"],
        "step": found.step,
        "checkpoint": {"file": found.path.name, "sha256": checkpoint.file_sha256(found.path)},
        **_origin(folder, config),
    }
    return tensors, document


def _origin(folder: RunFolder, config: Config) -> dict[str, Any]:
    """Return how the run was made: from what, split how, with what scores, by which versions."""
    from sciml.report.sections.methods import versions

    names = {key: tuple(Path(each).name for each in getattr(config.data, key)) for key in ("files", "target_files")}
    told = config.model_copy(update={"data": config.data.model_copy(update=names)})
    scores = folder.metrics() if folder.finished else {}
    splits = folder.splits()
    known = versions(*LIBRARIES)
    return {
        "finished": folder.finished,
        "data": folder.status().get("data", {}),
        "split": {
            "by": config.split.by,
            "sha256": [split.sha256 for split in splits],
            "independence": splits[0].independence(),
            "alarms": list(folder.alarms()),
        },
        "learned_from": folder.intervals(),
        "metrics": {key: scores[key] for key in SCORED if key in scores},
        "config": told.model_dump(mode="json", exclude_none=True),
        "versions": {name: known[name] for name in ("python", *LIBRARIES)},
    }


def _written(
    target: Path, tensors: Mapping[str, torch.Tensor], document: dict[str, Any], *, overwrite: bool
) -> Exported:
    """Write both files; the document comes last, for it says that the export is whole."""
    from safetensors.torch import save

    content = save({name: each.detach().clone().contiguous() for name, each in tensors.items()})
    document = {
        "schema": SCHEMA,
        **document,
        "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(content).hexdigest(), "tensors": len(tensors)},
    }
    document["sha256"] = digest(document)
    text = f"{json_text(document, indent=1)}\n".encode()
    with files.said_of_disk(target):
        target.mkdir(parents=True, exist_ok=True)
        if overwrite:
            (target / DOCUMENT).unlink(missing_ok=True)
    files.write_bytes(target / WEIGHTS, content, overwrite=overwrite)
    files.write_bytes(target / DOCUMENT, text, overwrite=overwrite)
    return Exported(target, document, len(content) + len(text))
