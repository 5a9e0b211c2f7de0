"""Spectrum images of Velox: X-ray counts in the order of the scan, made into (y, x, energy) when they are read.

A stream holds the channel of each count; 65535 says that the next pixel begins. AcquisitionSettings, as JSON, state the
number of channels (bincount) and the raster. Frames of a scan follow each other and are added up.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.io.arrays import LazyArray, Stored
from sciml.io.hdf5.source import check_budget
from sciml.io.schema.axes import outer

__all__ = ["SpectrumImage"]

NEXT_PIXEL = 65535
BLOCK = 2**24


class SpectrumImage(LazyArray):
    """Counts by pixel and channel; the stream is read once, when the first value is asked for.

    Parameters
    ----------
    stream
        The stream as stored: one column, or one row.
    shape
        Rows, columns, channels.
    """

    def __init__(self, stream: Stored, shape: tuple[int, int, int]) -> None:
        self.stream = stream
        self.shape = shape
        self.dtype = np.dtype(np.int32)
        self._events: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_events": None}

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        if self._events is None:
            self._events = self._scan()
        pixel, channel = self._events
        chosen = [np.atleast_1d(np.arange(size)[item]) for size, item in zip(self.shape, key, strict=True)]
        sizes = [len(one) for one in chosen]
        check_budget(self.stream.source.label, math.prod(sizes) * 8, self.stream.source.limits)
        places = []
        for size, one, position in zip(
            self.shape, chosen, (pixel // self.shape[1], pixel % self.shape[1], channel), strict=True
        ):
            lookup = np.full(size, -1)
            lookup[one] = np.arange(len(one))
            places.append(lookup[position])
        inside = np.logical_and.reduce([place >= 0 for place in places])
        flat = (
            np.ravel_multi_index(tuple(place[inside] for place in places), sizes) if inside.any() else np.zeros(0, int)
        )
        counts = np.bincount(flat, minlength=math.prod(sizes)).reshape(sizes).astype(self.dtype)
        return outer(counts, tuple(0 if isinstance(item, (int, np.integer)) else slice(None) for item in key))

    def _scan(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return pixel and channel of each count."""
        n_pixels, passed = self.shape[0] * self.shape[1], 0
        pixels, channels = [], []
        size = self.stream.shape[0]
        check_budget(self.stream.source.label, size * 16, self.stream.source.limits)
        rest = (0,) * (len(self.stream.shape) - 1)
        for start in range(0, size, BLOCK):
            block = self.stream.read((slice(start, min(start + BLOCK, size)), *rest)).astype(np.int64)
            marks = block == NEXT_PIXEL
            pixel = passed + np.cumsum(marks)
            counted = ~marks & (block < self.shape[2])
            pixels.append(pixel[counted] % n_pixels)
            channels.append(block[counted])
            passed += int(marks.sum())
        return np.concatenate(pixels), np.concatenate(channels)
