"""The gradient-noise scale: the batch size at which the noise of a batch's gradient and the gradient are alike."""

import math
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch

from sciml._typing import FloatArray
from sciml.spectra.curvature.operators.batches import drawn
from sciml.spectra.curvature.operators.operator import CurvatureOperator

__all__ = ["NoiseScale", "noise_scales"]

GROUPS = 16


@dataclass(frozen=True)
class NoiseScale:
    r"""Noise scale tr(C) / \|\mu\|^2 with its interval of 95 %.

    Attributes
    ----------
    value
        None where the gradient over all data is not larger than its own noise.
    low, high
        0 and infinite where the data do not bound it.
    """

    value: float | None
    low: float
    high: float

    def __str__(self) -> str:
        upper = f"{self.low:,.0f} or more" if math.isinf(self.high) else f"{self.low:,.0f} to {self.high:,.0f}"
        if self.value is None:
            return f"not determined, for the gradient is below its own noise (95 %: {upper} samples)"
        return f"{self.value:,.0f} samples (95 %: {upper})"


def noise_scales(operator: CurvatureOperator, rng: np.random.Generator) -> tuple[NoiseScale, NoiseScale]:
    r"""Return tr(C) / \|\mu\|^2 and tr(A C) / \mu^T A \mu of the gradients of single items, mean mu and covariance C.

    From the mean gradients of random groups that share out all data: with the mean square V of their deviations, times
    the size of a group, \|g\|^2 - V / N estimates \|\mu\|^2 without bias. The jackknife that leaves out a group at a
    time gives the standard error of the reciprocal, which is the well-behaved one: its interval may hold zero.

    Examples
    --------
    >>> from sciml.spectra.curvature import hessian
    >>> X, y = torch.ones(8, 1), torch.tensor([[1.0], [3.0]]).repeat(4, 1)
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> plain, curved = noise_scales(hessian(net, "mse", (X, y)), np.random.default_rng(0))
    >>> plain.value is not None and plain.low < plain.value < plain.high
    True
    """
    n = operator.n_samples
    rows = np.array_split(rng.permutation(n), min(GROUPS, n))
    gradients = torch.stack([operator.on([batch]).gradient for batch in drawn(operator._own_batches(), rows)], 1)
    sizes = np.array([len(each) for each in rows], dtype=float)
    plain = operator.inner_products(gradients, gradients)
    curved = operator.inner_products(gradients, operator @ gradients)
    return _scale(plain, sizes), _scale(curved, sizes)


def _scale(gram: FloatArray, sizes: FloatArray) -> NoiseScale:
    m = len(sizes)
    value = _reciprocal(gram, sizes)
    kept = [np.arange(m) != i for i in range(m)]
    without = np.array([_reciprocal(gram[np.ix_(each, each)], sizes[each]) for each in kept])
    error = math.sqrt((m - 1) / m * float(((without - without.mean()) ** 2).sum()))
    reach = float(scipy.stats.t.ppf(0.975, m - 1)) * error
    if not math.isfinite(value + reach):
        return NoiseScale(None, 0.0, math.inf)
    return NoiseScale(
        1 / value if value > 0 else None,
        1 / (value + reach) if value + reach > 0 else 0.0,
        1 / (value - reach) if value - reach > 0 else math.inf,
    )


def _reciprocal(gram: FloatArray, sizes: FloatArray) -> float:
    """Return |mu|² / tr(C) from inner products of the mean gradients of groups; NaN where there is no noise."""
    n = float(sizes.sum())
    square = float(sizes @ gram @ sizes) / n**2
    noise = (float(sizes @ np.diag(gram)) - n * square) / max(len(sizes) - 1, 1)
    return float((square - noise / n) / noise) if noise > 0 else math.nan
