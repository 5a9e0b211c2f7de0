"""A look at the heaps of text in an HDF5 file before HDF5 reads them: one kind of damage makes it read forever.

HDF5 walks the objects of a global heap by their sizes; a size of zero never moves on (HDF5 2.0, in
`H5HG__cache_heap_deserialize`), and no signal reaches a loop in C.

References
----------
HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global Heap".
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

__all__ = ["SIGNATURE", "declared_items", "endless_global_heap", "is_endless"]

SIGNATURE = b"GCOL\x01\0\0\0"
HEADER = struct.Struct("<Q")  # after the signature: size of the heap, header included
OBJECT = struct.Struct("<HHIQ")  # index, references, reserved, size of what follows
SEARCHED = 2**22  # bytes at each end of the file: reading more would take longer than opening
MOST = 1000  # heaps looked at
ELEMENT = np.dtype([("items", "<u4"), ("heap", "<u8"), ("object", "<u4")])  # of text and of rows of any length


def endless_global_heap(path: Path) -> int | None:
    """Return where in the file a heap begins that HDF5 would read forever, None if there is none."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for number, start in enumerate(_global_heaps(data)):
            if number >= MOST:
                return None
            if is_endless(data, start):
                return start
    return None


def declared_items(dataset: h5py.Dataset) -> int | None:
    """Return how many bytes (or items) the texts or rows of a dataset say that they have, None if it cannot be told.

    HDF5 allocates what a text says before it looks into the heap: 4 GB for a damaged one of three letters. Elements
    that lie in one piece can be seen in the file; those in chunks or in the header of the object cannot, nor those of a
    file that is not read directly (in memory, over a network).
    """
    if dataset.file.driver != "sec2":
        return None
    offset, n_bytes = dataset.id.get_offset(), int(dataset.size) * ELEMENT.itemsize
    if offset is None or dataset.id.get_storage_size() != n_bytes:
        return None
    with Path(dataset.file.filename).open("rb") as stream:
        stream.seek(offset)
        raw = stream.read(n_bytes)
    return int(np.frombuffer(raw[: len(raw) // ELEMENT.itemsize * ELEMENT.itemsize], ELEMENT)["items"].sum())


def _global_heaps(data: mmap.mmap) -> Iterator[int]:
    for begin, end in ((0, SEARCHED), (max(SEARCHED, len(data) - SEARCHED), len(data))):
        start = data.find(SIGNATURE, begin, end)
        while start >= 0:
            yield start
            start = data.find(SIGNATURE, start + 1, end)


def is_endless(data: mmap.mmap | bytes, start: int) -> bool:
    """Whether HDF5 would read the heap that begins at `start` forever."""
    place = start + len(SIGNATURE) + HEADER.size
    if place > len(data):
        return False
    end = min(start + HEADER.unpack_from(data, start + len(SIGNATURE))[0], len(data))
    while place + OBJECT.size <= end:
        index, _, _, size = OBJECT.unpack_from(data, place)
        # HDF5 computes in 64 bits, where a size close to 2**64 comes round to zero.
        step = (OBJECT.size + (size + 7) // 8 * 8) % 2**64 if index else size
        if step == 0:
            return True
        place += step
    return False
