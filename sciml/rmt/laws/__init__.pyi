from . import free
from .free import SemicircleSum
from .generalized import GeneralizedMarchenkoPastur
from .high_temperature import HighTemperature
from .marchenko_pastur import MarchenkoPastur
from .semicircle import Semicircle
from .tracy_widom import TracyWidom

__all__ = [
    "GeneralizedMarchenkoPastur",
    "HighTemperature",
    "MarchenkoPastur",
    "Semicircle",
    "SemicircleSum",
    "TracyWidom",
    "free",
]
