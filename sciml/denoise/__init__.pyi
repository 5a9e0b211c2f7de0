from .evaluate import compare
from .lowrank import LinearDenoiser, denoise, linear_denoiser
from .lowrank.denoising import Shrinkage
from .lowrank.estimator import Denoiser
from .lowrank.streaming import StreamingDenoiser
from .patches import (
    PatchFile,
    denoise_patches,
    denoise_patches_to_file,
)

__all__ = [
    "Denoiser",
    "LinearDenoiser",
    "PatchFile",
    "Shrinkage",
    "StreamingDenoiser",
    "compare",
    "denoise",
    "denoise_patches",
    "denoise_patches_to_file",
    "linear_denoiser",
]
