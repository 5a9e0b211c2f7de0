"""Checkpoints that survive a kill, a full disk and a flipped bit.

A checkpoint is a file that `torch.load(path, weights_only=True)` reads. The hash of its bytes stands in the comment
at the end of its zip directory: torch itself checks no sum when it reads, and loads a damaged file without a word.
"""

import hashlib
import io
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from sciml import files
from sciml.errors import CheckpointError, ScimlWarning, StorageError

__all__ = [
    "FORMAT",
    "Checkpoint",
    "Stored",
    "check_kinds",
    "file_sha256",
    "listing",
    "load",
    "load_best",
    "load_latest",
    "paths",
    "prune",
    "read_torch",
    "save",
    "understood",
    "verify",
]

FORMAT = 1
_COMMENT = re.compile(rb"sciml-checkpoint (\d+) sha256=([0-9a-f]{64})$")
_UNREADABLE = (
    OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, AssertionError,
    OverflowError, ImportError, struct.error,
)  # fmt: skip
_TEXT = re.compile(rb"[\t\n\r -~]+")
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
        files.remove_leftovers(path.parent)
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


def file_sha256(path: str | Path) -> str:
    """Return the sha256 of the whole file of a checkpoint, as `sha256sum` gives it, after verifying what it holds.

    Raises
    ------
    CheckpointError
        As `verify`.

    Examples
    --------
    >>> file_sha256("nowhere.pt")
    Traceback (most recent call last):
    sciml.errors.CheckpointError: expected a checkpoint at nowhere.pt, found no file; check the path
    """
    return hashlib.sha256(_read(Path(path))[0]).hexdigest()


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
    state = read_torch(io.BytesIO(content), path)
    if not isinstance(state, dict):
        raise CheckpointError(f"expected a dict of what a run stores in {path}, got {type(state).__name__}")
    return state


def read_torch(source: str | Path | IO[bytes], path: str | Path) -> Any:
    """Return what a file of torch holds, on the CPU: tensors, numbers, text, lists and dicts, and no objects.

    Raises
    ------
    CheckpointError
        Anything else, or a damaged file. What torch advises, to load objects all the same, is not repeated: code in
        the file would run.
    FileNotFoundError
        There is no such file.

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> torch.save({"epoch": 3}, buffer)
    >>> read_torch(io.BytesIO(buffer.getvalue()), "a.pt")
    {'epoch': 3}
    """
    try:
        with warnings.catch_warnings():
            # What torch advises its developers of; whether the file can be read is said below.
            warnings.filterwarnings("ignore", "Detected pickle protocol|TypedStorage is deprecated", UserWarning)
            return torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        _check_kind(source, path)
        found = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        what = f"an object of the class {found[1]}" if found else "something else, or is damaged"
        if "Unsupported operand" in str(error):
            what = "instructions of another pickle protocol than the 2 that torch.save writes by itself, or is damaged"
        raise CheckpointError(
            f"expected a checkpoint of tensors, numbers, text, lists and dicts in {path}, but it holds {what}; objects "
            "are not loaded, since code in the file would run: save a state dict (torch.save(net.state_dict(), path))"
        ) from None
    except _UNREADABLE as error:
        _check_kind(source, path)
        said = next((line for line in str(error).splitlines() if "weights_only" not in line), "")
        raise CheckpointError(f"{path} cannot be read as a checkpoint ({said or type(error).__name__})") from None


def _check_kind(source: str | Path | IO[bytes], path: str | Path) -> None:
    """Raise if a file that could not be read is of a kind that `torch.save` does not write."""
    try:
        with Path(source).open("rb") if isinstance(source, (str, Path)) else nullcontext(source) as file:
            file.seek(0)
            head = file.read(64)
            names = zipfile.ZipFile(file).namelist() if zipfile.is_zipfile(file) else []
    except (OSError, ValueError, zipfile.BadZipFile):
        return
    what = _kind(head, names)
    if what:
        raise CheckpointError(
            f"expected a file that torch.save wrote at {path}, got {what}; save a state dict"
        ) from None


def _kind(head: bytes, names: Sequence[str]) -> str:
    """Return of what other kind a file is by its first bytes and the names in it, or ""."""
    if names:
        numpy = all(name.endswith(".npy") for name in names)
        other = "arrays of numpy (.npz)" if numpy else "another archive"
        return "" if any(name.endswith("data.pkl") for name in names) else other
    if head.startswith(b"\x93NUMPY"):
        return "an array of numpy (.npy)"
    return "text" if _TEXT.fullmatch(head) else ""


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Turn whatever a stored state lacks, or holds in another form, into a CheckpointError that names it.

    Examples
    --------
    >>> with understood(Path("a.pt")):
    ...     {"model": 1}["config"]
    Traceback (most recent call last):
    sciml.errors.CheckpointError: a.pt lacks 'config': another program or version wrote it; start the run anew
    """
    try:
        yield
    except CheckpointError:
        raise
    except _UNREADABLE as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"holds what was not expected ({error})"
        raise CheckpointError(f"{path} {what}: another program or version wrote it; start the run anew") from error


def check_kinds(state: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Raise if a stored state lacks a key, or holds a value of another kind there; within `understood`.

    Examples
    --------
    >>> check_kinds({"epoch": 3}, {"epoch": int})
    """
    for key, kind in kinds.items():
        if not isinstance(state[key], kind):
            raise TypeError(f"{key}: {type(state[key]).__name__}")


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


@dataclass(frozen=True)
class Stored:
    """A checkpoint file as it lies on the disk; `problem` says why it is not whole, "" where it is.

    `sha256` is that of the whole file, as other programs compute it; None where it is not whole.
    """

    path: Path
    kind: str
    step: int
    n_bytes: int
    sha256: str | None
    problem: str = ""

    @property
    def whole(self) -> bool:
        """Whether its bytes are those that were saved."""
        return not self.problem


def listing(directory: str | Path) -> list[Stored]:
    """Return the checkpoints in a folder by their steps, each read and compared with its hash.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(folder, {}, step=3)
    ...     _ = path.write_bytes(path.read_bytes()[:-40])
    ...     [(each.kind, each.step, each.whole) for each in listing(folder)]
    [('step', 3, False)]
    """
    found = [(path, kind) for kind in ("step", "best") for path in paths(directory, kind)]
    stored = [_stored(path, kind) for path, kind in sorted(found, key=lambda each: (_step(each[0]), each[1]))]
    return [each for each in stored if each is not None]


def _stored(path: Path, kind: str) -> Stored | None:
    """Return what lies at a path; None where a run that is under way has deleted it meanwhile."""
    try:
        n_bytes = path.stat().st_size
        return Stored(path, kind, _step(path), n_bytes, file_sha256(path))
    except FileNotFoundError:
        return None
    except CheckpointError as error:
        return Stored(path, kind, _step(path), n_bytes, None, str(error)) if path.exists() else None


def prune(directory: str | Path, *, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints, and the best weights that none of those refers to.

    Call it after `save`, which verified what it wrote.

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
    for path in [*old, *older[1:]]:
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
            with understood(path):
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
