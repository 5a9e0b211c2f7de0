"""Scores of held-out predictions, each beside the value that chance, the mean or the last sample would give.

`METRICS` are the numbers that training can monitor; `classification_scores`, `regression_scores` and `forecast_scores`
gather those of a test part, with intervals by bootstrap over the units of independence.
"""

from sciml.train.metrics.bootstrap import bootstrap_interval
from sciml.train.metrics.classification import (
    ChanceBand,
    ClassificationScores,
    chance_band,
    classification_scores,
    wilson_interval,
)
from sciml.train.metrics.forecast import ForecastScores, forecast_scores
from sciml.train.metrics.registry import METRICS, Metric
from sciml.train.metrics.regression import RegressionScores, regression_scores

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
