"""The noise of many spectra of one shape at once: median, edge and refit in the plain form, batched."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.errors import ConfigError
from sciml.rmt.laws import MarchenkoPastur
from sciml.rmt.spectrum import Spectra

__all__ = ["MAX_ITERATIONS", "BatchRefit", "credible_rank", "refit", "refit_batch"]

MAX_ITERATIONS = 100  # the count rarely moves more than ten times; a long spectrum of ever new outliers may creep


@dataclass(frozen=True)
class BatchRefit:
    """Noise of each of many spectra, shapes (batch,): as `EdgeRefit`."""

    sigma: FloatArray
    rank: IntArray
    converged: BoolArray


def refit_batch(spectra: Spectra, max_rank: int | None) -> BatchRefit:
    """Return the noise of each spectrum of a batch; where k passes its limit, sigma² is the mean of all."""
    s, (m, n) = spectra.scatter, spectra.sides
    law, limit = _law(m, n), credible_rank(m, max_rank)
    edge = law[1] * n
    noise = _residual_variances(s, n)
    variance = np.median(s, axis=1) / (n * law[0])
    rank = np.full(len(s), -1)
    converged, failed = np.zeros(len(s), bool), np.zeros(len(s), bool)
    for _ in range(MAX_ITERATIONS):
        found = np.count_nonzero(s > edge * variance[:, None], axis=1)
        failed |= ~converged & (found > limit)
        converged |= ~failed & (found == rank)
        active = ~converged & ~failed
        if not active.any():
            break
        rank[active] = found[active]
        variance[active] = noise[active, found[active]]
    whole = s.sum(axis=1) / (m * n)
    variance = np.where(converged, variance, whole)
    rank = np.where(converged, rank, np.count_nonzero(s > edge * whole[:, None], axis=1))
    return BatchRefit(np.sqrt(variance), rank, converged)


def _residual_variances(s: FloatArray, n: int) -> FloatArray:
    """Return the noise variance that explains all but the k largest values, for every k."""
    m = s.shape[1]
    k = np.arange(m)
    return np.asarray(np.cumsum(s[:, ::-1], axis=1)[:, ::-1] / ((m - k) * (n - k)))


@lru_cache(maxsize=4096)
def _law(m: int, n: int) -> tuple[float, float]:
    """Return median and upper edge of the Marchenko-Pastur law: bisection takes longer than one small matrix."""
    law = MarchenkoPastur(m / n)
    return law.median(), law.support[0][1]


def refit(spectra: Spectra, rank: int) -> FloatArray:
    """Return sigma of each spectrum, (batch,), given how many eigenvalues are signal.

    Raises
    ------
    ConfigError
        A rank that leaves no noise.

    Examples
    --------
    >>> refit(Spectra(np.array([[100.0, 4.0, 2.0]]), 3, 4), 1)
    array([1.])
    """
    s, (m, n) = spectra.scatter, spectra.sides
    if not 0 <= rank < m:
        raise ConfigError(f"expected a rank from 0 to {m - 1}, so that noise is left, got {rank}")
    return np.asarray(np.sqrt(s[:, rank:].sum(axis=1) / ((m - rank) * (n - rank))))


def credible_rank(short: int, max_rank: int | None) -> int:
    """Return the largest credible number of components: half of the short side if none is given."""
    if max_rank is None:
        return short // 2
    if not 0 <= max_rank < short:
        raise ConfigError(f"expected max_rank from 0 to {short - 1}, got {max_rank}")
    return max_rank
