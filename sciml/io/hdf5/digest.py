"""The checksum of a file that a recording keeps."""

import hashlib

from sciml.io.hdf5.remote import Place, Remote

__all__ = ["digest"]

WHOLE = 2**23  # files up to this size are hashed whole, larger ones at both ends
ENDS = 2**20


def digest(path: Place) -> dict[str, str]:
    """Return the SHA-256 of a file: of the whole up to 8 MiB, beyond that of its size, first and last MiB."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if isinstance(path, Remote):
            found = hashlib.sha256(str(size).encode() + stream.read(ENDS))
            return {"sha256": found.hexdigest(), "sha256_of": "size in decimal digits, first MiB"}
        if size <= WHOLE:
            return {"sha256": hashlib.sha256(stream.read()).hexdigest(), "sha256_of": "whole file"}
        found = hashlib.sha256(str(size).encode())
        found.update(stream.read(ENDS))
        stream.seek(-ENDS, 2)
        found.update(stream.read(ENDS))
    return {"sha256": found.hexdigest(), "sha256_of": "size in decimal digits, first MiB, last MiB"}
