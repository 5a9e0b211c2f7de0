"""Recordings in Zarr folders (format 3): written as `save_recording` writes netCDF, and opened lazily."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sciml._later import xr
from sciml.errors import DataError, MissingDependencyError
from sciml.io.arrays import LazyArray, lazy
from sciml.io.hdf5.guard import Limits
from sciml.io.hdf5.source import check_budget, n_selected
from sciml.io.schema.clock import EAGER
from sciml.io.write.header import HEADER, decode

__all__ = ["is_zarr", "open_saved", "opened", "write"]

NAME = "zarr.json"
Blocks = Callable[..., Iterator[tuple[Any, NDArray[Any]]]]


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder that Zarr wrote."""
    return (Path(path) / NAME).is_file()


def _package() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingDependencyError("Zarr folders need the package zarr; run `pip install sciml[zarr]`") from error
    return zarr


def opened(folder: Path) -> Any:
    """Return a folder that `write` made, to fill it further."""
    return _package().open_group(str(folder), mode="r+")


def write(
    part: Path,
    text: str,
    variables: dict[str, xr.Variable],
    chunks_of: Callable[[xr.Variable], tuple[int, ...] | None],
    blocks_of: Blocks,
) -> None:
    """Write variables, block by block, and the header that tells how to restore them."""
    group = _package().open_group(str(part), mode="w", zarr_format=3, attributes={HEADER: text})
    for label, variable in variables.items():
        chunks = chunks_of(variable) or tuple(max(1, size) for size in variable.shape)
        target = group.create_array(
            label,
            shape=variable.shape,
            chunks=chunks,
            dtype=_dtype(variable.dtype),
            dimension_names=[str(dim) for dim in variable.dims],
            attributes={key: value for key, value in variable.attrs.items() if isinstance(value, str | int | float)},
        )
        for rows, values in blocks_of(label, variable, native=True):
            target[rows] = values if values.dtype.kind != "O" else values.astype("T")


def _dtype(dtype: np.dtype[Any]) -> Any:
    """Return the dtype in Zarr: dates are counted in int64, text is of any length."""
    return np.dtype("int64") if dtype.kind in "mM" else str if dtype.kind in "UO" else dtype.newbyteorder("=")


class Zarred(LazyArray):
    """An array in a Zarr folder, opened anew in each process."""

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...], dtype: DTypeLike, limits: Limits) -> None:
        self.folder = folder
        self.name = name
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.limits = limits
        self._open: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        check_budget(f"{self.folder.name}: {self.name}", n_selected(key, self.shape) * self.dtype.itemsize, self.limits)
        if self._open is None:
            self._open = _package().open_array(str(self.folder / self.name), mode="r")
        values = np.asarray(self._open.oindex[key] if key else self._open[...])
        return values.view(self.dtype) if self.dtype.kind in "mM" else values.astype(self.dtype, copy=False)


def open_saved(path: str | os.PathLike[str], dtype: DTypeLike | None, limits: Limits) -> xr.DataArray:
    """Return the recording that `save_recording` wrote to a Zarr folder, its values unread.

    Raises
    ------
    DataError
        The folder was not written by `save_recording`, or is damaged.
    """
    folder = Path(path).resolve()
    try:
        group = _package().open_group(str(folder), mode="r")
        header = decode(str(group.attrs[HEADER]))
        kept = dict(header["variables"])
        values = _variable(folder, group, header["values"], kept.pop(header["values"]), limits, dtype)
        held = replace(limits, read_bytes=limits.table_bytes)
        coords = {name: _variable(folder, group, name, one, held) for name, one in kept.items()}
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(
            f"{path}: expected a Zarr folder that sciml.io.save_recording wrote ({error}); open others with "
            "xarray.open_zarr"
        ) from error
    indexed = {name: one.load() for name, one in coords.items() if one.size <= EAGER}
    unread = xr.Coordinates({name: one for name, one in coords.items() if name not in indexed}, indexes={})
    made = xr.DataArray(values, coords=indexed, name=header["name"])
    made = made.assign_coords(unread) if unread else made
    made.encoding = values.encoding
    return made


def _variable(
    folder: Path, group: Any, name: str, kept: dict[str, Any], limits: Limits, dtype: DTypeLike | None = None
) -> xr.Variable:
    stored = group[name]
    if kept["dtype"] in ("str", "object"):
        values = np.asarray(stored[...]).astype(object).astype(str if kept["dtype"] == "str" else object)
        return xr.Variable(kept["dims"], values, kept["attrs"])
    array = Zarred(folder, name, stored.shape, kept["dtype"] if dtype is None else dtype, limits)
    encoding = {"preferred_chunks": dict(zip(kept["dims"], stored.chunks, strict=True))}
    return xr.Variable(kept["dims"], lazy(array), kept["attrs"], encoding)
