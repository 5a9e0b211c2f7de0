"""Level statistics: whether eigenvalues repel each other, as those of a random matrix do, or fall at random.

Scale and trend of the spectrum are taken out first: by ratios of neighboring spacings (`r_ratio`), or by unfolding with
the fitted law (`unfold`), after which the mean spacing is one. `beta` names the reference: 1 real symmetric (GOE, also
real sample covariance matrices), 2 complex Hermitian (GUE), 4 quaternion (GSE), 0 independent levels (Poisson).
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import numbers

__all__ = [
    "RatioResult",
    "SpacingDistribution",
    "delta3",
    "number_variance",
    "r_ratio",
    "reference_delta3",
    "reference_number_variance",
    "spacing_distribution",
    "surmise_cdf",
    "surmise_pdf",
    "unfold",
]

Beta = Literal[0, 1, 2, 4]

NAMES: dict[Beta, str] = {0: "Poisson", 1: "GOE", 2: "GUE", 4: "GSE"}
MEAN_RATIO: dict[Beta, float] = {0: 2 * math.log(2) - 1, 1: 0.5307, 2: 0.5996, 4: 0.6744}  # Atas et al. (2013), table I
ORDER = 64


class Law(Protocol):
    """A law of `sciml.rmt.laws` or `sciml.rmt.laws.free`."""

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """Intervals of the continuous part."""

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability of at most x."""


@dataclass(frozen=True)
class RatioResult:
    """Mean ratio of neighboring spacings, and how far it is from each reference.

    `z` maps the reference's name to (mean - reference) / standard_error; `ensemble` is the nearest one.
    """

    mean: float
    standard_error: float
    n_ratios: int
    z: dict[str, float]

    @property
    def ensemble(self) -> str:
        """Name of the reference nearest to the mean."""
        return min(self.z, key=lambda name: abs(self.z[name]))


@dataclass(frozen=True)
class SpacingDistribution:
    """Spacings of unfolded levels in units of their mean, ascending, and their histogram as a density."""

    spacings: FloatArray
    density: FloatArray
    bin_edges: FloatArray

    def ecdf(self, s: ArrayLike) -> FloatArray:
        """Share of the spacings that is at most s."""
        return np.asarray(np.searchsorted(self.spacings, numbers("s", s), side="right") / self.spacings.size)[()]

    def distance(self, beta: Beta) -> float:
        """Largest difference from the surmise's cdf (the Kolmogorov-Smirnov distance)."""
        steps = np.arange(self.spacings.size + 1) / self.spacings.size
        exact = surmise_cdf(self.spacings, beta)
        return float(max(np.abs(exact - steps[1:]).max(), np.abs(exact - steps[:-1]).max()))


def _levels(name: str, values: ArrayLike, least: int) -> tuple[FloatArray, float]:
    """Return levels in ascending order, and the difference that rounding makes between equal ones."""
    given: AnyArray = np.asarray(values)
    ordered = np.sort(numbers(name, given))
    if ordered.ndim != 1 or ordered.size < least or not np.isfinite(ordered).all():
        raise DataError(f"expected at least {least} finite {name} in a list, got shape {given.shape}")
    resolution = np.finfo(given.dtype).eps if given.dtype.kind == "f" else np.finfo(float).eps
    return ordered, float(resolution * ordered.size * np.abs(ordered).max())


def _distinct(ordered: FloatArray, rounding: float) -> FloatArray:
    """Return each level once, without the null space (several levels at zero); a single one at zero is a level."""
    null = np.abs(ordered) <= rounding
    kept = ordered[~null] if np.count_nonzero(null) > 1 else ordered
    return kept[np.diff(kept, prepend=-np.inf) > rounding]


