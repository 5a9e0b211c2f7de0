"""Losses as sums with weights, so that batches of unequal size count by what is in them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sciml.errors import ConfigError
from sciml.train.config import TrainConfig
from sciml.train.reading import Batches, labels_of

__all__ = ["CrossEntropy", "MeanSquare", "Objective", "objective", "sampling_chances"]


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Cross entropy of logits (batch, class) with labels (batch,), weighted by class, smoothed in training."""

    weights: torch.Tensor | None
    label_smoothing: float

    def total(
        self, output: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None, *, training: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the summed loss and the summed weight of a batch; `weights` are those of its items."""
        self.check_range(output, target)
        smoothing = self.label_smoothing if training else 0.0
        z = output.float()
        if weights is None and self.weights is None:
            loss = functional.cross_entropy(z, target, reduction="sum", label_smoothing=smoothing)
            return loss, torch.tensor(float(len(target)))
        # Weights are those of an item and of its class. torch would weigh what smoothing gives to the other classes by
        # their weights: of many windows of a common class, each would speak for the rare one.
        each = functional.cross_entropy(z, target, reduction="none", label_smoothing=smoothing)
        by_item = torch.ones_like(each) if weights is None else weights
        by_item = by_item if self.weights is None else by_item * self.weights[target]
        return (each * by_item).sum(), by_item.sum()

    def correct(self, output: torch.Tensor, target: torch.Tensor) -> int | None:
        """Return how many labels of a batch the logits name."""
        return int((output.argmax(dim=1) == target).sum())

    def check(self, output: torch.Tensor, target: torch.Tensor) -> None:
        """Refuse an output that the targets do not fit."""
        if output.ndim != 2 or target.ndim != 1 or len(output) != len(target) or target.is_floating_point():
            raise ConfigError(
                "expected logits of shape (batch, class) and integer labels of shape (batch,) for cross_entropy, got "
                f"{tuple(output.shape)} and {tuple(target.shape)} of {target.dtype}; use loss 'mse' for a forecast"
            )
        if self.weights is not None and len(self.weights) != output.shape[1]:
            raise ConfigError(f"expected {output.shape[1]} class_weights, one a class, got {len(self.weights)}")
        self.check_range(output, target)

    @staticmethod
    def check_range(output: torch.Tensor, target: torch.Tensor) -> None:
        """Refuse a label that the model has no output for: on a GPU it would end the process."""
        largest = int(target.max())
        if largest >= output.shape[1] or int(target.min()) < 0:
            raise ConfigError(
                f"expected labels below {output.shape[1]}, one for each output of the model, got {largest}; "
                "build the model with as many outputs as classes"
            )


@dataclass(frozen=True, eq=False)
class MeanSquare:
    """Mean square of output minus target; an output (batch, channel * time) is read in the target's shape.

    Targets that are NaN are not there and do not count.
    """

    def total(
        self,
        output: torch.Tensor,
        target: torch.Tensor,
        weights: torch.Tensor | None = None,
        *,
        training: bool,  # noqa: ARG002 (the same in training and evaluation)
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the summed loss and the number of values of a batch, or their weights; `weights` are its items'."""
        difference = output.float().reshape(target.shape) - target
        present = ~target.isnan()
        if weights is None and present.all():
            return difference.square().sum(), torch.tensor(float(target.numel()))
        counted = present.float()
        if weights is not None:
            counted = counted * weights.reshape(-1, *[1] * (target.ndim - 1))
        # where nothing is, the difference is NaN, and so would be its gradient
        squares = torch.where(present, difference, 0.0).square() * counted
        return squares.sum(), counted.sum()

    def correct(self, output: torch.Tensor, target: torch.Tensor) -> int | None:  # noqa: ARG002
        """Return None: a forecast is not right or wrong."""
        return None

    def check(self, output: torch.Tensor, target: torch.Tensor) -> None:
        """Refuse an output that the targets do not fit."""
        if output.numel() != target.numel() or not target.is_floating_point():
            raise ConfigError(
                f"expected as many outputs as target values for mse, got {tuple(output.shape)} and "
                f"{tuple(target.shape)} of {target.dtype}; build the model with n_outputs = channels * horizon"
            )


Objective = CrossEntropy | MeanSquare
Floats = NDArray[np.float64]


def objective(config: TrainConfig, train: Batches, device: torch.device) -> Objective:
    """Return the objective of a configuration; "balanced" weights are counted in the training part.

    Raises
    ------
    ConfigError
        A class between others that the training part does not have, with balanced weights.

    Examples
    --------
    >>> from sciml.train.reading import as_batches
    >>> part = as_batches((np.zeros((4, 1, 2)), np.array([0, 0, 0, 1])), "train")
    >>> objective(TrainConfig(class_weights="balanced"), part, torch.device("cpu")).weights
    tensor([0.6667, 2.0000])
    """
    return OBJECTIVES[config.loss](config, train, device)


def _cross_entropy(config: TrainConfig, train: Batches, device: torch.device) -> CrossEntropy:
    weights: torch.Tensor | None = None
    if config.class_weights == "balanced":
        weights = torch.as_tensor(_balanced(train), dtype=torch.float32, device=device)
    elif isinstance(config.class_weights, tuple | list):
        weights = torch.tensor([float(w) for w in config.class_weights], device=device)
    return CrossEntropy(weights, config.label_smoothing)


def _mean_square(_config: TrainConfig, _train: Batches, _device: torch.device) -> MeanSquare:
    return MeanSquare()


OBJECTIVES: dict[str, Callable[[TrainConfig, Batches, torch.device], Objective]] = {
    "cross_entropy": _cross_entropy,
    "mse": _mean_square,
}


def _balanced(train: Batches) -> Floats:
    """Return n / (K n_k): each class counts alike."""
    labels = labels_of(train)
    counts = np.bincount(labels)
    if not counts.all():
        raise ConfigError(
            f"expected every class in the training part for balanced weights, got counts {counts.tolist()}; "
            "set class_weights to numbers or None"
        )
    return np.asarray(len(labels) / (len(counts) * counts), dtype=np.float64)


def sampling_chances(config: TrainConfig, train: Batches) -> Floats | None:
    """Return with which chance each item of the training part is drawn, None where each comes once.

    Examples
    --------
    >>> from sciml.train.reading import as_batches
    >>> part = as_batches((np.zeros((4, 1, 2)), np.array([0, 0, 0, 1])), "train")
    >>> sampling_chances(TrainConfig(class_weights="sampled"), part).round(3).tolist()
    [0.167, 0.167, 0.167, 0.5]
    """
    if config.class_weights != "sampled":
        return None
    chances = _balanced(train)[labels_of(train)]
    return np.asarray(chances / chances.sum())
