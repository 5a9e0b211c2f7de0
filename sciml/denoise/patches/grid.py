"""Where patches lie: a regular grid whose last patch is flush with the border, cut into boxes of patches."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sciml._typing import IntArray

__all__ = ["Box", "Grid", "starts"]


def starts(size: int, patch: int, stride: int) -> tuple[int, ...]:
    """Return where patches begin along one axis: every `stride`, and the last one flush with the border.

    Examples
    --------
    >>> starts(10, 5, 2), starts(9, 4, 3)
    ((0, 2, 4, 5), (0, 3, 5))
    """
    last = size - patch
    return (*range(0, last, stride), last)


@dataclass(frozen=True)
class Box:
    """Patches that are handled at once: where they begin along each axis, and the shape of a patch."""

    starts: tuple[tuple[int, ...], ...]
    patch: tuple[int, ...]

    @property
    def region(self) -> tuple[slice, ...]:
        """Voxels that the patches cover, as slices of the array."""
        return tuple(slice(s[0], s[-1] + p) for s, p in zip(self.starts, self.patch, strict=True))

    def voxels(self, shape: tuple[int, ...]) -> IntArray:
        """Return the flat numbers, in an array of `shape`, of the voxels of each patch: (patch, voxel)."""
        steps = np.cumprod((1, *shape[:0:-1]))[::-1]
        base = _outer_sum([np.asarray(s) * step for s, step in zip(self.starts, steps, strict=True)])
        offset = _outer_sum([np.arange(p) * step for p, step in zip(self.patch, steps, strict=True)])
        return np.asarray(base[:, None] + offset)

    def gathering(self) -> tuple[IntArray, IntArray]:
        """Return which rows of a table (patch x voxel, ...) belong to each voxel of the region.

        The rows of all voxels in one list, voxel after voxel, and where each voxel's rows begin in it.
        """
        return _gathering(tuple(tuple(i - s[0] for i in s) for s in self.starts), self.patch)


@lru_cache(maxsize=32)
def _gathering(relative: tuple[tuple[int, ...], ...], patch: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    shape = tuple(s[-1] + p for s, p in zip(relative, patch, strict=True))
    voxel = Box(relative, patch).voxels(shape).ravel()
    order = np.argsort(voxel, kind="stable")
    return order, np.searchsorted(voxel[order], np.arange(math.prod(shape)))


def _outer_sum(parts: list[IntArray]) -> IntArray:
    total = parts[0]
    for part in parts[1:]:
        total = (total[:, None] + part).ravel()
    return total


@dataclass(frozen=True)
class Grid:
    """All patches of an array, or those of a part of it: where they begin along each axis."""

    starts: tuple[tuple[int, ...], ...]
    patch: tuple[int, ...]

    @classmethod
    def cover(cls, shape: tuple[int, ...], patch: tuple[int, ...], stride: tuple[int, ...]) -> "Grid":
        """Return the patches that cover an array of `shape`."""
        return cls(tuple(map(starts, shape, patch, stride)), patch)

    def touching(self, region: tuple[slice, ...]) -> "Grid":
        """Return the patches that touch a region."""
        return Grid(
            tuple(
                tuple(i for i in axis if i < part.stop and i + p > part.start)
                for axis, p, part in zip(self.starts, self.patch, region, strict=True)
            ),
            self.patch,
        )

    @property
    def region(self) -> tuple[slice, ...]:
        """Voxels that the patches cover."""
        return Box(self.starts, self.patch).region

    def shifted(self) -> "Grid":
        """Return the same patches counted from the corner of their region."""
        return Grid(tuple(tuple(i - axis[0] for i in axis) for axis in self.starts), self.patch)

    @property
    def n_patches(self) -> int:
        """Number of patches."""
        return math.prod(map(len, self.starts))

    def boxes(self, n_patches: int) -> Iterator[Box]:
        """Cut the grid into boxes of about `n_patches`, long along the last axes, in memory order."""
        sizes: list[int] = []
        left = max(1, n_patches)
        for axis in reversed(self.starts):
            sizes.insert(0, math.ceil(len(axis) / math.ceil(len(axis) / min(len(axis), left))))
            left = max(1, left // sizes[0])
        cuts = [
            [axis[i : i + size] for i in range(0, len(axis), size)]
            for axis, size in zip(self.starts, sizes, strict=True)
        ]
        for combination in itertools.product(*cuts):
            yield Box(combination, self.patch)
