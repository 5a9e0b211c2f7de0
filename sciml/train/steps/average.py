"""The average of the weights over the last steps."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    r"""Exponential average of the weights and buffers of a model over its last steps.

    .. math:: \bar\theta_t = \beta_t \bar\theta_{t-1} + (1 - \beta_t)\,\theta_t, \qquad
              \beta_t = \min\left(1 - 1/s,\; t / (t + 9)\right)

    over about s steps, fewer at the beginning. A window s of at most one step is the last weights themselves, and
    nothing is kept. Whole numbers, such as a count of batches, are those of the last step.

    References
    ----------
    Polyak and Juditsky (1992), doi:10.1137/0330046.

    Examples
    --------
    >>> average = WeightAverage(nn.Linear(1, 1), window=10)
    >>> average.update(1)
    >>> sorted(average.values)
    ['bias', 'weight']
    """

    def __init__(self, model: nn.Module, *, window: float) -> None:
        self.largest = max(0.0, 1 - 1 / window) if window > 0 else 0.0
        self.current = model.state_dict()  # views of the model's own tensors
        self.values = {name: tensor.clone() for name, tensor in self.current.items()} if self.largest else {}
        averaged = [name for name, value in self.values.items() if value.is_floating_point() or value.is_complex()]
        self._averaged = self._pairs(averaged)
        self._copied = self._pairs([name for name in self.values if name not in averaged])

    def _pairs(self, names: list[str]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return the tensors of the average and of the model by name, as the operations on lists take them."""
        return [self.values[name] for name in names], [self.current[name] for name in names]

    def update(self, step: int) -> None:
        """Take over the weights after a step, counted from 1."""
        beta = min(self.largest, (step - 1) / (step + 8))
        if self._averaged[0]:
            torch._foreach_lerp_(*self._averaged, 1 - beta)
        if self._copied[0]:
            torch._foreach_copy_(*self._copied)

    def load(self, values: Mapping[str, torch.Tensor]) -> None:
        """Take over a stored average."""
        for name, value in self.values.items():
            value.copy_(values[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the model, and its own weights back at the end."""
        own = {name: self.current[name].clone() for name in self.values}
        self._set(self.values)
        try:
            yield
        finally:
            self._set(own)

    def _set(self, values: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                self.current[name].copy_(value)
