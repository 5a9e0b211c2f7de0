"""Linear algebra on data that arrives in blocks, and on small matrices."""

from sciml.linalg.moments import Moments
from sciml.linalg.threads import few_threads

__all__ = ["Moments", "few_threads"]
