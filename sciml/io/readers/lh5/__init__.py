"""LEGEND HDF5, of germanium detectors."""

from sciml.io.readers.lh5.reader import Lh5

__all__ = ["Lh5"]
