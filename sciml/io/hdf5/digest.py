"""The checksum of a file that a recording keeps."""

import hashlib

from sciml.io.hdf5.remote import Place, Remote

__all__ = ["digest"]

WHOLE = 2**23  # files up to this size are hashed whole, of larger ones places all over
ENDS = 2**20
PLACES, AT_EACH = 64, 2**16


def digest(path: Place) -> dict[str, str]:
    """Return the SHA-256 of a file: of the whole up to 8 MiB, beyond that of its size, its ends and places between.

    The places are 64 KiB long and start at 1/65, 2/65, ... 64/65 of the size, rounded down.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        if isinstance(path, Remote):
            found = hashlib.sha256(str(size).encode() + stream.read(ENDS))
            return {"sha256": found.hexdigest(), "sha256_of": "size in decimal digits, first MiB"}
        if size <= WHOLE:
            return {"sha256": hashlib.sha256(stream.read()).hexdigest(), "sha256_of": "whole file"}
        found = hashlib.sha256(str(size).encode())
        found.update(stream.read(ENDS))
        for place in range(1, PLACES + 1):
            stream.seek(size * place // (PLACES + 1))
            found.update(stream.read(AT_EACH))
        stream.seek(-ENDS, 2)
        found.update(stream.read(ENDS))
    of = f"size in decimal digits, first MiB, 64 KiB at k/{PLACES + 1} of the size for k = 1 to {PLACES}, last MiB"
    return {"sha256": found.hexdigest(), "sha256_of": of}
