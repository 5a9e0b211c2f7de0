"""Scores of labels, beside the value that chance would give."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from sciml.errors import DataError
from sciml.result import Plots
from sciml.train.metrics.bootstrap import bootstrap_interval
from sciml.train.metrics.registry import METRICS, Statistic
from sciml.wording import percent

__all__ = [
    "ChanceBand",
    "ClassificationScores",
    "chance_band",
    "classification_scores",
    "wilson_interval",
]


@dataclass(frozen=True)
class ChanceBand:
    """Accuracy of the best constant guess, and the two-sided band that guessing leaves with probability alpha at most.

    Guessing falls below `low`, and rises above `high`, with probability alpha / 2 each at most.
    """

    level: float
    low: float
    high: float
    n: int
    alpha: float


@dataclass(frozen=True, eq=False, repr=False)
class ClassificationScores:
    """Scores of labels.

    Attributes
    ----------
    accuracy, balanced_accuracy
        Fraction that is right; mean over the classes that occur of the fraction that is recognized.
    interval
        Of the accuracy at 95 %: by bootstrap over units where there are two at least, else Wilson's, which takes items
        for independent.
    confusion
        Shape (class, class): how often class i was called j.
    chance
        What guessing reaches.
    n, n_units
        Items, and units of independence, 0 where none were given.
    auc, log_loss, brier
        Of the logits, None without them. The area under the curve is the probability that an item of a class scores
        above one of another; with more than two classes the mean of each against the rest.
    intervals
        By name of the score, the ends at 95 % by bootstrap over units; empty without units, NaN of a single one.
    """

    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    confusion: NDArray[np.int64]
    chance: ChanceBand
    n: int
    n_units: int = 0
    auc: float | None = None
    log_loss: float | None = None
    brier: float | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    plot = Plots("confusion")

    @property
    def above_chance(self) -> bool:
        """Whether the accuracy lies above the band of chance: beyond what guessing reaches."""
        return self.accuracy > self.chance.high

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists.

        Examples
        --------
        >>> classification_scores([0, 1, 1], [0, 1, 0], n_classes=2).to_dict()["confusion"]
        [[1, 0], [1, 1]]
        """
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        ends = {name: list(pair) for name, pair in self.intervals.items()}
        plain = {"confusion": self.confusion.tolist(), "interval": list(self.interval), "chance": vars(self.chance)}
        return {**content, **plain, "intervals": ends, "above_chance": self.above_chance}

    def summary(self) -> str:
        """Return accuracy, interval and chance in one line.

        Examples
        --------
        >>> classification_scores([0, 1, 1], [0, 1, 0], n_classes=2).summary()
        'accuracy 66.7 % (95 % interval 20.8 % to 93.9 %), chance 0 % to 100 %'
        """
        low, high = map(percent, self.interval)
        chance = f"chance {percent(self.chance.low)} to {percent(self.chance.high)}"
        return f"accuracy {percent(self.accuracy)} (95 % interval {low} to {high}), {chance}"

    def __repr__(self) -> str:
        return f"ClassificationScores({self.summary()})"


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    r"""Return Wilson's interval of a proportion.

    .. math:: \frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n}

    References
    ----------
    Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> [round(end, 4) for end in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    interval = scipy.stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def chance_band(labels: ArrayLike, *, n_classes: int, alpha: float = 0.05) -> ChanceBand:
    r"""Return what guessing reaches on these labels: the best constant guess, and the binomial band around it.

    .. math:: P(k < k_\text{low}) \le \alpha/2, \quad P(k > k_\text{high}) \le \alpha/2, \qquad k \sim B(n, p_0)

    The level p₀ is the fraction of the most frequent class, at least 1/n_classes; the band is k / n. It counts windows
    as independent: where neighbors in time resemble each other, `sciml.data.permutation` says more.

    References
    ----------
    Combrisson and Jerbi (2015), doi:10.1016/j.jneumeth.2015.01.010.

    Examples
    --------
    >>> band = chance_band(np.arange(40) % 4, n_classes=4)
    >>> band.low, band.high
    (0.125, 0.4)
    """
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=n_classes)
    n = int(counts.sum())
    level = max(float(counts.max()) / n, 1.0 / n_classes)
    low, high = scipy.stats.binom.interval(1 - alpha, n, level)
    return ChanceBand(level, float(low) / n, float(high) / n, n, alpha)


def classification_scores(
    labels: ArrayLike,
    predicted: ArrayLike,
    *,
    n_classes: int,
    logits: ArrayLike | None = None,
    units: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> ClassificationScores:
    """Return accuracy with its interval, balanced accuracy, confusion matrix and chance band.

    Parameters
    ----------
    labels, predicted
        Shape (n,), counted from 0.
    logits
        Shape (n, class), for AUC, log loss and Brier score. Logarithms of probabilities are logits.
    units
        Number of the unit of independence of each item, shape (n,): intervals are by bootstrap over them. Where all
        units score alike, the interval is Wilson's of as many items as there are units; of one unit it is NaN.
    rng
        Draws units; default from seed 0.

    Raises
    ------
    DataError
        No labels, or another number of predictions.

    Examples
    --------
    >>> classification_scores([0, 0, 0, 1], [0, 0, 0, 0], n_classes=2).balanced_accuracy
    0.5
    """
    y, z = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if y.ndim != 1 or y.shape != z.shape or not len(y):
        raise DataError(f"expected one prediction a label, got shapes {z.shape} and {y.shape}")
    named = np.eye(n_classes)[z]  # largest for the class that is named
    outputs = dict.fromkeys(("accuracy", "balanced_accuracy"), named)
    if logits is not None:
        outputs |= {name: np.asarray(logits, dtype=np.float64) for name in ("auc", "log_loss", "brier")}
    statistics = {name: METRICS[name].prepare(*METRICS[name].arrays(each, y)) for name, each in outputs.items()}
    scores = {name: statistic(np.ones(len(y))) for name, statistic in statistics.items()}
    intervals, n_units = {}, 0
    if units is not None:
        draw, n_units = np.random.default_rng(0) if rng is None else rng, len(np.unique(np.asarray(units)))
        intervals = {
            name: _pair(_ends(name, statistic, units, draw), scores[name], n_units, name)
            for name, statistic in statistics.items()
        }
    alone = wilson_interval(int(np.count_nonzero(y == z)), len(y))
    return ClassificationScores(
        interval=alone if units is None else intervals["accuracy"],
        confusion=np.bincount(n_classes * y + z, minlength=n_classes**2).reshape(n_classes, n_classes),
        chance=chance_band(y, n_classes=n_classes),
        n=len(y),
        n_units=n_units,
        intervals=intervals,
        **scores,
    )


def _ends(name: str, statistic: Statistic, units: ArrayLike, rng: np.random.Generator) -> NDArray[np.float64]:
    return bootstrap_interval(statistic, units, rng=rng, limits=METRICS[name].limits)


def _pair(ends: NDArray[np.float64], score: float, n_units: int, name: str) -> tuple[float, float]:
    """Return the ends of an interval; where units do not differ in a proportion, those of as many items."""
    low, high = map(float, ends)
    if low == high and name in ("accuracy", "balanced_accuracy"):
        return wilson_interval(round(score * n_units), n_units)
    return low, high
