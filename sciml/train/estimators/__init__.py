"""Nets for signals with the contract of scikit-learn."""

from sciml.train.estimators.classifier import SignalClassifier
from sciml.train.estimators.regressor import SignalRegressor

__all__ = ["SignalClassifier", "SignalRegressor"]
