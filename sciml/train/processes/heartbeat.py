"""Signs of life: each process says every second how far it is, so that the others know whom they wait for."""

import threading
import time

from torch.distributed.distributed_c10d import Store

__all__ = ["Heartbeat"]

INTERVAL = 1.0  # seconds between two signs


class Heartbeat:
    """A thread that gives signs of one process and notes when each other one gave its last.

    Parameters
    ----------
    store
        What the processes have in common; the thread needs a connection of its own.
    rank, size
        Number of this process, and how many there are.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self.store, self.rank, self.size = store, rank, size
        self.step = 0  # of the training, as far as this process is
        self._signs = dict.fromkeys(range(size), b"")
        self._since = dict.fromkeys(range(size), time.monotonic())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def age(self, rank: int) -> float:
        """Return the seconds since the last sign of a process."""
        return time.monotonic() - self._since[rank]

    def silent(self, seconds: float) -> list[int]:
        """Return the other processes that gave no sign for so long."""
        return [rank for rank in range(self.size) if rank != self.rank and self.age(rank) > seconds]

    def last_step(self, rank: int) -> int:
        """Return the step at which a process was last heard of."""
        return int(self._signs[rank].decode().rpartition("/")[2] or 0)

    def close(self) -> None:
        """Give no further sign."""
        self._ended.set()
        self._thread.join(timeout=2 * INTERVAL)

    def _run(self) -> None:
        count = 0
        while not self._ended.is_set():
            count += 1
            try:
                self.store.set(_key(self.rank), f"{count}/{self.step}")
                self._read()
            except RuntimeError:  # the store is gone, and with it the process that kept it: its signs end here
                return
            self._ended.wait(INTERVAL)

    def _read(self) -> None:
        for rank in range(self.size):
            if self.store.check([_key(rank)]):
                sign = self.store.get(_key(rank))
                if sign != self._signs[rank]:
                    self._signs[rank], self._since[rank] = sign, time.monotonic()


def _key(rank: int) -> str:
    return f"sign/{rank}"
