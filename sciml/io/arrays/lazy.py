"""Arrays that stay in their file: read on indexing, in physical values, picklable, one file handle per process."""

from __future__ import annotations

import math
import os
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from sciml._later import xr
from sciml.errors import ConfigError, DataError
from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits, checked_path, guard, open_file
from sciml.io.hdf5.links import Box, Files, holes, obstacle
from sciml.io.hdf5.parallel_read import read_parallel
from sciml.io.hdf5.remote import is_remote

__all__ = [
    "Array",
    "Complex",
    "Computed",
    "Holed",
    "Joined",
    "Mapped",
    "RegularTimes",
    "Scale",
    "Source",
    "Stacked",
    "Stored",
    "Within",
    "lazy",
    "physical",
]

SMALL_ROWS = 2**22  # two rows of chunks up to this size leave room in the 8 MiB that HDF5 gives a dataset unasked
MIN_CHUNK_CACHE = 2**26  # where they do not: so that windows here and there find chunks again, too
MAX_CHUNK_CACHE = 2**28
RUN_GAP = 32  # rows that are cheaper to read and drop than to seek over


class _OpenFile:
    """A file open in this process. It closes when the last array that reads from it is gone."""

    def __init__(self, source: Source) -> None:
        source.check_unchanged()
        self.process = os.getpid()
        self._file = open_file(checked_path(source.file))
        self._datasets: dict[tuple[str, tuple[Box, ...] | None], h5py.Dataset] = {}
        self._lock = threading.Lock()

    def dataset(self, source: Source) -> h5py.Dataset:
        with self._lock:
            key = (source.path, source.holes)  # a request that allows holes does not answer one that does not
            if key not in self._datasets:
                self._datasets[key] = _open_dataset(self._file, source)
            return self._datasets[key]


_FILES: WeakValueDictionary[tuple[int, str, int, int], _OpenFile] = WeakValueDictionary()


def _open_file(source: Source) -> _OpenFile:
    """Return the file of this process, shared by all its arrays; a forked or spawned worker opens its own."""
    key = (os.getpid(), source.file, source.size, source.mtime_ns)
    found = _FILES.get(key)
    if found is None:
        found = _FILES[key] = _OpenFile(source)
    return found


