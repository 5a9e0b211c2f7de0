"""Probabilities that mean what they say, and sets and intervals that hold the truth as often as they promise."""

from sciml.train.calibration.conformal import (
    ConformalIntervals,
    ConformalSets,
    conformal_intervals,
    conformal_sets,
)
from sciml.train.calibration.temperature import (
    Calibration,
    ReliabilityTable,
    calibrate,
    probabilities,
    reliability_table,
)

__all__ = [
    "Calibration",
    "ConformalIntervals",
    "ConformalSets",
    "ReliabilityTable",
    "calibrate",
    "conformal_intervals",
    "conformal_sets",
    "probabilities",
    "reliability_table",
]
