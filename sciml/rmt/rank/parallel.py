"""Rules that look at the data and not only at their spectrum: parallel analysis, and tests after equalizing."""

from typing import Any, Literal, get_args

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.rmt import scaling
from sciml.rmt.edges import EdgeLaw, heteroscedastic, white
from sciml.rmt.matrix import gram_eigenvalues, matrix
from sciml.rmt.rank.surrogates import LEAST, Kind, surrogate_test
from sciml.rmt.rank.tests import UNCORRELATED, RankEstimate, level, sequential

__all__ = ["Deterministic", "biwhitened", "deterministic_parallel_analysis", "dyson", "parallel_analysis"]

Deterministic = Literal["dpa", "ddpa", "ddpa+"]

STATIONARY = "noise is stationary"
SYMMETRIC = "noise is as often above as below zero"
CONSTANT = "the noise of a channel does not change in time"
SEPARABLE = "the noise variance is a factor of the row times a factor of the column"
VARIANCE = "the noise variance follows from the mean as stated"

NULLS: dict[Kind, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "sign_flip": ("sign-flip parallel analysis", (UNCORRELATED, SYMMETRIC), ()),
    "phase": ("phase-randomized parallel analysis", (STATIONARY,), ()),
    "permutation": (
        "permutation parallel analysis",
        (UNCORRELATED, CONSTANT),
        ("permutation destroys correlation in time",),
    ),
}


def parallel_analysis(
    X: ArrayLike,
    *,
    kind: Kind = "sign_flip",
    rng: np.random.Generator,
    n_draws: int = 199,
    alpha: float = 0.05,
    max_rank: int | None = None,
) -> RankEstimate:
    """Count components that exceed those of surrogates (`surrogates.surrogate_test`).

    Raises
    ------
    DataError, ConfigError
        As `surrogates.surrogate_test`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> X = np.diff(rng.normal(size=(301, 8)), axis=0)
    >>> parallel_analysis(X, kind="phase", rng=rng, n_draws=39).rank
    0
    """
    test = surrogate_test(X, kind=kind, rng=rng, n_draws=n_draws, alpha=alpha, max_rank=max_rank)
    rule, assumes, warnings = NULLS[kind]
    resolution = f"p-values from {n_draws} draws, none below {test.resolution:.2g}"
    if test.rank == len(test.p_values):
        warnings = (*warnings, f"the search ended at its bound of {test.rank}, all found")
    return RankEstimate(
        rule=rule,
        rank=test.rank,
        threshold=test.threshold,
        p_values=test.p_values,
        assumes=assumes,
        warnings=(*warnings, resolution),
    )


def deterministic_parallel_analysis(
    X: ArrayLike, *, method: Deterministic = "ddpa+", alpha: float | None = None, slack: bool = False
) -> RankEstimate:
    r"""Compare with the largest eigenvalue of independent noise that has the variances of the features of the data.

    With t the mean squares of the p features and gamma = p / n_samples, noise ends at

    .. math:: u = \min_{-1 / \max t < v < 0} \Big[-\frac1v + \gamma \Big\langle \frac{t}{1 + t v} \Big\rangle\Big]

    - `dpa`: keep every eigenvalue above u. Strong components raise t, and may hide weaker ones.
    - `ddpa`: keep the largest if above u, take it out, and repeat with the t of the rest.
    - `ddpa+`: as `ddpa`, but keep what improves a reconstruction, lam < 4 l c² c~², with the strength l and the
      overlaps c, c~ of the component from the other eigenvalues (OptShrink).

    Parameters
    ----------
    X
        (n_samples, n_features), demeaned by whoever calls.
    alpha
        For `dpa` and `ddpa`, the Tracy-Widom quantile of the edge in place of u itself (`edges.heteroscedastic`); the
        result then has p-values, and components found do not lower the t of the rest.
    slack
        u times 1 + 3 tau, with tau = (n^{-1/2} + p^{-1/2})^{1/3} / (sqrt(n) + sqrt(p)), the width of the edge.

    Raises
    ------
    DataError
        Not a matrix of finite numbers.
    ConfigError
        An unknown method, or alpha with `ddpa+` or outside (0, 1).

    References
    ----------
    Dobriban and Owen (2019), doi:10.1111/rssb.12301, sections 2 to 4.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.linspace(1, 4, 30) * rng.normal(size=(300, 30)) + 2 * np.outer(rng.normal(size=300), np.ones(30))
    >>> [deterministic_parallel_analysis(X, method=name, slack=True).rank for name in ("dpa", "ddpa", "ddpa+")]
    [1, 1, 1]
    """
    if method not in get_args(Deterministic):
        raise ConfigError(f"expected a method of {', '.join(get_args(Deterministic))}, got {method!r}")
    if alpha is not None and method == "ddpa+":
        raise ConfigError("expected no alpha with ddpa+, which is no test; use dpa or ddpa")
    data = matrix("data", X)
    n = data.shape[0]
    _, s, Vh = scipy.linalg.svd(data, full_matrices=False, check_finite=False)
    values = s**2 / n
    weak = np.abs(Vh) ** 2  # fraction of a feature in each component
    complex_data = np.iscomplexobj(data)

    def law_at(j: int) -> EdgeLaw:
        variances = values[j:] @ weak[j:]
        if alpha is not None:  # what the components found took of each feature's noise, as in `surrogates`
            variances = variances / np.maximum(1 - weak[:j].sum(axis=0), LEAST) * n / (n - j)
        if not variances.any():
            return EdgeLaw(0.0, 0.0, 1)
        # Without an alpha the plain edge, which has no half shifts, is asked for.
        return heteroscedastic(variances, n, complex_data=complex_data or alpha is None)

    if method == "ddpa+":
        return _ddpa_plus(values, data.shape, law_at, slack=slack)
    if alpha is not None:
        first = law_at(0)
        laws = (lambda _: first) if method == "dpa" else law_at
        rank, p_values, law = sequential(values, laws, level(alpha))
        threshold = law.threshold(alpha)
        return _deterministic(method, rank, threshold, p_values)
    factor = _slack(*data.shape) if slack else 1.0
    rank = 0
    threshold = law_at(0).center * factor
    while rank < values.size and values[rank] > threshold:
        rank += 1
        if method == "ddpa" and rank < values.size:
            threshold = law_at(rank).center * factor
    return _deterministic(method, rank, threshold, None)


