"""Remove what the noise floor says is noise."""

from sciml.denoise.lowrank import Projector, denoise, projector
from sciml.denoise.patches import denoise_patches

__all__ = ["Projector", "denoise", "denoise_patches", "projector"]
