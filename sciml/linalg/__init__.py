"""Linear algebra on data that arrives in blocks, and on small matrices."""

from sciml.linalg.running import RunningCovariance
from sciml.linalg.stream import Moments, moments
from sciml.linalg.threads import few_threads

__all__ = ["Moments", "RunningCovariance", "few_threads", "moments"]
