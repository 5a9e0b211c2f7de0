"""The noise of many spectra of one shape at once: median, edge and refit, and the edge test, batched."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.errors import ConfigError, DataError
from sciml.rmt import edges
from sciml.rmt.checks import shape
from sciml.rmt.laws import MarchenkoPastur
from sciml.rmt.sigma import MAX_ITERATIONS

__all__ = ["BatchSigma", "count_above", "median_edge_refit", "refit"]


@dataclass(frozen=True)
class BatchSigma:
    """Noise of each spectrum, shapes (batch,): as `sciml.rmt.sigma.SigmaEstimate`."""

    sigma: FloatArray
    rank: IntArray
    converged: BoolArray


def median_edge_refit(scatter: NDArray[np.floating], shape_: tuple[int, int]) -> BatchSigma:
    r"""Return sigma and rank of each spectrum by median, edge and refit, in the plain form for many small matrices.

    .. math:: \sigma_0^2 = \frac{\mathrm{median}(s)}{n \mu_\beta}, \qquad
              k = \#\{s_i > \sigma^2 n (1 + \sqrt\beta)^2\}, \qquad
              \sigma^2 = \frac{\sum_{i > k} s_i}{(m - k)(n - k)}

    until k repeats. `sciml.rmt.sigma.median_edge_refit` corrects the divisor for weak components on top of this, by up
    to a percent of sigma. Where k passes half of the short side, sigma² is the mean of all and `converged` is False.

    Parameters
    ----------
    scatter
        Eigenvalues of X^H X (not divided by anything), descending, shape (batch, short side).
    shape_
        Degrees of freedom of the two sides of X, in any order: one less than its size for a side that was demeaned.

    Raises
    ------
    DataError
        A number of eigenvalues that is not the short side.

    References
    ----------
    As `sciml.rmt.sigma.median_edge_refit`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = 3.0 * rng.normal(size=(50, 40, 100))
    >>> found = median_edge_refit(np.linalg.svd(X, compute_uv=False) ** 2, (40, 100))
    >>> round(float(found.sigma.mean()), 1)
    3.0
    """
    s, m, n = _checked(scatter, shape_)
    law, limit = _law(m, n), m // 2
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
    return BatchSigma(np.sqrt(variance), rank, converged)


def refit(scatter: NDArray[np.floating], shape_: tuple[int, int], rank: int) -> FloatArray:
    """Return sigma of each spectrum, given how many eigenvalues are signal.

    Examples
    --------
    >>> refit(np.array([[100.0, 4.0, 2.0]]), (3, 4), 1)
    array([1.])
    """
    s, m, n = _checked(scatter, shape_)
    if not 0 <= rank < m:
        raise ConfigError(f"expected a rank from 0 to {m - 1}, so that noise is left, got {rank}")
    return np.asarray(np.sqrt(s[:, rank:].sum(axis=1) / ((m - rank) * (n - rank))))


def count_above(
    scatter: NDArray[np.floating],
    shape_: tuple[int, int],
    sigma: FloatArray,
    *,
    alpha: float,
    complex_data: bool = False,
) -> IntArray:
    """Return how many eigenvalues of each spectrum lie above the level-alpha threshold of the largest noise eigenvalue.

    Parameters
    ----------
    scatter, shape_
        As for `median_edge_refit`.
    sigma
        Noise standard deviation of an entry, shape (batch,).
    alpha
        Probability that noise alone reaches the threshold (Tracy-Widom).

    Examples
    --------
    >>> count_above(np.array([[400.0, 150.0]]), (2, 100), np.ones(1), alpha=0.01)
    array([2])
    """
    s, m, n = _checked(scatter, shape_)
    above = s > _threshold(m, n, alpha, complex_data) * sigma[:, None] ** 2
    return np.asarray(above.sum(axis=1), dtype=np.int64)


def _checked(scatter: NDArray[np.floating], sides: tuple[int, int]) -> tuple[FloatArray, int, int]:
    m, n = sorted(shape(*sides))
    if scatter.ndim != 2 or scatter.shape[1] != m:
        raise DataError(f"expected {m} eigenvalues a spectrum for sides {sides}, got an array of shape {scatter.shape}")
    return np.maximum(scatter.astype(np.float64), 0.0), m, n


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


@lru_cache(maxsize=4096)
def _threshold(m: int, n: int, alpha: float, complex_data: bool) -> float:
    return n * edges.white(m, n, complex_data=complex_data).threshold(alpha)
