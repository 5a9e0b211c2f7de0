"""Applying a trained run to a recording, and keeping what it says."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml import files
from sciml.data import Windows
from sciml.data.training_range import RULE
from sciml.errors import ScimlWarning
from sciml.pipeline.config import Config
from sciml.pipeline.export import run_at
from sciml.pipeline.load import Loaded
from sciml.pipeline.model import Restored, restore
from sciml.pipeline.prediction.windows import (
    Looked,
    labels_of,
    look,
    open_for,
    warn_of_left_out,
    windows_of,
)
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.tasks.base import get_task
from sciml.pipeline.training_overlap import windows_in_training
from sciml.wording import percent

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a run says of a recording.

    Attributes
    ----------
    dataset
        Dim `window` with coordinate `time`, the start of each window [s]. To classify: `logits` and calibrated
        `probabilities` (window, class), float64, `predicted`, the name of the class, and `in_set`, the classes of a set
        that holds the true one with the `confidence` of its attributes; `label` where the recording's events have one.
        To regress: `predicted_value`, `predicted_low` and `predicted_high` (window, output), and `measured_value`.
        To forecast: `forecast` (window, channel, ahead) in the recording's units, `ahead` in seconds after the
        window. `in_training` says which windows overlap one that the net was trained, or its epoch chosen, on;
        `beyond_training` which lie beyond the range of those (its attribute `rule` says how that is told).
    path
        The file it was written to, if it was.
    accuracy
        Fraction of labeled windows that were recognized, of those not `in_training`; None where there are none.
    """

    dataset: xr.Dataset
    path: Path | None = None
    accuracy: float | None = None

    def to_dataset(self) -> xr.Dataset:
        """Return `dataset`."""
        return self.dataset

    def to_dict(self) -> dict[str, Any]:
        """Return file, number of windows, how many of them the net was trained on, and accuracy as plain values."""
        path = None if self.path is None else str(self.path)
        n = self.dataset.sizes["window"]
        return {
            "path": path,
            "windows": n,
            "in_training": self.n_in_training,
            "beyond_training": self.n_beyond_training,
            "accuracy": self.accuracy,
        }

    @property
    def n_beyond_training(self) -> int:
        """How many windows lie beyond the range of those that the net was trained on."""
        return int(self.dataset["beyond_training"].sum()) if "beyond_training" in self.dataset else 0

    @property
    def n_in_training(self) -> int:
        """How many windows overlap one that the net was trained, or its epoch chosen, on."""
        return int(self.dataset["in_training"].sum()) if "in_training" in self.dataset else 0

    def summary(self) -> str:
        """Return number of windows and accuracy in one line."""
        rest = self.dataset.sizes["window"] - self.n_in_training
        others = f" of the other {rest}" if self.n_in_training else ""
        scored = (
            "" if self.accuracy is None else f", accuracy {percent(self.accuracy)}{others} by the labels in the file"
        )
        used = f", {self.n_in_training} of which overlap those of its training" if self.n_in_training else ""
        far = f", {self.n_beyond_training} beyond the range of its training" if self.n_beyond_training else ""
        return f"{self.dataset.sizes['window']} windows{used}{far}{scored}"

    def __repr__(self) -> str:
        return f"Prediction({self.summary()})"


