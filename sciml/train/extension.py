"""Whether a run can go on with other settings: where nothing that was done would have been done otherwise."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sciml.errors import CheckpointError, ScimlWarning
from sciml.train.config import TrainConfig, differing_keys
from sciml.train.steps.schedules import SCHEDULES

__all__ = ["check_settings", "not_extended"]


def check_settings(path: Path, stored: Mapping[str, Any], config: TrainConfig, *, done: int, stopped: bool) -> None:
    """Refuse to go on with other settings than those of a checkpoint, more epochs of a constant rate excepted.

    Parameters
    ----------
    path, stored
        The checkpoint and its settings.
    done, stopped
        Epochs that were run, and whether they ended early: more of them then change nothing, which a warning says.

    Raises
    ------
    CheckpointError
        Naming the settings that differ, or saying why the run cannot be extended.
    """
    different = differing_keys({**stored, "epochs": config.epochs}, config)
    if different:
        raise CheckpointError(
            f"expected the configuration that {path} was made with, got other "
            f"{', '.join(differing_keys(stored, config))}; resume with the stored configuration, or start another run"
        )
    before, after = stored["epochs"], config.epochs
    reason = not_extended(before, after, config.schedule, done=done)
    if not reason and stopped and before != after:
        warnings.warn(f"{after} epochs change nothing: the run {_ended(done)}", ScimlWarning, stacklevel=5)
    if reason:
        raise CheckpointError(
            f"a run of {before} epochs cannot be extended to {after}: {reason}; resume with the "
            "stored configuration, or start another run"
        )


def not_extended(before: int | None, after: int | None, schedule: str, *, done: int, stopped: bool = False) -> str:
    """Return why a run cannot go on with another number of epochs; empty where it can, or where it is the same.

    Examples
    --------
    >>> not_extended(5, 10, "constant", done=5)
    ''
    >>> not_extended(5, 10, "cosine", done=5)
    "with schedule 'cosine' the rate fell to zero over the steps that were planned"
    """
    if before == after:
        return ""
    if before is None or after is None:
        return "its length was given in steps, or was left open"
    bound_by = SCHEDULES[schedule].bound_by
    if bound_by:
        return f"with schedule {schedule!r} {bound_by}"
    if stopped:
        return f"it {_ended(done)}"
    return f"it has run for {done} already" if after < done else ""


def _ended(done: int) -> str:
    return f"ended by itself after epoch {done}, when there was no better one for as many as patience says"
