"""The noise level of a spectrum in which most eigenvalues are noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml.errors import ConfigError, DataError
from sciml.rmt._check import shape, spectrum
from sciml.rmt.laws import MarchenkoPastur

__all__ = ["SigmaEstimate", "median_edge_refit"]

MAX_ITERATIONS = 100  # the count rarely moves more than ten times; a long spectrum of ever new outliers may creep


@dataclass(frozen=True)
class SigmaEstimate:
    """Noise standard deviation of an entry, and the number of eigenvalues above the noise it implies.

    `converged` is False where the estimate broke down and `sigma` is the standard deviation of all entries, signal
    included: an upper bound.
    """

    sigma: float
    standard_error: float
    rank: int
    converged: bool
    iterations: int


def median_edge_refit(
    eigenvalues: ArrayLike,
    n_features: int,
    n_samples: int,
    *,
    max_rank: int | None = None,
    complex_data: bool = False,
) -> SigmaEstimate:
    r"""Estimate sigma from the median eigenvalue, count what exceeds the noise edge, refit on the rest, repeat.

    With m the short side, n the long one, s_i the m eigenvalues of the scatter matrix X^H X, beta = m / n and mu_beta
    the median of the Marchenko-Pastur law:

    .. math:: \sigma_0^2 = \frac{\mathrm{median}(s)}{n \mu_\beta}, \qquad
              k = \#\{s_i > \sigma^2 n (1 + \sqrt\beta)^2\}, \qquad
              \sigma^2 = \frac{\sum_{i > k} s_i}{(m - k)(n - k)}

    until k repeats. The k components that stand out have absorbed noise from n + m - k of its degrees of freedom,
    hence the divisor. Once k runs past `max_rank`, the median itself is signal (noise correlated in time and
    a spectrum without a gap both do this), and no eigenvalue can be trusted to be noise: then sigma² is the mean of the
    squared entries, k is counted once at the edge of that, and `converged` is False.

    The standard error is that of white noise of known rank: sigma / sqrt(2 (m - k)(n - k)), for complex data divided
    by sqrt(2) once more.

    Parameters
    ----------
    eigenvalues
        The min(n_features, n_samples) largest eigenvalues of X^H X / n_samples, all of them, in any order; of demeaned
        data with n_features >= n_samples also the n_samples - 1 that are not zero.
    max_rank
        Largest credible number of signal components; half of the short side if not given.

    Raises
    ------
    DataError
        A number of eigenvalues that does not fit the shape (a partial decomposition has another median), negative
        eigenvalues, NaN.
    ConfigError
        A side below one, or a `max_rank` that leaves no noise.

    References
    ----------
    Gavish and Donoho (2014), doi:10.1109/TIT.2014.2323359, for the median; divisor as in Olesen et al. (2023),
    doi:10.1002/mrm.29478.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = 3.0 * rng.normal(size=(1000, 40)) + 5.0 * np.outer(rng.normal(size=1000), rng.normal(size=40))
    >>> estimate = median_edge_refit(np.linalg.eigvalsh(X.T @ X / 1000), 40, 1000)
    >>> estimate.rank, round(estimate.sigma, 2)
    (1, 3.01)
    """
    p, t = shape(n_features, n_samples)
    values = spectrum("eigenvalues", eigenvalues)
    m, n = _sides(values.size, p, t)
    limit = _limit(m, max_rank)
    scatter = values * t / n
    edge = MarchenkoPastur(m / n)
    rank, iterations, settled = _settle(scatter, n, edge, limit)
    if settled:
        variance = _residual_variance(scatter, n, rank)
        freedom = (m - rank) * (n - rank)
    else:
        variance, freedom = float(values.sum()) / p, m * n
        rank = _count(scatter, variance, edge)
    sigma = float(np.sqrt(variance))
    error = sigma / np.sqrt((4 if complex_data else 2) * freedom)
    return SigmaEstimate(sigma, float(error), rank, settled, iterations)


def _sides(n_values: int, n_features: int, n_samples: int) -> tuple[int, int]:
    """Return short and long side of the matrix that has `n_values` nonzero singular values."""
    short, long = min(n_features, n_samples), max(n_features, n_samples)
    demeaned = n_features >= n_samples and n_values == n_samples - 1
    if n_values != short and not demeaned:
        raise DataError(
            f"expected all {short} eigenvalues of {n_features} features and {n_samples} samples, got {n_values}; "
            "the median of some of them is not the median of all: compute the full spectrum"
        )
    return n_values, long


def _limit(short: int, max_rank: int | None) -> int:
    if max_rank is None:
        return short // 2
    if not 0 <= max_rank < short:
        raise ConfigError(f"expected max_rank from 0 to {short - 1}, got {max_rank}")
    return max_rank


def _settle(scatter: NDArray[np.float64], long: int, law: MarchenkoPastur, limit: int) -> tuple[int, int, bool]:
    """Iterate to a count of outliers that reproduces itself: the count, the number of steps, whether there is one."""
    variance = float(np.median(scatter)) / law.median()
    rank = -1
    for iteration in range(1, MAX_ITERATIONS + 1):
        found = _count(scatter, variance, law)
        if found > limit:
            return found, iteration, False
        if found == rank:
            return rank, iteration, True
        rank = found
        variance = _residual_variance(scatter, long, rank)
    return rank, MAX_ITERATIONS, False


def _count(scatter: NDArray[np.float64], variance: float, law: MarchenkoPastur) -> int:
    """Return how many eigenvalues lie above the upper edge of noise."""
    return int(np.count_nonzero(scatter > variance * law.support[0][1]))


def _residual_variance(scatter: NDArray[np.float64], long: int, rank: int) -> float:
    """Return the noise variance that explains all but the `rank` largest values of descending `scatter`."""
    return float(scatter[rank:].sum()) * long / ((scatter.size - rank) * (long - rank))
