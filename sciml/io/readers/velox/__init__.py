"""Velox, of electron microscopes."""

from sciml.io.readers.velox.reader import Velox

__all__ = ["Velox"]
