from .measures import Hessian, Measure, Weights
from .track import SpectrumTrack
from .tracker import SpectrumTracker, TrackStore

__all__ = [
    "Hessian",
    "Measure",
    "SpectrumTrack",
    "SpectrumTracker",
    "TrackStore",
    "Weights",
]
