"""Where a prediction looks: the windows of a recording at its events, or one after the other, unread."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.data import Windows
from sciml.data.cutting import TrialLength, windows_at, windows_every
from sciml.data.samples import unread_samples
from sciml.errors import DataError, ScimlWarning
from sciml.io import describe
from sciml.pipeline.config import Config
from sciml.pipeline.evaluation import outputs_of, rows_at_once
from sciml.pipeline.load import Loaded, load
from sciml.pipeline.load.pieces import SWEEPS
from sciml.pipeline.model import Restored
from sciml.pipeline.tasks.base import get_task

__all__ = ["Looked", "labels_of", "look", "open_for", "warn_of_left_out", "windows_of"]


@dataclass(frozen=True, eq=False)
class Looked:
    """What a net said of windows (n, ...), and which of them lie beyond those it was trained on, (n,)."""

    windows: Windows
    outputs: NDArray[np.float64]
    beyond: NDArray[np.bool_]


def open_for(config: Config, file: Path, *, at_events: bool, by_position: bool = False) -> Loaded:
    """Open a file as a run opened its own, and the table of events that it was trained with if the file has it."""
    table, column = get_task(config.task).labels(config)
    known = table and at_events and not file.is_dir()
    known = known and (table == SWEEPS or any(f"/{one.name}".endswith(f"/{table}") for one in describe(file).tables))
    # what is to be told need not be known where a net tells it
    data = config.data.model_copy(update={"files": (str(file),), "target": None, "target_files": ()})
    data = data.model_copy(update={"channels": "position"}) if by_position else data
    return load(config.model_copy(update={"data": data}), table if known else "", column)


def windows_of(config: Config, loaded: Loaded, n_times: int, step: float | None) -> Windows:
    """Return the windows to look at; of those at events, and of those that do not overlap, nothing is read yet.

    Parameters
    ----------
    n_times
        Samples of the longest window that was trained on: what is shorter is padded to it.
    step
        Seconds from window to window; None for those at events.
    """
    recording, asked, missing = loaded.recording, config.windows, config.data.missing
    samples = unread_samples(recording)
    length = n_times / samples.rate  # as many samples as in training, whose rate may differ in its last digits
    if step is None and loaded.events is not None:
        wanted: float | TrialLength = "trial" if asked.length == "trial" else length
        windows = windows_at(samples, loaded.events, before=asked.before, length=wanted, missing=missing)
        return _padded(windows, n_times) if asked.length == "trial" else windows
    every = step or asked.step or length
    overlapping = round(every * samples.rate) < round(length * samples.rate)
    samples = loaded.samples(missing) if overlapping else samples
    return windows_every(samples, length=length, step=every, missing=missing)


def look(model: Restored, windows: Windows, missing: str) -> Looked:
    """Apply a net to windows, each read once; those with missing samples are left out, or masked."""
    outputs, beyond, kept = [], [], []
    for part, X, usable in _batches(windows, missing):
        said = outputs_of(model.model, X, rows_at_once(windows))
        kept.append(part[usable])
        outputs.append(said[usable])
        reach = model.preprocess.range
        z = model.preprocess.standardize(X[usable])
        beyond.append(np.zeros(len(z), np.bool_) if reach is None else reach.beyond(z))
    chosen = np.concatenate(kept)
    if not len(chosen):
        raise DataError(
            f"expected windows without missing samples, got none of {len(windows)}; "
            "train with data.missing = 'mask' to predict there too"
        )
    return Looked(windows.chosen(chosen), np.concatenate(outputs), np.concatenate(beyond))


def _batches(
    windows: Windows, missing: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]]:
    """Yield numbers and samples of windows, and which of them have what is needed."""
    rows, times = rows_at_once(windows), np.arange(windows.span)
    for start in range(0, len(windows), rows):
        part = np.arange(start, min(start + rows, len(windows)), dtype=np.int64)
        X = windows.arrays(part)[0]
        gone = np.isnan(X)
        if missing == "mask":
            lacking = gone.all(axis=(1, 2))
        else:
            lacking = (gone.any(axis=1) & (times < windows.spans[part, None])).any(axis=1)
        yield part, X, np.asarray(~lacking, dtype=np.bool_)


def _padded(windows: Windows, n_times: int) -> Windows:
    """Return windows that are at least as long as those of training, padded at their end."""
    lengths = windows.spans
    length = max(n_times, int(lengths.max()))
    return windows.changed(length=length, lengths=lengths if (lengths < length).any() else None)


def labels_of(windows: Windows, events: xr.Dataset | None, column: str) -> NDArray[Any] | None:
    """Return what the events tell of the windows at them; None where they tell nothing."""
    if events is None or windows.events is None or column not in events.variables:
        return None
    return np.asarray(events[column].values[windows.events])


def warn_of_left_out(n_wanted: int, n_found: int, what: str) -> None:
    """Say how many events or windows have no whole window."""
    if n_found < n_wanted:
        text = f"{n_wanted - n_found} of {n_wanted} {what} have no whole window (gaps, masks, the ends), were left out"
        warnings.warn(text, ScimlWarning, stacklevel=4)
