"""Several arrays as one: side by side along a new axis, or end to end along the first."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.io.arrays.lazy import LazyArray
from sciml.io.arrays.stored import Stored
from sciml.io.hdf5.guard import Limits
from sciml.io.hdf5.source import check_budget, is_integer, n_selected

__all__ = ["Concatenated", "Stacked"]


class Stacked(LazyArray):
    """Arrays of one shape, side by side along a new axis 1."""

    def __init__(self, parts: Sequence[Stored]) -> None:
        self.parts = tuple(parts)
        first = parts[0]
        self.shape = (first.shape[0], len(parts), *first.shape[1:])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        rest = (key[0], *key[2:])
        chosen = np.arange(len(self.parts))[key[1]]
        self.parts[0].source.check_budget(n_selected(key, self.shape) * self.dtype.itemsize)
        if np.ndim(chosen) == 0:
            return self.parts[int(chosen)].read(rest).astype(self.dtype, copy=False)
        axis = 0 if is_integer(key[0]) else 1
        if not len(chosen):
            empty = self.parts[0].read(rest)
            return np.empty((*empty.shape[:axis], 0, *empty.shape[axis:]), self.dtype)
        return np.stack([self.parts[number].read(rest) for number in chosen], axis=axis).astype(self.dtype, copy=False)


class Concatenated(LazyArray):
    """Variables, read or not, end to end along axis 0."""

    def __init__(self, parts: Sequence[xr.Variable], limits: Limits) -> None:
        self.parts = tuple(parts)
        self.limits = limits
        self.edges = [0, *np.cumsum([part.shape[0] for part in parts]).tolist()]
        self.shape = (self.edges[-1], *parts[0].shape[1:])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        check_budget("the joined files", n_selected(key, self.shape) * self.dtype.itemsize, self.limits)
        if is_integer(key[0]):
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
