"""Networks for signals, how their weights start, and how signals and gradients travel through them."""

from sciml.nn import init, lowrank, models, propagate, structure
from sciml.nn.lowrank import LowRankDenoiser
from sciml.nn.propagate import Propagation, propagation

__all__ = [
    "LowRankDenoiser",
    "Propagation",
    "init",
    "lowrank",
    "models",
    "propagate",
    "propagation",
    "structure",
]
