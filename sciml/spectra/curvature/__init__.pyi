from .classes import ClassStructure, class_structure
from .density import Interval, SpectralDensity, spectral_density
from .eigen import TopEigenvalues, top_eigenvalues
from .estimates import (
    DiagonalEstimate,
    TraceEstimate,
    diagonal,
    trace,
)
from .levels import BulkLevels, bulk_levels
from .noise import BatchNoise, batch_noise
from .operators import (
    LOSSES,
    Cost,
    CurvatureOperator,
    Options,
    as_batches,
    as_loss,
    fisher,
    gauss_newton,
    gradient_covariance,
    hessian,
)
from .tangent import TangentKernel, ntk

__all__ = [
    "LOSSES",
    "BatchNoise",
    "BulkLevels",
    "ClassStructure",
    "Cost",
    "CurvatureOperator",
    "DiagonalEstimate",
    "Interval",
    "Options",
    "SpectralDensity",
    "TangentKernel",
    "TopEigenvalues",
    "TraceEstimate",
    "as_batches",
    "as_loss",
    "batch_noise",
    "bulk_levels",
    "class_structure",
    "diagonal",
    "fisher",
    "gauss_newton",
    "gradient_covariance",
    "hessian",
    "ntk",
    "spectral_density",
    "top_eigenvalues",
    "trace",
]
