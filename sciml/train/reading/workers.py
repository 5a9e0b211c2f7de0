"""Who reads: this thread, another one ahead of it, or worker processes; and what is said when one is killed."""

import ctypes
import multiprocessing
import os
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from sciml.errors import ScimlError, WorkerError

__all__ = ["Call", "Workers", "ahead", "choose_workers", "deaths_understood"]

T = TypeVar("T")
Call = tuple[Any, ...]  # the arguments of a call

MOST = 4  # workers that are chosen; decompressing in so many outruns most nets
DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
CLOSED = (ConnectionError, EOFError, FileNotFoundError)  # how a worker's end of a queue looks once it is gone


def choose_workers(asked: int | None, *, in_memory: bool, local_size: int = 1) -> int:
    """Return how many processes read a part, for each that trains: as asked for, else none where all is in memory.

    A file is read by as many as the machine has cores for beside those that train, four at most; with a single core
    by a thread.

    Examples
    --------
    >>> choose_workers(3, in_memory=True), choose_workers(None, in_memory=True)
    (3, 0)
    """
    if asked is not None or in_memory:
        return asked or 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, min(MOST, cores // local_size - 1))


def ahead(source: Iterator[T], depth: int) -> Iterator[T]:
    """Yield what a source does; a thread asks it for the next `depth` items while the caller works on one.

    Examples
    --------
    >>> list(ahead(iter("abc"), 2))
    ['a', 'b', 'c']
    """
    end = object()
    pool = ThreadPoolExecutor(1, "read-ahead")
    coming: deque[Future[Any]] = deque()
    try:
        coming.extend(pool.submit(next, source, end) for _ in range(depth))
        while (found := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, source, end))
            yield found
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        if hasattr(source, "close"):
            source.close()


class Workers:
    """Processes that answer calls of a function in the order of the calls, and live until they are closed.

    A worker opens its files itself, when it first reads; what it was forked with is shared memory until it is written.

    Parameters
    ----------
    function
        What is called.
    n
        How many processes; at least one.
    depth
        Answers that may wait, of all of them together.

    Examples
    --------
    >>> workers = Workers(pow, 2, depth=4)
    >>> list(workers.answers([(2, k) for k in range(5)])), workers.close()
    ([1, 2, 4, 8, 16], None)
    """

    def __init__(self, function: Callable[..., Any], n: int, *, depth: int) -> None:
        self.n = n
        self._calls = _Calls()
        with _as_asked():
            self._loader: DataLoader[Any] = DataLoader(
                _Answers(function),
                batch_size=None,
                sampler=self._calls,
                num_workers=n,
                prefetch_factor=max(2, -(-depth // n)),
                persistent_workers=True,
                worker_init_fn=_begin,
                collate_fn=_as_it_is,
                generator=torch.Generator(),
                multiprocessing_context="fork" if sys.platform == "linux" else None,
            )

    def answers(self, calls: Sequence[Call]) -> Iterator[Any]:
        """Return an iterator over the answers; the workers are at work when it is returned.

        Raises
        ------
        ScimlError
            What the function raised, when its answer is due.
        WorkerError
            A worker was killed.
        """
        self._calls.now = calls
        with _as_asked():
            return self._answers(iter(self._loader))

    def _answers(self, found: Iterator[Any]) -> Iterator[Any]:
        while True:
            try:
                answer = next(found)
            except StopIteration:
                return
            except CLOSED as error:
                raise _killed(self.n, error) from error
            if isinstance(answer, ScimlError):
                raise answer
            yield answer

    def close(self) -> None:
        """End the processes, at once if one of them does not answer."""
        iterator = getattr(self._loader, "_iterator", None)  # torch ends them when it is gone, and an error may hold it
        if iterator is None:
            return
        with deaths_understood(self.n), suppress(WorkerError, *CLOSED):
            iterator._shutdown_workers()
        for worker in iterator._workers:
            if worker.is_alive():
                worker.kill()
        self._loader._iterator = None


class _Calls(Sampler[Call]):
    """The calls of one pass."""

    def __init__(self) -> None:
        self.now: Sequence[Call] = ()

    def __iter__(self) -> Iterator[Call]:
        return iter(self.now)

    def __len__(self) -> int:
        return len(self.now)


class _Answers(Dataset[Any]):
    """A function as a data set whose items are its values; an error of sciml is a value too."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __getitem__(self, call: Call) -> Any:
        try:
            return self.function(*call)
        except ScimlError as error:
            return error.with_traceback(None)


@contextmanager
def _as_asked() -> Iterator[None]:
    """Leave out what torch and Python say of more workers than cores, and of threads beside a fork."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
        yield


def _as_it_is(answer: Any) -> Any:
    return answer


def _begin(_number: int) -> None:
    """Leave signals to the process that trains, and end with it, however it ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(DEATH_OF_PARENT, signal.SIGKILL)
            parent = multiprocessing.parent_process()
            if parent is not None and os.getppid() != parent.pid:  # it ended before it was asked for
                os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def deaths_understood(n: int) -> Iterator[None]:
    """Turn the error by which torch says that a worker was killed, whenever it comes, into one that says what to do.

    Raises
    ------
    WorkerError
        A worker was killed.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise _killed(n, error) from error


def _killed(n: int, error: BaseException) -> WorkerError:
    which = next((word for word in str(error).replace(")", " ").split() if word.isdecimal()), None)
    name = "one of them" if which is None else f"process {which}"
    return WorkerError(
        f"expected {n} workers to read each part (train, validation), but {name} was killed, as the system does where "
        f"memory is short; set train.workers lower (0 reads in a thread), or data.memory, and resume from the last "
        f"checkpoint"
    )
