"""Distributed sensing along optical fibers, in many dialects."""

from sciml.io.readers.das.reader import Das

__all__ = ["Das"]
