"""A netCDF file or Zarr folder that is filled region by region, and goes on where it stopped if it is killed."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml import files
from sciml._later import xr
from sciml.errors import ScimlWarning, StorageError
from sciml.io.write import save, zarr
from sciml.io.write.header import HEADER

__all__ = ["RegionFile"]

CHUNK_SIDE = 128
CHUNK_BYTES = 2**21
FINISHING = -1  # the number that the journal has when all regions are done and attributes are written


class RegionFile:
    """A recording and maps beside it, written in numbered regions; finished ones survive Ctrl-C and SIGKILL.

    Until all is there the values lie in a hidden file beside the target, and a journal names the regions that are
    done. All space is allotted at the start: afterwards only values change on the disk, never the structure of the
    file, so that a kill at any moment leaves it readable. The same call again, with the same `fingerprint`, goes on.

    Parameters
    ----------
    path
        The file to write; a name that ends in `.zarr` becomes a Zarr folder.
    template
        A recording of the right dims, dtype, coordinates and attributes; its values are not looked at.
    maps
        Further variables, over some of its dims.
    chunk_hint
        Sizes of a region along some dims.
    settings
        All that decides the result, but for the data, as text.
    data
        A hash of the data. Unfinished work on other data is of no use any more: it is discarded, with a warning, and
        `restarted` says so.
    overwrite
        Replace a file that is there, and unfinished work with other settings.

    Raises
    ------
    StorageError
        The file exists, unfinished work with other settings does, or another process is writing it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        template: xr.DataArray,
        maps: Mapping[str, xr.DataArray],
        *,
        chunk_hint: Mapping[str, int],
        settings: str,
        data: str,
        overwrite: bool = False,
    ) -> None:
        self.target = files.check_target(path, overwrite=overwrite)
        self._held = ExitStack()
        self._held.enter_context(files.only_writer(self.target))
        with ExitStack() as failed:
            failed.callback(self._held.close)
            self._begin(template, maps, chunk_hint, {"settings": settings, "data": data}, overwrite=overwrite)
            failed.pop_all()

    def _begin(
        self,
        template: xr.DataArray,
        maps: Mapping[str, xr.DataArray],
        chunk_hint: Mapping[str, int],
        work: dict[str, str],
        *,
        overwrite: bool,
    ) -> None:
        self.overwrite = overwrite
        self.part = self.target.with_name(f".{self.target.name}.unfinished")
        self.journal = self.target.with_name(f".{self.target.name}.journal")
        self.name, self._variables = save._variables(template)
        self._template = template
        self.is_folder = self.target.suffix in files.FOLDERS
        self.restarted = False
        done = self._resume(work)
        if done is None:
            self.journal.unlink(missing_ok=True)  # it speaks of the file that is written over now
            create = self._create_folder if self.is_folder else self._create
            with files.said_of_disk(self.target):
                create(template, maps, chunk_hint)
            files.write_bytes(self.journal, json.dumps(work).encode() + b"\n", overwrite=True)
        self.done: dict[int, list[Any]] = done or {}
        self._sink = None if self.is_folder else save._Sink(self.part, "r+b")
        self._file = zarr.opened(self.part) if self._sink is None else h5py.File(self._sink, "r+")

    def _resume(self, work: dict[str, str]) -> dict[int, list[Any]] | None:
        """Return the notes on the regions that are done, None if there is nothing to go on from."""
        if not (self.part.exists() and self.journal.exists()):
            return None
        lines = self.journal.read_text().split("\n")
        with suppress(ValueError, TypeError):
            before = json.loads(lines[0])
            if before == work:
                done = dict(map(json.loads, lines[1:-1]))  # the last line may be torn
                return None if FINISHING in done else done
            if before["settings"] == work["settings"] and not self.overwrite:
                said = "the unfinished run that is there is of other data, and is discarded; all is computed anew"
                warnings.warn(f"{self.target}: {said}", ScimlWarning, stacklevel=5)
                self.restarted = True
                return None
        if self.overwrite:
            return None
        raise StorageError(
            f"{self.target}: an unfinished run with other data or settings, or of another version, is there; finish "
            "that one, choose another name, or discard it with overwrite=True (--overwrite)"
        )

    def _create(self, template: xr.DataArray, maps: Mapping[str, xr.DataArray], chunk_hint: Mapping[str, int]) -> None:
        import h5netcdf

        text = save._header_text(template, self.name, self._variables)
        with save._Sink(self.part) as sink, h5py.File(sink, "w") as hdf5, h5netcdf.File(hdf5, "w") as file:
            file.attrs["Conventions"] = "CF-1.10"
            file.dimensions = {str(dim): size for dim, size in template.sizes.items()}
            if any(variable.dtype.kind == "c" for variable in self._variables.values()):
                file.dimensions[save.PAIR] = 2
            file.create_variable(HEADER, (), dtype=h5py.string_dtype())[...] = text
            for label, variable in self._variables.items():
                if label != self.name:
                    save._write_variable(file, label, variable, sink)
            for label, each in {self.name: template, **maps}.items():
                _allot(file, label, each, chunk_hint)
            for label, attrs in {label: each.attrs for label, each in (self._variables | dict(maps)).items()}.items():
                for key, value in attrs.items():
                    save._write_attribute(file.variables[label], str(key), value)

    def _create_folder(
        self, template: xr.DataArray, maps: Mapping[str, xr.DataArray], chunk_hint: Mapping[str, int]
    ) -> None:
        filled = {self.name: template.variable, **{name: each.variable for name, each in maps.items()}}

        def chunks(variable: xr.Variable) -> tuple[int, ...] | None:
            return _chunks(variable, chunk_hint) if variable.ndim else None

        def blocks(label: str, variable: xr.Variable, **options: Any) -> Iterator[tuple[Any, NDArray[Any]]]:
            reported = save._Progress(None, 0)
            return (
                iter(()) if label in filled else save._blocks(label, variable, reported=reported, counted="", **options)
            )

        text = save._header_text(template, self.name, self._variables)
        zarr.write(self.part, text, self._variables | filled, chunks, blocks)

    def write(
        self, number: int, region: Mapping[str, slice], values: Mapping[str, xr.DataArray], note: list[Any]
    ) -> None:
        """Write a region of some variables, then note that it is done."""
        with files.said_of_disk(self.target, left="what was finished is kept, and the same call goes on from there"):
            for name, array in values.items():
                target = self._file[name]
                key = tuple(region.get(str(dim), slice(None)) for dim in array.dims)
                target[key] = np.asarray(array.values) if self.is_folder else save._stored(np.asarray(array.values))
            self._flush()
            self._note(number, note)
        self.done[number] = note

    def _flush(self) -> None:
        if self._sink is not None:
            self._file.flush()
            self._sink.check()

    def _note(self, number: int, note: list[Any]) -> None:
        with self.journal.open("a") as journal:
            journal.write(json.dumps([number, note]) + "\n")

    def close(self) -> None:
        """Let go of the file; what is done stays for the next time."""
        if self._sink is not None:
            self._file.close()
            self._sink.close()
        self._held.close()

    def discard(self) -> None:
        """Let go of the file, and of all that was done."""
        self.close()
        self.journal.unlink(missing_ok=True)
        shutil.rmtree(self.part) if self.is_folder else self.part.unlink(missing_ok=True)

    def describe(self, attrs: Mapping[str, Any]) -> None:
        """Add attributes of the values that are known only when all is done."""
        self._note(FINISHING, [])  # the structure changes now: a kill would tear it
        described = self._variables[self.name].copy(deep=False)
        described.attrs.update(attrs)
        text = save._header_text(self._template, self.name, {**self._variables, self.name: described})
        if self._sink is None:
            self._file.attrs[HEADER] = text
        else:
            self._file[HEADER][()] = text
        for key, value in attrs.items():
            save._write_attribute(self._file[self.name], str(key), value)
        self._flush()

    def finish(self) -> Path:
        """Put the file in its place."""
        if self._sink is not None:
            self._file.close()
        files.check_target(self.target, overwrite=self.overwrite)
        if self.is_folder and self.target.exists():
            shutil.rmtree(self.target)
        descriptor = os.open(self.part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.part.replace(self.target)
        self.journal.unlink()
        self.close()
        return self.target


def _allot(file: Any, label: str, template: xr.DataArray, hint: Mapping[str, int]) -> None:
    """Create a variable whose chunks all have their place on the disk from the start."""
    dims, sizes = tuple(map(str, template.dims)), template.shape
    chunks = _chunks(template, hint)
    dtype: np.dtype[Any] = template.dtype
    if dtype.kind == "c":
        dims, sizes, chunks = (*dims, save.PAIR), (*sizes, 2), (*chunks, 2)
        dtype = np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    file.create_variable(label, dims, dtype=dtype, chunks=chunks, dcpl=plist)


def _chunks(template: xr.DataArray | xr.Variable, hint: Mapping[str, int]) -> tuple[int, ...]:
    """Return chunks as wide as a region, up to a limit, and along the other dims as long as their bytes allow."""
    wide = {dim: min(hint[str(dim)], CHUNK_SIDE) for dim in template.dims if str(dim) in hint}
    room = max(1, CHUNK_BYTES // (int(np.prod([*wide.values()], dtype=np.int64)) * template.dtype.itemsize))
    for dim in reversed([dim for dim in template.dims if dim not in wide]):
        wide[dim] = min(template.sizes[dim], room)
        room = max(1, room // wide[dim])
    return tuple(wide[dim] for dim in template.dims)
