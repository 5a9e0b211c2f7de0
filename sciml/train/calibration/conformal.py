"""Sets of classes and intervals that hold the truth with a chosen probability, whatever the net: split conformal."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml.errors import DataError

__all__ = ["ConformalIntervals", "ConformalSets", "conformal_intervals", "conformal_sets"]


@dataclass(frozen=True)
class ConformalSets:
    """Sets of classes: those whose probability is at least `threshold`.

    `confidence` is the probability with which a set holds the class, over calibration and new items that are
    exchangeable; n is the number of calibration items. A threshold of -inf holds every class: the items are too few.
    """

    threshold: float
    confidence: float
    n: int

    def sets(self, probability: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each class is in the set of each item, shape (n, class) as the probabilities."""
        return np.asarray(np.asarray(probability, dtype=np.float64) >= self.threshold)

    def coverage(self, probability: ArrayLike, labels: ArrayLike) -> float:
        """Return the fraction of items whose set holds their class."""
        y = np.asarray(labels, dtype=np.int64)
        return float(self.sets(probability)[np.arange(len(y)), y].mean())

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {"threshold": self.threshold, "confidence": self.confidence, "n": self.n}


@dataclass(frozen=True, eq=False)
class ConformalIntervals:
    """Intervals of a constant half width an output, in the unit of the target; infinite where items are too few."""

    half_width: NDArray[np.float64]
    confidence: float
    n: int

    def intervals(self, predicted: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper ends, shape as the predictions (n, output) or (n,)."""
        center = np.asarray(predicted, dtype=np.float64)
        half = self.half_width if center.ndim == 2 else self.half_width[0]
        return center - half, center + half

    def coverage(self, predicted: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
        """Return the fraction of items whose interval holds the target, for each output."""
        low, high = self.intervals(predicted)
        inside = (low <= np.asarray(target)) & (np.asarray(target) <= high)
        return np.atleast_1d(np.asarray(inside.mean(axis=0), dtype=np.float64))

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        return {"half_width": self.half_width.tolist(), "confidence": self.confidence, "n": self.n}


def conformal_sets(probability: ArrayLike, labels: ArrayLike, *, confidence: float = 0.9) -> ConformalSets:
    r"""Return the rule that makes sets of classes, from items that neither weights nor temperature were fitted on.

    .. math:: \{k : p_k \ge \tau\}, \qquad \tau = p_{(\lfloor (n + 1)(1 - c) \rfloor)}

    with p the sorted probabilities of the true classes of n calibration items. A set holds the class with probability
    c at least and c + 1/(n + 1) at most where items are exchangeable; windows of one session are less than that.

    Parameters
    ----------
    probability, labels
        Of the calibration items, shape (n, class) and (n,).

    Raises
    ------
    DataError
        No items, shapes that do not agree, or a confidence outside (0, 1).

    References
    ----------
    Vovk, Gammerman and Shafer (2005), doi:10.1007/b106715; Sadinle, Lei and Wasserman (2019),
    doi:10.1080/01621459.2017.1395341, section 3.

    Examples
    --------
    >>> rule = conformal_sets(np.full((99, 2), 0.5), np.zeros(99, int))
    >>> rule.threshold, rule.sets([[0.7, 0.3]]).tolist()
    (0.5, [[True, False]])
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    _check(confidence, p.ndim == 2 and y.shape == p.shape[:1] and len(y) > 0, p.shape, y.shape)
    scores = -p[np.arange(len(y)), y]
    return ConformalSets(-float(_quantile(scores[:, None], confidence)[0]), confidence, len(y))


def conformal_intervals(predicted: ArrayLike, target: ArrayLike, *, confidence: float = 0.9) -> ConformalIntervals:
    r"""Return the rule that makes intervals, from items that the weights were not fitted on.

    .. math:: \hat y \pm q, \qquad q = |y - \hat y|_{(\lceil (n + 1) c \rceil)}

    with the sorted absolute errors of n calibration items, for each output by itself.

    Parameters
    ----------
    predicted, target
        Of the calibration items, shape (n, output) or (n,).

    Raises
    ------
    DataError
        No items, shapes that do not agree, or a confidence outside (0, 1).

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), doi:10.1080/01621459.2017.1307116, algorithm 2.

    Examples
    --------
    >>> rule = conformal_intervals(np.zeros(99), np.arange(1, 100))
    >>> rule.half_width.tolist(), rule.intervals([1.0])
    ([90.0], (array([-89.]), array([91.])))
    """
    z, y = np.asarray(predicted, dtype=np.float64), np.asarray(target, dtype=np.float64)
    _check(confidence, z.shape == y.shape and z.ndim in (1, 2) and len(y) > 0, z.shape, y.shape)
    return ConformalIntervals(_quantile(np.abs(y - z).reshape(len(y), -1), confidence), confidence, len(y))


def _check(confidence: float, fits: bool, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    if not 0 < confidence < 1:
        raise DataError(f"expected a confidence between 0 and 1, got {confidence}")
    if not fits:
        raise DataError(f"expected predictions and truth of the same calibration items, got {first} and {second}")


def _quantile(scores: NDArray[np.float64], confidence: float) -> NDArray[np.float64]:
    """Return the (n + 1) c-th smallest score of each column, infinite where there are fewer."""
    n = len(scores)
    # the product may lie above a whole number by rounding alone
    place = int(np.ceil((n + 1) * confidence * (1 - 1e-12)))
    if place > n:
        return np.full(scores.shape[1], np.inf)
    return np.asarray(np.partition(scores, place - 1, axis=0)[place - 1], dtype=np.float64)
