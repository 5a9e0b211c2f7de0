"""Waveforms that LH5 stores encoded, one row of bytes each: radware-sigcompress and ULEB128 of zigzag differences.

References
----------
LEGEND data format specification, "Data compression" (radware-sigcompress 1.0 of D. C. Radford; ULEB128 and ZigZag
variable-length integers).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.arrays import LazyArray, Stored

__all__ = ["CODECS", "Encoded"]

WORD = 16  # bits
DIFFERENCES = 32  # what is added to the number of bits of a section that holds differences


def _radware(stored: NDArray[np.uint8], shift: int) -> NDArray[np.int64]:
    """Return the samples that sections of big-endian words encode.

    The first word is the number of samples. A section begins with its number of samples and the bits of each; then
    the smallest value, and what each value exceeds it by, highest bit first, filled up to a whole word. A section of
    differences states its first value before the smallest difference. All is in 16 bits.
    """
    words = np.frombuffer(stored.tobytes()[: len(stored) // 2 * 2], ">u2").astype(np.int64)
    size, at, sections, found = int(words[0]), 1, list[NDArray[np.int64]](), 0
    while found < size:
        count, bits, first = (int(word) for word in words[at : at + 3])
        is_difference = bits >= DIFFERENCES
        bits, n_packed = bits % DIFFERENCES, count - is_difference
        low = int(words[at + 3]) if is_difference else first
        at += 3 + is_difference
        end = at + -(-n_packed * bits // WORD)
        if count < 1 or not 0 < bits <= WORD or end > len(words):
            raise ValueError(f"a section of {count} samples of {bits} bits does not fit {len(words)} words")
        values = _unpacked(words[at:end], bits, n_packed) + low
        sections.append(np.cumsum(np.concatenate([[first], values])) if is_difference else values)
        at, found = end, found + count
    return _wrapped(np.concatenate(sections)[:size]) - shift


def _unpacked(words: NDArray[np.int64], bits: int, count: int) -> NDArray[np.int64]:
    """Return `count` unsigned integers of some bits each, the highest bit first."""
    flat = np.unpackbits(words.astype(">u2").view(np.uint8))[: count * bits].reshape(count, bits)
    return np.asarray(flat.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64)))


def _wrapped(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return values as 16-bit signed integers hold them."""
    return (values + 2**15) % 2**16 - 2**15


def _uleb128(stored: NDArray[np.uint8], _shift: int) -> NDArray[np.int64]:
    """Return the running sum of differences: seven bits a byte, lowest first, the eighth says that more follow."""
    last = stored < 0x80
    if not last[-1]:
        raise ValueError("the last number is not complete")
    number: NDArray[np.int64] = np.cumsum(last) - last
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(stored)) - starts[number]
    if place.max(initial=0) > 8:
        raise ValueError("a number has more than nine bytes")
    parts = (stored & 0x7F).astype(np.int64) << (7 * place)
    coded = np.add.reduceat(parts, starts)
    return np.cumsum((coded >> 1) ^ -(coded & 1))


CODECS: dict[str, Callable[[NDArray[np.uint8], int], NDArray[np.int64]]] = {
    "radware_sigcompress": _radware,
    "uleb128_zigzag_diff": _uleb128,
}


class Encoded(LazyArray):
    """Waveforms (sample, event) that are decoded when they are read.

    Parameters
    ----------
    rows
        The bytes of all waveforms, one after the other.
    ends
        Where the bytes of each end.
    size
        Samples of a waveform.
    codec, shift
        The name of the code, and what was added to the samples before they were encoded.
    """

    def __init__(self, rows: Stored, ends: NDArray[np.int64], size: int, codec: str, shift: int) -> None:
        self.rows = rows
        self.ends = ends
        self.codec = codec
        self.shift = shift
        self.shape = (size, len(ends))
        self.dtype = np.dtype(np.int32)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        chosen = np.arange(self.shape[1])[key[1]]
        if not np.size(chosen):
            samples = np.broadcast_to(np.int32(0), self.shape[:1])[key[0]]  # takes no memory
            return np.zeros((*samples.shape, 0), self.dtype)
        columns: list[NDArray[Any]] = [self._waveform(int(event))[key[0]] for event in np.atleast_1d(chosen)]
        return np.stack(columns, axis=-1) if np.ndim(chosen) else columns[0]

    def _waveform(self, event: int) -> NDArray[np.int32]:
        start, stop = int(self.ends[event - 1]) if event else 0, int(self.ends[event])
        stored = self.rows.read((slice(start, stop),))
        label = f"{self.rows.source.label}: waveform {event}"
        try:
            values = CODECS[self.codec](stored, self.shift)
        except (ValueError, IndexError) as error:
            raise DataError(f"{label} is damaged ({error})") from error
        if len(values) != self.shape[0]:
            raise DataError(f"{label} has {len(values)} samples, expected {self.shape[0]}")
        return values.astype(self.dtype)
