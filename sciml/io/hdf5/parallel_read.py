"""Chunks decompressed in threads: HDF5 reads one at a time behind a lock, zlib and NumPy work without one.

Large reads fetch the chunks raw and undo deflate and shuffle here; all else (other filters, checksums, small reads that
the chunk cache answers, types that NumPy cannot view) stays with HDF5.
"""

import math
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError

__all__ = ["read_parallel"]

DEFLATE, SHUFFLE = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE
MIN_BYTES = 2**23
MIN_CHUNKS = 8  # below, starting threads costs more than they save
MAX_WORKERS = 8
Chunk = tuple[int, ...]  # where it begins, along each axis


def read_parallel(dataset: h5py.Dataset, key: tuple[Any, ...]) -> NDArray[Any] | None:
    """Return `dataset[key]` decompressed in threads; None where HDF5 itself is the better or the only way.

    Parameters
    ----------
    dataset
        Any dataset.
    key
        Integers and slices, one for each axis.

    Raises
    ------
    DataError
        A chunk does not decompress to its size.
    """
    if not dataset.chunks or not _plain(key) or (workers := min(MAX_WORKERS, _cores())) < 2:
        return None
    ranges = [range(*_as_slice(item).indices(size)) for item, size in zip(key, dataset.shape, strict=True)]
    chunks = list(_touched(ranges, dataset.chunks)) if _is_large(dataset, ranges) else []
    if len(chunks) < MIN_CHUNKS or (filters := _filters(dataset)) is None:
        return None
    values = np.empty([len(each) for each in ranges], dataset.dtype)
    fill = partial(_fill, values, dataset, filters, ranges)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(fill, chunks))
    return values[tuple(0 if isinstance(item, int | np.integer) else slice(None) for item in key)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plain(key: tuple[Any, ...]) -> bool:
    return all(item.step in (None, 1) if isinstance(item, slice) else np.ndim(item) == 0 for item in key)


def _as_slice(item: Any) -> slice:
    return item if isinstance(item, slice) else slice(int(item), int(item) + 1)


def _is_large(dataset: h5py.Dataset, ranges: list[range]) -> bool:
    """Whether a read is long, and uses most of the chunks that it touches: then a cache has nothing to give."""
    spans = (_span(each, size) * size for each, size in zip(ranges, dataset.chunks, strict=True))
    touched = math.prod(spans) * dataset.dtype.itemsize
    return bool(MIN_BYTES < touched < 2 * math.prod(map(len, ranges)) * dataset.dtype.itemsize)


def _span(asked: range, size: int) -> int:
    return asked[-1] // size - asked[0] // size + 1 if len(asked) else 0


def _touched(ranges: list[range], sizes: tuple[int, ...]) -> Iterator[Chunk]:
    starts = (
        range(each[0] // size * size, each[-1] + 1, size) if len(each) else range(0)
        for each, size in zip(ranges, sizes, strict=True)
    )
    return product(*starts)


def _filters(dataset: h5py.Dataset) -> tuple[int, ...] | None:
    """Return the filters in the order in which they were applied; None if they, or the type, are not for us."""
    plist = dataset.id.get_create_plist()
    codes = tuple(plist.get_filter(number)[0] for number in range(plist.get_nfilters()))
    standard = dataset.dtype.kind in "iuf" and dataset.id.get_type() == h5py.h5t.py_create(dataset.dtype)
    return codes if standard and codes in ((DEFLATE,), (SHUFFLE, DEFLATE)) else None


def _fill(
    values: NDArray[Any], dataset: h5py.Dataset, filters: tuple[int, ...], ranges: list[range], start: Chunk
) -> None:
    """Put what was asked of one chunk into its place."""
    chunk = _decoded(dataset, filters, start)
    inside, outside = [], []
    for asked, begin, size in zip(ranges, start, dataset.chunks, strict=True):
        low, high = max(asked[0], begin), min(asked[-1] + 1, begin + size)
        inside.append(slice(low - begin, high - begin))
        outside.append(slice(low - asked[0], high - asked[0]))
    values[tuple(outside)] = chunk if chunk.ndim == 0 else chunk[tuple(inside)]


def _decoded(dataset: h5py.Dataset, filters: tuple[int, ...], start: Chunk) -> NDArray[Any]:
    """Return one chunk, or the fill value if it was never written."""
    dtype, shape = dataset.dtype, dataset.chunks
    n_bytes = math.prod(shape) * dtype.itemsize
    info = dataset.id.get_chunk_info_by_coord(start)
    if info.byte_offset is None:
        return np.asarray(dataset.fillvalue, dtype)
    if info.size > 2 * n_bytes + 1024:  # deflate adds next to nothing: the size is damaged
        raise DataError(f"the chunk at {start} claims {info.size} bytes for {n_bytes}; copy the file again")
    skipped, data = dataset.id.read_direct_chunk(start)
    for number in reversed(range(len(filters))):
        if not skipped >> number & 1:
            data = (
                _decompressed(data, n_bytes, start) if filters[number] == DEFLATE else _unshuffled(data, dtype.itemsize)
            )
    if len(data) != n_bytes:
        raise DataError(f"the chunk at {start} has {len(data)} bytes in place of {n_bytes}; copy the file again")
    return np.frombuffer(data, dtype).reshape(shape)


def _decompressed(data: bytes, n_bytes: int, start: Chunk) -> bytes:
    """Undo deflate, but never make more than a chunk of it."""
    try:
        return zlib.decompressobj().decompress(data, n_bytes + 1)
    except zlib.error as error:
        raise DataError(f"the chunk at {start} does not decompress ({error}); copy the file again") from error


def _unshuffled(data: bytes, width: int) -> bytes:
    """Undo shuffle: all first bytes, then all second bytes, ... of the values; a remainder stays as it is."""
    n = len(data) // width
    planes = np.frombuffer(data, np.uint8, n * width).reshape(width, n)
    return planes.T.tobytes() + data[n * width :]
