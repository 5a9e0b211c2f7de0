"""Curvature of the loss: Hessian, Gauss-Newton matrix, Fisher information, as operators; their spectra."""

from sciml.spectra.curvature.eigen import TopEigenvalues, top_eigenvalues
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

__all__ = [
    "LOSSES",
    "Cost",
    "CurvatureOperator",
    "Options",
    "TopEigenvalues",
    "as_batches",
    "as_loss",
    "fisher",
    "gauss_newton",
    "gradient_covariance",
    "hessian",
    "top_eigenvalues",
]
