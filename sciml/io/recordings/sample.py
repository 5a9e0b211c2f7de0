"""A bounded look at a signal: blocks of rows, evenly spread, that read only so many bytes whatever the chunks are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.io.schema.declarations import Signal

__all__ = ["Sample", "sampled"]

BLOCKS = 60
ROWS = 2048  # in one block


@dataclass(frozen=True)
class Sample:
    """Blocks of rows of a signal, one below the other.

    Attributes
    ----------
    values
        Shape (rows, ...), the inner axes cut where whole rows would be too many bytes.
    starts
        The row at which each block begins.
    rows
        How many rows each block has.
    whole
        Whether it holds all values of the signal.
    """

    values: NDArray[Any]
    starts: tuple[int, ...]
    rows: int
    whole: bool

    @property
    def columns(self) -> NDArray[Any]:
        """The values as (rows, columns)."""
        return self.values.reshape(self.values.shape[0], -1)

    @property
    def blocks(self) -> NDArray[Any]:
        """The values as (block, rows, columns)."""
        return self.values.reshape(len(self.starts), self.rows, -1)


def sampled(variable: xr.Variable, signal: Signal, *, budget: int) -> Sample:
    """Return rows of an unread variable that cost at most about `budget` bytes of reading, decompressed.

    One row of one chunk is always read: `Limits.chunk_bytes` bounds that.
    """
    size, inner = variable.shape[0], list(variable.shape[1:])
    chunk, *across = _chunk(signal, variable.ndim)
    item = max(variable.dtype.itemsize, signal.data.dtype.itemsize if signal.data.dtype else 1)
    while _touched(inner, across) * chunk * item > budget and max(inner, default=1) > 1:
        widest = max(range(len(inner)), key=lambda axis: _cost(inner[axis], across[axis]))
        if inner[widest] <= across[widest]:
            break
        inner[widest] = -(-inner[widest] // 2)
    row = _touched(inner, across) * item
    blocks = max(1, min(BLOCKS, budget // max(row * chunk, 1), size))
    rows = max(1, min(ROWS, budget // blocks // max(row, 1), size // blocks))
    if rows * blocks >= size - blocks:
        blocks, rows = 1, size
    starts = tuple(int(start) for start in np.linspace(0, size - rows, blocks))
    key = tuple(slice(0, stop) for stop in inner)
    parts = [np.asarray(variable[(slice(start, start + rows), *key)].values) for start in starts]
    whole = rows == size and inner == list(variable.shape[1:])
    return Sample(np.concatenate(parts), starts, rows, whole)


def _chunk(signal: Signal, n_dims: int) -> tuple[int, ...]:
    """Return the chunk of the file along each presented axis, 1 where values lie in one piece."""
    stored = signal.data.chunks
    if stored is None or (signal.values.is_folded) or len(stored) != n_dims:
        return (1,) * n_dims
    return tuple(stored[axis] for axis in signal.values.order or range(n_dims))


def _cost(size: int, chunk: int) -> int:
    return -(-size // chunk) * chunk


def _touched(sizes: list[int], chunks: list[int]) -> int:
    return math.prod(_cost(size, chunk) for size, chunk in zip(sizes, chunks, strict=True))
