"""Gaussian processes with the kernels of wide nets, as estimators of scikit-learn."""

from sciml.train.gaussian.classifier import NNGPClassifier
from sciml.train.gaussian.exact import LeftOut
from sciml.train.gaussian.kernel import NetKernel
from sciml.train.gaussian.regressor import NNGPRegressor

__all__ = ["LeftOut", "NNGPClassifier", "NNGPRegressor", "NetKernel"]
