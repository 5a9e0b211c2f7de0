"""The noise floor of a recording: what pure noise of this size and color would look like, and what rises above it."""

from sciml.noise.coherence.estimate import CoherentBand, CoherentMode, SpectralNoiseFloor, spectral_noise_floor
from sciml.noise.floor.estimate import noise_floor
from sciml.noise.floor.leading import Leading, leading_components
from sciml.noise.floor.result import NoiseFloor
from sciml.noise.floor.running import RunningNoiseFloor
from sciml.noise.models.registry import MODELS, Model, noise_model

__all__ = [
    "MODELS",
    "CoherentBand",
    "CoherentMode",
    "Leading",
    "Model",
    "NoiseFloor",
    "RunningNoiseFloor",
    "SpectralNoiseFloor",
    "leading_components",
    "noise_floor",
    "noise_model",
    "spectral_noise_floor",
]
