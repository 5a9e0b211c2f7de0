"""Remove what the noise floor says is noise."""

from sciml.denoise.comparison import compare
from sciml.denoise.estimator import Denoiser
from sciml.denoise.lowrank import Projector, Shrinkage, denoise, projector
from sciml.denoise.patches import denoise_patches
from sciml.denoise.streaming import StreamingDenoiser
from sciml.denoise.tofile import PatchFile, denoise_patches_to_file

__all__ = [
    "Denoiser",
    "PatchFile",
    "Projector",
    "Shrinkage",
    "StreamingDenoiser",
    "compare",
    "denoise",
    "denoise_patches",
    "denoise_patches_to_file",
    "projector",
]
