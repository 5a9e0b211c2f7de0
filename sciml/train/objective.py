"""Losses as sums with weights, so that batches of unequal size count by what is in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sciml.errors import ConfigError
from sciml.train.config import TrainConfig
from sciml.train.reading import Batches, labels_of

__all__ = ["CrossEntropy", "MeanSquare", "Objective", "constant", "objective", "sampling_chances"]


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Cross entropy of logits (batch, class) with labels (batch,), weighted by class, smoothed in training.

    A label that the output has no place for makes the loss NaN: on a GPU it would end the process. With `in_range` all
    labels are known to have one, see `checked`.
    """

    weights: torch.Tensor | None
    label_smoothing: float
    in_range: bool = False

    def total(
        self, output: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None, *, training: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the summed loss and the summed weight of a batch; `weights` are those of its items."""
        if self.in_range:
            return self._total(output.float(), target, weights, training)
        known = target.clamp(0, output.shape[1] - 1)
        total, weight = self._total(output.float(), known, weights, training)
        return total + torch.where((known == target).all(), 0.0, torch.nan), weight

    def _total(
        self, z: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None, training: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = _smoothed(labels, z, self.label_smoothing) if training and self.label_smoothing else labels
        if weights is None and self.weights is None:
            return functional.cross_entropy(z, wanted, reduction="sum"), self.weight(labels)
        # Weights are those of an item and of its class. torch would weigh what smoothing gives to the other classes by
        # their weights: of many windows of a common class, each would speak for the rare one.
        each, by_item = functional.cross_entropy(z, wanted, reduction="none"), self._by_item(labels, weights)
        return (each * by_item).sum(), by_item.sum()

    def weight(self, target: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the summed weight of a batch, shape (), before the net has seen it."""
        if weights is None and self.weights is None:
            return constant(len(target), target.device)
        return self._by_item(target, weights).sum()

    def _by_item(self, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        """Return the weight of each item, by itself, its class or both."""
        of_class = None if self.weights is None else self.weights[labels.clamp(0, len(self.weights) - 1)]
        found = [each for each in (weights, of_class) if each is not None]
        return found[0] if len(found) == 1 else found[0] * found[1]

    def right(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:
        """Return which labels of a batch the logits name, shape (n,)."""
        return output.argmax(dim=1) == target

    def check(self, output: torch.Tensor, target: torch.Tensor) -> None:
        """Refuse an output that the targets do not fit."""
        if output.ndim != 2 or target.ndim != 1 or len(output) != len(target) or target.is_floating_point():
            raise ConfigError(
                "expected logits of shape (batch, class) and integer labels of shape (batch,) for cross_entropy, got "
                f"{tuple(output.shape)} and {tuple(target.shape)} of {target.dtype}; use loss 'mse' for a forecast"
            )
        if self.weights is not None and len(self.weights) != output.shape[1]:
            raise ConfigError(f"expected {output.shape[1]} class_weights, one a class, got {len(self.weights)}")
        _check_range(target.cpu().numpy(), output.shape[1])

    def checked(self, labels: Sequence[NDArray[Any] | None], n_outputs: int) -> "CrossEntropy":
        """Return the objective after a look at the labels of all parts, None where a part would have to be read.

        Raises
        ------
        ConfigError
            A label without an output.
        """
        for known in labels:
            if known is not None:
                _check_range(known, n_outputs)
        return replace(self, in_range=all(known is not None for known in labels))


def _check_range(labels: NDArray[Any], n_outputs: int) -> None:
    wrong = labels[(labels < 0) | (labels >= n_outputs)]
    if len(wrong):
        raise ConfigError(
            f"expected labels below {n_outputs}, one for each output of the model, got {wrong[0]}; "
            "build the model with as many outputs as classes"
        )


@cache
def constant(value: int, device: torch.device) -> torch.Tensor:
    """Return a number as a tensor, shape (), made once for all batches: it is not to be changed.

    Examples
    --------
    >>> constant(32, torch.device("cpu"))
    tensor(32.)
    """
    return torch.full((), float(value), device=device)


def _smoothed(labels: torch.Tensor, z: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Return the probabilities of classes (batch, class) that labels stand for, a part spread over all classes.

    torch's own smoothing gives the same loss, but takes twice the time of the loss without.
    """
    spread = smoothing / z.shape[1]
    return torch.full_like(z, spread).scatter_(1, labels[:, None], 1 - smoothing + spread)


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
        present = ~target.isnan()
        # where nothing is, the difference is NaN, and so would be its gradient
        squares = torch.where(present, output.float().reshape(target.shape) - target, 0.0).square()
        total = squares.sum() if weights is None else (squares * _along_items(weights, target)).sum()
        return total, self.weight(target, weights)

    def weight(self, target: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the number of values of a batch, or their summed weight, shape ()."""
        present = ~target.isnan()
        return present.sum().float() if weights is None else (present * _along_items(weights, target)).sum()

    def right(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:  # noqa: ARG002
        """Return None: a forecast is not right or wrong."""
        return None

    def checked(self, labels: Sequence[NDArray[Any] | None], n_outputs: int) -> "MeanSquare":  # noqa: ARG002
        """Return the objective: it has no labels."""
        return self

    def check(self, output: torch.Tensor, target: torch.Tensor) -> None:
        """Refuse an output that the targets do not fit."""
        if output.numel() != target.numel() or not target.is_floating_point():
            raise ConfigError(
                f"expected as many outputs as target values for mse, got {tuple(output.shape)} and "
                f"{tuple(target.shape)} of {target.dtype}; build the model with n_outputs = channels * horizon"
            )


def _along_items(weights: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the weights of items (n,) so that they multiply targets (n, ...)."""
    return weights.reshape(-1, *[1] * (target.ndim - 1))


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
