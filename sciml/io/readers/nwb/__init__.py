"""Neurodata Without Borders 2."""

from sciml.io.readers.nwb.reader import Nwb

__all__ = ["Nwb"]