def r_ratio(eigenvalues: ArrayLike) -> RatioResult:
    r"""Return the mean of min(s_i, s_{i+1}) / max(s_i, s_{i+1}) over neighboring spacings s: no unfolding needed.

    Exact degeneracies count once and the null space not at all. The references are .3863 (Poisson, independent levels),
    .5307 (GOE), .5996 (GUE) and .6744 (GSE); the standard error takes the correlation of ratios into account that
    share a spacing.

    Parameters
    ----------
    eigenvalues
        Real levels in any order, shape (n,), of any scale; leave outliers out.

    Raises
    ------
    DataError
        NaN, infinite values, or fewer than four distinct levels.

    References
    ----------
    Oganesyan and Huse (2007), doi:10.1103/PhysRevB.75.155111; Atas et al. (2013), doi:10.1103/PhysRevLett.110.084101,
    table I.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(400, 400))
    >>> result = r_ratio(np.linalg.eigvalsh(X + X.T))
    >>> result.ensemble, abs(result.z["GOE"]) < 3, result.z["Poisson"] > 5
    ('GOE', True, True)
    """
    levels = _distinct(*_levels("eigenvalues", eigenvalues, 4))
    if levels.size < 4:
        raise DataError(f"expected at least 4 distinct levels off zero, got {levels.size}")
    gaps = np.diff(levels)
    ratio = np.minimum(gaps[:-1], gaps[1:]) / np.maximum(gaps[:-1], gaps[1:])
    mean, off = float(ratio.mean()), ratio - ratio.mean()
    lags = [float(off[lag:] @ off[: ratio.size - lag]) / ratio.size for lag in (0, 1, 2)[: ratio.size]]
    # Spacings are correlated over a few neighbors only; never less than half of what independent ratios would have.
    variance = max(lags[0] + 2 * sum(lags[1:]), lags[0] / 2, np.finfo(float).tiny)
    error = float(np.sqrt(variance / ratio.size))
    return RatioResult(mean, error, ratio.size, {NAMES[b]: (mean - MEAN_RATIO[b]) / error for b in NAMES})


def unfold(eigenvalues: ArrayLike, law: Law) -> FloatArray:
    """Return levels N F(lam), whose mean spacing is one, by the cdf F of the law; N counts all eigenvalues given.

    Eigenvalues off the support of the law (its atom at zero, outliers) are left out.

    Raises
    ------
    DataError
        NaN, infinite values, or fewer than two eigenvalues inside the support.

    References
    ----------
    Guhr, Mueller-Groeling and Weidenmueller (1998), doi:10.1016/S0370-1573(97)00088-4, section 3.2.1.

    Examples
    --------
    >>> from sciml.rmt.laws import MarchenkoPastur
    >>> X = np.random.default_rng(0).normal(size=(600, 300))
    >>> levels = unfold(np.linalg.eigvalsh(X.T @ X / 600), MarchenkoPastur(gamma=0.5))
    >>> bool(abs(np.diff(levels).mean() - 1) < 0.01)
    True
    """
    ordered, rounding = _levels("eigenvalues", eigenvalues, 2)
    intervals = law.support
    inside = (ordered >= intervals[0][0]) & (ordered <= intervals[-1][1]) & (np.abs(ordered) > rounding)
    if np.count_nonzero(inside) < 2:
        raise DataError(
            f"expected eigenvalues inside the support of the law, {intervals[0][0]:g} to {intervals[-1][1]:g}, "
            f"got {ordered[0]:g} to {ordered[-1]:g}; fit the law to these eigenvalues first"
        )
    return np.asarray(ordered.size * law.cdf(ordered[inside]))


def spacing_distribution(unfolded: ArrayLike, *, n_bins: int = 40) -> SpacingDistribution:
    """Return the distribution of the spacings of unfolded levels, in units of their mean.

    Raises
    ------
    DataError
        NaN, or fewer than two distinct levels.
    ConfigError
        Fewer than one bin.

    Examples
    --------
    >>> levels = np.cumsum(np.random.default_rng(0).exponential(size=2000))
    >>> found = spacing_distribution(levels)
    >>> found.distance(0) < 0.03 < found.distance(1)
    True
    """
    ordered, _ = _levels("levels", unfolded, 2)
    if n_bins < 1:
        raise ConfigError(f"expected at least one bin, got {n_bins}")
    gaps = np.sort(np.diff(ordered))
    if gaps[-1] == 0:
        raise DataError(f"expected distinct levels, got {ordered.size} equal ones")
    gaps = gaps / gaps.mean()
    density, edges = np.histogram(gaps, bins=n_bins, range=(0, float(gaps[-1])), density=True)
    return SpacingDistribution(gaps, density, edges)


def _beta(beta: int) -> int:
    if beta not in NAMES:
        raise ConfigError(f"expected beta 0 (Poisson), 1 (GOE), 2 (GUE) or 4 (GSE), got {beta!r}")
    return beta


