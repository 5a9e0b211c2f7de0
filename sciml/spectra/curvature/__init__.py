"""Curvature of the loss: Hessian, Gauss-Newton matrix, Fisher information, as operators; their spectra."""

from sciml.spectra.curvature.classes import ClassStructure, class_structure
from sciml.spectra.curvature.density import Interval, SpectralDensity, spectral_density
from sciml.spectra.curvature.eigen import TopEigenvalues, top_eigenvalues
from sciml.spectra.curvature.estimates import DiagonalEstimate, TraceEstimate, diagonal, trace
from sciml.spectra.curvature.levels import BulkLevels, bulk_levels
from sciml.spectra.curvature.noise import BatchNoise, batch_noise
from sciml.spectra.curvature.operators import (
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
from sciml.spectra.curvature.tangent import TangentKernel, ntk

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
