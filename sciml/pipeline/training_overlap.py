"""Which windows of a recording a net was trained on: those say nothing of how it does on others."""

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.data import Split, Windows
from sciml.errors import ScimlError
from sciml.io import read_events
from sciml.pipeline.config import Config
from sciml.pipeline.load import Loaded
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.tasks.base import get_task

__all__ = ["windows_in_training"]


def windows_in_training(
    folder: RunFolder, config: Config, recording: xr.DataArray, file: Path, starts: NDArray[np.float64], span: float
) -> NDArray[np.bool_]:
    """Return which windows [start, start + span) s overlap one that the net was trained, or its epoch chosen, on.

    A recording is known by the digest of its values, wherever its file lies. Of several files that were laid one after
    the other only their digests are known, not where each was laid: all windows of such a file count as trained on.
    """
    trained_on = str(folder.status().get("data", {}).get("sha256", "")).split()
    digest = str(recording.attrs.get("sha256", ""))
    if not digest or digest not in trained_on:
        return np.zeros(len(starts), np.bool_)
    if len(trained_on) > 1:
        return np.ones(len(starts), np.bool_)
    try:
        windows, splits = _trained(folder, config, recording, file)
    except (ScimlError, OSError, ValueError, KeyError):  # which ones cannot be told
        return np.ones(len(starts), np.bool_)
    used = np.concatenate([part for split in splits for part in (split.train, split.validation)])
    return _overlapping(starts, span, windows.times[used], windows.span / windows.rate)


def _trained(
    folder: RunFolder, config: Config, recording: xr.DataArray, file: Path
) -> tuple[Windows, tuple[Split, ...]]:
    """Return the windows of the run, cut anew, and how they were split."""
    task = get_task(config.task)
    table, label = task.labels(config)
    events = read_events(file, table) if table else None
    windows, splits = task.windows(config, Loaded(recording, events, label)), folder.splits()
    for split in splits:
        split.check(windows)
    return windows, splits


def _overlapping(
    starts: NDArray[np.float64], span: float, others: NDArray[np.float64], other_span: float
) -> NDArray[np.bool_]:
    """Return which intervals [start, start + span) overlap one of [other, other + other_span)."""
    others = np.sort(others)
    last = np.searchsorted(others, starts + span) - 1  # the last that begins before the end
    return np.asarray((last >= 0) & (others[np.maximum(last, 0)] + other_span > starts))
