"""Files that lie elsewhere (https, s3, whatever fsspec opens): read in blocks, as few as there are to be read."""

import gc
import io
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from sciml.errors import DataError, MissingDependencyError
from sciml.io.hdf5.global_heap import SIGNATURE, is_endless

__all__ = ["Place", "Remote", "is_remote"]

BLOCK = 2**19  # bytes; at 50 ms a request and 100 Mbit/s, waiting for a block takes as long as fetching it
KEPT = 128  # blocks held in memory


def is_remote(path: object) -> bool:
    """Whether a path is an address such as `https://host/a.nwb`.

    Examples
    --------
    >>> is_remote("s3://bucket/a.nwb"), is_remote("/data/a.nwb")
    (True, False)
    """
    return isinstance(path, str) and "://" in path


class Remote:
    """The address of a file that fsspec opens; it answers what is asked of a `pathlib.Path` here."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __str__(self) -> str:
        return self.address

    def __getstate__(self) -> dict[str, Any]:
        return {"address": self.address}

    @property
    def name(self) -> str:
        """The last part of the address, without its query."""
        return self.address.partition("?")[0].rstrip("/").rpartition("/")[2]

    @cached_property
    def blocks(self) -> "Blocks":
        """The file in blocks, shared by all that read it through this address."""
        try:
            import fsspec

            system, path = fsspec.core.url_to_fs(self.address)
            facts = system.info(path)
        except ImportError as error:
            message = f"{self.address}: {error}; run `pip install sciml[remote]`"
            raise MissingDependencyError(message) from error
        except (OSError, ValueError) as error:
            raise DataError(f"{self.address}: cannot be read: {error}; check the address and your access") from error
        if not facts.get("size"):
            raise DataError(f"{self.address}: its server does not state a size; download the file and open that")
        return Blocks(system, path, int(facts["size"]), _version(facts))

    def stat(self) -> "Facts":
        """Return size and version, as `Path.stat` does of a file."""
        return Facts(self.blocks.size, self.blocks.version)

    def open(self, mode: str) -> "Stream":  # noqa: ARG002 - as that of a path; there is only reading
        """Return a stream of bytes, as `Path.open` does of a file."""
        return Stream(self.blocks)


Place = Path | Remote


@dataclass(frozen=True)
class Facts:
    """What is known of a remote file, by the names of `os.stat_result`."""

    st_size: int
    st_mtime_ns: int


def _version(facts: dict[str, Any]) -> int:
    """Return a number that changes when the file does, where its server says so."""
    identity = [str(facts.get(key, "")) for key in ("ETag", "LastModified", "mtime", "created")]
    return zlib.crc32("|".join(identity).encode())


class Collection:
    """Python's collection of cyclic garbage, paused while any thread waits for bytes from elsewhere.

    HDF5 asks for bytes while this thread holds the one lock of h5py, and fsspec fetches them in a thread of its own.
    Were garbage collected there, and an h5py object in it, that thread would wait for the lock, and this one for that
    thread, forever (h5py issue 2019).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0
        self._was_on = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        with self._lock:
            if self._waiting == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                if self._waiting == 0 and self._was_on:
                    gc.enable()  # what has become due is done by this thread, which goes on


COLLECTION = Collection()


class Blocks:
    """The bytes of a remote file, the last used blocks of them in memory."""

    def __init__(self, system: Any, path: str, size: int, version: int) -> None:
        self.system = system
        self.path = path
        self.size = size
        self.version = version
        self._held: OrderedDict[int, bytes] = OrderedDict()

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes; neighboring blocks that are not held come in one request."""
        wanted = range(start // BLOCK, -(-min(stop, self.size) // BLOCK))
        found = {number: self._held[number] for number in wanted if number in self._held}
        absent = [number for number in wanted if number not in found]
        for _, run in groupby(enumerate(absent), lambda pair: pair[1] - pair[0]):
            numbers = [number for _, number in run]
            begin, end = numbers[0] * BLOCK, min((numbers[-1] + 1) * BLOCK, self.size)
            with COLLECTION.paused():
                data = bytes(self.system.cat_file(self.path, start=begin, end=end))
            if len(data) != end - begin:
                raise OSError(f"{self.path}: expected {end - begin} bytes at {begin}, got {len(data)}")
            found |= {number: data[k * BLOCK : (k + 1) * BLOCK] for k, number in enumerate(numbers)}
        self._keep(found)
        whole = b"".join(found[number] for number in wanted)
        return whole[start - wanted.start * BLOCK : stop - wanted.start * BLOCK]

    def _keep(self, found: dict[int, bytes]) -> None:
        for number in sorted(found):
            self._held[number] = found[number]
            self._held.move_to_end(number)
        while len(self._held) > KEPT:
            self._held.popitem(last=False)


class Stream(io.RawIOBase):
    """A remote file as HDF5 reads it."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._blocks.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        stop = min(self._place + len(view), self._blocks.size)
        data = self._blocks.read(self._place, stop) if stop > self._place else b""
        if data.startswith(SIGNATURE) and is_endless(data, 0):
            raise OSError(f"the heap of text at byte {self._place} is damaged in a way that HDF5 would read forever")
        view[: len(data)] = data
        self._place += len(data)
        return len(data)
