"""Mean and covariance of data that keep coming, with old samples forgotten or not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.errors import ConfigError

__all__ = ["RunningCovariance"]


class RunningCovariance:
    r"""Mean and scatter of samples added block by block; memory is one matrix, whatever their number.

    With a `memory` of tau samples, a sample of age a weighs exp(-a / tau):

    .. math:: W = \sum_t w_t, \quad \mu = \frac1W \sum_t w_t x_t, \quad
              C = \sum_t w_t (x_t - \mu)^* (x_t - \mu)^T, \quad n_\text{eff} = W^2 / \sum_t w_t^2

    Blocks are merged about their own means, so that an offset of many standard deviations costs no digits.

    Parameters
    ----------
    n_features
        N.
    memory
        tau in samples; None forgets nothing, and n_eff is the number of samples.

    Raises
    ------
    ConfigError
        A memory of less than two samples.

    References
    ----------
    Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115; weighted: West (1979),
    doi:10.1145/359146.359153.

    Examples
    --------
    >>> running = RunningCovariance(2)
    >>> running.add(np.array([[1.0, 0.0], [3.0, 2.0]]))
    >>> running.add(np.array([[5.0, 1.0]]))
    >>> running.mean.tolist(), running.scatter.tolist()
    ([3.0, 1.0], [[8.0, 2.0], [2.0, 2.0]])
    """

    def __init__(self, n_features: int, *, memory: float | None = None) -> None:
        if memory is not None and not memory >= 2:
            raise ConfigError(f"expected a memory of at least two samples, or None, got {memory!r}")
        self.memory = memory
        self.weight = self.squares = 0.0
        self.mean: NDArray[Any] = np.zeros(n_features)
        self.scatter: NDArray[Any] = np.zeros((n_features, n_features))

    @property
    def n_effective(self) -> float:
        """How many equal samples have means of the same variance."""
        return self.weight**2 / self.squares if self.weight else 0.0

    def add(self, values: NDArray[Any]) -> None:
        """Add samples (n, n_features), the oldest first; all must be finite."""
        if not len(values):
            return
        wide = values.astype(np.result_type(values.dtype, np.float64), copy=False)
        ages = np.arange(len(wide))[::-1] / (np.inf if self.memory is None else self.memory)
        weights, fade = np.exp(-ages), 1.0 if self.memory is None else float(np.exp(-len(wide) / self.memory))
        own, before = float(weights.sum()), self.weight * fade
        mean = weights @ wide / own
        centered = (wide - mean) * np.sqrt(weights)[:, None]
        shift = mean - self.mean
        merged = before * own / (before + own)
        self.scatter = self.scatter * fade + centered.conj().T @ centered + merged * np.outer(shift.conj(), shift)
        self.mean = self.mean + shift * (own / (before + own))
        self.weight = before + own
        self.squares = self.squares * fade**2 + float((weights**2).sum())
