from .batches import as_batches
from .kinds import (
    fisher,
    gauss_newton,
    gradient_covariance,
    hessian,
)
from .losses import LOSSES, as_loss
from .operator import Cost, CurvatureOperator, Options

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
