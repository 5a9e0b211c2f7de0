"""One copy of an array for all processes of a training on one machine, gone with the last of them however they end.

The first of them makes an anonymous file in memory and hands its descriptor to the others over a socket without a name
in any folder, so that a killed run leaves nothing behind (memfd_create(2), unix(7): abstract sockets).
"""

import hashlib
import mmap
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from sciml.errors import ScimlError

__all__ = ["local_size", "shared_bytes"]

PATIENCE, GRACE = 60.0, 10.0  # seconds to wait for the other processes to come; to be told of an error
NEXT = 0.05  # seconds between two tries to reach the first
RUN = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "GROUP_RANK")
_times = Counter[str]()  # that something was shared: all processes share it equally often

Fill = Callable[[NDArray[np.uint8]], None]


def local_size() -> int:
    """Return how many processes of one training run on this machine, as torchrun tells them.

    Examples
    --------
    >>> local_size()
    1
    """
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1") or 1))


def shared_bytes(n: int, fill: Fill, *, what: str = "") -> NDArray[np.uint8]:
    """Return n bytes that were filled once, by one of the processes on this machine, for all of them.

    Where there is one process, or the system has no such files, they are its own.

    Parameters
    ----------
    n
        How many.
    fill
        Writes into them; an error is raised in the process that was to fill them, and in the others when they try.
    what
        What they are: the same words in all processes.

    Examples
    --------
    >>> shared_bytes(3, lambda found: found.fill(7)).tolist()
    [7, 7, 7]
    """
    if local_size() == 1 or not hasattr(os, "memfd_create") or not n:
        return _own(n, fill)
    name = _name(f"{what} {n}")
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        return _made(name, n, fill)
    descriptor = _received(name)
    if descriptor is None:  # filling failed there, and will here, with its own words; or it reads something else
        return _own(n, fill)
    return _mapped(descriptor, n, mmap.ACCESS_READ)


def _name(what: str) -> str:
    """Return the name of a socket: that of the run, and of what is shared for the how manieth time."""
    _times[what] += 1
    words = [*(os.environ.get(key, "") for key in RUN), what, str(_times[what])]
    return "\0sciml-" + hashlib.blake2b("\n".join(words).encode(), digest_size=16).hexdigest()


def _own(n: int, fill: Fill) -> NDArray[np.uint8]:
    found = np.empty(n, np.uint8)
    fill(found)
    return found


def _mapped(descriptor: int, n: int, access: int) -> NDArray[np.uint8]:
    """Return the bytes of a file in memory, which stays as long as they do."""
    try:
        return np.frombuffer(mmap.mmap(descriptor, n, access=access), np.uint8)
    finally:
        os.close(descriptor)


def _made(name: str, n: int, fill: Fill) -> NDArray[np.uint8]:
    """Return bytes that were filled here; a thread hands them to the others when they come."""
    server, descriptor = socket.socket(socket.AF_UNIX), os.memfd_create("sciml")
    server.bind(name)
    server.listen(local_size())
    os.ftruncate(descriptor, n)
    found = _mapped(os.dup(descriptor), n, mmap.ACCESS_WRITE)
    try:
        fill(found)
    except ScimlError:
        _give(server, None, GRACE)
        raise
    threading.Thread(target=_give, args=(server, descriptor, PATIENCE), daemon=True).start()
    return found


def _give(server: socket.socket, descriptor: int | None, patience: float) -> None:
    """Hand a descriptor to the other processes, None for that there is none, and close it."""
    waiting = local_size() - 1
    server.settimeout(patience)
    with server, suppress(OSError):  # of those that do not come another process says so
        while waiting:
            other = server.accept()[0]
            with other:
                if _user(other) == os.getuid():
                    socket.send_fds(other, [b"."], [] if descriptor is None else [descriptor])
                    waiting -= 1
    if descriptor is not None:
        os.close(descriptor)


def _received(name: str) -> int | None:
    """Return the descriptor that the first process hands out, once it has filled the bytes; None if it does not."""
    end = time.monotonic() + PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as own:
            try:
                own.connect(name)
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    return None
                time.sleep(NEXT)
                continue
            if _user(own) != os.getuid():
                return None
            try:
                descriptors = socket.recv_fds(own, 1, 1)[1]
            except ConnectionError:
                return None
            return descriptors[0] if descriptors else None


def _user(connection: socket.socket) -> int:
    """Return whose process is at the other end."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", found)[1])
