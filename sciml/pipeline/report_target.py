"""Reports on what is on the disk: a recording, a run directory, a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sciml.errors import DataError
from sciml.io import open_recording
from sciml.pipeline.run_folder import RunFolder

if TYPE_CHECKING:
    from sciml.noise import Model
    from sciml.report import Report

__all__ = ["report_on"]

CHECKPOINTS = (".pt", ".pth", ".ckpt", ".safetensors")


def report_on(
    target: str | Path, *, signal: str | None = None, model: Model | str = "auto", alpha: float = 0.05
) -> Report:
    """Return the report of a recording file, of the weights of a run directory, or of a checkpoint file.

    Parameters
    ----------
    target
        A path; a checkpoint is recognized by its ending (.pt, .pth, .ckpt, .safetensors).
    signal, model
        For recordings: the signal in the file, the kind of noise.
    alpha
        Level of the noise floor, or of the test of outliers.

    Raises
    ------
    DataError
        Nothing there, or a recording that cannot be read.
    CheckpointError
        A run or checkpoint without weights.

    Examples
    --------
    >>> report_on("nowhere.nwb")
    Traceback (most recent call last):
    sciml.errors.DataError: expected a recording, a run directory or a checkpoint at nowhere.nwb, found nothing; ...
    """
    path = Path(target)
    if not path.exists():
        raise DataError(
            f"expected a recording, a run directory or a checkpoint at {path}, found nothing; check the path"
        )
    if path.is_dir() or path.suffix in CHECKPOINTS:
        return _weights(path, alpha)
    recording = open_recording(path, signal)
    from sciml.report import report  # figures: only once the recording is here

    return report(recording, model=model, alpha=alpha)


def _weights(path: Path, alpha: float) -> Report:
    from sciml.pipeline.model import load_weights  # torch: only once a net is here
    from sciml.report import report

    config = RunFolder(path).config().model_dump(mode="json", exclude_none=True) if path.is_dir() else {}
    return report(load_weights(path), title=f"Weights of {path.name}", alpha=alpha, config=config)
