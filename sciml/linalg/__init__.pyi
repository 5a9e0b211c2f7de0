from .moments import Moments
from .threads import few_threads

__all__ = [
    "Moments",
    "few_threads",
]
