"""Writing recordings: netCDF-4 (HDF5) or Zarr, block by block, beside the target and renamed when it is whole."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml import files
from sciml._later import xr
from sciml.errors import ConfigError, DataError
from sciml.io.write import zarr
from sciml.io.write.header import HEADER, VERSION, encode

__all__ = ["save_recording"]

BLOCK_BYTES = 2**26  # held in memory at a time
CHUNK_BYTES = 2**20
MOST_CHUNK_BYTES = 2**22  # of what lies across the axis that is read along
PAIR = "real_imaginary"
SMALL = 2**16  # bytes below which chunks and compression do not pay


Progress = Callable[[int, int], None]


def save_recording(
    recording: xr.DataArray,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    along: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Save a recording to netCDF-4 (HDF5), or to Zarr, so that `open_recording` gives back the same one.

    Values, name, coordinates (masks included) and attributes come back as they were; lists in attributes as lists,
    tuples as lists. Other netCDF readers open the file too; there booleans are int8, complex numbers pairs along a
    last dim, and dates int64. Lazy recordings are written block by block. A failure, or a kill, leaves the old file
    or none.

    Parameters
    ----------
    recording
        Numbers of any dtype but extended precision; coordinates of numbers, text or dates.
    path
        The file to write; its folder must exist. A name that ends in `.zarr` becomes a Zarr folder (format 3), which
        needs `pip install sciml[zarr]`; `xr.open_zarr` opens it too.
    overwrite
        Replace a file that is there.
    along
        The dim along which it will be read, window by window: chunks are short along it and whole across it. By
        default the first, `time`; "channel" makes the traces of single channels quick to read.
    progress
        Called as `progress(done, total)`, in bytes of the values, after each block that was written.

    Returns
    -------
    path
        The file that was written.

    Raises
    ------
    StorageError
        The file exists, the disk is full, or the folder cannot be written to.
    DataError
        The recording holds what netCDF cannot hold; the message names it.
    ConfigError
        `along` is no dim of the recording.
    MissingDependencyError
        Zarr is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from sciml.io import open_recording
    >>> recording = xr.DataArray([1.0, 2.0], dims="time", coords={"time": [0.0, 0.1]}, attrs={"units": "mV"})
    >>> path = save_recording(recording, Path(tempfile.mkdtemp()) / "saved.nc")
    >>> open_recording(path).identical(recording)
    True
    """
    target = files.check_target(path, overwrite=overwrite)
    if along is not None and along not in recording.dims:
        raise ConfigError(f"along={along!r}: expected one of the dims {', '.join(map(str, recording.dims))}")
    name, variables = _variables(recording)
    text = _header_text(recording, name, variables)
    reported = _Progress(progress, recording.nbytes)
    if target.suffix in files.FOLDERS:
        with files.replacing_folder(target, overwrite=overwrite) as part:
            zarr.write(
                part, text, variables, partial(_chunks, along=along), partial(_blocks, reported=reported, counted=name)
            )
        return target
    with files.replacing(target, overwrite=overwrite) as part:
        _write(part, text, name, variables, recording, along, reported)
    return target


def _header_text(recording: xr.DataArray, name: str, variables: dict[str, xr.Variable]) -> str:
    """Return all that netCDF cannot hold, and all that a reader here needs, as text."""
    header = {
        "version": VERSION,
        "name": recording.name,
        "values": name,
        "variables": {
            label: {"dims": list(map(str, one.dims)), "dtype": _kind(label, one), "attrs": one.attrs}
            for label, one in variables.items()
        },
    }
    return encode(header)


