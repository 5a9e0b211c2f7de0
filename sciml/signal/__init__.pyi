from . import correlation, lines, psd

__all__ = [
    "correlation",
    "lines",
    "psd",
]
