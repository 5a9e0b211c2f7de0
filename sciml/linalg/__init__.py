"""Linear algebra on data that arrives in blocks."""

from sciml.linalg.stream import Moments, PooledSpectrum, covariance, moments, pooled_spectrum

__all__ = ["Moments", "PooledSpectrum", "covariance", "moments", "pooled_spectrum"]