def predict(
    run: str | Path,
    file: str | Path,
    out: str | Path | None = None,
    *,
    signal: str | None = None,
    step: float | None = None,
    reorder: bool = False,
    assume_channels: bool = False,
    net: str | None = None,
    overwrite: bool = False,
) -> Prediction:
    """Apply the trained model of a run to a recording, windowed as in training.

    Of a run with folds the net of the first is applied.
    A classifier is applied at the events of the recording if it has the table that the run was trained with, else (or
    with a `step`) to windows one after the other; a forecaster always to windows one after the other. Only the samples
    of windows are read. A window gives the same bits whichever others are looked at.

    Parameters
    ----------
    run
        The run directory, or a folder that `export_run` wrote of one.
    file
        A recording of the same channels, unit and sampling rate.
    out
        netCDF file to write.
    signal
        Path of the signal in the file; default the one that the run was trained on.
    step
        Seconds from window to window.
    reorder
        Bring the channels of the file by their names into the order of training, and leave out others.
    assume_channels
        Take the channels to be those of training in their order, though they have no names, or others.
    net
        Import path of the net, where the run was trained with one of your own: no code is imported because a run names
        it.
    overwrite
        Replace `out`.

    Raises
    ------
    ConfigError
        A net of your own that is not named.
    CheckpointError
        No run, or no whole checkpoint in it.
    DataError
        A recording that differs from those trained on, or has no window.
    StorageError
        `out` exists or cannot be written.

    Examples
    --------
    >>> predict("nowhere", "recording.nwb")
    Traceback (most recent call last):
    sciml.errors.CheckpointError: expected a run directory with a config.toml at nowhere, got: ...
    """
    folder = run_at(run)
    config = folder.config()
    target = None if out is None else files.check_target(out, overwrite=overwrite)
    if not folder.finished:
        warnings.warn(f"{folder.path} is not finished; its best epoch so far is used", ScimlWarning, stacklevel=2)
    model = restore(folder.path, net=net)
    if signal is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"signal": signal})})
    loaded = open_for(config, Path(file), at_events=step is None, by_position=assume_channels)
    for text in _doubts(folder, config, Path(file), str(loaded.recording.attrs.get("sha256", ""))):
        warnings.warn(text, ScimlWarning, stacklevel=2)
    fit = model.preprocess.fit_to if reorder else model.preprocess.checked
    loaded = replace(loaded, recording=fit(loaded.recording, assume_channels=assume_channels))
    windows = windows_of(config, loaded, model.n_times, step)
    looked = look(model, windows, config.data.missing)
    wanted = len(windows) + sum(windows.dropped.values())
    warn_of_left_out(wanted, len(looked.windows), "windows" if windows.events is None else "events")
    found = _dataset(looked, loaded, config, model, folder)
    found = found.assign_attrs(_provenance(loaded.recording, folder, model, windows))
    if target is not None:
        with files.replacing(target, overwrite=overwrite) as part:
            found.to_netcdf(part, engine="h5netcdf")
    return Prediction(found, target, _accuracy(found))


def _doubts(folder: RunFolder, config: Config, file: Path, digest: str) -> Iterator[str]:
    """Yield what to know of the run before its outputs are used; a split that was changed is refused."""
    if config.split.folds is not None:
        yield f"{folder.path} has {config.split.folds} folds; the net of the first is applied"
    for alarm in folder.alarms():
        yield f"the scores of {folder.path} are doubtful: {alarm}"
    if folder.changed(file, digest):
        yield f"{file} is not as it was when {folder.path} was trained; where its samples are, windows are still known"


def _dataset(looked: Looked, loaded: Loaded, config: Config, model: Restored, folder: RunFolder) -> xr.Dataset:
    """Return what the net said, when, and how far it can be trusted there."""
    task, windows = get_task(model.task), looked.windows
    found = task.predict(
        looked.outputs,
        windows,
        preprocess=model.preprocess,
        classes=model.classes,
        labels=labels_of(windows, loaded.events, task.labels(config)[1]),
        fitted=_fitted(folder),
    )
    assert loaded.spans is not None  # noqa: S101 - opened from files
    used = windows_in_training(folder, windows, loaded.spans)
    if used.any():
        warnings.warn(_overlap_words(used, scored="label" in found), ScimlWarning, stacklevel=3)
    return found.assign_coords(
        time=("window", windows.times, {"units": "s", "long_name": "start of the window"}),
        in_training=("window", used),
        beyond_training=("window", looked.beyond, {"long_name": "beyond the training range", "rule": RULE}),
    )


def _fitted(folder: RunFolder) -> dict[str, Any]:
    """Return what a finished run fitted to its validation part, to say how sure its (first) model is."""
    numbers = folder.metrics() if folder.finished else {}
    folds = [numbers.get(name, {}).get("folds", [{}])[0] for name in ("calibration", "intervals")]
    return {name: value for fold in folds for name, value in fold.items()}


def _overlap_words(used: NDArray[np.bool_], *, scored: bool) -> str:
    rest = int((~used).sum())
    others = f"only the other {rest} are scored" if rest else "no other is left to score it on"
    return (
        f"{int(used.sum())} of {len(used)} windows overlap ones that the net was trained, or its epoch chosen, on; "
        f"{others if scored else 'its outputs there are no test of it'}"
    )


def _accuracy(found: xr.Dataset) -> float | None:
    if "label" not in found:
        return None
    known = np.isin(found["label"].values, found["class"].values) & ~found["in_training"].values
    return float(np.mean(found["label"].values[known] == found["predicted"].values[known])) if known.any() else None


def _provenance(recording: xr.DataArray, folder: RunFolder, model: Restored, windows: Windows) -> dict[str, Any]:
    kept = {name: str(recording.attrs.get(name, "")) for name in ("source", "signal", "sha256")}
    made = {"run": folder.path.name, "checkpoint": model.path.name, "epoch": model.epoch}
    return {**kept, **made, "task": model.task, "window_length": windows.length / windows.rate, "window_units": "s"}
