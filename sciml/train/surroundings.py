"""What a run finds around it: torch's global state, which it sets and puts back, and what its bits depend on."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules import batchnorm, dropout

from sciml.errors import ScimlWarning
from sciml.train.config import TrainConfig
from sciml.train.processes import Processes

__all__ = ["check_environment", "check_shares", "environment", "surroundings"]

SMALLEST_SHARE = 16  # items of a batch in each process, from which batch norms are about what they are in one


@contextmanager
def surroundings(device: torch.device, config: TrainConfig) -> Iterator[None]:
    """Set torch's global generators and algorithms for the run, and put them back afterwards."""
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    cudnn, fills = torch.backends.cudnn.benchmark, memory.fill_uninitialized_memory
    if device.type == "cuda" and config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with a fixed workspace
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            torch.use_deterministic_algorithms(config.deterministic)
            torch.backends.cudnn.benchmark = not config.deterministic
            # a tenth of the time of a convolution net, to find operations that read what nobody wrote
            memory.fill_uninitialized_memory = False
            yield
        finally:
            torch.use_deterministic_algorithms(algorithms[0], warn_only=algorithms[1])
            torch.backends.cudnn.benchmark, memory.fill_uninitialized_memory = cudnn, fills


def environment(device: torch.device, processes: Processes) -> dict[str, Any]:
    """Return what the bits of a run depend on beside its configuration and data."""
    return {
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "processes": processes.size,
    }


def check_environment(stored: Mapping[str, Any], now: Mapping[str, Any], model: nn.Module) -> None:
    """Warn where the promise of equal bits does not hold."""
    stored = {"processes": 1, **stored}
    other = [f"{key} ({stored.get(key)}, now {now[key]})" for key in now if stored.get(key) != now[key]]
    if not other:
        return
    agree = "the result will agree, but not to the last bit"
    if stored["processes"] != now["processes"] and (drawn := _depends_on_processes(model)):
        agree = f"{drawn} of another number of processes differ: the result is as good, but not the same"
    warnings.warn(f"resumed with other {', '.join(other)}: {agree}", ScimlWarning, stacklevel=5)


def check_shares(model: nn.Module, batch_size: int, processes: Processes) -> None:
    """Warn if batch norms see few items, for torch takes their means in each process by itself on the CPU."""
    share = batch_size // processes.size
    if processes.size > 1 and processes.is_first and share < SMALLEST_SHARE and _has(model, batchnorm._BatchNorm):
        warnings.warn(
            f"batch norms take their means over the {share} items that each of {processes.size} processes has of a "
            f"batch of {batch_size}, each by itself: a batch_size of {SMALLEST_SHARE * processes.size} or more, or "
            "norm = 'group', makes them steadier",
            ScimlWarning,
            stacklevel=4,
        )


def _depends_on_processes(model: nn.Module) -> str:
    kinds = {"dropout": dropout._DropoutNd, "batch norms": batchnorm._BatchNorm}
    return " and ".join(name for name, kind in kinds.items() if _has(model, kind))


def _has(model: nn.Module, kind: type[nn.Module]) -> bool:
    return any(isinstance(module, kind) for module in model.modules())
