from .classifier import NNGPClassifier
from .exact import LeftOut
from .kernel import NetKernel
from .regressor import NNGPRegressor

__all__ = [
    "LeftOut",
    "NNGPClassifier",
    "NNGPRegressor",
    "NetKernel",
]
