"""The noise floor of a recording: what pure noise of this size and color would look like, and what rises above it."""

from sciml.noise._floor import noise_floor
from sciml.noise._leading import Leading, leading_components
from sciml.noise._result import MODELS, Model, NoiseFloor
from sciml.noise.running import RunningFloor
from sciml.noise.spectral import SharedBand, SharedMode, SpectralNoiseFloor, spectral_noise_floor

__all__ = [
    "MODELS",
    "Leading",
    "Model",
    "NoiseFloor",
    "RunningFloor",
    "SharedBand",
    "SharedMode",
    "SpectralNoiseFloor",
    "leading_components",
    "noise_floor",
    "spectral_noise_floor",
]
