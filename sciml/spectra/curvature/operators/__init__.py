"""Curvature matrices as operators over a data set."""

from sciml.spectra.curvature.operators.batches import as_batches
from sciml.spectra.curvature.operators.kinds import fisher, gauss_newton, gradient_covariance, hessian
from sciml.spectra.curvature.operators.losses import LOSSES, as_loss
from sciml.spectra.curvature.operators.operator import Cost, CurvatureOperator, Options

__all__ = [
    "LOSSES",
    "Cost",
    "CurvatureOperator",
    "Options",
    "as_batches",
    "as_loss",
    "fisher",
    "gauss_newton",
    "gradient_covariance",
    "hessian",
]
