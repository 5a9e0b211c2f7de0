"""Fit: a net on files, recordings or arrays, and its run directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciml.verbs import recordings
from sciml.verbs.recordings import Recording, is_path

if TYPE_CHECKING:
    from sciml.pipeline import RunResult

__all__ = ["fit"]


def fit(
    data: Recording | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    task: str = "classify",
    labels: str | None = None,
    target: str | None = None,
    signal: str | None = None,
    sampling_rate: float | None = None,
    overwrite: bool = False,
    settings: Sequence[str] = (),
) -> RunResult:
    """Learn from a recording and write a run directory, as `sciml fit` does.

    Parameters
    ----------
    data
        A file, several, a recording, or an array (time, channel). What lies in memory is written beside the run
        directory, as OUT.recording.nc, so that the run can be resumed and checked.
    out
        The run directory.
    task
        What to learn: "classify", "regress", "forecast" or another of `sciml.pipeline.tasks.TASKS`.
    labels
        Classes of events in a file, "TABLE:COLUMN".
    target
        Signal of a file, whose values "regress" is to predict.
    signal, sampling_rate
        As `sciml.open`.
    overwrite
        Replace a run that is there.
    settings
        Other values of the configuration, "train.epochs=5".

    Raises
    ------
    ConfigError
        Settings that do not fit the recording or each other.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> walk = np.random.default_rng(0).normal(size=(600, 4)).cumsum(axis=0)
    >>> options = {"task": "forecast", "sampling_rate": 10.0, "settings": ["train.epochs=1", "train.device=cpu"]}
    >>> sorted(fit(walk, Path(tempfile.mkdtemp()) / "run", **options).metrics["baselines"])
    ['mean', 'persistence', 'ridge']
    """
    from sciml.pipeline import assign, run

    files = _files(data, Path(out), sampling_rate, overwrite)
    named = {"data__signal": signal, "data__labels": labels, "data__target": target}
    config = assign({}, settings, task=task, data__files=files, **named)
    return run(config, out=Path(out), overwrite=overwrite)


def _files(data: Any, out: Path, sampling_rate: float | None, overwrite: bool) -> list[str]:
    """Return the paths of files, absolute; what lies in memory is written into one first."""
    if is_path(data):
        return [os.fspath(Path(each).absolute()) for each in (data if isinstance(data, list | tuple) else [data])]
    from sciml.io import save_recording

    path = out.absolute().with_name(f"{out.name}.recording.nc")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_recording(recordings.open(data, sampling_rate=sampling_rate), path, overwrite=overwrite)
    return [os.fspath(path)]
