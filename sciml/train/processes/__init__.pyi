from .group import ALONE, Processes
from .spread import spread_over
from .start import started

__all__ = [
    "ALONE",
    "Processes",
    "spread_over",
    "started",
]
