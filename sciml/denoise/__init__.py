"""Remove what the noise floor says is noise."""

from importlib import import_module
from typing import Any

from sciml.denoise.comparison import compare
from sciml.denoise.lowrank import Projector, Shrinkage, denoise, projector
from sciml.denoise.patches import denoise_patches
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

_ESTIMATORS = {"Denoiser": "estimator", "StreamingDenoiser": "streaming"}


def __getattr__(name: str) -> Any:
    """Import the estimators when they are first asked for: scikit-learn takes longer to load than all the rest."""
    if name in _ESTIMATORS:
        return getattr(import_module(f"sciml.denoise.{_ESTIMATORS[name]}"), name)
    raise AttributeError(f"module 'sciml.denoise' has no attribute {name!r}")
