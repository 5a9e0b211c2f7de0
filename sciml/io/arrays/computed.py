"""Arrays computed when they are indexed: functions of positions, and of the values of other arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sciml.io.arrays.lazy import LazyArray

__all__ = ["Computed", "Mapped", "RegularTimes", "Within"]


class Mapped(LazyArray):
    """Another array with a function applied to each of its values; `function` must be picklable."""

    def __init__(self, part: LazyArray, function: Callable[[NDArray[Any]], NDArray[Any]], dtype: DTypeLike) -> None:
        self.part = part
        self.function = function
        self.shape = part.shape
        self.dtype = np.dtype(dtype)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        return np.asarray(self.function(self.part.read(key))).astype(self.dtype, copy=False)


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


class Computed(LazyArray):
    """A one-dimensional array computed from the positions asked for; `function` must be picklable."""

    def __init__(self, function: Callable[[NDArray[np.int64]], NDArray[Any]], size: int, dtype: DTypeLike) -> None:
        self.function = function
        self.shape = (size,)
        self.dtype = np.dtype(dtype)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
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
