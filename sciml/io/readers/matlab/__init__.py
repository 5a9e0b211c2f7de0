"""MATLAB files of version 7.3, and what toolboxes keep in them."""

from sciml.io.readers.matlab.reader import Matlab

__all__ = ["Matlab"]
