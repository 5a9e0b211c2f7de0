"""What a net must beat: chance, a linear classifier, covariances, the last sample, ridge regression.

All take arrays (n, channel, time). Settings are chosen on the validation part, never on the test part.
"""

from sciml.train.baselines.base import BaselineResult, Part
from sciml.train.baselines.classification import covariance_classifier, linear_classifier, majority
from sciml.train.baselines.forecasting import persistence, ridge_forecaster

__all__ = [
    "BaselineResult",
    "Part",
    "covariance_classifier",
    "linear_classifier",
    "majority",
    "persistence",
    "ridge_forecaster",
]
