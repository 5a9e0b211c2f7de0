"""When blocks of a file are read and let go of, for batches that are known in advance."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Step", "schedule"]


@dataclass(frozen=True)
class Step:
    """The blocks to read before a batch, and those to let go of after it."""

    read: tuple[int, ...]
    drop: tuple[int, ...]


def schedule(wanted: Sequence[NDArray[np.int64]], capacity: int) -> list[Step]:
    """Return what to read and to let go of, where each batch wants the blocks of its items.

    A block is read when it is first wanted, and let go of when it is wanted no more; of more than `capacity` of them
    the one that is wanted last goes, to be read again (Belady 1966, doi:10.1147/sj.52.0078).

    Examples
    --------
    >>> schedule([np.array([0, 1]), np.array([1, 2]), np.array([0])], 2)
    [Step(read=(0, 1), drop=()), Step(read=(2,), drop=(1, 2)), Step(read=(), drop=(0,))]
    """
    batches = [np.unique(blocks).tolist() for blocks in wanted]
    uses: dict[int, deque[int]] = defaultdict(deque)
    for number, blocks in enumerate(batches):
        for block in blocks:
            uses[block].append(number)
    held, steps = set[int](), list[Step]()
    for blocks in batches:
        read = [block for block in blocks if block not in held]
        for block in blocks:
            uses[block].popleft()
        held.update(read)
        drop = [block for block in blocks if not uses[block]]
        held.difference_update(drop)
        while len(held) > capacity:
            drop.append(max(held, key=lambda block: uses[block][0]))
            held.remove(drop[-1])
        steps.append(Step(tuple(read), tuple(drop)))
    return steps
