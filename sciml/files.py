"""Files that are whole or not there: written beside their destination, forced to the disk, renamed into place."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sciml.errors import ScimlError, StorageError

__all__ = [
    "check_target",
    "only_writer",
    "remove_leftovers",
    "replacing",
    "replacing_folder",
    "said_of_disk",
    "write_bytes",
]

FOLDERS = (".zarr",)  # names of results that are folders
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TOO_LARGE = "File too large"
_FULL_IN_WORDS = ("No space left", TOO_LARGE, "Disk quota exceeded")  # HDF5 gives errors without a number
NOTHING = "nothing was left behind"


def check_target(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Return the path if a file may be written there.

    Raises
    ------
    StorageError
        It is a folder, its folder does not exist, or it exists and `overwrite` is False.

    Examples
    --------
    >>> check_target("result.nc").name
    'result.nc'
    """
    target = Path(path).expanduser()
    if target.is_dir() and target.suffix not in FOLDERS:
        raise StorageError(f"{target}: expected the name of a file, got a folder; add a name")
    if not target.parent.is_dir():
        raise StorageError(f"{target}: the folder {target.parent} does not exist; create it first")
    if target.exists() and not overwrite:
        raise StorageError(f"{target} exists; choose another name, or replace it with overwrite=True (--overwrite)")
    return target


@contextmanager
def only_writer(target: Path) -> Iterator[None]:
    """Hold a target for one writer at a time, and remove what killed ones left beside it.

    The lock is the system's, on a hidden file, and ends with the process, however that ends. Where the system has no
    such locks (Windows, some network drives) any number may write, and nothing is removed.

    Raises
    ------
    StorageError
        Another process, or thread, is writing the target.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, only_writer(Path(folder) / "a.nc"):
    ...     with only_writer(Path(folder) / "a.nc"):
    ...         pass
    Traceback (most recent call last):
    sciml.errors.StorageError: ...a.nc is being written by another run; wait for it, or choose another name
    """
    lock = target.with_name(f".{target.name}.lock")
    with said_of_disk(target):
        descriptor = _locked(lock, target)
    if descriptor is None:
        yield
        return
    try:
        _remove_leftovers(target)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the hidden locks that killed writers left in a folder, and the parts beside them; not of those at work.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, ".a.nc.lock").write_text("")
    ...     remove_leftovers(Path(folder))
    ...     list(Path(folder).iterdir())
    []
    """
    for lock in folder.glob(".*.lock"):
        target = folder / lock.name.removeprefix(".").removesuffix(".lock")
        with suppress(StorageError), only_writer(target):  # it has the lock now, and so removes what lies there
            pass


def _locked(lock: Path, target: Path) -> int | None:
    """Return the locked file, or None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.exists() and os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
            os.close(descriptor)  # the writer before removed it between the two steps
        except BlockingIOError:
            os.close(descriptor)
            said = "is being written by another run; wait for it, or choose another name"
            raise StorageError(f"{target} {said}") from None
        except OSError:
            os.close(descriptor)
            lock.unlink(missing_ok=True)
            return None


def _remove_leftovers(target: Path) -> None:
    """Remove parts that killed writers left; an old folder only where the target took its place."""
    ends = "part|old" if target.exists() else "part"
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.({ends})")
    for entry in target.parent.iterdir():
        if name.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give the name of a new file in the same folder; what was written there takes the place of `path` at the end.

    At every moment, also after a kill or a power cut, `path` is the old file or the whole new one. An error inside
    leaves the old file, and nothing else; a kill leaves a part that the next writer removes.

    Raises
    ------
    StorageError
        As `check_target` and `only_writer`, or the file could not be written (its `errno` is kept).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as part:
    ...         _ = part.write_text("noise")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.txt']
    """
    target = check_target(path, overwrite=overwrite)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    with only_writer(target):
        try:
            with said_of_disk(target):
                yield part
                _sync(part)
                check_target(target, overwrite=overwrite)  # another program may have written it meanwhile
                part.replace(target)
                _sync(target.parent)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give the name of a new folder beside `path`, which it takes the place of at the end.

    A folder cannot be exchanged in one step: the old one is moved aside before the new one takes its name, and is
    deleted after; a kill between the two leaves both whole, the old one as `.NAME.HEX.old`. An error inside leaves
    the old folder, and nothing else.

    Raises
    ------
    StorageError
        As `check_target` and `only_writer`, or the folder could not be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing_folder(Path(folder) / "a.zarr") as part:
    ...         part.mkdir()
    ...     [entry.name for entry in Path(folder).iterdir()]
    ['a.zarr']
    """
    target = check_target(path, overwrite=overwrite)
    part, old = (target.with_name(f".{target.name}.{secrets.token_hex(4)}.{end}") for end in ("part", "old"))
    with only_writer(target):
        try:
            with said_of_disk(target):
                yield part
                for entry in part.rglob("*"):
                    _sync(entry)
                check_target(target, overwrite=overwrite)
                if target.exists():
                    target.rename(old)
                part.rename(target)
                _sync(target.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
            elif old.exists():
                old.rename(target)


def write_bytes(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = False) -> Path:
    """Write a whole file at once, as `replacing` does.

    Raises
    ------
    StorageError
        As `replacing`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder) / "a.txt", b"noise").read_bytes()
    b'noise'
    """
    with replacing(path, overwrite=overwrite) as part:
        part.write_bytes(content)
    return Path(path)


@contextmanager
def said_of_disk(path: Path, *, left: str = NOTHING) -> Iterator[None]:
    """Turn what the system says of a file that is written into a StorageError that names it and what is `left`.

    Examples
    --------
    >>> with said_of_disk(Path("a.nc")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    sciml.errors.StorageError: a.nc: the disk is full; nothing was left behind. Free some space or choose another folder
    """
    try:
        yield
    except ScimlError:
        raise
    except (OSError, RuntimeError) as error:
        full = isinstance(error, OSError) and error.errno in _FULL
        full |= any(words in str(error) for words in _FULL_IN_WORDS)
        if not full and not isinstance(error, OSError):
            raise
        if full:
            limited = getattr(error, "errno", None) == errno.EFBIG or TOO_LARGE in str(error)
            what = "the disk is full, or allows no file as large (ulimit -f)" if limited else "the disk is full"
            text = f"{path}: {what}; {left}. Free some space or choose another folder"
        else:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            text = f"{path}: could not be written ({why}); {left}. Check the permissions of its folder"
        failure = StorageError(text)
        failure.errno = getattr(error, "errno", None) or (errno.ENOSPC if full else None)
        raise failure from error


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk, so that a crash after the rename cannot leave an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
