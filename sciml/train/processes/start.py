"""Meeting the processes that `torchrun` started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed
from torch.distributed import distributed_c10d

from sciml.errors import ConfigError
from sciml.train.processes.group import ALONE, Processes

__all__ = ["started"]

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
    if is_own:
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=timedelta(seconds=timeout))
    elif "cpu" not in (backends := str(distributed_c10d.get_backend_config())):
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
        store=distributed_c10d.PrefixStore("sciml", distributed_c10d._get_default_store()),
        timeout=timeout,
    )
    return processes, is_own
