"""Remove what the noise floor says is noise."""

from typing import TYPE_CHECKING

import lazy_loader

from sciml.denoise.evaluate import compare
from sciml.denoise.lowrank import LinearDenoiser, denoise, linear_denoiser
from sciml.denoise.patches import PatchFile, denoise_patches, denoise_patches_to_file
from sciml.rmt.shrink import Shrinkage

if TYPE_CHECKING:
    from sciml.denoise.lowrank.estimator import Denoiser
    from sciml.denoise.lowrank.streaming import StreamingDenoiser

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

# When they are first asked for: scikit-learn takes longer to load than all the rest.
__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"lowrank.estimator": ["Denoiser"], "lowrank.streaming": ["StreamingDenoiser"]}
)
