"""The processes that train one net together: how many there are, which one this is, and what they tell each other."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
from torch import distributed
from torch.distributed.distributed_c10d import Store

from sciml.errors import DataError, InterruptedRunError, ProcessError, ScimlError
from sciml.train.processes.heartbeat import INTERVAL, Heartbeat

__all__ = ["ALONE", "Processes"]

Result = TypeVar("Result")

FAILURE, TURN, LEFT = "failure", "turn", "left"  # keys of the store
GRACE = 5.0  # seconds that an error of another process has to become known
SHORTEST, LONGEST = 1e-4, 0.02  # seconds between two looks into the store
# what gloo, nccl and the store say when another process is gone or does not come
COMMUNICATION = re.compile(
    r"gloo|nccl|tcpstore|pair closure|connection (was )?(closed|reset|refused)|timed out|broken pipe", re.IGNORECASE
)


class Processes:
    """The processes of a training and this one among them; of one process, whatever it tells comes back to it.

    Attributes
    ----------
    rank, size
        Number of this process, from 0, and how many there are.
    local_rank, local_size
        The same among the processes of this machine.
    timeout
        Seconds after which a process that gave no sign of life counts as lost.

    Examples
    --------
    >>> alone = Processes()
    >>> alone.sum(torch.tensor(3.0)), alone.share("seed"), alone.first(lambda: 5), alone.is_first
    (tensor(3.), 'seed', 5, True)
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        *,
        local_rank: int = 0,
        local_size: int = 1,
        store: Store | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size, self.timeout = local_rank, local_size, timeout
        self._store = store
        self._heartbeat = None if store is None else Heartbeat(store.clone(), rank, size)  # type: ignore[attr-defined]
        self._turn = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    # ---- what all do together

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all processes; it takes the place of the tensor."""
        if self.size > 1:
            with self.understood():
                distributed.all_reduce(value)
        return value

    def any(self, value: bool) -> bool:
        """Return whether it is so in one process at least."""
        return value if self.size == 1 else bool(self.sum(torch.tensor(float(value))) > 0)

    def share(self, value: Any) -> Any:
        """Return what the first process has."""
        if self.size == 1:
            return value
        held = [value]
        with self.understood():
            distributed.broadcast_object_list(held)
        return held[0]

    def level(self, tensors: list[torch.Tensor]) -> None:
        """Give tensors the values that they have in the first process."""
        if self.size > 1:
            with self.understood():
                for tensor in tensors:
                    distributed.broadcast(tensor, 0)

    def check_same(self, value: Any, what: str) -> None:
        """Raise if this process has another value than the first.

        Raises
        ------
        DataError
            Saying what is another one, in words.
        """
        first = self.share(value)
        if value != first:
            raise DataError(
                f"expected the same data in all processes, got another {what} in process {self.rank} than in process "
                "0: name the same files to each, and let all see the same version of them"
            )

    def gather(self, value: torch.Tensor) -> torch.Tensor:
        """Return the rows of a tensor of all processes, one process after the other; all have equally many."""
        if self.size == 1:
            return value
        found = [torch.empty_like(value) for _ in range(self.size)]
        with self.understood():
            distributed.all_gather(found, value.contiguous())
        return torch.cat(found)

    def first(self, action: Callable[[], Result]) -> Result | None:
        """Let the first process do something, as long as it takes, while the others wait; those return None.

        Raises
        ------
        ProcessError
            The first process failed.
        InterruptedRunError
            It gives no sign of life.
        """
        if self.is_first:
            return self.lead(action)
        self.wait()
        return None

    def lead(self, action: Callable[[], Result]) -> Result:
        """Do something in the first process, for which the others `wait`."""
        found = action()
        if self._store is not None:
            self._turn += 1
            self._store.add(TURN, 1)
        return found

    def wait(self) -> None:
        """Wait until the first process has done what it does next by `first` or `lead`."""
        self._turn += 1
        self._wait_for(TURN, self._turn)

    def at(self, step: int) -> None:
        """Note how far this process is, for those that wait for it."""
        if self._heartbeat is not None:
            self._heartbeat.step = step

    # ---- when one fails

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Turn an error of the connection into what happened to the other process.

        Raises
        ------
        ProcessError
            Another process failed, with its own words and exit code.
        InterruptedRunError
            Another process is gone, or gives no sign of life.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or isinstance(error, ScimlError) or not COMMUNICATION.search(str(error)):
                raise
            raise self._cause() from error

    def tell(self, error: BaseException) -> None:
        """Tell the other processes why this one fails; the first that fails is heard."""
        if self._store is not None:
            code = error.exit_code if isinstance(error, ScimlError) else 1
            text = str(error) if isinstance(error, ScimlError) else f"{type(error).__name__}: {error}"
            said = json.dumps({"rank": self.rank, "text": text, "exit_code": code})
            with suppress(RuntimeError):  # without a store nobody is left to be told
                self._store.compare_set(FAILURE, "", said)

    def leave(self, *, failed: bool) -> None:
        """End the signs of life; whoever failed waits until the first process has noted why, and it for the others."""
        if self._store is None or self._heartbeat is None:
            return
        with suppress(RuntimeError):  # without a store nobody is left to wait for
            self._store.add(f"{LEFT} {self.rank}" if self.is_first else LEFT, 1)
            end = time.monotonic() + 2 * GRACE
            while time.monotonic() < end and not self._may_leave(failed=failed):
                time.sleep(LONGEST)
        self._heartbeat.close()

    def _may_leave(self, *, failed: bool) -> bool:
        assert self._heartbeat is not None  # noqa: S101 (there is a store)
        if self.is_first:  # the store may end with this process: not before all that live have left
            return self._count(LEFT) >= self.size - 1 - len(self._heartbeat.silent(3 * INTERVAL))
        return not failed or self._count(f"{LEFT} 0") > 0

    def _wait_for(self, key: str, number: int) -> None:
        """Wait until a count is reached, while the first process gives signs of life."""
        assert self._heartbeat is not None  # noqa: S101 (there is a store)
        pause = SHORTEST
        with self.understood():
            while self._count(key) < number:
                if (said := self._failure()) is not None:
                    raise said
                if self._heartbeat.age(0) > self.timeout:
                    raise self._cause()
                time.sleep(pause)
                pause = min(2 * pause, LONGEST)

    def _count(self, key: str) -> int:
        return 0 if self._store is None else self._store.add(key, 0)

    def _failure(self) -> ProcessError | None:
        """Return the error that another process told of."""
        if self._store is None or not self._store.check([FAILURE]):
            return None
        said = json.loads(self._store.get(FAILURE))
        if said["rank"] == self.rank:
            return None
        return ProcessError(
            f"process {said['rank']} of {self.size} failed: {said['text']}", exit_code=int(said["exit_code"])
        )

    def _cause(self) -> ScimlError:
        """Return why the processes cannot go on together: what another one told, else whom nothing is heard of."""
        end = time.monotonic() + GRACE
        try:
            while time.monotonic() < end:
                if (said := self._failure()) is not None:
                    return said
                time.sleep(LONGEST)
        except RuntimeError:  # the store is gone, and with it the process that kept it
            return self._gone([0])
        return self._gone([] if self._heartbeat is None else self._heartbeat.silent(GRACE - INTERVAL))

    def _gone(self, ranks: list[int]) -> InterruptedRunError:
        signs = "" if self._heartbeat is None else ", ".join(str(self._heartbeat.last_step(r)) for r in ranks or [0])
        steps = f" (its last sign, of which it gives one a second, was at step {signs})" if signs else ""
        who = f"process {', '.join(map(str, ranks))} of {self.size}" if ranks else f"one of {self.size} processes"
        return InterruptedRunError(
            f"{who} gives no sign of life{steps}: killed, out of memory, or stopped for longer than "
            f"{self.timeout:g} s; resume to go on from the last checkpoint"
        )


ALONE = Processes()
