"""In which order items are read: every draw is a function of (seed, stream, index), whoever reads them."""

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["batch_order", "in_sequence", "key"]


def key(seed: int, stream: str, index: int) -> int:
    """Return the seed of one random draw: the same whether the run was interrupted before it or not.

    Examples
    --------
    >>> key(0, "order", 1) == key(0, "order", 1), key(0, "order", 1) == key(0, "dropout", 1)
    (True, False)
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}/{index}".encode()).digest()[:8], "little")


def batch_order(
    n: int, batch_size: int, *, seed: int, epoch: int, chances: NDArray[np.float64] | None = None
) -> list[NDArray[np.int64]]:
    """Return the items of each batch of a pass: every item once, in random order; with `chances`, n draws by them.

    A last batch of a single item joins the one before: batch normalization cannot use it.

    Examples
    --------
    >>> [len(batch) for batch in batch_order(9, 4, seed=0, epoch=0)]
    [4, 5]
    """
    rng = np.random.default_rng(key(seed, "order", epoch))
    order = rng.permutation(n) if chances is None else rng.choice(n, size=n, p=chances)
    return np.split(order, _cuts(n, batch_size))


def in_sequence(n: int, batch_size: int) -> list[NDArray[np.int64]]:
    """Return the items of each batch in their order, for evaluation."""
    return np.split(np.arange(n), range(batch_size, n, batch_size))


def _cuts(n: int, batch_size: int) -> list[int]:
    cuts = list(range(batch_size, n, batch_size))
    return cuts[:-1] if cuts and n - cuts[-1] == 1 else cuts