def surmise_pdf(s: ArrayLike, beta: Beta) -> FloatArray:
    r"""Return the Wigner surmise, the density of spacings of mean one.

    .. math:: p(s) = a s^\beta e^{-b s^2}, \quad b = \Big[\frac{\Gamma(1 + \beta/2)}{\Gamma((1 + \beta)/2)}\Big]^2,
              \quad a = \frac{2 b^{(1 + \beta)/2}}{\Gamma((1 + \beta)/2)}; \qquad p(s) = e^{-s} \text{ for } \beta = 0

    Raises
    ------
    ConfigError
        Another beta.

    References
    ----------
    Wigner (1957); Mehta (2004), Random Matrices, section 1.5.

    Examples
    --------
    >>> surmise_pdf([0.0, 1.0], beta=1).round(6).tolist()
    [0.0, 0.716186]
    """
    x = np.maximum(numbers("s", s), 0.0)
    if _beta(beta) == 0:
        return np.asarray(np.exp(-x))[()]
    half = (1 + beta) / 2
    b = (scipy.special.gamma(half + 0.5) / scipy.special.gamma(half)) ** 2
    return np.asarray(2 * b**half / scipy.special.gamma(half) * x**beta * np.exp(-b * x**2))[()]


def surmise_cdf(s: ArrayLike, beta: Beta) -> FloatArray:
    """Return the distribution function of the Wigner surmise (`surmise_pdf`).

    Raises
    ------
    ConfigError
        Another beta.

    Examples
    --------
    >>> surmise_cdf([0.0, 1.0], beta=1).round(6).tolist()
    [0.0, 0.544062]
    """
    x = np.maximum(numbers("s", s), 0.0)
    if _beta(beta) == 0:
        return np.asarray(-np.expm1(-x))[()]
    half = (1 + beta) / 2
    b = (scipy.special.gamma(half + 0.5) / scipy.special.gamma(half)) ** 2
    return np.asarray(scipy.special.gammainc(half, b * x**2), dtype=np.float64)[()]


def _lengths(L: ArrayLike, limit: float) -> FloatArray:
    lengths = np.atleast_1d(numbers("L", L))
    if lengths.size == 0 or lengths.min() <= 0 or lengths.max() >= limit:
        raise ConfigError(f"expected lengths L between 0 and the span of the levels, {limit:g}, got {L!r}")
    return lengths


def number_variance(unfolded: ArrayLike, L: ArrayLike) -> FloatArray:
    r"""Return the variance of the number of levels in a window of length L, over all positions of the window.

    .. math:: \Sigma^2(L) = \langle n^2 \rangle - \langle n \rangle^2

    The average over positions is an exact integral: the count changes by one wherever a level enters or leaves.

    Parameters
    ----------
    unfolded
        Unfolded levels, shape (n,).
    L
        Lengths of the window in mean spacings, any shape; well below the number of levels.

    Raises
    ------
    DataError
        NaN, or fewer than two levels.
    ConfigError
        L not between zero and the span of the levels.

    References
    ----------
    Dyson and Mehta (1963), doi:10.1063/1.1704008; Guhr et al. (1998), doi:10.1016/S0370-1573(97)00088-4, section 3.2.3.

    Examples
    --------
    >>> float(round(number_variance(np.arange(1000) + 0.5, 2.5), 6))
    0.25
    """
    levels, _ = _levels("levels", unfolded, 2)
    values = [_count_variance(levels, length) for length in _lengths(L, levels[-1] - levels[0]).ravel()]
    return np.reshape(values, np.shape(L))[()]


def _count_variance(levels: FloatArray, length: float) -> float:
    first, last = levels[0], levels[-1] - length
    position = np.concatenate([levels - length, levels])
    order = np.argsort(position, kind="stable")
    change = np.repeat([1.0, -1.0], levels.size)[order]
    position = np.clip(position[order], first, last)
    width, count = np.diff(position), np.cumsum(change)[:-1]
    mean = float(width @ count / width.sum())
    return float(width @ (count - mean) ** 2 / width.sum())


def delta3(unfolded: ArrayLike, L: ArrayLike) -> FloatArray:
    r"""Return the mean square distance of the staircase N(e) of levels from its best straight line, in windows of L.

    .. math:: \Delta_3(L) = \Big\langle \min_{A, B} \frac1L \int_0^L [N(e) - A - B e]^2 \, de \Big\rangle

    The integral is exact for each window; windows start half a length apart.

    Parameters
    ----------
    unfolded
        Unfolded levels, shape (n,).
    L
        Lengths of the window in mean spacings, any shape; well below the number of levels.

    Raises
    ------
    DataError
        NaN, or fewer than two levels.
    ConfigError
        L not between zero and the span of the levels.

    References
    ----------
    Dyson and Mehta (1963), doi:10.1063/1.1704008; Bohigas and Giannoni (1975), doi:10.1016/0003-4916(75)90213-3.

    Examples
    --------
    >>> float(round(delta3(np.arange(1000) + 0.5, 10.0), 3))  # a picket fence has 1/12
    0.083
    """
    levels, _ = _levels("levels", unfolded, 2)
    span = levels[-1] - levels[0]
    values = []
    for length in _lengths(L, span).ravel():
        starts = levels[0] + np.linspace(0, span - length, max(1, int(2 * (span - length) / length) + 1))
        values.append(np.mean([_rigidity(levels, start, length) for start in starts]))
    return np.reshape(values, np.shape(L))[()]


