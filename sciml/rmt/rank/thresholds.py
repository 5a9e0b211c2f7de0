"""Rules that cut a spectrum at a threshold, without a p-value: Gavish-Donoho, BEMA, ScreeNOT."""

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike

from sciml._typing import FloatArray, IntArray
from sciml.errors import ConfigError
from sciml.rmt import checks, shrink
from sciml.rmt.checks import positive
from sciml.rmt.edges import white
from sciml.rmt.laws import MarchenkoPastur
from sciml.rmt.rank.tests import EQUAL, FEW, UNCORRELATED, RankEstimate, level, short_side
from sciml.rmt.spectrum import Spectra, Spectrum

__all__ = ["Imputation", "bema", "count_above", "gavish_donoho", "screenot", "screenot_threshold"]

Imputation = Literal["interpolate", "zero", "winsorize"]


def gavish_donoho(spectrum: Spectrum, *, sigma: float | None = None) -> RankEstimate:
    """Count what it pays to keep: the threshold of least mean square error for singular values kept unchanged.

    It lies above the detection limit (4 / sqrt(3) against 2 for square data): weak components are left out on purpose.

    Parameters
    ----------
    sigma
        Noise level; without it the median of the eigenvalues.

    Raises
    ------
    DataError, ConfigError
        As `sigma.median_edge_refit`; a sigma that is not positive.

    References
    ----------
    Gavish and Donoho (2014), doi:10.1109/TIT.2014.2323359.

    Examples
    --------
    >>> round(gavish_donoho(Spectrum([6.0, 1.0, 1.0, 1.0], 4, 4), sigma=1.0).threshold, 4)
    5.3333
    """
    values, short, long, unit = short_side(spectrum)
    beta = short / long
    if sigma is None:
        variance = float(np.median(values)) / MarchenkoPastur(beta).median()
    else:
        variance = positive("sigma", sigma) ** 2
    threshold = variance * shrink.hard_threshold(beta) ** 2
    return RankEstimate(
        rule="Gavish-Donoho",
        rank=int(np.count_nonzero(values > threshold)),
        threshold=threshold * unit,
        sigma=float(np.sqrt(variance)),
        assumes=(EQUAL, UNCORRELATED, *((FEW,) if sigma is None else ())),
        warnings=("it leaves out components too weak to improve a reconstruction",),
        detects=False,
    )


def bema(spectrum: Spectrum, *, alpha: float = 0.1, trim: float = 0.2) -> RankEstimate:
    r"""Fit the noise level to the middle of the spectrum, count what exceeds the Tracy-Widom edge.

    With q_k the upper k / m quantile of the Marchenko-Pastur law, m the short side, k from `trim` m
    to (1 - trim) m:

    .. math:: \hat\sigma^2 = \sum_k q_k \lambda_k / \sum_k q_k^2, \qquad
              \hat K = \#\{\lambda_k > \hat\sigma^2 (\mu + s\, t_{1 - \alpha})\}

    with center and scale of the plain law, (1 + sqrt(gamma))² and n^{-2/3} gamma^{-1/6} (1 + sqrt(gamma))^{4/3}.

    Raises
    ------
    DataError, ConfigError
        As `sigma.median_edge_refit`; a trim outside [0, .5).

    References
    ----------
    Ke, Ma and Lin (2023), doi:10.1080/01621459.2021.1933497, algorithm 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 40)) + 0.5 * np.outer(rng.normal(size=1000), rng.normal(size=40))
    >>> bema(Spectrum(np.linalg.eigvalsh(X.T @ X / 1000), 40, 1000)).rank
    1
    """
    if not 0 <= trim < 0.5:
        raise ConfigError(f"expected the trimmed fraction of the spectrum in [0, 0.5), got {trim!r}")
    values, short, long, unit = short_side(spectrum)
    order = np.arange(1, short + 1)
    middle = order[(order >= trim * short) & (order <= (1 - trim) * short)]
    if not middle.size:
        raise ConfigError(f"expected eigenvalues left after trimming {trim:g} at both ends, got none of {short}")
    quantile = MarchenkoPastur(short / long).ppf(1 - middle / short)
    variance = float(quantile @ values[middle - 1] / (quantile @ quantile))
    law = white(short, long, complex_data=True)  # without the half shifts, as in the paper
    edge = law if spectrum.complex_data else type(law)(law.center, law.scale, 1)
    threshold = variance * edge.threshold(level(alpha))
    return RankEstimate(
        rule="BEMA",
        rank=int(np.count_nonzero(values > threshold)),
        threshold=threshold * unit,
        sigma=float(np.sqrt(variance)),
        assumes=(EQUAL, UNCORRELATED, FEW),
    )


