"""Checkpoints that survive a kill, a full disk and a flipped bit.

A checkpoint is a file that `torch.load(path, weights_only=True)` reads. The hash of its bytes stands in the comment
at the end of its zip directory: torch itself checks no sum when it reads, and loads a damaged file without a word.
"""

import hashlib
import io
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sciml import files
from sciml.errors import CheckpointError, ScimlWarning, StorageError

__all__ = ["FORMAT", "Checkpoint", "load", "load_best", "load_latest", "paths", "prune", "save", "verify"]

FORMAT = 1
_COMMENT = re.compile(rb"sciml-checkpoint (\d+) sha256=([0-9a-f]{64})$")
_LENGTH_OF_COMMENT = 2  # bytes: the last field of a zip file, 0 as torch writes it


@dataclass(frozen=True)
class Checkpoint:
    """A state read back from `path`; `best` is the state that it names as the best so far, if it names one."""

    path: Path
    step: int
    state: dict[str, Any]
    best: dict[str, Any] | None = None


def save(directory: str | Path, state: Mapping[str, Any], *, step: int, kind: str = "step") -> Path:
    """Write `<kind>-<step>.pt` so that at every moment either the old file or the whole new one is there.

    The bytes go to a temporary file in the same folder, are forced to the disk, and take the name in one move;
    then the file is read again and compared with its hash.

    Parameters
    ----------
    directory
        Folder of the checkpoints; made if it is not there.
    state
        Tensors, numbers, strings, lists and dicts: what `torch.load(weights_only=True)` reads.
    step
        Optimizer steps taken.
    kind
        "step" for what a run resumes from, "best" for the weights of the best epoch.

    Raises
    ------
    StorageError
        Disk full, folder not writable. What was there before is still there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(folder, {"weight": torch.ones(2)}, step=12)
    ...     path.name, load(path)["weight"].tolist()
    ('step-00000012.pt', [1.0, 1.0])
    """
    path = Path(directory) / f"{kind}-{step:08d}.pt"
    content = _seal({**state, "format": FORMAT, "step": step})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for part in path.parent.glob(".*.part"):
            _remove(part)  # of a run that was killed while it wrote
        files.write_bytes(path, content, overwrite=True)
    except OSError as error:
        raise _storage_error(error, path) from error
    verify(path)
    return path


def verify(path: str | Path) -> str:
    """Return the sha256 of a checkpoint after comparing it with the file's bytes.

    Raises
    ------
    CheckpointError
        The file is missing, not a checkpoint, cut short or changed.

    Examples
    --------
    >>> verify("nowhere.pt")
    Traceback (most recent call last):
    sciml.errors.CheckpointError: expected a checkpoint at nowhere.pt, found no file; check the path
    """
    return _read(Path(path))[1]


def load(path: str | Path) -> dict[str, Any]:
    """Return the state that `save` wrote, on the CPU, after verifying its hash.

    Raises
    ------
    CheckpointError
        As `verify`, or a file of a newer format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load(save(folder, {"epoch": 3}, step=1))["epoch"]
    3
    """
    content, _ = _read(Path(path))
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        # The bytes are those that were saved: the content is of a kind that must not, or cannot, be read here.
        raise CheckpointError(
            f"{path} cannot be read: {str(error).splitlines()[0]}; save tensors and numbers only"
        ) from error
    return state


def load_latest(directory: str | Path) -> Checkpoint:
    """Return the newest checkpoint of a run that is whole; warn of each newer one that is not.

    Raises
    ------
    CheckpointError
        The folder is missing, holds no checkpoint, or none that is whole.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = [save(folder, {}, step=step) for step in (1, 2)]
    ...     load_latest(folder).step
    2
    """
    return _first_whole(Path(directory), "step")


def load_best(directory: str | Path) -> Checkpoint:
    """Return the weights of the best epoch of a run so far.

    Raises
    ------
    CheckpointError
        As `load_latest`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save(folder, {"value": 0.25}, step=1, kind="best")
    ...     load_best(folder).state["value"]
    0.25
    """
    return _first_whole(Path(directory), "best")


