"""Linear algebra on data that arrives in blocks."""

from sciml.linalg.stream import Moments, moments

__all__ = ["Moments", "moments"]
