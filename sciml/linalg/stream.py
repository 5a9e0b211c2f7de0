"""Sums over a recording that is read block by block.

A block is an array of shape (n_rows, n_features): consecutive samples in time without a gap. Memory is that of
one block plus the result, whatever the length of the recording.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments", "moments"]


@dataclass(frozen=True)
class Moments:
    """Per-feature statistics of all finite samples: shapes (n_features,), units of the data."""

    count: NDArray[np.int64]
    mean: NDArray[Any]
    variance: NDArray[np.float64]
    constant: NDArray[np.bool_]

    def select(self, features: NDArray[np.int64]) -> "Moments":
        """Return the statistics of some features."""
        return Moments(self.count[features], self.mean[features], self.variance[features], self.constant[features])


def moments(blocks: Iterable[NDArray[Any]]) -> Moments:
    """Return count, mean and variance (divisor n) of every feature, missing samples left out.

    Block means and sums of squared deviations are merged pairwise, so that an offset of many standard deviations
    costs no digits.

    References
    ----------
    Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115, eq. 1.5.

    Examples
    --------
    >>> result = moments([np.array([[1.0], [2.0]]), np.array([[3.0], [np.nan]])])
    >>> result.mean.tolist(), result.count.tolist()
    ([2.0], [3])
    """
    count, mean, squares = np.zeros(1, np.int64), np.zeros(1), np.zeros(1)
    first: NDArray[Any] | None = None
    constant: NDArray[np.bool_] | None = None
    for block in blocks:
        values = _as_float(block)
        finite = np.isfinite(values)
        n = finite.sum(axis=0)
        filled = values if finite.all() else np.where(finite, values, 0)
        block_mean = filled.sum(axis=0) / np.maximum(n, 1)
        deviation = np.where(finite, filled - block_mean, 0)
        total = count + n
        delta = block_mean - mean
        mean = mean + delta * n / np.maximum(total, 1)
        squares = squares + (np.abs(deviation) ** 2).sum(axis=0) + np.abs(delta) ** 2 * count * n / np.maximum(total, 1)
        count = total
        first, constant = _still_constant(values, finite, first, constant)
    if constant is None:
        raise ValueError("expected at least one block, got none")
    return Moments(count, mean, np.where(constant, 0.0, squares / np.maximum(count, 1)), constant)


def _still_constant(
    values: NDArray[Any], finite: NDArray[np.bool_], first: NDArray[Any] | None, constant: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the first finite value of each feature, and whether all so far equal it."""
    here = np.where(finite.any(axis=0), values[finite.argmax(axis=0), np.arange(values.shape[1])], np.nan)
    first = here if first is None else np.where(np.isnan(first), here, first)
    same = np.asarray(((values == first) | ~finite).all(axis=0))
    return first, same if constant is None else constant & same


def _as_float(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64, copy=False)