def _rigidity(levels: FloatArray, start: float, length: float) -> float:
    """Return the least-squares residual in one window, in the variable t in (-1, 1).

    N = sum of steps at t_i. The mean of N^2 is left, less its projections on the Legendre polynomials of order 0 and 1:
    <N> = sum (1 - t_i) / 2, <N P1> = sum (1 - t_i^2) / 4, <N^2> = sum over i of (2i - 1) (1 - t_i) / 2.
    """
    low, high = np.searchsorted(levels, [start, start + length])
    t = 2 * (levels[low:high] - start) / length - 1
    # Counted from the middle level, so that the square of a large count is not subtracted from itself.
    center = t.size / 2
    rank = np.arange(1, t.size + 1)
    square = center**2 + np.sum((2 * rank - 1 - 2 * center) * (1 - t)) / 2
    mean = np.sum(1 - t) / 2 - center
    slope = np.sum(1 - t**2) / 4
    return float(square - mean**2 - 3 * slope**2)


def _cluster(r: FloatArray, beta: int) -> FloatArray:
    """Return Dyson's two-level cluster function Y2(r) (Mehta 2004, chapters 6, 7 and 11)."""
    if beta == 2:
        return np.asarray(np.sinc(r) ** 2)
    x = np.pi * r if beta == 1 else 2 * np.pi * r
    kernel = np.sinc(x / np.pi)
    small = np.where(np.abs(x) < 1e-3, 1.0, x)
    slope = np.where(np.abs(x) < 1e-3, -x / 3, (np.cos(small) - np.sin(small) / small) / small)  # by x
    integral, _ = scipy.special.sici(x)
    if beta == 1:
        return np.asarray(kernel**2 + slope * (np.pi / 2 - integral))
    return np.asarray(kernel**2 - slope * integral)


def _panels(length: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on (0, length), with panels of at most two spacings."""
    nodes, weights = np.polynomial.legendre.leggauss(ORDER // 4)
    edges = np.linspace(0, length, int(np.ceil(length / 2)) + 1)
    low, width = edges[:-1, None], np.diff(edges)[:, None]
    return (low + width * (nodes + 1) / 2).ravel(), (width * weights / 2).ravel()


def reference_number_variance(L: ArrayLike, beta: Beta) -> FloatArray:
    r"""Return the number variance of the infinite GOE (1), GUE (2), GSE (4) or of independent levels (0): exact.

    .. math:: \Sigma^2(L) = L - 2 \int_0^L (L - r)\, Y_2(r)\, dr

    Raises
    ------
    ConfigError
        Another beta, or L not positive.

    References
    ----------
    Mehta (2004), Random Matrices, chapter 16.

    Examples
    --------
    >>> reference_number_variance([1.0, 10.0], beta=1).round(4).tolist()
    [0.4463, 0.9087]
    """
    _beta(beta)
    lengths = _lengths(L, np.inf)
    values = [_exact_variance(float(length), beta) for length in lengths.ravel()]
    return np.reshape(values, np.shape(L))[()]


def _exact_variance(length: float, beta: int) -> float:
    if beta == 0:
        return length
    r, weights = _panels(length)
    return length - 2 * float(weights @ ((length - r) * _cluster(r, beta)))


def reference_delta3(L: ArrayLike, beta: Beta) -> FloatArray:
    r"""Return Dyson and Mehta's Delta3 of the infinite GOE (1), GUE (2), GSE (4) or of independent levels (0): exact.

    .. math:: \Delta_3(L) = \frac{L}{15} - \frac{1}{15 L^4} \int_0^L (L - r)^3 (2 L^2 - 9 L r - 3 r^2)\, Y_2(r)\, dr

    Raises
    ------
    ConfigError
        Another beta, or L not positive.

    References
    ----------
    Mehta (2004), Random Matrices, chapter 16; Bohigas (1991), Les Houches LII.

    Examples
    --------
    >>> reference_delta3([15.0], beta=0).tolist()
    [1.0]
    """
    _beta(beta)
    values = []
    for length in _lengths(L, np.inf).ravel():
        value = length / 15
        if beta:
            r, weights = _panels(float(length))
            shape = (length - r) ** 3 * (2 * length**2 - 9 * length * r - 3 * r**2)
            value -= float(weights @ (shape * _cluster(r, beta))) / (15 * length**4)
        values.append(value)
    return np.reshape(values, np.shape(L))[()]
