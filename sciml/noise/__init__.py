"""The noise floor of a recording: what pure noise of this size and color would look like, and what rises above it."""

from sciml.noise.coherence.estimate import CoherentBand, CoherentMode, SpectralNoiseFloor, spectral_noise_floor
from sciml.noise.floor.estimate import noise_floor
from sciml.noise.floor.leading import Leading, leading_components
from sciml.noise.floor.result import NoiseFloor
from sciml.noise.floor.running import RunningNoiseFloor
from sciml.noise.models.registry import MODELS, Model, noise_model
from sciml.noise.shared.over_time import shared_over_time
from sciml.noise.shared.result import SharedTimeCourses
from sciml.noise.shared.sets import shared_between, shared_between_halves

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
