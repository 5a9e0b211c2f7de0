"""Remove what the noise floor says is noise."""

from typing import TYPE_CHECKING

import lazy_loader

from sciml.denoise.evaluate import compare
from sciml.denoise.lowrank import Projector, Shrinkage, denoise, projector
from sciml.denoise.patches import PatchFile, denoise_patches, denoise_patches_to_file

if TYPE_CHECKING:
    from sciml.denoise.lowrank.estimator import Denoiser
    from sciml.denoise.lowrank.streaming import StreamingDenoiser

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

# When they are first asked for: scikit-learn takes longer to load than all the rest.
__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"lowrank.estimator": ["Denoiser"], "lowrank.streaming": ["StreamingDenoiser"]}
)
