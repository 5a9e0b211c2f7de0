from . import init, lowrank, models, propagate, structure
from .lowrank import LowRankDenoiser
from .propagate import Propagation, propagation

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
