"""Probabilities that mean what they say: one temperature, fitted on the validation part, and how well it fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import ArrayLike, NDArray

from sciml.errors import DataError

__all__ = ["Calibration", "ReliabilityTable", "calibrate", "probabilities", "reliability_table"]

LIMITS = (-7.0, 7.0)  # of the logarithm of the temperature


@dataclass(frozen=True, repr=False)
class Calibration:
    """One temperature for all logits, with the scores of the items it was fitted on, before and after.

    The class that is named does not change, for all logits of an item are divided by the same number.

    Attributes
    ----------
    temperature
        Above one, the net was too sure.
    log_loss, brier
        Mean of -log p of the true class, and of the squared distance to it: before and after.
    n
        Items.
    """

    temperature: float
    log_loss: tuple[float, float]
    brier: tuple[float, float]
    n: int

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return calibrated probabilities, shape (n, class) as the logits.

        Examples
        --------
        >>> Calibration(2.0, (1.0, 0.9), (0.5, 0.4), 10).apply([[2.0, 0.0]]).round(3)
        array([[0.731, 0.269]])
        """
        return probabilities(np.asarray(logits, dtype=np.float64) / self.temperature)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {
            "temperature": self.temperature,
            "log_loss": list(self.log_loss),
            "brier": list(self.brier),
            "n": self.n,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """Return what `to_dict` gave.

        Examples
        --------
        >>> found = Calibration(2.0, (1.0, 0.9), (0.5, 0.4), 10)
        >>> Calibration.from_dict(found.to_dict()) == found
        True
        """
        pairs = {name: (float(values[name][0]), float(values[name][1])) for name in ("log_loss", "brier")}
        return cls(float(values["temperature"]), **pairs, n=int(values["n"]))

    def summary(self) -> str:
        """Return the temperature and what it changed in one line.

        Examples
        --------
        >>> Calibration(2.0, (1.0, 0.9), (0.5, 0.4), 10).summary()
        'temperature 2 from 10 items: log loss 1 to 0.9, Brier score 0.5 to 0.4'
        """
        changes = f"log loss {_change(self.log_loss)}, Brier score {_change(self.brier)}"
        return f"temperature {self.temperature:.4g} from {self.n} items: {changes}"

    def __repr__(self) -> str:
        return f"Calibration({self.summary()})"


@dataclass(frozen=True, eq=False)
class ReliabilityTable:
    """How often the named class was right, in bins of the probability that it was given.

    Attributes
    ----------
    confidence, accuracy
        Mean probability of the named class, and the fraction that was right, in each bin that is not empty.
    count
        Items in each of those bins.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Mean distance of confidence and accuracy over items (expected calibration error; depends on the bins)."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.count))

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        columns = {name: getattr(self, name).tolist() for name in ("confidence", "accuracy", "count")}
        return {**columns, "error": self.error}


def probabilities(logits: ArrayLike) -> NDArray[np.float64]:
    """Return the softmax of logits over their last axis, in float64.

    Examples
    --------
    >>> probabilities([[0.0, 0.0]])
    array([[0.5, 0.5]])
    """
    return np.asarray(scipy.special.softmax(np.asarray(logits, dtype=np.float64), axis=-1), dtype=np.float64)


def calibrate(logits: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> Calibration:
    r"""Fit a temperature to the logits of items that the net was not trained on.

    .. math:: p_{ik} \propto \exp(z_{ik} / T), \qquad T = \arg\min_T -\sum_i w_i \log p_{i y_i}

    Where every item is named right the sum has no minimum above T = 0, certainty: the temperature stays 1.

    Parameters
    ----------
    logits, labels
        Shape (n, class) and (n,); labels count from 0.
    weights
        Of the items, shape (n,).

    Raises
    ------
    DataError
        Shapes that do not agree, no items, or logits that are not finite.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), arXiv:1706.04599, section 4.2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(4000, 3))
    >>> y = (probabilities(z).cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    >>> abs(calibrate(5 * z, y).temperature - 5) < 0.3
    True
    """
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if z.ndim != 2 or y.shape != z.shape[:1] or not len(y) or not np.isfinite(z).all():
        raise DataError(
            f"expected finite logits (n, class) and as many labels, got shapes {z.shape} and {y.shape}; "
            "give the outputs of the validation part"
        )
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)

    def loss(logarithm: float) -> float:
        return _log_loss(z / np.exp(logarithm), y, w)

    found = scipy.optimize.minimize_scalar(loss, bounds=LIMITS, method="bounded", options={"xatol": 1e-5})
    wrong = bool((z.argmax(axis=1) != y).any())
    temperature = float(np.exp(found.x)) if wrong and found.fun < loss(0.0) else 1.0
    scaled = z / temperature
    return Calibration(
        temperature,
        log_loss=(_log_loss(z, y, w), _log_loss(scaled, y, w)),
        brier=(_brier(z, y, w), _brier(scaled, y, w)),
        n=len(y),
    )


def reliability_table(probability: ArrayLike, labels: ArrayLike, *, n_bins: int = 10) -> ReliabilityTable:
    """Return how often the named class was right, in bins of the probability that it was given.

    Bins hold equal numbers of items, as nearly as ties allow; empty ones are left out.

    Parameters
    ----------
    probability, labels
        Shape (n, class) and (n,).

    Examples
    --------
    >>> table = reliability_table([[0.9, 0.1], [0.6, 0.4]], [0, 1], n_bins=2)
    >>> table.confidence.tolist(), table.accuracy.tolist(), table.count.tolist()
    ([0.6, 0.9], [0.0, 1.0], [1, 1])
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    edges = np.unique(np.quantile(confidence, np.arange(1, n_bins) / n_bins))
    place = np.searchsorted(edges, confidence, side="right")
    count = np.bincount(place, minlength=len(edges) + 1)
    kept = count > 0
    means = [np.bincount(place, values, len(count))[kept] / count[kept] for values in (confidence, right)]
    return ReliabilityTable(means[0], means[1], count[kept].astype(np.int64))


def _log_loss(z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64]) -> float:
    return float(np.average(-scipy.special.log_softmax(z, axis=1)[np.arange(len(y)), y], weights=w))


def _brier(z: NDArray[np.float64], y: NDArray[np.int64], w: NDArray[np.float64]) -> float:
    distance = probabilities(z) - np.eye(z.shape[1])[y]
    return float(np.average(np.square(distance).sum(axis=1), weights=w))


def _change(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.4g} to {pair[1]:.4g}"
