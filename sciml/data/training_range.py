"""How far windows lie beyond those that a net was trained on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sciml.data.windows import Windows

__all__ = ["RULE", "TrainingRange"]

Standardize = Callable[[NDArray[np.float32]], NDArray[np.float32]]
MOST = 1024  # train windows that are looked at, spread evenly
AT_ONCE = 2**20  # values

RULE = (
    "true where, standardized as in training, the largest value, the largest mean of a channel, the strongest channel "
    "or the share of missing samples is above, or the weakest channel below, that of all train windows looked at; "
    "a window like those of training is flagged with a probability of at most 5 / (n + 1)"
)


@dataclass(frozen=True, eq=False)
class TrainingRange:
    """The extremes of five numbers over n train windows: what is beyond them, the net has not seen.

    A window that is exchangeable with those of training is the most extreme of n + 1 in one of the five numbers with a
    probability of at most 5 / (n + 1).

    Attributes
    ----------
    most
        Largest of each number over the train windows, shape (5,): absolute value, absolute mean of a channel, standard
        deviation of the strongest channel, minus that of the weakest, share of missing samples.
    n
        Train windows that were looked at.
    """

    most: NDArray[np.float64]
    n: int

    @classmethod
    def fit(cls, windows: Windows, train: ArrayLike, standardize: Standardize) -> "TrainingRange":
        """Learn the range of the train windows: of at most 1024 of them, spread evenly.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.sin(np.arange(100.0)), dims="time", attrs={"sampling_rate": 1.0})
        >>> found = TrainingRange.fit(sliding_windows(wave, length=10, step=10), range(10), lambda X: X)
        >>> found.beyond(np.full((1, 1, 10), 2.0)).tolist()
        [True]
        """
        chosen = np.asarray(train, dtype=np.int64)
        if len(chosen) > MOST:
            chosen = chosen[np.linspace(0, len(chosen) - 1, MOST).astype(np.int64)]
        rows = max(1, AT_ONCE // max(1, windows.n_channels * windows.length))
        parts = [chosen[start : start + rows] for start in range(0, len(chosen), rows)]
        found = [_extremes(standardize(windows.arrays(part)[0])).max(axis=0) for part in parts]
        return cls(np.max(found, axis=0), len(chosen))

    def beyond(self, z: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Return which standardized windows (n, channel, time) lie beyond the range."""
        return np.asarray((_extremes(z) > self.most).any(axis=1))

    def to_state(self) -> dict[str, Any]:
        """Return what `torch.load(weights_only=True)` reads back.

        Examples
        --------
        >>> TrainingRange.from_state(TrainingRange(np.ones(5), 7).to_state()).n
        7
        """
        return {"most": torch.from_numpy(self.most.copy()), "n": self.n}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "TrainingRange":
        """Return the range that `to_state` described."""
        return cls(state["most"].cpu().numpy(), int(state["n"]))


def _extremes(z: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the five numbers of each window, shape (n, 5), of a few windows at a time."""
    rows = max(1, AT_ONCE // max(1, int(np.prod(z.shape[1:]))))
    found = [_extremes_at_once(z[start : start + rows]) for start in range(0, len(z), rows)]
    return np.concatenate(found) if found else np.zeros((0, 5))


def _extremes_at_once(z: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    there = ~np.isnan(z)
    filled = np.where(there, z, 0.0).astype(np.float64)
    n = there.sum(axis=2)
    counted = np.maximum(n, 1)
    mean = filled.sum(axis=2) / counted
    centered = np.where(there, filled - mean[:, :, None], 0.0)
    deviation = np.sqrt((centered**2).sum(axis=2) / counted)
    weakest = np.where(n > 0, deviation, np.inf).min(axis=1)
    numbers = (
        np.abs(filled).max(axis=(1, 2)),
        np.abs(mean).max(axis=1),
        deviation.max(axis=1),
        np.where(np.isfinite(weakest), -weakest, 0.0),
        1.0 - there.mean(axis=(1, 2)),
    )
    return np.stack(numbers, axis=1)
