"""Remove what the noise floor says is noise."""

from sciml.denoise.lowrank import Projector, denoise, projector
from sciml.denoise.patches import denoise_patches
from sciml.denoise.tofile import PatchFile, denoise_patches_to_file

__all__ = ["PatchFile", "Projector", "denoise", "denoise_patches", "denoise_patches_to_file", "projector"]
