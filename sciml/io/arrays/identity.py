"""Whether an array holds the same values as another did: a hash, without reading all of what lies in files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.io.hdf5.remote import is_remote
from sciml.io.hdf5.source import Source

__all__ = ["identity"]

PLACES = 128  # where values of a file are read
CHUNKED_PLACES = 8  # where those of a chunked recording are, each of which costs a chunk, or all that it is made of
AT_EACH = 16
DEPTH = 12  # of arrays within arrays
BYTES_AT_ONCE = 2**26


def identity(recording: xr.DataArray) -> str:
    """Return a hash of a recording's values and mask: of all of those in memory.

    Of values in files it is one of the names, sizes and times of change of the files, and of values all over.

    Examples
    --------
    >>> ones = xr.DataArray(np.ones((4, 3)), dims=("time", "channel"))
    >>> identity(ones) == identity(ones.copy()), identity(ones) == identity(2 * ones)
    (True, False)
    """
    variables = [recording.variable, *([recording["mask"].variable] if "mask" in recording.coords else [])]
    found = hashlib.sha256(repr([(one.dims, one.shape, str(one.dtype)) for one in variables]).encode())
    for one in variables:
        for part in _parts(one):
            found.update(part)
    return found.hexdigest()


def _parts(variable: xr.Variable) -> Iterator[bytes]:
    """Yield what tells the values of a variable."""
    if isinstance(variable._data, np.ndarray):
        yield from _all(variable._data)
        return
    data: Any = variable._data
    chunked = variable.chunks is not None
    # The name that dask gives an array is a hash of all that it is made from.
    inside = [] if chunked else _files(data, DEPTH)
    files = sorted({*inside, *_origins(variable)})
    yield repr([files, data.name if chunked else ""]).encode()
    if not any(is_remote(file) for file, *_ in files):
        yield from _some(variable, CHUNKED_PLACES if chunked else PLACES)


def _all(values: NDArray[Any]) -> Iterator[bytes]:
    rows = max(1, BYTES_AT_ONCE // max(1, values[:1].nbytes)) if values.ndim else 1
    for start in range(0, len(values), rows) if values.ndim else (0,):
        part = values[start : start + rows] if values.ndim else values
        yield part.astype(str).tobytes() if part.dtype.kind == "O" else np.ascontiguousarray(part).tobytes()


def _some(variable: xr.Variable, n_places: int) -> Iterator[bytes]:
    """Yield values of places spread evenly along the first axis, and over the others."""
    if not variable.size:
        return
    golden = (math.sqrt(5) - 1) / 2
    for place in range(n_places):
        key = []
        for axis, size in enumerate(variable.shape):
            where = (place + 0.5) / n_places if axis == 0 else (place * golden * (axis + 1)) % 1.0
            start = int(where * size)
            key.append(slice(start, min(size, start + AT_EACH)) if axis == variable.ndim - 1 else start)
        yield np.asarray(variable[tuple(key)].values).tobytes()


def _origins(variable: xr.Variable) -> Iterator[tuple[str, int, int]]:
    """Yield the file that xarray itself opened, as it is now."""
    path = variable.encoding.get("source")
    if isinstance(path, str) and not is_remote(path) and Path(path).is_file():
        stat = Path(path).stat()
        yield path, stat.st_size, stat.st_mtime_ns


def _files(array: Any, depth: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of change of the files that a lazy array reads, as they were when it was opened."""
    if isinstance(array, Source):
        yield array.file, array.size, array.mtime_ns
        return
    if depth == 0 or isinstance(array, str | bytes | int | float | np.ndarray | np.generic | type):
        return
    for inner in _inside(array):
        yield from _files(inner, depth - 1)


def _inside(array: Any) -> list[Any]:
    if isinstance(array, tuple | list):
        return list(array)
    if isinstance(array, dict):
        return list(array.values())
    if is_dataclass(array):
        return [getattr(array, each.name) for each in fields(array)]
    slots = [getattr(array, name) for name in ("array", "_data") if hasattr(array, name)]
    return [*vars(array).values(), *slots] if hasattr(array, "__dict__") else slots
