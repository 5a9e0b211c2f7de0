"""Writing a text file so that a reader sees the old one or the new one, never half of either."""

import os
import uuid
from pathlib import Path

from sciml.errors import StorageError

__all__ = ["write_text"]


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> Path:
    """Write UTF-8 text beside its destination, flush it to the disk, and rename it into place.

    Raises
    ------
    StorageError
        The file exists and `overwrite` is False, its folder does not exist or is read-only, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(Path(folder) / "a.txt", "noise").read_text()
    'noise'
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise StorageError(f"{target} exists; choose another name, or allow it to be replaced with overwrite")
    if not target.parent.is_dir():
        raise StorageError(f"the folder {target.parent} does not exist; create it first")
    try:
        _replace(target, text.encode("utf-8"))
    except OSError as error:
        raise StorageError(
            f"could not write {target}: {error.strerror or error}; nothing was changed there. "
            "Free some space or choose another folder"
        ) from error
    return target


def _replace(target: Path, content: bytes) -> None:
    part = target.with_name(f".sciml-{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
