"""Where values are stored, and how they are read: one file handle per process, checked before each read."""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.chunk_index import ChunkIndex
from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits, checked_path, guard, open_file
from sciml.io.hdf5.links import Files
from sciml.io.hdf5.parallel_read import read_parallel
from sciml.io.hdf5.read_errors import Box, missing_regions, read_error
from sciml.io.hdf5.remote import is_remote

__all__ = ["OpenFile", "Source", "check_budget", "is_integer", "n_selected", "opened"]

SMALL_ROWS = 2**22  # two rows of chunks up to this size leave room in the 8 MiB that HDF5 gives a dataset unasked
MIN_CHUNK_CACHE = 2**26  # where they do not: so that windows here and there find chunks again, too
MAX_CHUNK_CACHE = 2**28
RUN_GAP = 32  # rows that are cheaper to read and drop than to seek over


class OpenFile:
    """A file open in this process. It closes when the last array that reads from it is gone."""

    def __init__(self, source: Source) -> None:
        source.check_unchanged()
        self.process = os.getpid()
        self._file = open_file(checked_path(source.file))
        self._datasets: dict[tuple[str, tuple[Box, ...] | None], h5py.Dataset] = {}
        self._indexes: dict[str, ChunkIndex] = {}
        self._lock = threading.Lock()

    def dataset(self, source: Source) -> h5py.Dataset:
        """Return the open dataset, opened once."""
        with self._lock:
            key = (source.path, source.missing_regions)  # a request that allows holes does not answer one that does not
            if key not in self._datasets:
                self._datasets[key] = _open_dataset(self._file, source)
            return self._datasets[key]

    def chunk_index(self, source: Source, dataset: h5py.Dataset) -> ChunkIndex | None:
        """Return the checked index of a dataset's chunks, read once; None where there is none, or it grows."""
        if not dataset.chunks or source.growing:
            return None
        with self._lock:
            if source.path not in self._indexes:
                with guard(source.label):
                    self._indexes[source.path] = ChunkIndex(dataset, source.label)
            return self._indexes[source.path]


_FILES: WeakValueDictionary[tuple[int, str, int, int], OpenFile] = WeakValueDictionary()


def opened(source: Source) -> OpenFile:
    """Return the file of this process, shared by all its arrays; a forked or spawned worker opens its own."""
    key = (os.getpid(), source.file, source.size, source.mtime_ns)
    found = _FILES.get(key)
    if found is None:
        found = _FILES[key] = OpenFile(source)
    return found


def _open_dataset(file: h5py.File, source: Source) -> h5py.Dataset:
    with guard(source.label):
        found = file[source.path]
        if not isinstance(found, h5py.Dataset) or not source.fits(found):
            raise DataError(f"{source.label}: the file changed since it was opened; open it again")
        with Files(checked_path(source.file)) as files:
            trouble = read_error(found, files, source.limits)
            if trouble and (source.missing_regions is None or source.missing_regions != missing_regions(found, files)):
                raise DataError(f"{source.label}: {trouble}")
        if not found.chunks or (cache := 2 * _row_of_chunks(found)) <= SMALL_ROWS:
            return found
        # The rows of chunks that a window straddles must fit, or a walk along the first axis decompresses every chunk
        # anew for each window.
        # HDF5 takes the cache of whoever opened the dataset first and still holds it: let go before opening anew.
        del found
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_chunk_cache(12_421, min(max(cache, MIN_CHUNK_CACHE), MAX_CHUNK_CACHE), 0.75)
        return h5py.Dataset(h5py.h5d.open(file.id, source.path.encode("utf-8", "surrogateescape"), access))


def _row_of_chunks(dataset: h5py.Dataset) -> int:
    chunks = dataset.chunks
    across = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape[1:], chunks[1:], strict=True))
    return int(across * math.prod(chunks) * dataset.dtype.itemsize)


