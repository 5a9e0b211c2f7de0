"""Linear algebra on data that arrives in blocks."""

from sciml.linalg.running import RunningCovariance
from sciml.linalg.stream import Moments, moments

__all__ = ["Moments", "RunningCovariance", "moments"]
