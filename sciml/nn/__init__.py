"""Networks for signals, and how their weights start."""

from sciml.nn import init, layers, lowrank, models, structure
from sciml.nn.lowrank import LowRankDenoiser

__all__ = ["LowRankDenoiser", "init", "layers", "lowrank", "models", "structure"]
