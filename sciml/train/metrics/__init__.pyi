from .bootstrap import bootstrap_interval
from .classification import (
    ChanceBand,
    ClassificationScores,
    chance_band,
    classification_scores,
    wilson_interval,
)
from .forecast import ForecastScores, forecast_scores
from .registry import METRICS, Metric
from .regression import RegressionScores, regression_scores

__all__ = [
    "METRICS",
    "ChanceBand",
    "ClassificationScores",
    "ForecastScores",
    "Metric",
    "RegressionScores",
    "bootstrap_interval",
    "chance_band",
    "classification_scores",
    "forecast_scores",
    "regression_scores",
    "wilson_interval",
]
