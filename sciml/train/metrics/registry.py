"""Numbers that held-out outputs are compared by, by name: each a function that learns its data once, then weights.

A bootstrap asks the same number of the same items with thousands of weights; what does not depend on the weights
(a sort, a softmax) is done once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from sciml.errors import DataError

__all__ = ["METRICS", "Metric", "Statistic"]

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Any]  # weights (n,) of the items -> a number, or one an output


@dataclass(frozen=True)
class Metric:
    """A score of outputs.

    Attributes
    ----------
    name, greater_is_better
        Its name, and which way is better.
    kind
        "class": of logits (n, class) with labels (n,); "value": of values (n, output) with targets (n, output).
    prepare
        From outputs and targets to a function of the items' weights.
    limits
        Least and largest score that there can be.
    """

    name: str
    greater_is_better: bool
    kind: str
    prepare: Callable[[Floats, NDArray[Any]], Statistic]
    limits: tuple[float, float]

    def __call__(self, outputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Return the score; the mean over outputs where there are several.

        Parameters
        ----------
        outputs, targets
            Logits (n, class) and labels (n,), or values and targets (n, ...). Logarithms of probabilities are logits.
        weights
            Of the items, shape (n,).

        Raises
        ------
        DataError
            Shapes that do not agree.

        Examples
        --------
        >>> METRICS["accuracy"]([[2.0, 0.0], [0.0, 1.0]], [0, 0])
        0.5
        """
        z, y = self.arrays(outputs, targets)
        w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
        return float(np.mean(self.prepare(z, y)(w)))

    def arrays(self, outputs: ArrayLike, targets: ArrayLike) -> tuple[Floats, NDArray[Any]]:
        """Return outputs and targets as `prepare` takes them."""
        z = np.asarray(outputs, dtype=np.float64)
        y = np.asarray(targets, dtype=np.int64 if self.kind == "class" else np.float64)
        fits = z.ndim == 2 and y.shape == z.shape[:1] if self.kind == "class" else z.size == y.size
        if not fits or not len(y):
            raise DataError(f"expected outputs and targets of the same items for {self.name}, got {z.shape}, {y.shape}")
        return (z, y) if self.kind == "class" else (z.reshape(len(y), -1), y.reshape(len(y), -1))


def _accuracy(z: Floats, y: NDArray[Any]) -> Statistic:
    right = (z.argmax(axis=1) == y).astype(np.float64)
    return lambda w: float(w @ right / w.sum())


def _balanced_accuracy(z: Floats, y: NDArray[Any]) -> Statistic:
    right, n_classes = z.argmax(axis=1) == y, z.shape[1]

    def mean_recall(w: Floats) -> float:
        total = np.bincount(y, w, n_classes)
        recall = np.bincount(y, w * right, n_classes)[total > 0] / total[total > 0]
        return float(recall.mean())

    return mean_recall


def _auc(z: Floats, y: NDArray[Any]) -> Statistic:
    n_classes = z.shape[1]
    scores = z if n_classes != 2 else z[:, 1:] - z[:, :1]
    if n_classes > 2:
        scores = scipy.special.log_softmax(z, axis=1)
    classes = range(n_classes) if n_classes > 2 else (1,)
    each = [_ranking(scores[:, k if n_classes > 2 else 0], y == k) for k in classes]

    def mean_area(w: Floats) -> float:
        areas = np.array([area(w) for area in each])
        return float(areas[np.isfinite(areas)].mean()) if np.isfinite(areas).any() else float("nan")

    return mean_area


def _ranking(score: Floats, positive: NDArray[np.bool_]) -> Callable[[Floats], float]:
    """Return the probability that a positive item scores above a negative one, ties by half, as a function of weights.

    NaN where one side has no weight.
    """
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf) > 0)
    sign = positive[order].astype(np.float64)

    def area(w: Floats) -> float:
        ordered = w[order]
        up = np.add.reduceat(ordered * sign, starts)
        down = np.add.reduceat(ordered * (1 - sign), starts)
        total = up.sum() * down.sum()
        return float(up @ (np.cumsum(down) - 0.5 * down) / total) if total > 0 else float("nan")

    return area


def _log_loss(z: Floats, y: NDArray[Any]) -> Statistic:
    loss = -scipy.special.log_softmax(z, axis=1)[np.arange(len(y)), y]
    return lambda w: float(w @ loss / w.sum())


def _brier(z: Floats, y: NDArray[Any]) -> Statistic:
    distance = np.square(scipy.special.softmax(z, axis=1) - np.eye(z.shape[1])[y]).sum(axis=1)
    return lambda w: float(w @ distance / w.sum())


def _r2(z: Floats, y: NDArray[Any]) -> Statistic:
    def explained(w: Floats) -> Floats:
        spread = w @ np.square(y - w @ y / w.sum())
        return _ratio(spread - w @ np.square(y - z), spread)

    return explained


def _correlation(z: Floats, y: NDArray[Any]) -> Statistic:
    def pearson(w: Floats) -> Floats:
        a, b = z - w @ z / w.sum(), y - w @ y / w.sum()
        return _ratio(w @ (a * b), np.sqrt((w @ np.square(a)) * (w @ np.square(b))))

    return pearson


def _absolute_error(z: Floats, y: NDArray[Any]) -> Statistic:
    distance = np.abs(y - z)
    return lambda w: w @ distance / w.sum()


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return the ratio of each output, NaN where nothing varies."""
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", True, "class", _accuracy, (0, 1)),
        Metric("balanced_accuracy", True, "class", _balanced_accuracy, (0, 1)),
        Metric("auc", True, "class", _auc, (0, 1)),
        Metric("log_loss", False, "class", _log_loss, (0, np.inf)),
        Metric("brier", False, "class", _brier, (0, 2)),
        Metric("r2", True, "value", _r2, (-np.inf, 1)),
        Metric("correlation", True, "value", _correlation, (-1, 1)),
        Metric("absolute_error", False, "value", _absolute_error, (0, np.inf)),
    )
}
