"""How many eigenvalues are more than white noise: each tested with the noise level that counts it as noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml.rmt import sigma
from sciml.rmt._check import shape, spectrum
from sciml.rmt.edges import EdgeLaw, white

__all__ = ["WhiteTest", "white_test"]


@dataclass(frozen=True)
class WhiteTest:
    """Which eigenvalues are more than white noise.

    `p_values` belong to the eigenvalues in descending order and never fall. `law` is that of the largest noise
    eigenvalue beside the `rank` found ones, in units of sigma². `converged` is False where more than half of the
    spectrum stands out: sigma is then that of all entries, an upper bound.
    """

    p_values: NDArray[np.float64]
    rank: int
    sigma: float
    standard_error: float
    law: EdgeLaw
    converged: bool


def white_test(
    eigenvalues: ArrayLike, n_features: int, n_samples: int, *, alpha: float = 0.05, complex_data: bool = False
) -> WhiteTest:
    r"""Test each eigenvalue of X^H X / n_samples as the largest of what white noise is left.

    With m the short side and n the long one, and k candidates above the plain bulk edge
    (`sigma.median_edge_refit`), the j-th eigenvalue s_j of X^H X is compared with the largest of white noise of
    m - j + 1 by n - j + 1 entries and variance

    .. math:: \sigma_j^2 = \frac{s_j + \sum_{i > k} s_i}{(m - k + 1)(n - k + 1)} \quad (j \le k)

    One noise matrix in six exceeds the plain edge. The refitted sigma leaves out exactly the values in question, and
    would call 11 % of pure noise a signal at the 5 % level; so each candidate counts as noise in the variance that it
    is tested with, while the other candidates, which could hide it, do not.

    Parameters
    ----------
    eigenvalues
        All nonzero eigenvalues, as for `sigma.median_edge_refit`.
    alpha
        Probability with which pure noise is given a component.

    Raises
    ------
    DataError, ConfigError
        As `sigma.median_edge_refit`.

    References
    ----------
    Johnstone (2001), doi:10.1214/aos/1009210544; sequential form after Kritchman and Nadler (2009),
    doi:10.1109/TSP.2009.2022897.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 40)) + 0.5 * np.outer(rng.normal(size=1000), rng.normal(size=40))
    >>> white_test(np.linalg.eigvalsh(X.T @ X / 1000), 40, 1000).rank
    1
    """
    p, t = shape(n_features, n_samples)
    estimate = sigma.median_edge_refit(eigenvalues, p, t, complex_data=complex_data)
    scatter = spectrum("eigenvalues", eigenvalues) * t
    short, long = scatter.size, max(p, t)
    candidates = estimate.rank if estimate.converged else 0
    rest = float(scatter[candidates:].sum())
    p_values = np.empty(short)
    for j, value in enumerate(scatter):
        is_candidate = j < candidates
        others = candidates - is_candidate
        variance = (rest + value * is_candidate) / ((short - others) * (long - others))
        law = white(short - j, long - j, complex_data=complex_data)
        p_values[j] = law.p_value(value / ((long - j) * variance))
    p_values = np.maximum.accumulate(p_values)
    rank = int(np.count_nonzero(p_values < alpha))
    return _result(scatter, long / t, (p, t), p_values, rank, estimate, complex_data=complex_data)


def _result(
    scatter: NDArray[np.float64],
    ratio: float,
    sides: tuple[int, int],
    p_values: NDArray[np.float64],
    rank: int,
    estimate: sigma.SigmaEstimate,
    *,
    complex_data: bool,
) -> WhiteTest:
    """Gather the result; the noise level is that of all but the components found."""
    short, long = scatter.size, max(sides)
    out = rank if estimate.converged else 0
    freedom = (short - out) * (long - out)
    level = float(np.sqrt(scatter[out:].sum() / freedom))
    noise = white(short - out, long - out, complex_data=complex_data)
    unit = (long - out) / long * ratio
    return WhiteTest(
        p_values=p_values,
        rank=rank,
        sigma=level,
        standard_error=level / float(np.sqrt((4 if complex_data else 2) * freedom)),
        law=EdgeLaw(noise.center * unit, noise.scale * unit, noise.beta),
        converged=estimate.converged,
    )
