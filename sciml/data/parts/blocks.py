"""Items that lie together in a file, and are read at one time: what a shuffle beyond memory deals with."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import ConfigError

__all__ = ["Blocks", "Piece", "blocks_of"]

AT_ONCE = 8  # blocks that batches are drawn from at a time
FRACTION = 0.4  # of the memory, that these take; the next ones take as much, and reading itself what remains


@dataclass(frozen=True, eq=False)
class Blocks:
    """The block of each item, shape (n,), numbered as they lie in the file, and how many are held at a time.

    A block is as many neighboring items as cover a twentieth of the memory, with what the last of them reach beyond the
    next; those that are held fill two fifths of it, and the ones that follow are read into other two fifths. It is no
    less than a chunk, nor than what neighbors have in common, which is read with both: then fewer are held at a time,
    one at least.
    """

    number: NDArray[np.int64]
    at_once: int = AT_ONCE


class Piece(NamedTuple):
    """What was read of a block: rows (row, channel), and of each of its items, rising, where it begins and ends there.

    `begins` and `counts`, shape (n,), are rows; an item that runs beyond the recording has fewer of them. All are
    tensors: between processes those lie in shared memory.
    """

    items: torch.Tensor
    begins: torch.Tensor
    counts: torch.Tensor
    rows: torch.Tensor


class Pieces:
    """The pieces of blocks that are held, by the number of the block, for a part of n items.

    `begins` and `counts` are those of all items that are held, shape (n,).
    """

    def __init__(self, n: int) -> None:
        self.begins, self.counts = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.rows: dict[int, NDArray[np.float32]] = {}

    def add(self, block: int, piece: Piece) -> None:
        """Hold what was read of a block."""
        items = piece.items.numpy()
        self.begins[items], self.counts[items] = piece.begins.numpy(), piece.counts.numpy()
        self.rows[block] = piece.rows.numpy()

    def drop(self, block: int) -> None:
        """Let go of a block."""
        del self.rows[block]


def blocks_of(
    starts: NDArray[np.int64], stops: NDArray[np.int64], *, row_bytes: int, memory: int, chunk: int = 1
) -> Blocks:
    """Return blocks of items that cover samples `starts` to `stops`, shape (n,) each.

    Parameters
    ----------
    starts, stops
        First sample of each item, and the one behind its last.
    row_bytes
        Bytes of one sample of all channels.
    memory
        Bytes that all that is held may take.
    chunk
        Samples that are decompressed together: blocks are of whole chunks.

    Raises
    ------
    ConfigError
        Items too long for the memory: two blocks do not fit, of a single item each and what it shares with the next.

    Examples
    --------
    >>> blocks_of(np.array([0, 2, 30, 10]), np.array([4, 6, 34, 14]), row_bytes=4, memory=800).number.tolist()
    [0, 0, 1, 1]
    """
    order = np.argsort(starts, kind="stable")
    length, overlap = _lengths(starts[order], stops[order])
    if (least := 2 * (length + overlap) * row_bytes) > memory:
        raise ConfigError(
            f"expected data.memory of at least {least} bytes, twice a window of {length * row_bytes} bytes and what "
            f"it shares with another, got {memory}; set it higher, or cut shorter windows, or fewer that overlap"
        )
    first, reach = starts[order] // chunk * chunk, np.maximum.accumulate(-(-stops[order] // chunk) * chunk)
    new = reach - np.maximum(first, np.concatenate([[0], reach[:-1]]))
    covered = np.cumsum(new) - (reach - first)  # before the item begins
    held = int(FRACTION * memory) // row_bytes
    rows = max(1, (held // AT_ONCE - length) // chunk, -(-overlap // chunk)) * chunk
    number = np.empty(len(starts), dtype=np.int64)
    number[order] = np.unique(covered // rows, return_inverse=True)[1]
    return Blocks(number, min(AT_ONCE, max(1, held // (rows + length))))


def _lengths(first: NDArray[np.int64], behind: NDArray[np.int64]) -> tuple[int, int]:
    """Return the samples of the longest item, and the most that one has in common with those before, in their order."""
    common = np.maximum.accumulate(behind)[:-1] - first[1:]
    return int((behind - first).max(initial=0)), int(np.minimum(common, (behind - first)[1:]).max(initial=0))