@dataclass(frozen=True)
class Source:
    """Where values are stored: a dataset of a file as it was (size and time of change) when it was opened."""

    file: str
    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size: int
    mtime_ns: int
    limits: Limits = field(default=DEFAULT_LIMITS, repr=False)
    flat: tuple[int, ...] | None = None
    missing_regions: tuple[Box, ...] | None = None  # where values are known to be missing, and may be
    growing: bool = False  # a program was writing it, in SWMR mode

    @cached_property
    def label(self) -> str:
        """The file and the path of the dataset, as errors name them."""
        return f"{self.file.rpartition('/')[2] if is_remote(self.file) else Path(self.file).name}: {self.path}"

    def folded(self, columns: int) -> Source:
        """Return the same values, stored one row of `columns` after the other along one axis, as a table."""
        return replace(self, shape=(math.prod(self.shape) // columns, columns), flat=self.shape)

    def check_unchanged(self) -> None:
        """Raise if the file is gone or is no longer the one that was opened."""
        stat = checked_path(self.file).stat()
        if not self.growing and (stat.st_size, stat.st_mtime_ns) != (self.size, self.mtime_ns):
            raise DataError(f"{self.label}: the file changed since it was opened; open it again")

    def fits(self, dataset: h5py.Dataset) -> bool:
        """Whether the dataset is still the one that was opened; one that is being written may have grown."""
        expected = self.flat or self.shape
        if not self.growing:
            return bool(dataset.shape == expected)
        dataset.id.refresh()
        return len(dataset.shape) == len(expected) and all(
            now >= then for now, then in zip(dataset.shape, expected, strict=True)
        )

    def _check_not_cut(self) -> None:
        """Raise if the file is another one since it was opened: beyond a new end HDF5 reads zeros."""
        if is_remote(self.file):
            return
        try:
            stat = Path(self.file).stat()
        except OSError as error:
            raise DataError(f"{self.label}: the file is gone since it was opened ({error.strerror})") from error
        if stat.st_size < self.size or (
            not self.growing and (stat.st_size, stat.st_mtime_ns) != (self.size, self.mtime_ns)
        ):
            now = f"{stat.st_size} bytes now, {self.size} then"
            raise DataError(f"{self.label}: the file changed since it was opened ({now}); open it again")

    def read(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return `dataset[key]`, where key holds integers, slices and at most one increasing vector.

        Raises
        ------
        DataError
            It cannot be read, or the file was cut or changed since it was opened.
        """
        try:
            with guard(self.label):
                return self._selected(dataset, key)
        finally:
            self._check_not_cut()

    def _selected(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> NDArray[Any]:
        vectors = [axis for axis, item in enumerate(key) if isinstance(item, np.ndarray)]
        if not vectors:
            return self._read(dataset, key)
        axis = vectors[0]
        before = sum(not is_integer(item) for item in key[:axis])
        parts = []
        for run in _contiguous(key[axis], self._reach(dataset, axis)):
            first, last = int(run[0]), int(run[-1])
            block = self._read(dataset, (*key[:axis], slice(first, last + 1), *key[axis + 1 :]))
            parts.append(block.take(run - first, axis=before))
        return np.concatenate(parts, axis=before)

    def _reach(self, dataset: h5py.Dataset, axis: int) -> int:
        """Return how far apart two positions along an axis may be and still be read in one go."""
        if self.flat is not None:
            return 1 if axis == 0 else self.shape[1]  # whole rows are read in any case
        return int(dataset.chunks[axis]) if dataset.chunks else 1

    def _read(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> NDArray[Any]:
        if self.flat is not None:
            return self._read_rows(dataset, key[0], key[1])
        self.check_budget(n_selected(key, self.shape) * self.dtype.itemsize)
        if self.growing:  # the dataset may be longer than the recording by now
            ends = [
                item.indices(n) if isinstance(item, slice) else item for item, n in zip(key, self.shape, strict=True)
            ]
            return np.asarray(dataset[tuple(slice(*each) if isinstance(each, tuple) else each for each in ends)])
        try:
            values = read_parallel(dataset, key)
        except DataError as error:
            raise DataError(f"{self.label}: {error}") from error
        return np.asarray(dataset[key]) if values is None else values

    def _read_rows(self, dataset: h5py.Dataset, rows: Any, columns: Any) -> NDArray[Any]:
        """Return rows of values that lie row after row along one axis."""
        width = self.shape[1]
        asked = range(*rows.indices(self.shape[0])) if isinstance(rows, slice) else range(int(rows), int(rows) + 1)
        start, stop = (asked[0], asked[-1] + 1) if len(asked) else (0, 0)
        self.check_budget((stop - start) * width * self.dtype.itemsize)
        block = np.asarray(dataset[start * width : stop * width]).reshape(-1, width)
        return np.asarray(block[:: asked.step, columns] if isinstance(rows, slice) else block[0, columns])

    def as_stored(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a key of the dataset itself that selects at least what a key of this selects."""
        if self.flat is None:
            return key
        rows = np.atleast_1d(np.arange(self.shape[0])[key[0]])
        return (
            slice(int(rows.min()) * self.shape[1], (int(rows.max()) + 1) * self.shape[1]) if len(rows) else slice(0),
        )

    def check_budget(self, n_bytes: int) -> None:
        """Raise if one read would take more than `limits.read_bytes`."""
        check_budget(self.label, n_bytes, self.limits)


def check_budget(label: str, n_bytes: int, limits: Limits) -> None:
    """Raise if one read would take more than `limits.read_bytes`."""
    if n_bytes > limits.read_bytes:
        raise DataError(
            f"{label}: one read of {n_bytes / 2**30:.2f} GiB exceeds the limit of "
            f"{limits.read_bytes / 2**30:.2f} GiB; read it in pieces (recording.isel(time=slice(0, 1000))), "
            "open it with chunks='auto', or raise limits=sciml.io.Limits(read_bytes=...)"
        )


def n_selected(key: tuple[Any, ...], shape: tuple[int, ...]) -> int:
    """Return how many values a key selects."""
    sizes = []
    for item, size in zip(key, shape, strict=True):
        if isinstance(item, slice):
            sizes.append(len(range(*item.indices(size))))
        else:
            sizes.append(np.size(item))
    return math.prod(sizes)


def _contiguous(index: NDArray[np.int64], chunk: int) -> list[NDArray[np.int64]]:
    """Cut an increasing vector of positions where reading on would touch rows that nobody asked for."""
    cuts = np.flatnonzero(np.diff(index) > max(chunk, RUN_GAP)) + 1
    return np.split(index, cuts)


def is_integer(item: Any) -> bool:
    """Whether part of a key takes one position and so drops its axis."""
    return isinstance(item, (int, np.integer))
