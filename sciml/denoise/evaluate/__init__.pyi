from .compare import METHODS, Method, compare
from .residual import (
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
