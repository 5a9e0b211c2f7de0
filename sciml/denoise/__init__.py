"""Remove what the noise floor says is noise."""

from sciml.denoise.estimator import Denoiser
from sciml.denoise.lowrank import Projector, Shrinkage, denoise, projector

__all__ = ["Denoiser", "Projector", "Shrinkage", "denoise", "projector"]