def _open_dataset(file: h5py.File, source: Source) -> h5py.Dataset:
    with guard(source.label):
        found = file[source.path]
        if not isinstance(found, h5py.Dataset) or not source.fits(found):
            raise DataError(f"{source.label}: the file changed since it was opened; open it again")
        with Files(checked_path(source.file)) as files:
            trouble = obstacle(found, files, source.limits)
            if trouble and (source.holes is None or source.holes != holes(found, files)):
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
    holes: tuple[Box, ...] | None = None  # where values are known to be missing, and may be
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

    def read(self, dataset: h5py.Dataset, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return `dataset[key]`, where key holds integers, slices and at most one increasing vector."""
        vectors = [axis for axis, item in enumerate(key) if isinstance(item, np.ndarray)]
        with guard(self.label):
            if not vectors:
                return self._read(dataset, key)
            axis = vectors[0]
            before = sum(not _is_integer(item) for item in key[:axis])
            parts = []
            for run in _runs(key[axis], self._reach(dataset, axis)):
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
        self.check_budget(length(key, self.shape) * self.dtype.itemsize)
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


def length(key: tuple[Any, ...], shape: tuple[int, ...]) -> int:
    sizes = []
    for item, size in zip(key, shape, strict=True):
        if isinstance(item, slice):
            sizes.append(len(range(*item.indices(size))))
        else:
            sizes.append(np.size(item))
    return math.prod(sizes)


def _runs(index: NDArray[np.int64], chunk: int) -> list[NDArray[np.int64]]:
    """Cut an increasing vector of positions where reading on would touch rows that nobody asked for."""
    cuts = np.flatnonzero(np.diff(index) > max(chunk, RUN_GAP)) + 1
    return np.split(index, cuts)


@dataclass(frozen=True)
class Scale:
    """From stored to physical values: `(stored - zero) * factor * per_channel + offset`, with `missing` as NaN.

    `per_channel`, and `zero` if there are several, run along `axis` of the stored array.
    """

    factor: float = 1.0
    offset: float = 0.0
    per_channel: tuple[float, ...] | None = None
    axis: int = 1
    missing: float | None = None
    zero: float | tuple[float, ...] = 0

    @property
    def identity(self) -> bool:
        """Whether stored values are the physical ones."""
        return self == Scale(axis=self.axis)

    @property
    def formula(self) -> str:
        """What `apply` computes, in words."""
        stored = "stored" if self.zero == 0 else f"(stored - {self.zero})"
        gains = "" if self.per_channel is None else " * the gain of the channel"
        return f"{stored} * {self.factor}{gains} + {self.offset}"

    def apply(self, stored: NDArray[Any], key: tuple[Any, ...]) -> NDArray[Any]:
        """Return physical values (float64 or complex128) of the stored values that `key` selected."""
        values = self.centered(stored, key)
        values *= self.factor if self.per_channel is None else self._along(self.per_channel, key) * self.factor
        values += self.offset
        if self.missing is not None:
            values[stored == self.missing] = np.nan
        return values

    def centered(self, stored: NDArray[Any], key: tuple[Any, ...]) -> NDArray[Any]:
        """Return `stored - zero` in float64 or complex128; integers are subtracted as such, exact beyond 2**53."""
        wide = np.result_type(stored.dtype, np.float64)
        if self.zero == 0:
            return stored.astype(wide)
        if stored.dtype.kind in "iu":
            stored = stored.astype(np.int64)
        zero = self._along(self.zero, key) if isinstance(self.zero, tuple) else self.zero
        return np.asarray(stored - zero).astype(wide)

    def _along(self, values: tuple[float, ...], key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values of the channels that `key` selected, shaped to broadcast against what it selected."""
        chosen = np.asarray(np.asarray(values)[key[self.axis]])
        behind = sum(not _is_integer(item) for item in key[self.axis + 1 :])
        return chosen.reshape(chosen.shape + (1,) * behind) if chosen.ndim else chosen


class _Lazy:
    """An array that xarray indexes lazily: `shape`, `dtype`, and `_read` of a key of at most one vector."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        raise NotImplementedError


Array = _Lazy  # for readers whose values are more than a scaled dataset


class Stored(_Lazy):
    """A dataset in physical values.

    Parameters
    ----------
    source
        The dataset.
    order
        The stored axes in the order in which they are presented.
    scale
        How stored values become physical ones; None leaves them as they are stored.
    dtype
        Of the values handed out. None: as stored if `scale` is None; else float32 for integers of up to 16 bits,
        the stored type for floats and bools that need no scaling, float64 (complex128) for all else.
    """

    def __init__(
        self,
        source: Source,
        *,
        order: Sequence[int] | None = None,
        scale: Scale | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.source = source
        self._file: _OpenFile | None = None
        self.order = tuple(range(len(source.shape)) if order is None else order)
        self.scale = None if scale is None or (scale.identity and source.dtype.kind in "fcb") else scale
        self.shape = tuple(source.shape[axis] for axis in self.order)
        natural = source.dtype if scale is None else physical(source.dtype, scaled=self.scale is not None)
        self.dtype = np.dtype(natural if dtype is None else dtype)
        if scale is not None and self.dtype.kind not in "fcb":
            raise ConfigError(
                f"dtype={self.dtype}: expected a floating dtype, since {source.label} is read in physical values; "
                "use raw=True for the stored integers"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def _dataset(self) -> h5py.Dataset:
        if self._file is None or self._file.process != os.getpid():
            self._file = _open_file(self.source)
        return self._file.dataset(self.source)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        stored_key = tuple(key[self.order.index(axis)] for axis in range(len(key)))
        values = self.source.read(self._dataset(), stored_key)
        if self.source.growing:
            self._file = None  # what HDF5 remembers of a file that grows goes stale: each read opens it anew
        if self.scale is not None:
            values = self.scale.apply(values, stored_key)
        if self.order != tuple(sorted(self.order)):
            values = values.transpose(_ranks([axis for axis in self.order if not _is_integer(stored_key[axis])]))
        return values.astype(self.dtype, copy=False)


def physical(stored: np.dtype[Any], *, scaled: bool) -> np.dtype[Any]:
    """Return the dtype in which physical values of a stored dtype are handed out."""
    if stored.kind in "iuf" and stored.itemsize <= 2:
        return np.dtype(np.float32)
    if not scaled:
        return stored.newbyteorder("=")
    return np.dtype(np.complex128 if stored.kind == "c" else np.float64)


class Stacked(_Lazy):
    """Arrays of one shape, side by side along a new axis 1."""

    def __init__(self, parts: Sequence[Stored]) -> None:
        self.parts = tuple(parts)
        first = parts[0]
        self.shape = (first.shape[0], len(parts), *first.shape[1:])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        rest = (key[0], *key[2:])
        chosen = np.arange(len(self.parts))[key[1]]
        self.parts[0].source.check_budget(length(key, self.shape) * self.dtype.itemsize)
        if np.ndim(chosen) == 0:
            return self.parts[int(chosen)]._read(rest).astype(self.dtype, copy=False)
        axis = 0 if _is_integer(key[0]) else 1
        if not len(chosen):
            empty = self.parts[0]._read(rest)
            return np.empty((*empty.shape[:axis], 0, *empty.shape[axis:]), self.dtype)
        return np.stack([self.parts[number]._read(rest) for number in chosen], axis=axis).astype(self.dtype, copy=False)


class Joined(_Lazy):
    """Variables, read or not, end to end along axis 0."""

    def __init__(self, parts: Sequence[xr.Variable], limits: Limits) -> None:
        self.parts = tuple(parts)
        self.limits = limits
        self.edges = [0, *np.cumsum([part.shape[0] for part in parts]).tolist()]
        self.shape = (self.edges[-1], *parts[0].shape[1:])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        check_budget("the joined files", length(key, self.shape) * self.dtype.itemsize, self.limits)
        if _is_integer(key[0]):
            number = bisect_right(self.edges, key[0]) - 1
            return self._rows(number, key[0] - self.edges[number], key)
        asked = range(*key[0].indices(self.shape[0])) if isinstance(key[0], slice) else key[0]
        pieces = []
        for number, (begin, end) in enumerate(pairwise(self.edges)):
            inside = asked[bisect_left(asked, begin) : bisect_left(asked, end)]
            if isinstance(inside, range):
                pieces += [self._rows(number, slice(inside.start - begin, inside.stop - begin, inside.step), key)]
            else:
                pieces += [self._rows(number, inside - begin, key)]
        return np.concatenate(pieces, axis=0)

    def _rows(self, number: int, rows: Any, key: tuple[Any, ...]) -> NDArray[Any]:
        return np.asarray(self.parts[number][(rows, *key[1:])].values).astype(self.dtype, copy=False)


class Complex(_Lazy):
    """Complex numbers stored as pairs of real and imaginary part along a last axis of two."""

    def __init__(self, pairs: Stored, dtype: DTypeLike) -> None:
        self.pairs = pairs
        self.shape = pairs.shape[:-1]
        self.dtype = np.dtype(dtype)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        pairs = np.ascontiguousarray(self.pairs._read((*key, slice(None))))
        return pairs.view(np.result_type(pairs.dtype, np.complex64))[..., 0].astype(self.dtype, copy=False)


class Mapped(_Lazy):
    """Another array with a function applied to each of its values; `function` must be picklable."""

    def __init__(self, part: _Lazy, function: Callable[[NDArray[Any]], NDArray[Any]], dtype: DTypeLike) -> None:
        self.part = part
        self.function = function
        self.shape = part.shape
        self.dtype = np.dtype(dtype)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        return np.asarray(self.function(self.part._read(key))).astype(self.dtype, copy=False)


class Holed(_Lazy):
    """Values with NaN in boxes that have none; `part` None: there is nothing but boxes."""

    def __init__(self, like: Stored, boxes: Sequence[Box], *, part: Stored | None) -> None:
        self.source = like.source
        self.part = part
        self.shape = like.shape
        self.dtype = np.result_type(like.dtype, np.float32)
        self.boxes = tuple(boxes)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        self.source.check_budget(length(key, self.shape) * self.dtype.itemsize)
        rows = [
            np.arange(*item.indices(size)) if isinstance(item, slice) else np.asarray(item)
            for item, size in zip(key, self.shape, strict=True)
        ]
        if self.part is None:
            return np.full([one.size for one in rows if one.ndim], np.nan, self.dtype)
        values = self.part._read(key).astype(self.dtype)
        for box in self.boxes:
            inside = [(one >= start) & (one < stop) for one, (start, stop) in zip(rows, box, strict=True)]
            if all(one.all() for one in inside if not one.ndim):
                values[np.ix_(*(one for one in inside if one.ndim))] = np.nan
        return values


@dataclass(frozen=True)
class Within:
    """Whether positions lie in one of several ranges."""

    ranges: tuple[tuple[int, int], ...]

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the values at some positions."""
        inside = np.zeros(positions.shape, bool)
        for start, stop in self.ranges:
            inside |= (positions >= start) & (positions < stop)
        return inside


class Computed(_Lazy):
    """A one-dimensional array computed from the positions asked for; `function` must be picklable."""

    def __init__(self, function: Callable[[NDArray[np.int64]], NDArray[Any]], size: int, dtype: DTypeLike) -> None:
        self.function = function
        self.shape = (size,)
        self.dtype = np.dtype(dtype)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        index = key[0]
        positions = np.arange(*index.indices(self.shape[0])) if isinstance(index, slice) else np.asarray(index)
        return np.asarray(self.function(positions)).astype(self.dtype, copy=False)


@dataclass(frozen=True)
class RegularTimes:
    """Times of a regular clock: position i is `start + i / rate`, in seconds."""

    start: float
    rate: float

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the values at some positions."""
        return self.start + positions / self.rate


def _is_integer(item: Any) -> bool:
    return isinstance(item, (int, np.integer))


def _ranks(axes: Sequence[int]) -> NDArray[np.intp]:
    """Return the place of each axis among the sorted ones."""
    return np.argsort(np.argsort(axes))


def lazy(array: _Lazy) -> Any:
    """Wrap an array so that xarray's own indexing stays lazy."""
    from sciml.io.arrays.indexing import indexed  # it derives from classes of xarray, and so loads it

    return indexed(array)
