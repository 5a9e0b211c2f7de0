"""In which order items are read: every draw is a function of (seed, stream, index), whoever reads them."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["InBlocks", "batch_order", "draw_keys", "in_sequence", "key"]


def key(seed: int, stream: str, index: int) -> int:
    """Return the seed of one random draw: the same whether the run was interrupted before it or not.

    Examples
    --------
    >>> key(0, "order", 1) == key(0, "order", 1), key(0, "order", 1) == key(0, "dropout", 1)
    (True, False)
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}/{index}".encode()).digest()[:8], "little")


class InBlocks(Protocol):
    """Where items lie in a file; `sciml.data.parts.blocks.Blocks` is one."""

    @property
    def number(self) -> NDArray[np.int64]:
        """The block of each item, shape (n,)."""

    @property
    def at_once(self) -> int:
        """How many blocks are held at a time."""


def batch_order(
    n: int,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    chances: NDArray[np.float64] | None = None,
    blocks: InBlocks | None = None,
) -> list[NDArray[np.int64]]:
    """Return the items of each batch of a pass: every item once, in random order; with `chances`, n draws by them.

    Of items in blocks of a file as many blocks are drawn as are held at a time, and all their items come in random
    order before those of the next ones. A last batch of a single item joins the one before: batch normalization cannot
    use it.

    Examples
    --------
    >>> [len(batch) for batch in batch_order(9, 4, seed=0, epoch=0)]
    [4, 5]
    """
    rng = np.random.default_rng(key(seed, "order", epoch))
    order = rng.permutation(n) if chances is None else rng.choice(n, size=n, p=chances)
    if blocks is not None:
        order = order[np.argsort(_turns(blocks, rng)[blocks.number[order]], kind="stable")]
    return np.split(order, _cuts(n, batch_size))


def draw_keys(plan: Sequence[NDArray[np.int64]], *, seed: int, number: int) -> list[NDArray[np.uint64]]:
    """Return for each item of each batch of a pass the seed of its draws: of its first, second, ... time in the pass.

    Parameters
    ----------
    plan
        The items of each batch of the whole pass.
    seed, number
        The seed of the run, and the number of the pass.

    Examples
    --------
    >>> first, second = draw_keys([np.array([5, 7]), np.array([5])], seed=0, number=3)
    >>> bool(first[0] == first[1]), bool(first[0] == second[0])
    (True, False)
    """
    if not plan:
        return []
    items = np.concatenate(plan)
    order = np.argsort(items, kind="stable")
    _, begins, counts = np.unique(items[order], return_index=True, return_counts=True)
    times = np.empty(len(items), np.int64)
    times[order] = np.arange(len(items)) - np.repeat(begins, counts)
    streams = ("augment", *(f"augment again {k}" for k in range(1, counts.max())))
    keys = np.array([key(seed, stream, number) for stream in streams], np.uint64)[times]
    return np.split(keys, np.cumsum([len(batch) for batch in plan[:-1]]))


def _turns(blocks: InBlocks, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return when each block has its turn, with as many others as are held at a time; turns of equal length."""
    n = int(blocks.number.max()) + 1
    n_turns = -(-n // blocks.at_once)
    return rng.permutation(n) * n_turns // n


def in_sequence(n: int, batch_size: int) -> list[NDArray[np.int64]]:
    """Return the items of each batch in their order, for evaluation."""
    return np.split(np.arange(n), range(batch_size, n, batch_size))


def _cuts(n: int, batch_size: int) -> list[int]:
    cuts = list(range(batch_size, n, batch_size))
    return cuts[:-1] if cuts and n - cuts[-1] == 1 else cuts
