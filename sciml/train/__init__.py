"""Training that can be killed and resumed, its checkpoints, its scores, and the baselines it must beat.

`SignalClassifier`, `SignalRegressor`, `NNGPClassifier`, `NNGPRegressor` and `NetKernel` are loaded when they are asked
for: scikit-learn takes long to load.
"""

from typing import TYPE_CHECKING, Any

from sciml.train import baselines, checkpoint, metrics
from sciml.train.calibration import (
    Calibration,
    ConformalIntervals,
    ConformalSets,
    ReliabilityTable,
    calibrate,
    conformal_intervals,
    conformal_sets,
    probabilities,
    reliability_table,
)
from sciml.train.callbacks import Callback, EpochRecord, ProgressBar, TrainState
from sciml.train.config import TrainConfig
from sciml.train.loop import fit
from sciml.train.reading import Batches, FitData
from sciml.train.result import FitResult

if TYPE_CHECKING:
    from sciml.train.estimators import SignalClassifier, SignalRegressor
    from sciml.train.gaussian import NetKernel, NNGPClassifier, NNGPRegressor

__all__ = [
    "Batches",
    "Calibration",
    "Callback",
    "ConformalIntervals",
    "ConformalSets",
    "EpochRecord",
    "FitData",
    "FitResult",
    "NNGPClassifier",
    "NNGPRegressor",
    "NetKernel",
    "ProgressBar",
    "ReliabilityTable",
    "SignalClassifier",
    "SignalRegressor",
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


def __getattr__(name: str) -> Any:
    if name in ("SignalClassifier", "SignalRegressor"):
        from sciml.train import estimators

        return getattr(estimators, name)
    if name in ("NNGPClassifier", "NNGPRegressor", "NetKernel"):
        from sciml.train import gaussian

        return getattr(gaussian, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
