"""What a net must beat: chance or the mean, linear models, covariances, random kernels, wide nets, the last sample.

All take arrays (n, channel, time), NaN where a value is missing. Settings are chosen on the validation part, never on
the test part.
"""

from sciml.train.baselines.base import BaselineResult, Part
from sciml.train.baselines.classification import (
    covariance_classifier,
    kernel_classifier,
    linear_classifier,
    majority,
)
from sciml.train.baselines.forecasting import last_values, mean_forecaster, persistence, ridge_forecaster
from sciml.train.baselines.gaussian import gaussian_classifier, gaussian_regressor
from sciml.train.baselines.kernels import RandomKernels
from sciml.train.baselines.regression import (
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
