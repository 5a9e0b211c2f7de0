"""Datasets in physical values: scaled numbers, complex pairs, and virtual datasets whose sources are missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from sciml.errors import ConfigError
from sciml.io.arrays.lazy import LazyArray, ranks
from sciml.io.arrays.scale import Scale, physical
from sciml.io.hdf5.read_errors import Box
from sciml.io.hdf5.source import OpenFile, Source, is_integer, n_selected, opened

__all__ = ["Complex", "Stored", "WithMissing"]


class Stored(LazyArray):
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
        self._file: OpenFile | None = None
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
            self._file = opened(self.source)
        return self._file.dataset(self.source)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        stored_key = tuple(key[self.order.index(axis)] for axis in range(len(key)))
        dataset = self._dataset()
        if self._file is not None and (index := self._file.chunk_index(self.source, dataset)) is not None:
            index.check(self.source.as_stored(stored_key), dataset.shape)
        values = self.source.read(dataset, stored_key)
        if self.source.growing:
            self._file = None  # what HDF5 remembers of a file that grows goes stale: each read opens it anew
        if self.scale is not None:
            values = self.scale.converted(values, stored_key, self.dtype)
        if self.order != tuple(sorted(self.order)):
            values = values.transpose(ranks([axis for axis in self.order if not is_integer(stored_key[axis])]))
        return values.astype(self.dtype, copy=False)


class Complex(LazyArray):
    """Complex numbers stored as pairs of real and imaginary part along a last axis of two."""

    def __init__(self, pairs: Stored, dtype: DTypeLike) -> None:
        self.pairs = pairs
        self.shape = pairs.shape[:-1]
        self.dtype = np.dtype(dtype)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        pairs = np.ascontiguousarray(self.pairs.read((*key, slice(None))))
        return pairs.view(np.result_type(pairs.dtype, np.complex64))[..., 0].astype(self.dtype, copy=False)


class WithMissing(LazyArray):
    """Values with NaN in boxes that have none; `part` None: there is nothing but boxes."""

    def __init__(self, like: Stored, boxes: Sequence[Box], *, part: Stored | None) -> None:
        self.source = like.source
        self.part = part
        self.shape = like.shape
        self.dtype = np.result_type(like.dtype, np.float32)
        self.boxes = tuple(boxes)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        self.source.check_budget(n_selected(key, self.shape) * self.dtype.itemsize)
        rows = [
            np.arange(*item.indices(size)) if isinstance(item, slice) else np.asarray(item)
            for item, size in zip(key, self.shape, strict=True)
        ]
        if self.part is None:
            return np.full([one.size for one in rows if one.ndim], np.nan, self.dtype)
        values = self.part.read(key).astype(self.dtype)
        for box in self.boxes:
            inside = [(one >= start) & (one < stop) for one, (start, stop) in zip(rows, box, strict=True)]
            if all(one.all() for one in inside if not one.ndim):
                values[np.ix_(*(one for one in inside if one.ndim))] = np.nan
        return values
