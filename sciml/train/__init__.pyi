from . import baselines, checkpoint, metrics
from .calibration import (
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
from .callbacks import (
    Callback,
    EpochRecord,
    ProgressBar,
    TrainState,
)
from .config import TrainConfig
from .estimators import SignalClassifier, SignalRegressor
from .gaussian import NetKernel, NNGPClassifier, NNGPRegressor
from .loop import fit
from .reading import Batches, FitData
from .result import FitResult

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
