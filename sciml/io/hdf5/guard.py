"""Opening HDF5 files that may be missing, damaged, locked or hostile, with errors a person can act on."""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py

from sciml.errors import DataError, ScimlError
from sciml.io.hdf5.remote import Place, Remote, is_remote

__all__ = ["DEFAULT_LIMITS", "Limits", "checked_path", "guard", "open_file"]

# What h5py raises on files that are damaged or made to harm (measured over corrupted copies of real files).
FAILURES = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, NotImplementedError)

SIGNATURE = b"\x89HDF\r\n\x1a\n"
LOCKED = re.compile(r"\b(unable to lock|can't lock|lock(ing)? (is )?disabled)", re.IGNORECASE)
TRUNCATED = re.compile(r"truncated file: eof = (\d+), sblock->base_addr = (\d+), stored_eof = (\d+)")

# How files begin that are often handed over in place of HDF5: (offset, bytes, what it is).
SIGNATURES = (
    (344, b"n+1\0", "a NIfTI-1 image; load it with nibabel and save its array to HDF5"),
    (344, b"ni1\0", "a NIfTI-1 header; load it with nibabel and save its array to HDF5"),
    (0, b"CDF\x01", "netCDF-3; convert it with `nccopy -k netCDF-4`"),
    (0, b"CDF\x02", "netCDF-3; convert it with `nccopy -k netCDF-4`"),
    (0, b"\x0e\x03\x13\x01", "HDF4; convert it with `h4toh5`"),
    (0, b"MATLAB 5.0", "a MATLAB 5 file; save it again in MATLAB with `-v7.3`"),
    (0, b"II*\0", "a TIFF image; save its array to HDF5"),
    (0, b"MM\0*", "a TIFF image; save its array to HDF5"),
    (0, b"\x93NUMPY", "a NumPy array; save it to HDF5"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it first"),
    (0, b"mrtrix", "an MRtrix image; convert it with `mrconvert` and save its array to HDF5"),
)


@dataclass(frozen=True)
class Limits:
    """How much a file may ask of this machine before `sciml.io` says no.

    Attributes
    ----------
    read_bytes
        Largest single read of values, in bytes.
    chunk_bytes
        Largest HDF5 chunk: one element of a chunk costs the whole chunk.
    table_bytes
        Largest table column, clock or axis that is held in memory.
    attribute_bytes
        Largest attribute.
    objects, depth
        How many groups and datasets are listed, and how deep.

    Examples
    --------
    >>> Limits(read_bytes=2**33).read_bytes
    8589934592
    """

    read_bytes: int = 2**31
    chunk_bytes: int = 2**29
    table_bytes: int = 2**28
    attribute_bytes: int = 2**20
    objects: int = 100_000
    depth: int = 64


DEFAULT_LIMITS = Limits()


class Guard:
    """A block in which every failure of h5py becomes a `DataError` that begins with `context`."""

    __slots__ = ("context",)

    def __init__(self, context: str) -> None:
        self.context = context

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Literal[False]:
        if isinstance(error, FAILURES) and not isinstance(error, ScimlError):
            raise DataError(f"{self.context}: {explain(error)}") from error
        return False


def guard(context: str) -> Guard:
    """Turn every failure of h5py inside a `with` block into a `DataError` that begins with `context`."""
    return Guard(context)  # a class, not a generator: it is entered for every attribute of every object


def explain(error: BaseException) -> str:
    """Return what an h5py failure means and what to do about it."""
    message = str(error.args[0]) if error.args else type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        message = error.strerror
    if found := TRUNCATED.search(message):
        there, base, expected = (int(number) for number in found.groups())
        return (
            f"the file is truncated: {there} of {base + expected} bytes are there "
            f"({100 * there / (base + expected):.1f} %); copy it again from its source"
        )
    if LOCKED.search(message):
        return (
            "another program has the file open for writing; wait until it closes the file, or read a copy; if none has "
            "(some network disks know no locks), set HDF5_USE_FILE_LOCKING=FALSE"
        )
    if "consistency flags" in message or "already open for" in message:
        return (
            "the program that wrote the file did not close it; if no program writes it now, "
            "run `h5clear -s FILE` on a copy and open that"
        )
    if isinstance(error, MemoryError):
        return "needs more memory than there is; read it in pieces, for example recording.isel(time=slice(0, 1000))"
    return (
        f"HDF5 says: {message.splitlines()[0] if message else type(error).__name__}; "
        "the file may be damaged: compare its checksum with the original or copy it again"
    )


def checked_path(path: str | os.PathLike[str] | Remote) -> Place:
    """Return the place of an existing file, else say what is there instead."""
    if isinstance(path, Remote) or is_remote(path):
        return path if isinstance(path, Remote) else Remote(str(path))
    path = Path(path).expanduser()
    try:
        if path.is_file():
            return path
        if path.is_dir():
            some = sorted(entry.name for entry in path.iterdir() if entry.is_file())[:5]
            raise DataError(f"{path}: expected a file, got a folder; it holds {', '.join(some) or 'no files'}")
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected a file that can be read, got: {error}; check its permissions") from error
    near = difflib.get_close_matches(path.name, names, n=1)
    hint = f"did you mean {path.with_name(near[0])}?" if near else "check the path"
    raise DataError(f"{path}: no such file; {hint}")


def open_file(path: Place) -> h5py.File:
    """Open an existing file for reading, or raise `DataError` that says why it cannot be read as HDF5."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; check its permissions") from error
    if not head:
        raise DataError(f"{path}: expected HDF5, got an empty file (0 bytes); copy it again from its source")
    with guard(str(path)):
        if isinstance(path, Remote):
            if not head.startswith(SIGNATURE):
                raise DataError(f"{path}: not HDF5: {_resembles(head)}")
            return h5py.File(path.open("rb"), "r")
        if not h5py.is_hdf5(path):
            raise DataError(f"{path}: not HDF5: {_resembles(head)}")
        return _opened(path)


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "already open for" in str(error):
            return _followed(path, error)
        if not LOCKED.search(str(error)):
            raise
        # Read-only and network mounts often know no locks; there "best-effort" reads without one.
        return h5py.File(path, "r", locking="best-effort")


def _followed(path: Path, error: OSError) -> h5py.File:
    """Open a file that is being written; only a program that writes in SWMR mode lets readers follow."""
    try:
        return h5py.File(path, "r", libver="latest", swmr=True)
    except OSError:
        raise error from None


def _resembles(head: bytes) -> str:
    for offset, signature, name in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return f"it looks like {name}"
    if head[:2] == b"\x1f\x8b":
        return "it is compressed with gzip (NIfTI images often are); unpack it, and save its array to HDF5"
    return f"it begins with {head[:8]!r}, HDF5 begins with b'\\x89HDF'; sciml reads HDF5 only"
