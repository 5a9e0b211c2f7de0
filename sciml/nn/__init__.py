"""Networks for signals, and how their weights start."""

from sciml.nn import models

__all__ = ["models"]
