from .conformal import (
    ConformalIntervals,
    ConformalSets,
    conformal_intervals,
    conformal_sets,
)
from .temperature import (
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
