"""Training that can be killed and resumed, its checkpoints, its scores, and the baselines it must beat."""

from sciml.train import baselines, checkpoint, metrics
from sciml.train.callbacks import Callback, EpochRecord, ProgressBar, TrainState
from sciml.train.config import TrainConfig
from sciml.train.loader import Batches, FitData
from sciml.train.loop import FitResult, fit

__all__ = [
    "Batches",
    "Callback",
    "EpochRecord",
    "FitData",
    "FitResult",
    "ProgressBar",
    "TrainConfig",
    "TrainState",
    "baselines",
    "checkpoint",
    "fit",
    "metrics",
]
