"""The number of the validation part that the best epoch is chosen by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import ConfigError
from sciml.train.config import KINDS, TrainConfig
from sciml.train.metrics import METRICS, Metric
from sciml.train.reading import Batches, labels_of

__all__ = ["Monitor", "monitor"]

UNBALANCED = 2  # times the smallest class, from which the largest makes accuracy and loss a matter of itself


@dataclass(frozen=True)
class Monitor:
    """What is compared from epoch to epoch: the loss, or a metric and where it is equal the loss."""

    name: str
    metric: Metric | None

    def value(
        self,
        loss: float,
        outputs: Sequence[torch.Tensor],
        targets: Sequence[torch.Tensor],
        weights: NDArray[np.float64] | None,
    ) -> float:
        """Return the value of an epoch; outputs and targets are those of the batches of the validation part.

        Raises
        ------
        ConfigError
            The metric has no value there: one class alone, or a target that does not vary.
        """
        if self.metric is None:
            return loss
        value = self.metric(torch.cat(list(outputs)).double(), torch.cat(list(targets)), weights)
        if not np.isfinite(value):
            raise ConfigError(
                f"expected a validation part that {self.name} has a value on, but it holds one class alone, or targets "
                "that do not vary; split anew, or use monitor 'loss'"
            )
        return value

    def better(self, now: tuple[float, float], best: tuple[float, float] | None) -> bool:
        """Return whether an epoch's value and loss are better than the best ones so far."""
        if best is None:
            return True
        sign = 1.0 if self.metric is None or not self.metric.greater_is_better else -1.0
        return (sign * now[0], now[1]) < (sign * best[0], best[1])


def monitor(config: TrainConfig, train: Batches) -> Monitor:
    """Return what a configuration monitors; "auto" is decided by the classes of the training part.

    Examples
    --------
    >>> from sciml.train.reading import as_batches
    >>> part = as_batches((np.zeros((5, 1, 2)), np.array([0, 0, 0, 0, 1])), "train")
    >>> monitor(TrainConfig(), part).name, monitor(TrainConfig(monitor="auc"), part).name
    ('balanced_accuracy', 'auc')
    """
    name = config.monitor
    if name == "auto":
        name = "balanced_accuracy" if KINDS[config.loss] == "class" and _unbalanced(train) else "loss"
    return Monitor(name, METRICS.get(name))


def _unbalanced(train: Batches) -> bool:
    labels = labels_of(train)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
        return False  # labels that the loss will refuse
    counts = np.bincount(labels)
    return bool(counts.max() >= UNBALANCED * counts[counts > 0].min() and np.count_nonzero(counts) > 1)
