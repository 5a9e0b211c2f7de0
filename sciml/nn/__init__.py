"""Networks for signals, and how their weights start."""

from sciml.nn import init, lowrank, models, structure
from sciml.nn.lowrank import LowRankDenoiser

__all__ = ["LowRankDenoiser", "init", "lowrank", "models", "structure"]
