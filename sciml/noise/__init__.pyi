from .coherence.estimate import (
    CoherentBand,
    CoherentMode,
    SpectralNoiseFloor,
    spectral_noise_floor,
)
from .floor.estimate import noise_floor
from .floor.leading import Leading, leading_components
from .floor.result import NoiseFloor
from .floor.running import RunningNoiseFloor
from .models.registry import MODELS, Model, noise_model
from .shared.over_time import shared_over_time
from .shared.result import SharedTimeCourses
from .shared.sets import shared_between, shared_between_halves

__all__ = [
    "MODELS",
    "CoherentBand",
    "CoherentMode",
    "Leading",
    "Model",
    "NoiseFloor",
    "RunningNoiseFloor",
    "SharedTimeCourses",
    "SpectralNoiseFloor",
    "leading_components",
    "noise_floor",
    "noise_model",
    "shared_between",
    "shared_between_halves",
    "shared_over_time",
    "spectral_noise_floor",
]
