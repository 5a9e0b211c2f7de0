"""The wire format of protocol buffers, as far as it is needed to find fields: numbers, and bytes that are not copied.

References
----------
https://protobuf.dev/programming-guides/encoding
"""

import struct
from collections.abc import Iterator

from sciml.errors import CheckpointError

__all__ = ["Message", "numbers"]

_LONGEST = 10  # bytes of a number of 64 bits
_FIXED = {1: 8, 5: 4}


class Message:
    """The fields of one message by their number, each with all its values: whole numbers, or bytes.

    Raises
    ------
    CheckpointError
        Bytes that are no message.

    Examples
    --------
    >>> message = Message(memoryview(bytes([0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69])))
    >>> message.number(1), message.text(2), message.number(3, 7)
    (150, 'hi', 7)
    """

    def __init__(self, content: memoryview) -> None:
        self.fields: dict[int, list[int | memoryview]] = {}
        for key, value in _fields(content):
            self.fields.setdefault(key, []).append(value)

    def parts(self, field: int) -> Iterator[memoryview]:
        """Yield the bytes of each value of a field."""
        yield from (each for each in self.fields.get(field, []) if isinstance(each, memoryview))

    def number(self, field: int, default: int = 0) -> int:
        """Return the last number of a field."""
        found = [each for each in self.fields.get(field, []) if isinstance(each, int)]
        return _signed(found[-1]) if found else default

    def numbers(self, field: int) -> list[int]:
        """Return the numbers of a field, packed or not."""
        found = []
        for each in self.fields.get(field, []):
            found += [each] if isinstance(each, int) else list(numbers(each))
        return [_signed(each) for each in found]

    def text(self, field: int) -> str:
        """Return the last text of a field."""
        found = list(self.parts(field))
        return bytes(found[-1]).decode("utf-8", errors="replace") if found else ""

    def texts(self, field: int) -> list[str]:
        """Return every text of a field."""
        return [bytes(each).decode("utf-8", errors="replace") for each in self.parts(field)]


def numbers(content: memoryview) -> Iterator[int]:
    """Yield packed numbers."""
    at = 0
    while at < len(content):
        value, at = _number(content, at)
        yield value


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(content):
        key, at = _number(content, at)
        kind = key & 7
        if kind == 0:
            number, at = _number(content, at)
            yield key >> 3, number
            continue
        length, at = (_FIXED[kind], at) if kind in _FIXED else _length(content, at, kind)
        if at + length > len(content):
            raise CheckpointError("expected a whole ONNX file, got one that ends within a field; fetch it again")
        part = content[at : at + length]
        yield key >> 3, struct.unpack("<q" if length == 8 else "<i", part)[0] if kind in _FIXED else part
        at += length


def _length(content: memoryview, at: int, kind: int) -> tuple[int, int]:
    if kind != 2:
        raise CheckpointError(f"expected an ONNX file, got a field of the unknown kind {kind}; it is something else")
    return _number(content, at)


def _number(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for i in range(_LONGEST):
        if at + i >= len(content):
            raise CheckpointError("expected a whole ONNX file, got one that ends within a number; fetch it again")
        byte = content[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise CheckpointError("expected an ONNX file, got a number of more than 64 bits; it is something else")


def _signed(value: int) -> int:
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value
