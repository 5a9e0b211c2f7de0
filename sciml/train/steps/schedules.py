"""The step size over time."""

import numpy as np

from sciml.train.config import TrainConfig

__all__ = ["learning_rate"]


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
