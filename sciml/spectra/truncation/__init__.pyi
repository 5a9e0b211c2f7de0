from .result import TruncatedLayer, Truncation
from .thin import Thin
from .truncate import truncate

__all__ = [
    "Thin",
    "TruncatedLayer",
    "Truncation",
    "truncate",
]
