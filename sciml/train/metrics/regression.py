"""Scores of predicted values, one an output."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml.errors import DataError
from sciml.train.metrics.bootstrap import bootstrap_interval
from sciml.train.metrics.registry import METRICS

__all__ = ["RegressionScores", "regression_scores"]

NAMES = ("r2", "correlation", "absolute_error")


@dataclass(frozen=True, eq=False, repr=False)
class RegressionScores:
    """Scores of values, one an output; NaN for an output that does not vary.

    Attributes
    ----------
    r2
        One minus mean square error over variance, shape (output,): 0 for the mean of these very targets.
    correlation
        Pearson's, shape (output,).
    absolute_error
        Mean of the absolute error in the unit of the target, shape (output,).
    intervals
        By name of the score, ends of the 95 % interval by bootstrap over units, shape (output, 2); empty without units.
    n, n_units
        Items, and units of independence, 0 where none were given.
    """

    r2: NDArray[np.float64]
    correlation: NDArray[np.float64]
    absolute_error: NDArray[np.float64]
    n: int
    n_units: int = 0
    intervals: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def mean_r2(self) -> float:
        """Mean of `r2` over the outputs that vary."""
        return _mean(self.r2)

    @property
    def mean_correlation(self) -> float:
        """Mean of `correlation` over the outputs that vary."""
        return _mean(self.correlation)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists.

        Examples
        --------
        >>> regression_scores([[1.0], [3.0]], [[1.0], [3.0]]).to_dict()["absolute_error"]
        [0.0]
        """
        scores = {name: getattr(self, name).tolist() for name in NAMES}
        ends = {name: values.tolist() for name, values in self.intervals.items()}
        means = {"mean_r2": self.mean_r2, "mean_correlation": self.mean_correlation}
        return {**scores, **means, "intervals": ends, "n": self.n, "n_units": self.n_units}

    def summary(self) -> str:
        """Return the means over outputs in one line.

        Examples
        --------
        >>> regression_scores([[1.0], [3.0]], [[1.0], [3.0]]).summary()
        'R² 1, correlation 1 (mean of 1 outputs, 2 items)'
        """
        means = f"R² {self.mean_r2:.4g}, correlation {self.mean_correlation:.4g}"
        return f"{means} (mean of {len(self.r2)} outputs, {self.n} items)"

    def __repr__(self) -> str:
        return f"RegressionScores({self.summary()})"


def regression_scores(
    target: ArrayLike,
    predicted: ArrayLike,
    *,
    units: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> RegressionScores:
    """Return R2, correlation and absolute error of each output, with intervals where units are given.

    Parameters
    ----------
    target, predicted
        Shape (n, output) or (n,), in the unit of the target.
    units
        Number of the unit of independence of each item, shape (n,).
    rng
        Draws units; default from seed 0.

    Raises
    ------
    DataError
        Shapes that do not agree, or no items.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=(500, 2))
    >>> scores = regression_scores(y, y + rng.normal(size=(500, 2)), units=np.arange(500) // 25)
    >>> scores.correlation.round(1).tolist(), scores.intervals["r2"].shape
    ([0.7, 0.7], (2, 2))
    """
    y, z = (np.asarray(values, dtype=np.float64) for values in (target, predicted))
    if y.shape != z.shape or y.ndim not in (1, 2) or not len(y):
        raise DataError(f"expected targets and predictions of shape (n, output), got {y.shape} and {z.shape}")
    y, z = y.reshape(len(y), -1), z.reshape(len(y), -1)
    statistics = {name: METRICS[name].prepare(z, y) for name in NAMES}
    r2, correlation, absolute_error = (np.asarray(statistics[name](np.ones(len(y)))) for name in NAMES)
    if units is None:
        return RegressionScores(r2, correlation, absolute_error, len(y))
    draw = np.random.default_rng(0) if rng is None else rng
    ends = {
        name: bootstrap_interval(statistic, units, rng=draw, limits=METRICS[name].limits)
        for name, statistic in statistics.items()
    }
    n_units = len(np.unique(np.asarray(units)))
    return RegressionScores(r2, correlation, absolute_error, len(y), n_units, ends)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
