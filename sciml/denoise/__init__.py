"""Remove what the noise floor says is noise."""

from sciml.denoise.estimator import Denoiser
from sciml.denoise.lowrank import Projector, Shrinkage, denoise, projector
from sciml.denoise.streaming import StreamingDenoiser

__all__ = ["Denoiser", "Projector", "Shrinkage", "StreamingDenoiser", "denoise", "projector"]
