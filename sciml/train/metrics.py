"""Scores of held-out predictions, each beside the value that chance or the last sample would give."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from sciml.errors import DataError
from sciml.wording import percent

__all__ = [
    "ChanceBand",
    "ClassificationScores",
    "ForecastScores",
    "PermutationTest",
    "chance_band",
    "classification_scores",
    "forecast_scores",
    "permutation_test",
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
    """Scores of labels; `interval` is that of the accuracy at 95 %, `confusion[i, j]` counts class i called j."""

    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    confusion: NDArray[np.int64]
    chance: ChanceBand
    n: int

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
        content = {**asdict(self), "confusion": self.confusion.tolist(), "interval": list(self.interval)}
        return {**content, "above_chance": self.above_chance}

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


@dataclass(frozen=True)
class PermutationTest:
    """Probability that exchanged labels score as well; NaN where nothing could be exchanged, `note` says why."""

    p_value: float
    n_permutations: int
    n_units: int
    note: str


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
    as independent: where neighbors in time resemble each other, `permutation_test` with blocks says more.

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


def classification_scores(labels: ArrayLike, predicted: ArrayLike, *, n_classes: int) -> ClassificationScores:
    """Return accuracy with its interval, balanced accuracy, confusion matrix and chance band.

    Balanced accuracy is the mean over the classes that occur of the fraction that was recognized.

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
    # Imported here: scikit-learn takes as long to load as the rest of this package, and training does not need it.
    from sklearn.metrics import confusion_matrix, recall_score

    right = int(np.count_nonzero(y == z))
    return ClassificationScores(
        accuracy=right / len(y),
        interval=wilson_interval(right, len(y)),
        # balanced_accuracy_score is this mean, but warns of a predicted class that does not occur
        balanced_accuracy=float(recall_score(y, z, labels=np.unique(y), average="macro")),
        confusion=np.asarray(confusion_matrix(y, z, labels=np.arange(n_classes)), dtype=np.int64),
        chance=chance_band(y, n_classes=n_classes),
        n=len(y),
    )


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
    variance = y.var(axis=(0, 2))
    varies = variance > 0
    if not varies.any():
        raise DataError(f"expected a channel that varies in the test part, got {len(varies)} constant ones")
    error = np.mean((predicted - y) ** 2, axis=0)[varies] / variance[varies, None]
    persistent = np.mean((last[:, :, None] - y) ** 2, axis=0)[varies] / variance[varies, None]
    ratio, reference = error.mean(axis=0), persistent.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # persistence may be perfect: the skill is then -inf, or NaN
        skill = 1 - ratio / reference
    return ForecastScores(1 - ratio, np.sqrt(ratio), skill, len(y), int(varies.sum()))


def permutation_test(
    labels: ArrayLike,
    predicted: ArrayLike,
    *,
    blocks: ArrayLike,
    rng: np.random.Generator,
    n_permutations: int = 2000,
) -> PermutationTest:
    """Test an accuracy by exchanging labels at the unit of independence.

    Where every block holds one class, whole blocks exchange their labels; else labels are exchanged within blocks,
    so that what differs between blocks cannot pass for recognition. p = (1 + k) / (1 + n).

    Parameters
    ----------
    labels, predicted, blocks
        Label, prediction and number of the block of each window, shape (n,).

    Examples
    --------
    >>> y = np.arange(40) % 2
    >>> permutation_test(y, y, blocks=np.arange(40) // 10, rng=np.random.default_rng(0)).p_value < 0.001
    True
    """
    y, z, unit = (np.asarray(array) for array in (labels, predicted, blocks))
    names, first, unit = np.unique(unit, return_index=True, return_inverse=True)
    pure = bool(np.all(y == y[first][unit]))
    if len(np.unique(y[first] if pure else y)) < 2 or (pure and len(names) < 4):
        note = f"not testable: {len(names)} blocks of one class each leave nothing to exchange"
        return PermutationTest(float("nan"), 0, len(names), note)
    n_right = np.count_nonzero(y == z)
    as_good = 0
    for _ in range(n_permutations):
        exchanged = rng.permutation(y[first])[unit] if pure else _within(y, unit, rng)
        as_good += int(np.count_nonzero(exchanged == z) >= n_right)
    what = "labels of whole blocks exchanged" if pure else "labels exchanged within blocks"
    return PermutationTest((1 + as_good) / (1 + n_permutations), n_permutations, len(names), what)


def _within(y: NDArray[Any], unit: NDArray[np.int64], rng: np.random.Generator) -> NDArray[Any]:
    """Return the labels in random order within each unit: a shuffle, sorted back by unit."""
    shuffled = np.lexsort((rng.random(len(y)), unit))
    exchanged = np.empty_like(y)
    exchanged[np.argsort(unit, kind="stable")] = y[shuffled]
    return exchanged
