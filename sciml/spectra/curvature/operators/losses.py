"""Losses as sums with weights, whole or item by item, so that batches of unequal size count by what is in them."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sciml.errors import ConfigError, DataError
from sciml.nn.options import check_name
from sciml.spectra.curvature.operators.batches import accepted

__all__ = ["LOSSES", "Loss", "as_loss", "check_labels"]

Elements = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss as its terms and their weights; that of a data set is sum(w l) / sum(w) over all its terms.

    Attributes
    ----------
    elements
        Maps outputs (batch, ...) and targets to terms and their weights, both of one shape (batch, ...).
    mean
        Whether the sum is divided by the weights' sum; a loss of reduction "sum" is not.
    likelihood
        Whether the loss is, up to a constant, the negative logarithm of a likelihood whose natural parameter is the
        output, so that the Fisher information is its Gauss-Newton matrix.
    """

    elements: Elements
    mean: bool = True
    likelihood: bool = False

    def total(self, output: Tensor, target: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the terms of a batch, and the sum of the weights."""
        terms, counted = self._weighed(output, target, weights)
        return terms.sum(), counted.sum()

    def each(self, output: Tensor, target: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the loss of each item (batch,), the mean of its terms, and the items' weights."""
        terms, counted = self._weighed(output, target, weights)
        sums, weight = terms.flatten(1).sum(1), counted.flatten(1).sum(1)
        if not self.mean:
            return sums, torch.ones_like(sums)
        return sums / torch.where(weight > 0, weight, 1.0), weight

    def _weighed(self, output: Tensor, target: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        with accepted("loss", outputs=output, targets=target):
            terms, counted = self.elements(output, target)
        terms, counted = terms.reshape(len(terms), -1), counted.reshape(len(terms), -1)
        if weights is not None:
            counted = counted * weights.reshape(-1, 1).to(counted.dtype)
        return terms * counted, counted.detach()


def check_labels(labels: Tensor, n_classes: int) -> None:
    """Raise DataError where a label is not one of the classes of the outputs."""
    outside = labels[(labels < 0) | (labels >= n_classes)]
    if len(outside):
        raise DataError(
            f"expected labels of 0 to {n_classes - 1}, for the model has {n_classes} outputs, got {int(outside[0])}; "
            "map the labels, or give the model an output for each class"
        )


def _labels(module: Any) -> Elements:
    """Cross entropy and its kind: terms weigh as their class does, ignored labels nothing."""
    plain = copy.copy(module)
    plain.reduction = "none"
    by_class = plain.weight

    def elements(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if target.is_floating_point():
            terms = plain(output, target)
            return terms, torch.ones_like(terms)
        check_labels(target[target != plain.ignore_index], output.shape[1 if output.ndim > 1 else 0])
        terms = plain(output, target)
        counted = target.ne(plain.ignore_index).to(terms.dtype)
        if by_class is None:
            return terms, counted
        # torch's terms carry the weight of their class; here the weight stands apart.
        weight = counted * by_class[torch.where(counted > 0, target, 0)]
        return terms / torch.where(weight > 0, weight, 1.0), weight

    return elements


def _elementwise(module: Any) -> Elements:
    plain = copy.copy(module)
    plain.reduction = "none"

    def elements(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        terms = plain(output, target)
        return terms, torch.ones_like(terms)

    return elements


def _square(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Mean square, targets read in their shape; what is NaN is not there."""
    output = output.reshape(target.shape)
    present = ~target.isnan()
    difference = torch.where(present, output - torch.where(present, target, 0.0), 0.0)
    return difference.square(), present.to(output.dtype)


def _gaussian(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    squares, present = _square(output, target)
    sums = (squares * present).reshape(len(squares), -1).sum(1) / 2
    return sums, torch.ones_like(sums)


def _function(loss: Callable[..., Any], *, mean: bool) -> Elements:
    """Whatever maps a batch to its mean, its sum, or one value an item."""

    def elements(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        found = loss(output, target)
        if not isinstance(found, Tensor):
            raise ConfigError(f"expected a loss that returns a tensor, got {type(found).__name__}")
        if found.ndim:
            return found, torch.ones_like(found)
        n = len(output) if mean else 1
        return found.reshape(1), torch.full((1,), float(n), dtype=found.dtype, device=found.device)

    return elements


def _objective(objective: Any) -> Elements:
    """Objectives of `sciml.train`: a sum and a weight of a batch."""

    def elements(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        total, weight = objective.total(output, target, training=False)
        weight = weight.to(total).detach()
        return (total / torch.where(weight > 0, weight, 1.0)).reshape(1), weight.reshape(1)

    return elements


class _OneByOne(Loss):
    """A loss that only gives whole batches: items are asked for one at a time, and cannot be weighed otherwise."""

    def each(self, output: Tensor, target: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        terms, counted = zip(*(self._item(output, target, i) for i in range(len(output))), strict=True)
        by_item = torch.stack(counted)
        return torch.stack(terms), by_item if weights is None else by_item * weights.to(by_item)

    def total(self, output: Tensor, target: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        if weights is None:
            return super().total(output, target, None)
        terms, counted = self.each(output, target, weights)
        return (terms * counted).sum(), counted.sum()

    def _item(self, output: Tensor, target: Tensor, i: int) -> tuple[Tensor, Tensor]:
        term, weight = self.elements(output[i : i + 1], target[i : i + 1])
        return term.sum(), weight.sum()


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(_labels(nn.CrossEntropyLoss()), likelihood=True),
    "mse": Loss(_square, likelihood=True),
    "gaussian": Loss(_gaussian, likelihood=True),
    "binary_cross_entropy": Loss(_elementwise(nn.BCEWithLogitsLoss()), likelihood=True),
    "poisson": Loss(_elementwise(nn.PoissonNLLLoss()), likelihood=True),
}
_FUNCTIONS: dict[Any, str] = {
    functional.cross_entropy: "cross_entropy",
    functional.mse_loss: "mse",
    functional.binary_cross_entropy_with_logits: "binary_cross_entropy",
}
_LIKELIHOODS = (nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss)


def as_loss(loss: Any, *, reduction: str = "mean") -> Loss:
    """Return what is given as a loss of sums and weights.

    Parameters
    ----------
    loss
        A name: "cross_entropy", "mse" (mean over all values), "gaussian" (half the squared error, summed over an
        item's values: unit variance), "binary_cross_entropy" (of logits), "poisson" (of log rates); a loss of torch
        (its class weights, `ignore_index` and reduction count); an objective of `sciml.train`; or any function of
        (output, target).
    reduction
        Of a function that returns one number: "mean" over the items of a batch, or their "sum". A function that
        returns one value an item needs none.

    Raises
    ------
    ConfigError
        An unknown name, something that cannot be called, another reduction.

    Examples
    --------
    >>> loss = as_loss(nn.CrossEntropyLoss(ignore_index=0))
    >>> total, weight = loss.total(torch.zeros(3, 4), torch.tensor([0, 1, 2]), None)
    >>> round(float(total / weight), 6), float(weight)
    (1.386294, 2.0)
    """
    if reduction not in ("mean", "sum"):
        raise ConfigError(f"expected reduction 'mean' or 'sum', got {reduction!r}")
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        check_name(loss, LOSSES, what="loss")
        return LOSSES[loss]
    if isinstance(loss, nn.Module):
        return _module(loss)
    if hasattr(loss, "total"):
        return _OneByOne(_objective(loss), likelihood=True)
    if not callable(loss):
        raise ConfigError(f"expected a loss, or one of {', '.join(LOSSES)}, got {type(loss).__name__}")
    if loss in _FUNCTIONS:
        return replace(LOSSES[_FUNCTIONS[loss]], mean=reduction == "mean")
    return _OneByOne(_function(loss, mean=reduction == "mean"), mean=reduction == "mean")


def _module(module: nn.Module) -> Loss:
    reduction = getattr(module, "reduction", None)
    mean = reduction != "sum"
    known = isinstance(module, _LIKELIHOODS)
    if isinstance(module, nn.CrossEntropyLoss | nn.NLLLoss):
        return Loss(_labels(module), mean=mean, likelihood=known)
    if isinstance(module, nn.PoissonNLLLoss):
        return Loss(_elementwise(module), mean=mean, likelihood=module.log_input)
    if reduction in ("mean", "sum", "none") and type(module).__module__.startswith("torch."):
        return Loss(_elementwise(module), mean=mean, likelihood=known)
    return _OneByOne(_function(module, mean=mean), mean=mean)