def screenot(
    spectrum: Spectrum, *, max_rank: int | None = None, imputation: Imputation = "interpolate"
) -> RankEstimate:
    r"""Count what it pays to keep in noise of whatever spectrum it has (correlated along rows or columns).

    The `max_rank` = k largest singular values may be signal; f is the rest with k values put in their place:

    - `interpolate`: :math:`f_{k+1} + (f_{k+1} - f_{2k+1}) \frac{1 - ((l - 1) / k)^{2/3}}{2^{2/3} - 1}`, l = 1 to k;
    - `zero`: zeros;
    - `winsorize`: f_{k+1}.

    What exceeds `screenot_threshold` of f is kept.

    Parameters
    ----------
    max_rank
        Bound on the rank, loose; a tenth of the short side, at least one, if not given.

    Raises
    ------
    DataError, ConfigError
        As `sigma.median_edge_refit`; a bound that leaves no noise (`interpolate` needs 2 k + 1 values).

    References
    ----------
    Donoho, Gavish and Romanov (2023), doi:10.1214/22-AOS2232.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 40)) + 0.5 * np.outer(rng.normal(size=1000), rng.normal(size=40))
    >>> screenot(Spectrum(np.linalg.eigvalsh(X.T @ X / 1000), 40, 1000), max_rank=5).rank
    1
    """
    values, short, long, unit = short_side(spectrum)
    k = max(1, short // 10) if max_rank is None else int(max_rank)
    if imputation not in get_args(Imputation):
        raise ConfigError(f"expected an imputation of {', '.join(get_args(Imputation))}, got {imputation!r}")
    needed = 2 * k + 1 if imputation == "interpolate" else k + 1
    if k < 0 or needed > short:
        raise ConfigError(
            f"expected a max_rank of which {imputation} leaves noise among {short} values, got {max_rank}"
        )
    singular = np.sqrt(values)
    noise = np.concatenate([_impute(singular, k, imputation), singular[k:]])
    threshold = screenot_threshold(noise, short / long) ** 2
    return RankEstimate(
        rule="ScreeNOT",
        rank=int(np.count_nonzero(values > threshold)),
        threshold=threshold * unit,
        assumes=(f"there are no more than {k} components",),
        warnings=("it leaves out components too weak to improve a reconstruction",),
        detects=False,
    )


def _impute(singular: FloatArray, k: int, imputation: Imputation) -> FloatArray:
    if imputation == "zero":
        return np.zeros(k)
    if imputation == "winsorize":
        return np.full(k, singular[k])
    offset = (1 - (np.arange(k) / max(k, 1)) ** (2 / 3)) / (2 ** (2 / 3) - 1)
    return np.asarray(singular[k] + (singular[k] - singular[min(2 * k, singular.size - 1)]) * offset)


def screenot_threshold(noise: ArrayLike, beta: float, *, weights: ArrayLike | None = None) -> float:
    r"""Return the best hard threshold for singular values in noise of singular values `noise`.

    .. math:: \Phi(y) = \Big\langle \frac{y}{y^2 - f^2} \Big\rangle, \quad
              D = \Phi \cdot \Big(\beta \Phi + \frac{1 - \beta}{y}\Big), \quad y D'(y) / D(y) = -4

    Parameters
    ----------
    noise
        Singular values of the noise on the short side, in any unit.
    beta
        Short side over long side.
    weights
        Weight of each, equal if not given.

    Raises
    ------
    DataError
        Negative values or NaN.

    References
    ----------
    Donoho, Gavish and Romanov (2023), doi:10.1214/22-AOS2232.

    Examples
    --------
    >>> angle = np.pi * (np.arange(2000) + 0.5) / 2000  # white noise, square: the quarter circle
    >>> weights = np.sin(angle) ** 2 / (1 + np.cos(angle))
    >>> round(screenot_threshold(np.sqrt(2 + 2 * np.cos(angle)), 1.0, weights=weights), 4)  # 4 / sqrt(3)
    2.3094
    """
    values = np.asarray(noise, dtype=np.float64)
    largest = float(checks.spectrum("singular values", values)[0])
    if largest == 0:
        return 0.0
    mass = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    mass = mass / mass.sum()
    squares = (values / largest) ** 2

    def slope(log_excess: float) -> float:
        """Return y D' / D + 4 at y² = 1 + exp(log_excess), without a difference of near numbers."""
        excess = np.exp(log_excess)
        distance = (1 - squares) + excess
        y2 = 1 + excess
        # Phi y and y² Phi' over y.
        phi = y2 * (mass @ (1 / distance))
        phi_slope = -y2 * (mass @ ((y2 + squares) / distance**2))
        other, other_slope = beta * phi + 1 - beta, beta * phi_slope - (1 - beta)
        return float(phi_slope / phi + other_slope / other + 4)

    # y D'/D rises from -infinity at the largest value to -2.
    root = scipy.optimize.brentq(slope, np.log(1e-14), np.log(1e6), xtol=1e-14, rtol=1e-14)
    return largest * float(np.sqrt(1 + np.exp(root)))


def count_above(spectra: Spectra, sigma: FloatArray, *, alpha: float) -> IntArray:
    """Return how many eigenvalues of each spectrum lie above the level-alpha threshold of the largest noise eigenvalue.

    Parameters
    ----------
    sigma
        Noise standard deviation of an entry, shape (batch,).
    alpha
        Probability that noise alone reaches the threshold (Tracy-Widom).

    Examples
    --------
    >>> count_above(Spectra(np.array([[400.0, 150.0]]), 2, 100), np.ones(1), alpha=0.01)
    array([2])
    """
    above = spectra.scatter > _threshold(*spectra.sides, alpha, spectra.complex_data) * sigma[:, None] ** 2
    return np.asarray(above.sum(axis=1), dtype=np.int64)


@lru_cache(maxsize=4096)
def _threshold(m: int, n: int, alpha: float, complex_data: bool) -> float:
    return n * white(m, n, complex_data=complex_data).threshold(alpha)
