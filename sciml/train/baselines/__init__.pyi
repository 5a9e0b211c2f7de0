from .base import BaselineResult, Part
from .classification import (
    covariance_classifier,
    kernel_classifier,
    linear_classifier,
    majority,
)
from .forecasting import (
    last_values,
    mean_forecaster,
    persistence,
    ridge_forecaster,
)
from .gaussian import gaussian_classifier, gaussian_regressor
from .kernels import RandomKernels
from .regression import (
    covariance_regressor,
    kernel_regressor,
    linear_regressor,
    mean_predictor,
)

__all__ = [
    "BaselineResult",
    "Part",
    "RandomKernels",
    "covariance_classifier",
    "covariance_regressor",
    "gaussian_classifier",
    "gaussian_regressor",
    "kernel_classifier",
    "kernel_regressor",
    "last_values",
    "linear_classifier",
    "linear_regressor",
    "majority",
    "mean_forecaster",
    "mean_predictor",
    "persistence",
    "ridge_forecaster",
]