def paths(directory: str | Path, kind: str = "step") -> list[Path]:
    """Return the checkpoints of one kind, newest first; empty where there is no folder.

    Examples
    --------
    >>> paths("nowhere")
    []
    """
    return sorted(Path(directory).glob(f"{kind}-????????.pt"), reverse=True)


def prune(directory: str | Path, *, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints, and the best weights that none of those refers to.

    Call it after `save`, which verified what it wrote. Temporary files that a killed run left go too.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = [save(folder, {}, step=step) for step in (1, 2, 3)]
    ...     prune(folder, keep=2)
    ...     [path.name for path in paths(folder)]
    ['step-00000003.pt', 'step-00000002.pt']
    """
    kept, old = paths(directory)[:keep], paths(directory)[keep:]
    best = paths(directory, "best")
    # The oldest checkpoint that stays refers to the newest best weights that are not newer than itself.
    older = [path for path in best if kept and _step(path) <= _step(kept[-1])]
    for path in [*old, *older[1:], *Path(directory).glob(".*.pt.tmp")]:
        _remove(path)


def _first_whole(directory: Path, kind: str) -> Checkpoint:
    found = paths(directory, kind)
    if not found:
        what = "holds none" if directory.is_dir() else "does not exist"
        raise CheckpointError(
            f"expected checkpoints ({kind}-*.pt) in {directory}, but the folder {what}; "
            "check the path, or start the run without resuming"
        )
    causes = []
    for path in found:
        try:
            state = load(path)
            best = state.get("best_step")
            return Checkpoint(path, _step(path), state, None if best is None else load(_best_path(directory, best)))
        except CheckpointError as error:
            causes.append(str(error))
            warnings.warn(f"{error}; trying the one before", ScimlWarning, stacklevel=3)
    raise CheckpointError(
        f"expected a whole checkpoint in {directory}, got {len(causes)} damaged: {'; '.join(causes)}. "
        "Start the run anew in another folder"
    )


def _best_path(directory: Path, step: int) -> Path:
    return directory / f"best-{step:08d}.pt"


def _step(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _seal(state: Mapping[str, Any]) -> bytes:
    """Return the bytes of a torch file whose zip comment holds their hash."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    body = buffer.getvalue()[:-_LENGTH_OF_COMMENT]
    return body + _tail(hashlib.sha256(body).hexdigest(), FORMAT)


def _tail(sha256: str, version: int) -> bytes:
    """Return how the file ends: the length of the zip comment, and the comment."""
    comment = f"sciml-checkpoint {version} sha256={sha256}".encode()
    return len(comment).to_bytes(_LENGTH_OF_COMMENT, "little") + comment


def _read(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a checkpoint and their hash, after comparing the two."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"expected a checkpoint at {path}, found no file; check the path") from None
    except OSError as error:
        raise CheckpointError(f"expected a readable checkpoint at {path}, got: {error}") from error
    comment = _COMMENT.search(content[-128:])
    if comment is None:
        raise CheckpointError(
            f"{path} ({len(content)} bytes) does not end as a checkpoint does: cut short, or another file"
        )
    if int(comment[1]) > FORMAT:
        raise CheckpointError(f"{path} has format {int(comment[1])}, this version reads up to {FORMAT}; update sciml")
    body = content[: -len(comment[0]) - _LENGTH_OF_COMMENT]
    found = hashlib.sha256(body).hexdigest()
    if content[len(body) :] != _tail(found, int(comment[1]) or FORMAT):
        raise CheckpointError(
            f"{path} is damaged: its bytes have sha256 {found[:12]}, it was saved with {comment[2].decode()[:12]}"
        )
    return content, found


def _remove(path: Path) -> None:
    """Delete a file that nobody needs; one that cannot be deleted does no harm."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"could not delete {path}: {error}", ScimlWarning, stacklevel=3)


def _storage_error(error: OSError, path: Path) -> StorageError:
    existing = paths(path.parent)
    rest = f"the last good one is {existing[0].name}, resume from there" if existing else "there is none yet"
    failure = StorageError(f"could not save a checkpoint: {error.strerror or error}; {rest}")
    failure.errno = error.errno
    return failure
