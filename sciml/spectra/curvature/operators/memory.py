"""How much memory graphs take, and how much there is."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["PART", "Allocated", "available"]

PART = 0.4  # of what is free, unless the caller says how much may be used


class Allocated(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is allocated while it is entered, by address: memory that was freed and used again counts once."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = {each.untyped_storage().data_ptr() for each in known}
        self.sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and note the memory of its results."""
        out = func(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            if isinstance(each, Tensor) and each.untyped_storage().data_ptr() not in self.known:
                storage = each.untyped_storage()
                self.sizes[storage.data_ptr()] = max(storage.nbytes(), self.sizes.get(storage.data_ptr(), 0))
        return out

    @property
    def total(self) -> int:
        """Bytes."""
        return sum(self.sizes.values())


def available(device: torch.device) -> int:
    """Return how many bytes graphs may take by default: a part of what is free on the device.

    Examples
    --------
    >>> available(torch.device("cpu")) > 0
    True
    """
    if device.type == "cuda":
        return int(PART * torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = 2**32
    return int(PART * free)
