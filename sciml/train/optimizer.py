"""The optimizer, and the step size over time."""

import numpy as np
import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.train.config import TrainConfig

__all__ = ["learning_rate", "make_optimizer"]


def learning_rate(step: int, *, total: int, config: TrainConfig) -> float:
    r"""Return the step size of a step (counted from 0) of `total`.

    .. math:: \eta_t = \eta \min(1, (t + 1)/w)\; \tfrac12 (1 + \cos(\pi\,(t - w)/(T - w)))\ \text{for}\ t > w

    Examples
    --------
    >>> [round(learning_rate(t, total=4, config=TrainConfig(lr=1.0, warmup=0.25)), 3) for t in range(4)]
    [1.0, 1.0, 0.75, 0.25]
    """
    rise = round(config.warmup * total)
    if step < rise:
        return config.lr * (step + 1) / rise
    if config.schedule == "constant":
        return config.lr
    return config.lr * 0.5 * (1 + float(np.cos(np.pi * (step - rise) / max(total - rise, 1))))


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimizer; weights of one dim (biases, norms) are not decayed."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ConfigError("expected a model with parameters to train, got none that requires a gradient")
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
    return torch.optim.AdamW(groups, lr=config.lr)