class _Progress:
    """How far the writing of the values is."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress = progress
        self.total = total
        self.done = 0

    def add(self, n_bytes: int) -> None:
        self.done += n_bytes
        if self.progress is not None:
            self.progress(self.done, self.total)


def _variables(recording: xr.DataArray) -> tuple[str, dict[str, xr.Variable]]:
    """Return the name of the values in the file, and all variables by name."""
    if recording.size == 0:
        raise DataError(f"expected a recording with values, got shape {recording.shape}")
    coords = {_checked_name(label): variable.variable for label, variable in recording.coords.items()}
    plain = str("" if recording.name is None else recording.name).rpartition("/")[2]
    names = {*coords, *map(str, recording.dims), HEADER, ""}
    name = plain if plain not in names and plain.isprintable() and not plain.startswith(".") else "recording"
    while name in names - {""}:
        name += "_"
    return name, {name: recording.variable, **coords}


def _checked_name(label: Hashable) -> str:
    if not isinstance(label, str) or "/" in label or not label or label == HEADER:
        raise DataError(f"expected coordinates named by text without '/', got {label!r}; rename it")
    return label


def _kind(label: str, variable: xr.Variable) -> str:
    """Return the dtype to come back to; say what cannot be saved."""
    dtype = variable.dtype
    if dtype.kind in "iufcb" and dtype.itemsize <= (16 if dtype.kind == "c" else 8):
        return str(dtype.newbyteorder("=").str)
    if dtype.kind in "mM" and isinstance(dtype, np.dtype):
        return str(dtype.str)
    if dtype.kind == "U":
        return "str"
    if dtype.kind == "O" and all(isinstance(item, str) for item in np.ravel(variable.values)):
        return "object"
    wide = dtype.kind in "fc" and f"convert it (astype('{'float64' if dtype.kind == 'f' else 'complex128'}'))"
    raise DataError(
        f"{label}: expected numbers, text or dates, got values of dtype {dtype}; "
        f"{wide or 'convert it'}, or drop it (recording.drop_vars({label!r}))"
    )


def _write(
    part: Path,
    text: str,
    name: str,
    variables: dict[str, xr.Variable],
    recording: xr.DataArray,
    along: str | None,
    reported: _Progress,
) -> None:
    import h5netcdf
    import h5py

    with _Sink(part) as sink, h5py.File(sink, "w") as hdf5, h5netcdf.File(hdf5, "w") as file:
        file.attrs["Conventions"] = "CF-1.10"
        file.dimensions = {str(dim): size for dim, size in recording.sizes.items()}
        if any(variable.dtype.kind == "c" for variable in variables.values()):
            file.dimensions[PAIR] = 2
        file.create_variable(HEADER, (), dtype=h5py.string_dtype())[...] = text
        for label, variable in variables.items():
            _write_variable(
                file, label, variable, sink, along=along, blocks=partial(_blocks, reported=reported, counted=name)
            )
            for key, value in variable.attrs.items():
                _write_attribute(file.variables[label], str(key), value)
        coords_held = [
            label for label in variables if label != name and label not in recording.dims and " " not in label
        ]
        if coords_held:
            file.variables[name].attrs["coordinates"] = " ".join(coords_held)


class _Sink(io.RawIOBase):
    """A file for HDF5 to write to that never fails towards HDF5, which crashes at exit if it cannot flush.

    The first failure is kept and raised by `check`, and when the file is closed; nothing is written after it.
    """

    def __init__(self, path: Path, mode: str = "w+b") -> None:
        self._file = io.FileIO(path, mode)
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while self._error is None and done < len(view):
            try:
                done += self._file.write(view[done:])
            except OSError as error:
                self._error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def __exit__(self, kind: Any, *_: object) -> None:
        self.close()
        if kind is None:
            self.check()


def _write_attribute(target: Any, key: str, value: Any) -> None:
    """Write an attribute for other readers, where netCDF can hold it; all are in the header anyway."""
    reserved = key.startswith("_") or key in ("coordinates", "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST")
    simple = isinstance(value, (str, int, float, np.number)) and not isinstance(value, bool)
    if simple and not reserved and "\0" not in f"{key}{value}" and len(f"{value}") < SMALL // 4:
        target.attrs[key] = value


def _write_variable(
    file: Any,
    label: str,
    variable: xr.Variable,
    sink: _Sink,
    *,
    along: str | None = None,
    blocks: Callable[[str, xr.Variable], Iterator[tuple[Any, NDArray[Any]]]] | None = None,
) -> None:
    target = _create_variable(file, label, variable, along)
    for rows, values in (blocks or partial(_blocks, reported=_Progress(None, 0), counted=""))(label, variable):
        target[rows] = values
        sink.check()


def _create_variable(file: Any, label: str, variable: xr.Variable, along: str | None) -> Any:
    import h5py

    if variable.dtype.kind in "UO":
        return file.create_variable(label, variable.dims, dtype=h5py.string_dtype())
    probe = _stored(np.empty(0, variable.dtype))
    dims, sizes = tuple(map(str, variable.dims)), variable.shape
    chunks = _chunks(variable, along)
    if variable.dtype.kind == "c":
        dims, sizes, chunks = (*dims, PAIR), (*sizes, 2), chunks and (*chunks, 2)
    layout: dict[str, Any] = {} if chunks is None else {"chunks": chunks}
    # Whole numbers and axes are compressed, noise is not.
    if chunks and (probe.dtype.kind in "iu" or len(sizes) == 1):
        layout |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    return file.create_variable(label, dims, dtype=probe.dtype, **layout)


def _blocks(
    label: str, variable: xr.Variable, *, reported: _Progress, counted: str, native: bool = False
) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Yield where each block goes, and its values in a dtype that can be stored (`native`: numbers stay theirs)."""
    if variable.dtype.kind in "UO":
        yield ..., np.asarray(variable.values, dtype=object)
        return
    cuts = [slice(*pair) for pair in pairwise(_edges(variable))] if variable.dims else [...]
    for rows in cuts:
        values = np.asarray(variable[rows].values)
        yield rows, values if native and values.dtype.kind not in "mM" else _stored(values)
        if label == counted:
            reported.add(values.nbytes)


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    """Return values in a dtype that netCDF has: int8 for booleans, int64 for dates, pairs for complex numbers."""
    match values.dtype.kind:
        case "b":
            return values.astype(np.int8)
        case "m" | "M":
            return values.astype(np.int64)
        case "c":
            part = np.float32 if values.dtype.itemsize == 8 else np.float64
            return np.stack([values.real, values.imag], axis=-1).astype(part)
        case "f" if values.dtype.itemsize == 2:
            return values.astype(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _chunks(variable: xr.Variable, along: str | None) -> tuple[int, ...] | None:
    """Return the shape of chunks of about 1 MiB: short along one axis, whole across it; None where they do not pay.

    What lies across is halved, its longest axis first, until it fits into 4 MiB.
    """
    width, sizes = variable.dtype.itemsize, variable.shape
    if not sizes or variable.dtype.kind in "UO" or math.prod(sizes) * width < SMALL:
        return None
    axis = variable.dims.index(along) if along in variable.dims else 0
    # A block that is written holds whole chunks: each is compressed once.
    chunks = [min(sizes[0], _rows(variable)), *sizes[1:]]
    chunks[axis] = 1
    while math.prod(chunks) * width > MOST_CHUNK_BYTES:
        longest = chunks.index(max(chunks))
        chunks[longest] = -(-chunks[longest] // 2)
    chunks[axis] = min(sizes[axis], max(1, CHUNK_BYTES // (math.prod(chunks) * width)))
    return tuple(chunks)


def _rows(variable: xr.Variable) -> int:
    """Return how many rows are held in memory at a time."""
    return max(1, BLOCK_BYTES // max(1, math.prod(variable.shape[1:]) * int(variable.dtype.itemsize)))


def _edges(variable: xr.Variable) -> Iterator[int]:
    """Yield where to cut the first axis: at dask's chunks where there are any, else so that a block fits in memory."""
    rows = _rows(variable)
    sizes = variable.chunks[0] if variable.chunks else ()
    yield 0
    start = stop = 0
    for size in sizes:
        if stop > start and stop + size - start > rows:
            yield (start := stop)
        stop += size
    if sizes:
        yield variable.shape[0]
        return
    yield from range(rows, variable.shape[0], rows)
    yield variable.shape[0]
