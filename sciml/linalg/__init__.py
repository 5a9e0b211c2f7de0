"""Linear algebra on data that arrives in blocks."""

from sciml.linalg.stream import Moments, covariance, moments, pooled_spectrum

__all__ = ["Moments", "covariance", "moments", "pooled_spectrum"]
