"""Whether all chunks of a dataset are where its index says: HDF5 gives zeros, silently, for one not found."""

import math
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError

__all__ = ["ChunkIndex"]

MOST = 2**20  # chunks that are looked at one by one


class ChunkIndex:
    """The chunks that the index of a dataset lists, checked once; asked before each read whether it touches others.

    Chunks off the grid, listed twice, or absent although space was allotted for all, are damage. Others may be absent:
    a recording that ended early lacks the last ones along an axis, and one with a fill value of its own, or with more
    holes than chunks, was written sparse; these keep the fill value, and `unwritten` says so. Any other hole is an
    error where it is read.

    Raises
    ------
    DataError
        The index is damaged.
    """

    def __init__(self, dataset: h5py.Dataset, label: str) -> None:
        self.sizes = dataset.chunks
        self.label = label
        self.absent: NDArray[np.bool_] | None = None
        self.unwritten = ""
        grid = tuple(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        if math.prod(grid) > MOST or not dataset.size:
            return
        listed = _listed(dataset, grid, label)
        absent = int(listed.size - listed.sum())
        if not absent:
            return
        plist = dataset.id.get_create_plist()
        if plist.get_alloc_time() == h5py.h5d.ALLOC_TIME_EARLY:
            said = "and space was allotted for all; copy the file again from its source"
            raise DataError(f"{label}: its index lists {listed.sum()} of {listed.size} chunks, {said}")
        if (
            plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
            or _ended_early(listed)
            or 2 * absent > listed.size
        ):
            self.unwritten = f"{absent} of {listed.size} chunks were never written, and read as {dataset.fillvalue}"
            return
        self.absent = ~listed

    def check(self, key: tuple[Any, ...], shape: tuple[int, ...]) -> None:
        """Raise if a key of integers and slices touches a chunk that should be there."""
        if self.absent is None:
            return
        parts = []
        for item, size, chunk in zip(key, shape, self.sizes, strict=True):
            parts.append(_touched(item, size, chunk))
        if self.absent[tuple(parts)].any():
            first = np.argwhere(self.absent)[0] * np.array(self.sizes)
            count, total = int(self.absent.sum()), self.absent.size
            raise DataError(
                f"{self.label}: {count} of {total} chunks are not in the index (the first at "
                f"{tuple(first.tolist())}), between others that are, and would read as zeros; copy the file again from "
                "its source, or read the parts that are there"
            )


def _touched(item: Any, size: int, chunk: int) -> Any:
    """Return which chunks along an axis an integer, a slice or a vector selects of."""
    if isinstance(item, np.ndarray):
        return np.unique(item // chunk)
    asked = range(*item.indices(size)) if isinstance(item, slice) else range(int(item), int(item) + 1)
    if not len(asked):
        return slice(0)
    return slice(min(asked[0], asked[-1]) // chunk, max(asked[0], asked[-1]) // chunk + 1)


def _listed(dataset: h5py.Dataset, grid: tuple[int, ...], label: str) -> NDArray[np.bool_]:
    """Return which chunks of the grid the index lists."""
    found: list[tuple[int, ...]] = []
    dataset.id.chunk_iter(lambda chunk: found.append(chunk.chunk_offset))
    listed = np.zeros(grid, bool)
    if not found:
        return listed
    offsets = np.array(found, dtype=np.uint64).reshape(len(found), -1)
    numbers, rest = np.divmod(offsets, np.array(dataset.chunks, np.uint64))
    off = rest.any(axis=1) | (numbers >= np.array(grid, np.uint64)).any(axis=1)
    if off.any():
        where = tuple(offsets[off][0].tolist())
        raise DataError(
            f"its index lists a chunk at {where}, off the grid of chunks of {dataset.chunks}; copy it again"
        )
    listed[tuple(numbers.astype(np.int64).T)] = True
    if listed.sum() < len(found):
        raise DataError(f"{label}: its index lists {len(found) - int(listed.sum())} chunks twice; copy the file again")
    return listed


def _ended_early(listed: NDArray[np.bool_]) -> bool:
    """Whether what is listed is whole up to some place along an axis, the last layer perhaps in part."""
    written = np.argwhere(listed)
    if not len(written):
        return True
    box = listed[tuple(slice(0, int(end) + 1) for end in written.max(axis=0))]
    long = (axis for axis, size in enumerate(box.shape) if size > 1)
    return bool(box.all()) or any(bool(box.take(np.arange(box.shape[axis] - 1), axis=axis).all()) for axis in long)