def _slack(n: int, p: int) -> float:
    return float(1 + 3 * (n**-0.5 + p**-0.5) ** (1 / 3) / (np.sqrt(n) + np.sqrt(p)))


def _deterministic(method: Deterministic, rank: int, threshold: float, p_values: FloatArray | None) -> RankEstimate:
    warnings = {
        "dpa": ("strong components may hide weaker ones",),
        "ddpa": (),
        "ddpa+": ("it leaves out components too weak to improve a reconstruction",),
    }
    return RankEstimate(
        rule="deterministic parallel analysis" if method == "dpa" else f"deterministic parallel analysis ({method})",
        rank=rank,
        threshold=float(threshold),
        p_values=p_values,
        assumes=(UNCORRELATED, CONSTANT),
        warnings=warnings[method],
        detects=method != "ddpa+",
    )


def _ddpa_plus(values: FloatArray, sides: tuple[int, int], law_at: Any, *, slack: bool) -> RankEstimate:
    n, p = sides
    factor = _slack(n, p) if slack else 1.0
    rank, threshold = 0, law_at(0).center * factor
    while rank < values.size - 1 and values[rank] > threshold and _worth_keeping(values, rank, sides):
        rank += 1
        threshold = law_at(rank).center * factor
    return _deterministic("ddpa+", rank, threshold, None)


def _worth_keeping(values: FloatArray, k: int, sides: tuple[int, int]) -> bool:
    """Return whether lam < 4 l c² c~² for the k-th eigenvalue, the later ones being noise."""
    n, p = sides
    gamma, lam = p / n, values[k]
    if values[k + 1] >= lam:
        return False
    # In units of lam, zeros of the long side included in the mean over all p.
    noise = np.zeros(max(p - k - 1, 1))
    noise[: min(values.size - k - 1, noise.size)] = (values[k + 1 :] / lam)[: noise.size]
    m, m_slope = np.mean(1 / (noise - 1)), np.mean(1 / (noise - 1) ** 2)
    v, v_slope = gamma * m - (1 - gamma), gamma * m_slope + (1 - gamma)
    transform = m * v
    slope = transform + m_slope * v + m * v_slope
    strength = 1 / transform
    return bool(4 * m * v / (slope**2 * strength) > 1)


def dyson(X: ArrayLike, *, alpha: float = 0.05) -> RankEstimate:
    """Test for components after rows and columns were scaled to equal noise (`scaling.dyson_equalize`).

    `threshold` is in the units of the scaled data.

    Raises
    ------
    DataError, ConfigError
        As `scaling.dyson_equalize`; alpha outside (0, 1).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.linspace(1, 4, 30) * rng.normal(size=(300, 30)) + 2 * np.outer(rng.normal(size=300), np.ones(30))
    >>> dyson(X).rank
    1
    """
    equalized = scaling.dyson_equalize(X)
    return _equalized_test("Dyson equalizer", equalized, alpha, (UNCORRELATED, SEPARABLE))


def biwhitened(
    Y: ArrayLike, *, variance: ArrayLike | Literal["quadratic"] | None = None, alpha: float = 0.05
) -> RankEstimate:
    """Test for components after biwhitening (`scaling.biwhiten`): counts, or any stated variance.

    The mean over all entries is one of the components. `threshold` is in the units of the scaled data.

    Raises
    ------
    DataError, ConfigError
        As `scaling.biwhiten`; alpha outside (0, 1).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> biwhitened(rng.poisson(5.0 * rng.gamma(2.0, size=(100, 1)) * rng.gamma(2.0, size=300))).rank
    1
    """
    equalized = scaling.biwhiten(Y, variance)
    return _equalized_test("biwhitening", equalized, alpha, (UNCORRELATED, VARIANCE))


def _equalized_test(rule: str, equalized: scaling.Equalized, alpha: float, assumes: tuple[str, ...]) -> RankEstimate:
    n, p = equalized.scaled.shape
    complex_data = np.iscomplexobj(equalized.scaled)
    values = gram_eigenvalues(equalized.scaled) / n

    def law_at(j: int) -> EdgeLaw:
        left = white(max(p - j, 1), max(n - j, 1), complex_data=complex_data)
        ratio = max(n - j, 1) / n
        return EdgeLaw(left.center * ratio, left.scale * ratio, left.beta)

    rank, p_values, law = sequential(values, law_at, level(alpha))
    dropped = len(equalized.dropped_rows), len(equalized.dropped_columns)
    warnings = (f"{dropped[0]} rows and {dropped[1]} columns were left out",) if any(dropped) else ()
    return RankEstimate(
        rule=rule,
        rank=rank,
        threshold=law.threshold(alpha),
        p_values=p_values,
        sigma=1.0,
        assumes=assumes,
        warnings=warnings,
    )
