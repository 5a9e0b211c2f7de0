"""What a lazy array is: a shape, a dtype, and a way to read a part; as xarray sees it, unread until indexed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LazyArray", "ranks"]


class LazyArray:
    """An array that xarray indexes lazily: `shape`, `dtype`, and `read` of a key of at most one vector."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects: integers, slices, and at most one increasing vector."""
        raise NotImplementedError


def ranks(axes: Sequence[int]) -> NDArray[np.intp]:
    """Return the place of each axis among the sorted ones."""
    return np.argsort(np.argsort(axes))
