"""Networks for signals, and how their weights start."""

from sciml.nn import init, layers, models

__all__ = ["init", "layers", "models"]
