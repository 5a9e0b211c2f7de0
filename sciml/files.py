"""Files that are whole or not there: written beside their destination, forced to the disk, renamed into place."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sciml.errors import StorageError

__all__ = ["check_target", "replacing", "replacing_folder", "write_bytes"]

FOLDERS = (".zarr",)  # names of results that are folders
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
def replacing(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give the name of a new file in the same folder; what was written there takes the place of `path` at the end.

    At every moment, also after a kill or a power cut, `path` is the old file or the whole new one. An error inside
    leaves the old file, and nothing else.

    Raises
    ------
    StorageError
        As `check_target`, or the file could not be written (its `errno` is kept).

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
    try:
        yield part
        _sync(part)
        check_target(target, overwrite=overwrite)  # another program may have written it meanwhile
        part.replace(target)
        _sync(target.parent)
    except StorageError:
        raise
    except OSError as error:
        raise _failure(target, error) from error
    except RuntimeError as error:
        # HDF5 reports a full disk as an error without a number.
        if "No space left" not in str(error) and "File too large" not in str(error):
            raise
        raise _failure(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error
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
        As `check_target`, or the folder could not be written.

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
    try:
        yield part
        for entry in part.rglob("*"):
            _sync(entry)
        check_target(target, overwrite=overwrite)
        if target.exists():
            target.rename(old)
        part.rename(target)
        _sync(target.parent)
    except StorageError:
        raise
    except OSError as error:
        raise _failure(target, error) from error
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


def _failure(path: Path, error: OSError) -> StorageError:
    if error.errno in _FULL:
        text = f"{path}: the disk is full; nothing was left behind. Free some space or choose another folder"
    else:
        why = error.strerror or error
        text = f"{path}: could not be written ({why}); nothing was left behind. Check the permissions of its folder"
    failure = StorageError(text)
    failure.errno = error.errno
    return failure


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk, so that a crash after the rename cannot leave an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
