"""Movies, scans and volumes patch by patch: each by its own noise floor, averaged where they meet."""

from sciml.denoise.patches.denoising import PatchWeights, denoise_patches
from sciml.denoise.patches.noise.estimate import noise_reach
from sciml.denoise.patches.to_file import PatchFile, denoise_patches_to_file

__all__ = ["PatchFile", "PatchWeights", "denoise_patches", "denoise_patches_to_file", "noise_reach"]


def __dir__() -> list[str]:
    return sorted(__all__)
