from .classifier import SignalClassifier
from .regressor import SignalRegressor

__all__ = [
    "SignalClassifier",
    "SignalRegressor",
]
