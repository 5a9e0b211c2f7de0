"""Meeting the processes that `torchrun` started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

import torch
from torch import distributed
from torch.distributed import distributed_c10d
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from sciml.errors import ConfigError, InterruptedRunError
from sciml.train.processes.group import ALONE, Processes

__all__ = ["started"]

_stores: list[Store] = []  # the one that all processes reach, once it is found
_meetings = count()  # what one training has told is not heard in the next: each has its own part of the store
LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets
_met: list[Processes] = []  # those that are together now: a run in which several nets are trained meets once
# Groups that have ended. Where the last to hold one is DistributedDataParallel, torch takes it apart while it holds the
# lock of Python, and may wait for a thread that waits for this lock.
_ended: list[object] = []


@contextmanager
def started(*, timeout: float = 60.0) -> Iterator[Processes]:
    """Meet the other processes of this training, as the environment tells; alone if it tells of none.

    An error that leaves the block is told to the others.

    Parameters
    ----------
    timeout
        Seconds without a sign of life after which a process counts as lost.

    Raises
    ------
    ConfigError
        Part of what torchrun sets is missing.
    InterruptedRunError
        The processes do not find each other.

    Examples
    --------
    >>> with started() as processes:
    ...     processes.size
    1
    """
    if _met or os.environ.get("WORLD_SIZE", "1") == "1":
        yield _met[-1] if _met else ALONE
        return
    processes, is_own = _meet(timeout)
    _met.append(processes)
    failed = False
    try:
        yield processes
    except BaseException as error:
        failed = True
        processes.tell(error)
        raise
    finally:
        _met.pop()
        if is_own:
            _ended[:] = [distributed_c10d._get_default_group()]
            distributed.destroy_process_group()  # closes the connections on which others may wait
        processes.leave(failed=failed)


def _meet(timeout: float) -> tuple[Processes, bool]:
    missing = [name for name in LAUNCHED if name not in os.environ]
    if missing:
        raise ConfigError(
            f"expected {', '.join(LAUNCHED)} for WORLD_SIZE={os.environ['WORLD_SIZE']} processes, got no "
            f"{', '.join(missing)}; start them with torchrun, or unset WORLD_SIZE"
        )
    is_own = not distributed.is_initialized()
    try:
        store = distributed_c10d.PrefixStore(f"sciml {next(_meetings)}", _store(is_own=is_own))
        if is_own:
            _begin(distributed_c10d.PrefixStore("group", store), timeout)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[0]
        raise InterruptedRunError(
            f"the processes that torchrun started did not find each other ({first}); start them again, with --resume "
            "if the run had begun"
        ) from error
    if "cpu" not in (backends := str(distributed_c10d.get_backend_config())):
        raise ConfigError(
            f"expected a process group that tensors of the CPU can go through, got one of {backends}; leave "
            "init_process_group to sciml, or give it 'cpu:gloo,cuda:nccl'"
        )
    local = [int(os.environ.get(name, default)) for name, default in (("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))]
    processes = Processes(
        distributed.get_rank(),
        distributed.get_world_size(),
        local_rank=local[0],
        local_size=local[1],
        store=store,
        timeout=timeout,
    )
    return processes, is_own


def _store(*, is_own: bool) -> Store:
    """Return what all processes reach: that of the user's own group, or of torchrun, which outlives a group."""
    if not is_own:
        return distributed_c10d._get_default_store()
    if not _stores:
        _stores.append(next(rendezvous("env://"))[0])
    return _stores[0]


def _begin(store: Store, timeout: float) -> None:
    """Make a group of all processes."""
    rank, size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timedelta(seconds=timeout))
