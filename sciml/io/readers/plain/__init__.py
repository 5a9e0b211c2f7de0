"""Any other HDF5 file."""

from sciml.io.readers.plain.reader import Plain, declare, unsuitable

__all__ = ["Plain", "declare", "unsuitable"]
