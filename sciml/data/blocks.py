"""Items that lie together in a file, and are read at one time: what a shuffle beyond memory deals with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks", "Piece", "blocks_of"]

AT_ONCE = 8  # blocks that batches are drawn from at a time
FRACTION = 0.4  # of the memory, that these take; the next ones take as much, and reading itself what remains


@dataclass(frozen=True, eq=False)
class Blocks:
    """The block of each item, shape (n,), numbered as they lie in the file, and how many are held at a time.

    A block is as many neighboring items as cover a twentieth of the memory; those that are held fill two fifths of it,
    and the ones that follow are read into other two fifths.
    """

    number: NDArray[np.int64]
    at_once: int = AT_ONCE


@dataclass(frozen=True, eq=False)
class Piece:
    """What was read of a block: rows (row, channel), and of each of its items, rising, where it begins and ends there.

    `begins` and `counts`, shape (n,), are rows; an item that runs beyond the recording has fewer of them.
    """

    items: NDArray[np.int64]
    begins: NDArray[np.int64]
    counts: NDArray[np.int64]
    rows: NDArray[np.float32]

    def places(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of each item among those of the piece."""
        return np.searchsorted(self.items, items)


def blocks_of(starts: NDArray[np.int64], stops: NDArray[np.int64], *, row_bytes: int, memory: int) -> Blocks:
    """Return blocks of items that cover samples `starts` to `stops`, shape (n,) each.

    Parameters
    ----------
    starts, stops
        First sample of each item, and the one behind its last.
    row_bytes
        Bytes of one sample of all channels.
    memory
        Bytes that all that is held may take.

    Examples
    --------
    >>> blocks_of(np.array([0, 2, 30, 10]), np.array([4, 6, 34, 14]), row_bytes=4, memory=480).number.tolist()
    [0, 0, 1, 1]
    """
    order = np.argsort(starts, kind="stable")
    reach = np.maximum.accumulate(stops[order])
    new = reach - np.maximum(starts[order], np.concatenate([[0], reach[:-1]]))
    rows = max(1, int(FRACTION * memory / AT_ONCE) // row_bytes)
    number = np.empty(len(starts), dtype=np.int64)
    number[order] = np.unique((np.cumsum(new) - new) // rows, return_inverse=True)[1]
    return Blocks(number)
