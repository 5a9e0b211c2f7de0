"""Scores of a forecast, beside the value that the last sample would give."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError

__all__ = ["ForecastScores", "forecast_scores"]


@dataclass(frozen=True, eq=False, repr=False)
class ForecastScores:
    """Scores of a forecast for each step ahead, averaged over channels in units of their variance.

    Attributes
    ----------
    r2
        One minus mean square error over variance, shape (horizon,).
    nrmse
        Root of mean square error over variance, shape (horizon,).
    skill
        One minus mean square error over that of persistence, shape (horizon,): above 0 beats the last sample.
    n, n_channels
        Windows, and channels that vary in them.
    """

    r2: NDArray[np.float64]
    nrmse: NDArray[np.float64]
    skill: NDArray[np.float64]
    n: int
    n_channels: int

    @property
    def mean_r2(self) -> float:
        """Mean of `r2` over the steps ahead."""
        return float(self.r2.mean())

    @property
    def mean_nrmse(self) -> float:
        """Root of the mean of `nrmse` squared over the steps ahead."""
        return float(np.sqrt(np.mean(self.nrmse**2)))

    @property
    def mean_skill(self) -> float:
        """Mean of `skill` over the steps ahead."""
        return float(self.skill.mean())

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists.

        Examples
        --------
        >>> y = np.array([[[1.0]], [[3.0]]])
        >>> forecast_scores(y, y, last=np.zeros((2, 1))).to_dict()["r2"]
        [1.0]
        """
        steps = {name: getattr(self, name).tolist() for name in ("r2", "nrmse", "skill")}
        means = {name: getattr(self, name) for name in ("mean_r2", "mean_nrmse", "mean_skill")}
        return {**steps, **means, "n": self.n, "n_channels": self.n_channels}

    def summary(self) -> str:
        """Return the means over the steps ahead in one line.

        Examples
        --------
        >>> y = np.array([[[1.0]], [[3.0]]])
        >>> forecast_scores(y, y, last=np.zeros((2, 1))).summary()
        'R² 1, root of squared error over variance 0, skill over persistence 1'
        """
        means = f"R² {self.mean_r2:.4g}, root of squared error over variance {self.mean_nrmse:.4g}"
        return f"{means}, skill over persistence {self.mean_skill:.4g}"

    def __repr__(self) -> str:
        return f"ForecastScores({self.summary()})"


def forecast_scores(
    target: NDArray[np.floating[Any]], predicted: NDArray[np.floating[Any]], *, last: NDArray[np.floating[Any]]
) -> ForecastScores:
    r"""Return the scores of a forecast.

    .. math:: R^2_h = 1 - \frac1C \sum_c \frac{\langle (\hat y_{ch} - y_{ch})^2\rangle}{\mathrm{var}\, y_c}

    Parameters
    ----------
    target, predicted
        Shape (n, channel, horizon), any unit, the same for both.
    last
        Last sample before the forecast, shape (n, channel): what persistence repeats.

    Values that are NaN are not there and do not count.

    Raises
    ------
    DataError
        Shapes that do not agree, or no channel that varies.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=(2000, 3, 2))
    >>> scores = forecast_scores(y, np.zeros_like(y), last=rng.normal(size=(2000, 3)))
    >>> bool(np.abs(scores.r2).max() < 0.01), scores.skill.round(1).tolist()
    (True, [0.5, 0.5])
    """
    if target.ndim != 3 or predicted.shape != target.shape or last.shape != target.shape[:2]:
        raise DataError(
            f"expected target and forecast of shape (n, channel, horizon) and last samples (n, channel), "
            f"got {target.shape}, {predicted.shape} and {last.shape}"
        )
    y = target.astype(np.float64)
    variance = _mean((y - _mean(y, (0, 2))[None, :, None]) ** 2, (0, 2)) if np.isnan(y).any() else y.var(axis=(0, 2))
    varies = variance > 0
    if not varies.any():
        raise DataError(f"expected a channel that varies in the test part, got {len(varies)} constant ones")
    error = _mean((predicted - y) ** 2, 0)[varies] / variance[varies, None]
    persistent = _mean((last[:, :, None] - y) ** 2, 0)[varies] / variance[varies, None]
    ratio, reference = _mean(error, 0), _mean(persistent, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # persistence may be perfect: the skill is then -inf, or NaN
        skill = 1 - ratio / reference
    return ForecastScores(1 - ratio, np.sqrt(ratio), skill, len(y), int(varies.sum()))


def _mean(values: NDArray[np.float64], axis: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Return the mean of the values that are there; NaN where none is."""
    there = ~np.isnan(values)
    if there.all():
        return np.asarray(values.mean(axis=axis))
    n = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.asarray(np.divide(total, n, out=np.full(np.shape(total), np.nan), where=n > 0))
