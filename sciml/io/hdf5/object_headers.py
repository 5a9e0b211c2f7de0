"""A look at the attributes in the header of an HDF5 object before HDF5 reads them.

HDF5 allocates what a text of any length says that it has before it looks for it: 4 GB for a damaged one of four
letters. The library does not tell that length; it stands in the header of the object. Attributes so many that HDF5
keeps them in a heap of their own are not looked at.

References
----------
HDF5 File Format Specification 3.0, IV.A.1 "Disk Format: Level 2A - Data Object Headers", IV.A.2.m "The Attribute
Message", IV.A.2.q "The Object Header Continuation Message".
"""

import os
import struct
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from sciml.io.hdf5.global_heap import ELEMENT

__all__ = ["declared_texts"]

ATTRIBUTE, CONTINUATION = 0x0C, 0x10
MOST = 2**20  # bytes of a header
BLOCKS = 64  # of a header
FIXED = struct.Struct("<BBHHH")  # version, flags, sizes of name, datatype and dataspace
PLACE = struct.Struct("<QQ")
Block = tuple[int, int]  # where it begins in the file, and its size


def declared_texts(identifier: Any) -> dict[bytes, int]:
    """Return how many bytes the texts of any length in each attribute of an open object say that they have.

    Attributes of other types come with numbers that mean nothing. Nothing is returned where the file is not read
    directly (in memory, over a network).
    """
    file = h5py.h5i.get_file_id(identifier)
    if file.get_access_plist().get_driver() != h5py.h5fd.SEC2:
        return {}
    base = file.get_create_plist().get_userblock()
    try:
        return dict(_attributes(file.get_vfd_handle(), base, h5py.h5o.get_info(identifier).addr))
    except (struct.error, IndexError, OverflowError, OSError):
        return {}  # the header is damaged: HDF5 says so better


def _attributes(handle: int, base: int, address: int) -> Iterator[tuple[bytes, int]]:
    head = os.pread(handle, 64, base + address)
    modern = head.startswith(b"OHDR")
    waiting = [_first_modern(head, address) if modern else (address + 16, struct.unpack_from("<I", head, 8)[0])]
    ordered = modern and bool(head[5] & 4)
    for _ in range(BLOCKS):
        if not waiting:
            return
        place, size = waiting.pop()
        block = os.pread(handle, min(size, MOST), base + place)
        for kind, message in _messages(block, modern, ordered):
            if kind == CONTINUATION:
                place, size = PLACE.unpack_from(message)
                waiting.append((place + 4, size - 8) if modern else (place, size))  # between a signature and a checksum
            elif kind == ATTRIBUTE:
                yield _attribute(message)


def _first_modern(head: bytes, address: int) -> Block:
    flags = head[5]
    start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    return address + start + width, int.from_bytes(head[start : start + width], "little")


def _messages(block: bytes, modern: bool, ordered: bool) -> Iterator[tuple[int, bytes]]:
    header = (6 if ordered else 4) if modern else 8
    place = 0
    while place + header <= len(block):
        kind, size = struct.unpack_from("<BH" if modern else "<HH", block, place)
        yield kind, block[place + header : place + header + size]
        place += header + size


def _attribute(message: bytes) -> tuple[bytes, int]:
    version, _, *sizes = FIXED.unpack_from(message)
    name_size = sizes[0]
    start = FIXED.size + (1 if version >= 3 else 0)  # the character set of the name
    if version == 1:
        sizes = [-(-size // 8) * 8 for size in sizes]
    values = message[start + sum(sizes) :]
    items = np.frombuffer(values[: len(values) // ELEMENT.itemsize * ELEMENT.itemsize], ELEMENT)["items"]
    return message[start : start + name_size].rstrip(b"\0"), int(items.sum(dtype=np.int64))
