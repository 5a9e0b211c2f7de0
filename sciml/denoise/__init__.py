"""Remove what the noise floor says is noise."""

from sciml.denoise.comparison import compare
from sciml.denoise.estimator import Denoiser
from sciml.denoise.lowrank import Projector, Shrinkage, denoise, projector
from sciml.denoise.streaming import StreamingDenoiser

__all__ = ["Denoiser", "Projector", "Shrinkage", "StreamingDenoiser", "compare", "denoise", "projector"]
