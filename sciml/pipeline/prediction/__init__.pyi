from .apply import Prediction, predict

__all__ = [
    "Prediction",
    "predict",
]
