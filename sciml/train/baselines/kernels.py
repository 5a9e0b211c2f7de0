"""Features of random convolution kernels: how often each filtered window lies above a level."""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sciml._typing import AnyArray

__all__ = ["RandomKernels"]

LENGTH, N_HIGH = 9, 3  # of a kernel: its samples, and how many of them weigh 2; the others weigh -1
PATTERNS = tuple(itertools.combinations(range(LENGTH), N_HIGH))  # 84
MAX_DILATIONS = 32
MAX_CHANNELS = 9  # that one kernel adds up
WORK = 2e10  # comparisons at most: windows x samples x features
MANY = 3000  # windows beyond which features are fewer, for the regression on them
GOLDEN = (1 + 5**0.5) / 2
AT_ONCE = 2**24  # values of the filtered windows that are held


@dataclass(frozen=True, eq=False)
class RandomKernels:
    r"""Proportions of positive values of windows filtered by 84 kernels at several dilations (MiniRocket).

    A kernel has length 9 and weights -1 and 2 that add up to zero: three of its samples weigh 2. At dilation d,

    .. math:: z_t = \sum_{j=0}^{8} w_j \sum_{c \in S} x_{c,\, t + (j - 4) d}, \qquad
              \mathrm{PPV} = \frac{1}{T} \,\#\{t : z_t > b\}

    with S a random set of at most nine channels and the levels b quantiles of z on a training window, at places of a
    low-discrepancy sequence. Dilations grow exponentially up to the window's length; every other kernel sees zeros
    beyond the window's ends, the others only what lies within. Channels are standardized by the training windows;
    missing values are zero then, and times at which no channel has a value do not count.

    Attributes
    ----------
    center, scale
        Mean and standard deviation of each channel in training, shape (channel, 1).
    dilations
        Distance of a kernel's samples, ascending.
    channels
        Which channels a kernel adds up at a dilation, shape (dilation, 84, channel) of 0 and 1.
    levels
        Levels at each dilation, shape (84, number of levels) each.

    References
    ----------
    Dempster, Schmidt and Webb (2021), arXiv:2012.08791, section 3, written from its mathematics.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 2, 50))
    >>> kernels = RandomKernels.fit(X, rng=np.random.default_rng(0))
    >>> kernels.transform(X).shape
    (20, 9996)
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    dilations: tuple[int, ...]
    channels: torch.Tensor
    levels: tuple[torch.Tensor, ...]

    @classmethod
    def fit(cls, X: AnyArray, *, rng: np.random.Generator, n_features: int = 10_000) -> "RandomKernels":
        """Choose dilations, channels and levels by training windows, shape (n, channel, time).

        `n_features` is rounded down to a multiple of 84, and lowered where windows are many or long.
        """
        n, n_channels, n_times = X.shape
        center = _zero_if_missing(np.nanmean(_or_zero(X), axis=(0, 2)))[:, None]
        scale = _zero_if_missing(np.nanstd(_or_zero(X), axis=(0, 2)))[:, None]
        scale = np.where(scale > 1e-12 * np.abs(center), scale, 1.0)
        dilations, n_levels = _dilations(n_times, _n_levels(n, n_times, n_features))
        chosen = torch.from_numpy(np.stack([_channel_sets(n_channels, rng) for _ in dilations]))
        places = np.modf(np.arange(1, len(PATTERNS) * sum(n_levels) + 1) * GOLDEN)[0].reshape(len(PATTERNS), -1)
        kernels = cls(center, scale, dilations, chosen, ())
        levels = []
        for k, columns in enumerate(np.split(places, np.cumsum(n_levels)[:-1], axis=1)):
            example, _ = kernels.standardized(X[rng.integers(n, size=len(PATTERNS))])
            filtered = kernels.filtered(example, k).diagonal().T  # kernel j on the example drawn for it
            levels.append(_quantiles(filtered, columns))
        return cls(center, scale, dilations, chosen, tuple(levels))

    def transform(self, X: AnyArray) -> NDArray[np.float32]:
        """Return the features of windows, shape (n, feature)."""
        at_once = max(1, AT_ONCE // (len(PATTERNS) * X.shape[2]))
        return np.concatenate([self._some(X[i : i + at_once]) for i in range(0, len(X), at_once)])

    def _some(self, X: AnyArray) -> NDArray[np.float32]:
        x, present = self.standardized(X)
        found = [self._proportions(self.filtered(x, k), present, k) for k in range(len(self.dilations))]
        return torch.cat(found, dim=1).numpy()

    def standardized(self, X: AnyArray) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return windows in units of their standard deviation, and where they have values, None for everywhere."""
        x = torch.from_numpy(np.asarray((X - self.center) / self.scale, dtype=np.float32))
        missing = x.isnan()
        if not missing.any():
            return x, None
        return x.nan_to_num(0.0), (~missing.all(dim=1)).float()

    def filtered(self, x: torch.Tensor, k: int) -> torch.Tensor:
        """Return windows (n, channel, time) filtered by all kernels at one dilation, shape (n, 84, time)."""
        d, single = self.dilations[k], x.shape[1] == 1
        summed = x if single else torch.einsum("kc,nct->nkt", self.channels[k], x)
        reach = (LENGTH // 2) * d
        return functional.conv1d(summed, _weights(), padding=reach, dilation=d, groups=1 if single else len(PATTERNS))

    def _proportions(self, filtered: torch.Tensor, present: torch.Tensor | None, k: int) -> torch.Tensor:
        """Return the fractions of time above the levels of one dilation, shape (n, 84 * levels)."""
        n, n_kernels, n_times = filtered.shape
        found = filtered.new_empty(n, n_kernels, self.levels[k].shape[1])
        reach = (LENGTH // 2) * self.dilations[k]
        for parity in (0, 1):
            rows = slice(parity, None, 2)
            inside = _inside(n_times, reach, padded=(parity + k) % 2 == 0)
            z, levels = filtered[:, rows, inside].contiguous(), self.levels[k][rows]
            weight = None if present is None else present[:, None, inside]
            above = torch.empty_like(z)
            for j in range(levels.shape[1]):
                torch.gt(z, levels[:, j, None], out=above)
                found[:, rows, j] = above.mean(dim=-1) if weight is None else _mean(above, weight)
        return found.reshape(n, -1)


def _weights() -> torch.Tensor:
    weights = torch.full((len(PATTERNS), 1, LENGTH), -1.0)
    for row, high in zip(weights, PATTERNS, strict=True):
        row[0, list(high)] = 2.0
    return weights


def _mean(above: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (above * weight).sum(dim=-1) / weight.sum(dim=-1).clamp(min=1.0)


def _inside(n_times: int, reach: int, *, padded: bool) -> slice:
    """Return the times of which a kernel sees no zeros beyond the ends; all of them where it may, or must."""
    return slice(None) if padded or n_times <= 2 * reach else slice(reach, n_times - reach)


def _n_levels(n: int, n_times: int, n_features: int) -> int:
    """Return how many levels each kernel has over all dilations."""
    most = min(n_features, WORK / (n * n_times), n_features if n <= MANY else n_features // 4)
    return max(1, int(most) // len(PATTERNS))


def _dilations(n_times: int, n_levels: int) -> tuple[tuple[int, ...], list[int]]:
    """Return dilations that grow exponentially to the window's length, and the number of levels of each."""
    n = min(n_levels, MAX_DILATIONS)
    largest = np.log2(max(n_times - 1, LENGTH - 1) / (LENGTH - 1))
    dilations, repeats = np.unique(np.logspace(0, largest, n, base=2).astype(int), return_counts=True)
    counts = repeats * n_levels // n
    counts[: n_levels - counts.sum()] += 1
    counts[0] += n_levels - counts.sum()
    return tuple(dilations.tolist()), counts.tolist()


def _channel_sets(n_channels: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a random set of channels a kernel, of a number that is uniform in its logarithm: (84, channel)."""
    most = min(n_channels, MAX_CHANNELS)
    sizes = (2 ** rng.uniform(0, np.log2(most + 1), size=len(PATTERNS))).astype(int)
    chosen = np.zeros((len(PATTERNS), n_channels), dtype=np.float32)
    for row, size in zip(chosen, sizes.tolist(), strict=True):
        row[rng.choice(n_channels, size=size, replace=False)] = 1.0
    return chosen


def _quantiles(filtered: torch.Tensor, places: NDArray[np.float64]) -> torch.Tensor:
    """Return quantiles of each row of (84, time) at places in (0, 1), shape as the places."""
    rows = zip(filtered.numpy(), places, strict=True)
    return torch.from_numpy(np.stack([np.quantile(row, place) for row, place in rows]).astype(np.float32))


def _or_zero(X: AnyArray) -> AnyArray:
    """Return windows with zeros for a channel that no window has."""
    empty = np.asarray(np.isnan(X).all(axis=(0, 2)))
    return np.where(empty[:, None], 0.0, X) if empty.any() else X


def _zero_if_missing(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.nan_to_num(values, nan=0.0)
