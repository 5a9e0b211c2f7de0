"""Lazy arrays as xarray indexes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from sciml.io.arrays.lazy import LazyArray, ranks
from sciml.io.hdf5.source import is_integer

__all__ = ["Indexed", "indexed", "is_lazy"]


class _Backend(BackendArray):
    """An array of ours in the form that xarray asks of its backends."""

    def __init__(self, array: LazyArray) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self.array.read
        )


class Transposed(LazyArray):
    """An array that was indexed and then transposed."""

    def __init__(self, array: Indexed, order: Sequence[int]) -> None:
        self.array = array
        self.order = tuple(order)
        self.shape = tuple(array.shape[axis] for axis in self.order)
        self.dtype = array.dtype

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        plain_key = tuple(key[self.order.index(axis)] for axis in range(len(key)))
        values = np.asarray(self.array.oindex[indexing.OuterIndexer(plain_key)].get_duck_array())
        return values.transpose(ranks([axis for axis in self.order if not is_integer(plain_key[axis])]))


class Indexed(indexing.LazilyIndexedArray):
    """xarray's lazy indexing, lazy in transposing too (xarray's own way fails on two integers, and costs memory)."""

    def get_duck_array(self) -> Any:
        """Return the values; windows, which are most of what is asked for, without taking the key apart."""
        inner, key = self.array, self.key.tuple
        if isinstance(inner, _Backend) and isinstance(self.key, indexing.BasicIndexer) and _forward(key):
            return np.asarray(inner.array.read(key))
        return super().get_duck_array()  # type: ignore[no-untyped-call]

    def transpose(self, order: Sequence[int]) -> Indexed:
        """Return the array with its axes in another order, unread."""
        return Indexed(_Backend(Transposed(self, order)))


def _forward(key: tuple[Any, ...]) -> bool:
    return all(not isinstance(item, slice) or item.step is None or item.step > 0 for item in key)


def indexed(array: LazyArray) -> Indexed:
    """Wrap an array so that xarray's own indexing stays lazy."""
    return Indexed(_Backend(array))


def is_lazy(variable: xr.Variable) -> bool:
    """Whether the values of a variable are still in their file."""
    return isinstance(variable._data, indexing.LazilyIndexedArray)
