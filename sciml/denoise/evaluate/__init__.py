"""How good denoising is, without the truth: by held-out values, and by what was removed."""

from sciml.denoise.evaluate.compare import METHODS, Method, compare
from sciml.denoise.evaluate.residual import (
    ResidualStatistics,
    components_above_floor,
    neighbor_correlation,
    removed_fraction,
    residual_spectrum,
    residual_statistics,
    spectral_flatness,
)

__all__ = [
    "METHODS",
    "Method",
    "ResidualStatistics",
    "compare",
    "components_above_floor",
    "neighbor_correlation",
    "removed_fraction",
    "residual_spectrum",
    "residual_statistics",
    "spectral_flatness",
]
