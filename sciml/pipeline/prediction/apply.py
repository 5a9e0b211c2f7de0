"""Applying a trained run to a recording, and keeping what it says."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml import files
from sciml.data import Windows, sliding_windows
from sciml.errors import DataError, ScimlWarning
from sciml.io import describe, open_recording, read_events
from sciml.pipeline.config import Config
from sciml.pipeline.evaluation import model_outputs
from sciml.pipeline.model import Restored, restore
from sciml.pipeline.prediction.training_overlap import windows_in_training
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.tasks.base import get_task
from sciml.recording import sampling_rate
from sciml.wording import percent

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a run says of a recording.

    Attributes
    ----------
    dataset
        Dim `window` with coordinate `time`, the start of each window [s]. To classify: `logits` and `probabilities`
        (window, class), float64, and `predicted`, the name of the class; `label` where the recording's events have
        one. To forecast: `forecast` (window, channel, ahead) in the recording's units, `ahead` in seconds after the
        window. `in_training` says which windows overlap one that the net was trained, or its epoch chosen, on.
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
        return {"path": path, "windows": n, "in_training": self.n_in_training, "accuracy": self.accuracy}

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
        return f"{self.dataset.sizes['window']} windows{used}{scored}"

    def __repr__(self) -> str:
        return f"Prediction({self.summary()})"


def predict(
    run: str | Path,
    file: str | Path,
    out: str | Path | None = None,
    *,
    signal: str | None = None,
    step: float | None = None,
    overwrite: bool = False,
) -> Prediction:
    """Apply the trained model of a run to a recording, windowed as in training.

    A classifier is applied at the events of the recording if it has the table that the run was trained with, else (or
    with a `step`) to windows one after the other; a forecaster always to windows one after the other.

    Parameters
    ----------
    run
        The run directory.
    file
        A recording of the same channels, unit and sampling rate.
    out
        netCDF file to write.
    signal
        Path of the signal in the file; default the one that the run was trained on.
    step
        Seconds from window to window.
    overwrite
        Replace `out`.

    Raises
    ------
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
    folder = RunFolder(Path(run))
    config = folder.config()
    target = None if out is None else files.check_target(out, overwrite=overwrite)
    if not folder.finished:
        warnings.warn(f"{folder.path} is not finished; its best epoch so far is used", ScimlWarning, stacklevel=2)
    model = restore(folder.path)
    recording = open_recording(file, config.data.signal if signal is None else signal)
    model.preprocess.check(recording)
    windows, indices, labels = _windows(config, recording, Path(file), step)
    outputs = model_outputs(model.model, windows, indices)
    found = get_task(model.task).predict(
        outputs, windows, preprocess=model.preprocess, classes=model.classes, labels=labels
    )
    times = windows.times[indices]
    found = found.assign_coords(time=("window", times, {"units": "s", "long_name": "start of the window"}))
    used = windows_in_training(folder, config, recording, Path(file), times, windows.span / windows.rate)
    if used.any():
        warnings.warn(_overlap_words(used, scored="label" in found), ScimlWarning, stacklevel=2)
    found = found.assign_coords(in_training=("window", used))
    found = found.assign_attrs(_provenance(recording, folder, model, windows))
    if target is not None:
        with files.replacing(target, overwrite=overwrite) as part:
            found.to_netcdf(part, engine="h5netcdf")
    return Prediction(found, target, _accuracy(found))


def _windows(
    config: Config, recording: xr.DataArray, file: Path, step: float | None
) -> tuple[Windows, NDArray[np.int64], NDArray[Any] | None]:
    """Return windows, which of them to look at, and their labels where they have some."""
    length = config.windows.length or 0.0
    table, column = get_task(config.task).labels(config)
    has_events = bool(table) and any(f"/{found.name}".endswith(f"/{table}") for found in describe(file).tables)
    if step is not None or not has_events:
        every = step or config.windows.step or length
        windows = sliding_windows(recording, length=length, step=every)
        return windows, np.arange(len(windows)), None
    events = read_events(file, table)
    # every window that the recording allows, of which those that begin at events are looked at
    windows = sliding_windows(recording, length=length, step=1.0 / sampling_rate(recording))
    wanted = np.asarray(events["start_time"].values, dtype=np.float64) - config.windows.before
    nearest, near = _nearest(windows, wanted)
    if not near.any():
        raise DataError(f"{file}: none of the {len(near)} events of {table} lies within the recording")
    if not near.all():
        missing = int((~near).sum())
        text = f"{missing} of {len(near)} events have no whole window (gaps, masks, the ends) and were left out"
        warnings.warn(text, ScimlWarning, stacklevel=3)
    labels = events[column].values[near] if column in events.variables else None
    return windows, nearest[near], labels


def _nearest(windows: Windows, wanted: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the window that starts nearest to each time, and whether it is within half a sample."""
    times = windows.times
    right = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    right = np.minimum(right, len(times) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(wanted - times[left] <= times[right] - wanted, left, right)
    return nearest, np.abs(wanted - times[nearest]) <= 0.75 / windows.rate


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
