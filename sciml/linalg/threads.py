"""How many threads matrix products and decompositions of small matrices may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

__all__ = ["few_threads"]

SMALL = 1024  # up to this side, threads of the BLAS wait for each other longer than they work


@contextmanager
def few_threads(size: int) -> Iterator[None]:
    """Run the block with one BLAS thread if the matrices in it are small, with sides of at most 1024.

    Many small decompositions on several threads are slower than on one, and on a busy machine by far: idle threads
    spin. Larger ones keep the threads that they had.

    Parameters
    ----------
    size
        Shorter side of the largest matrix in the block.

    Examples
    --------
    >>> import numpy as np
    >>> with few_threads(20):
    ...     float(np.linalg.eigvalsh(np.eye(20)).sum())
    20.0
    """
    if size > SMALL:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    """Return the controller of the libraries that are loaded: looking for them anew would take milliseconds a call."""
    return ThreadpoolController()
