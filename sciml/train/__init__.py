"""Training that can be killed and resumed, its checkpoints, its scores, and the baselines it must beat."""

from sciml.train import baselines, checkpoint, metrics
from sciml.train.calibration import Calibration, ReliabilityTable, calibrate, probabilities, reliability_table
from sciml.train.callbacks import Callback, EpochRecord, ProgressBar, TrainState
from sciml.train.config import TrainConfig
from sciml.train.conformal import ConformalIntervals, ConformalSets, conformal_intervals, conformal_sets
from sciml.train.loader import Batches, FitData
from sciml.train.loop import FitResult, fit

__all__ = [
    "Batches",
    "Calibration",
    "Callback",
    "ConformalIntervals",
    "ConformalSets",
    "EpochRecord",
    "FitData",
    "FitResult",
    "ProgressBar",
    "ReliabilityTable",
    "TrainConfig",
    "TrainState",
    "baselines",
    "calibrate",
    "checkpoint",
    "conformal_intervals",
    "conformal_sets",
    "fit",
    "metrics",
    "probabilities",
    "reliability_table",
]
