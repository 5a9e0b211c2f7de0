"""How many eigenvalues are more than noise: tests with p-values, one result type for all rules, and their consensus."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.rmt import checks
from sciml.rmt import sigma as noise_level
from sciml.rmt.checks import positive
from sciml.rmt.edges import EdgeLaw, colored, ratio_tail, scatter_edges, white
from sciml.rmt.shrink import spike_strength
from sciml.rmt.sigma.batch import MAX_ITERATIONS
from sciml.rmt.spectrum import Spectrum

__all__ = [
    "Consensus",
    "RankEstimate",
    "WhiteTest",
    "colored_test",
    "consensus",
    "kritchman_nadler",
    "marchenko_pastur",
    "white_test",
]


EQUAL = "every channel has the same noise variance"
UNCORRELATED = "noise is not correlated in time"
CERTAIN = -9.0  # standardized value that the largest of noise exceeds, but for a probability of 1e-16
FEW = "less than half of the spectrum is signal"
COMMON = "all channels share the noise spectrum that was given"


@dataclass(frozen=True, kw_only=True)
class RankEstimate:
    """How many components a rule finds, and what it takes for granted.

    `threshold` is in the units of the eigenvalues: what the next component would have to exceed. `p_values` belong to
    the eigenvalues in descending order and never fall; None for a rule without. `assumes` are sentences, each of which
    must be true of the noise. `detects` is False for a rule that keeps what improves a reconstruction: it leaves out
    components that are there but too weak for that.
    """

    rule: str
    rank: int
    threshold: float
    p_values: FloatArray | None = None
    sigma: float | None = None
    assumes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    detects: bool = True


@dataclass(frozen=True, kw_only=True)
class WhiteTest(RankEstimate):
    """Which eigenvalues are more than white noise.

    `law` is that of the largest noise eigenvalue after removing the `rank` found ones, in units of sigma². `converged`
    is False where more than half of the spectrum stands out: sigma is then that of all entries, an upper bound.
    """

    p_values: FloatArray
    sigma: float
    standard_error: float
    law: EdgeLaw
    converged: bool


def white_test(spectrum: Spectrum, *, alpha: float = 0.05, lowered: float = 0.0) -> WhiteTest:
    r"""Test each eigenvalue of X^H X / n_samples as the largest of what white noise is left.

    With m the short side and n the long one, and k candidates above the plain bulk edge
    (`sigma.median_edge_refit`), the j-th eigenvalue s_j of X^H X is compared with the largest of white noise of
    m - j + 1 by n - j + 1 entries and variance

    .. math:: \sigma_j^2 = \frac{s_j + \sum_{i > k} s_i}{(m - k + 1)(n - k + 1)(1 - \epsilon)} \quad (j \le k)

    One noise matrix in six exceeds the plain edge. The refitted sigma leaves out exactly the values in question, and
    would call 11 % of pure noise a signal at the 5 % level; so each candidate counts as noise in the variance that it
    is tested with, while the other candidates, which could hide it, do not. A value that is part of its own yardstick
    scatters less: `edges.TraceRatioLaw`. epsilon is what the other candidates have taken (`sigma.residual_variance`).

    Parameters
    ----------
    spectrum
        All nonzero eigenvalues, as for `sigma.median_edge_refit`.
    alpha
        Probability with which pure noise is given a component.
    lowered
        Relative amount by which the largest noise eigenvalue lies below that of white noise, 0 or more: where rows and
        columns were scaled to equal mean square, which takes from it.

    Raises
    ------
    DataError, ConfigError
        As `sigma.median_edge_refit`.

    References
    ----------
    Johnstone (2001), doi:10.1214/aos/1009210544; Nadler (2011), doi:10.1016/j.jmva.2010.10.005; sequential form after
    Kritchman and Nadler (2009), doi:10.1109/TSP.2009.2022897.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 40)) + 0.5 * np.outer(rng.normal(size=1000), rng.normal(size=40))
    >>> white_test(Spectrum(np.linalg.eigvalsh(X.T @ X / 1000), 40, 1000)).rank
    1
    """
    level(alpha)
    complex_data = spectrum.complex_data
    estimate = noise_level.median_edge_refit(spectrum)
    scatter = spectrum.values * spectrum.n_samples
    short, long = spectrum.sides
    candidates = estimate.rank if estimate.converged else 0
    removed = np.arange(short)
    center, scale = scatter_edges(short - removed, long - removed, complex_data=complex_data)
    variance = _tested_variances(scatter, long, candidates)
    left = np.maximum(candidates - (removed < candidates), 0)
    dof = (2 if complex_data else 1) * (short - left) * (long - left)
    # Data without noise have no yardstick: what is not zero is signal.
    ratio = np.divide(scatter * (1 + lowered), variance, out=np.full(short, np.inf), where=variance > 0)
    ratio[scatter == 0] = 0.0
    beta: Literal[1, 2] = 2 if complex_data else 1
    z, kappa, tail = np.minimum((ratio - center) / scale, 1e6), (center / scale) ** 2 / dof, np.ones(short)
    near = z > CERTAIN
    tail[near] = ratio_tail(z[near], kappa[near], beta)
    p_values = np.maximum.accumulate(tail)
    rank = int(np.count_nonzero(p_values < alpha))
    return _white_result(spectrum, p_values, rank, estimate, alpha, lowered)


def _tested_variances(scatter: FloatArray, long: int, candidates: int) -> FloatArray:
    """Return the noise variance for each eigenvalue, itself counted as noise and the other candidates not."""
    short = scatter.size
    shared = noise_level.residual_variance(scatter / long, long, candidates)
    variance = np.full(short, shared)
    for j in range(candidates):
        others = np.concatenate([scatter[:j], scatter[j + 1 : candidates], scatter[j : j + 1], scatter[candidates:]])
        variance[j] = noise_level.residual_variance(others / long, long, candidates - 1)
    return variance


def _white_result(
    spectrum: Spectrum, p_values: FloatArray, rank: int, estimate: noise_level.EdgeRefit, alpha: float, lowered: float
) -> WhiteTest:
    """Gather the result; the noise level is that of all but the components found."""
    short, long = spectrum.sides
    complex_data, n_samples = spectrum.complex_data, spectrum.n_samples
    scatter = spectrum.values * n_samples
    out = rank if estimate.converged else 0
    dof = (short - out) * (long - out)
    variance = noise_level.residual_variance(scatter / long, long, out)
    sigma = float(np.sqrt(variance))
    noise = white(short - out, long - out, complex_data=complex_data)
    unit = (long - out) / n_samples / (1 + lowered)
    law = EdgeLaw(noise.center * unit, noise.scale * unit, noise.beta)
    warnings = () if estimate.converged else ("more than half of the spectrum stands out: the noise is not white",)
    return WhiteTest(
        rule="white test",
        rank=rank,
        threshold=law.threshold(alpha) * variance,
        p_values=p_values,
        sigma=sigma,
        assumes=(EQUAL, UNCORRELATED, FEW),
        warnings=warnings,
        standard_error=sigma / float(np.sqrt((4 if complex_data else 2) * dof)),
        law=law,
        converged=estimate.converged,
    )


def colored_test(spectrum: Spectrum, psd: ArrayLike, *, alpha: float = 0.05) -> RankEstimate:
    """Test each eigenvalue of X^H X / n_samples against noise of a known power spectrum, the same in all channels.

    The j-th is compared with the largest of n_features - j + 1 channels (`edges.colored`), until one is not larger.

    Parameters
    ----------
    psd
        As for `edges.colored`: two-sided, with mean equal to the noise variance of a channel.

    Raises
    ------
    DataError, ConfigError
        As `edges.colored`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> walk = np.cumsum(rng.normal(size=(1020, 30)), axis=0)
    >>> X = walk[20:] - walk[:-20]  # moving sums of 20 white samples
    >>> spectrum = Spectrum(np.linalg.eigvalsh(X.T @ X / 1000), 30, 1000)
    >>> psd = np.abs(np.fft.fft(np.ones(20), 1000)) ** 2
    >>> colored_test(spectrum, psd).rank, white_test(spectrum).rank > 0
    (0, True)
    """
    level(alpha)
    p, n = spectrum.n_features, spectrum.n_samples
    density = checks.spectrum("power spectrum", psd)

    def law_at(j: int) -> EdgeLaw:
        return colored(density, max(p - j, 1), n, complex_data=spectrum.complex_data)

    rank, p_values, law = sequential(spectrum.values, law_at, alpha)
    return RankEstimate(
        rule="colored test",
        rank=rank,
        threshold=law.threshold(alpha),
        p_values=p_values,
        sigma=float(np.sqrt(density.mean())),
        assumes=(COMMON,),
    )


def kritchman_nadler(spectrum: Spectrum, *, alpha: float = 0.005) -> RankEstimate:
    r"""Roy's largest root, one component after the other, with the bias of the noise level taken out.

    The k-th eigenvalue is signal if it exceeds the Tracy-Widom quantile of white noise of p - k features and n samples
    (short and long side here) with variance

    .. math:: \sigma^2 = \frac{1}{p - k} \Big(\sum_{j > k} \lambda_j + \sum_{j \le k} (\lambda_j - \rho_j)\Big), \quad
              2 \rho_j = a_j + \sqrt{a_j^2 - 4 \lambda_j \sigma^2}, \quad
              a_j = \lambda_j + \sigma^2 - \sigma^2 \frac{p - k}{n}

    solved by fixed point. The quantile is exact (2.4223 at .005), not the asymptotic 2.9277 of the published program.

    The value in question is left out of its own yardstick, which makes the rule find too much in small samples: 13 % of
    real noise of (p, n) = (30, 150) at alpha = .05 (150 draws). `white_test` has its level.

    Raises
    ------
    DataError, ConfigError
        As `sigma.median_edge_refit`.

    References
    ----------
    Kritchman and Nadler (2008), doi:10.1016/j.chemolab.2008.06.002; (2009), doi:10.1109/TSP.2009.2022897.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 40)) + 0.5 * np.outer(rng.normal(size=1000), rng.normal(size=40))
    >>> kritchman_nadler(Spectrum(np.linalg.eigvalsh(X.T @ X / 1000), 40, 1000)).rank
    1
    """
    level(alpha)
    values, short, long, unit = short_side(spectrum)

    def law_at(j: int) -> EdgeLaw:
        k = min(j + 1, short - 1)
        variance = _kritchman_nadler_variance(values, long, k) if short > 1 else float(values[0])
        noise = white(max(short - k, 1), long, complex_data=spectrum.complex_data)
        return EdgeLaw(noise.center * variance, noise.scale * variance, noise.beta)

    rank, p_values, law = sequential(values, law_at, alpha)
    sigma = np.sqrt(_kritchman_nadler_variance(values, long, min(rank, short - 1)))
    return RankEstimate(
        rule="Kritchman-Nadler",
        rank=rank,
        threshold=law.threshold(alpha) * unit,
        p_values=p_values,
        sigma=float(sigma),
        assumes=(EQUAL, UNCORRELATED),
    )


def _kritchman_nadler_variance(values: FloatArray, n: int, k: int) -> float:
    p = values.size
    rest, gamma = float(values[k:].sum()), (p - k) / n

    def refit(variance: float) -> float:
        if variance <= 0:
            return rest / (p - k)
        relative = values[:k] / variance
        below = (relative - 1 - gamma) / 2  # the real part of the two solutions
        rho = variance * (1 + spike_strength(relative, gamma, below=below))
        return (rest + float((values[:k] - rho).sum())) / (p - k)

    variance = rest / ((p - k) * (1 - k / n))
    for _ in range(MAX_ITERATIONS):
        last, variance = variance, refit(variance)
        if abs(variance - last) <= 1e-12 * variance:
            return variance
    # Where most values are components the steps overshoot. A solution lies between no noise and nothing but noise.
    highest = float(values.sum()) / (p - k) * (1 + 1e-9)
    return float(scipy.optimize.brentq(lambda v: refit(v) - v, 0.0, highest, xtol=1e-14 * highest, rtol=1e-12))


def marchenko_pastur(spectrum: Spectrum, *, sigma: float | None = None) -> RankEstimate:
    r"""Count what exceeds the Marchenko-Pastur edge :math:`\sigma^2 (1 + \sqrt\gamma)^2`.

    Without a level of its own it takes sigma² as the mean square of all entries. No test: one noise matrix in six has a
    value beyond the edge.

    Raises
    ------
    DataError, ConfigError
        As `sigma.median_edge_refit`; a sigma that is not positive.

    Examples
    --------
    >>> marchenko_pastur(Spectrum([6.0, 1.0, 0.5, 0.5], 4, 16), sigma=1.0).threshold
    2.25
    """
    values, short, long, unit = short_side(spectrum)
    if sigma is None:
        variance = float(values.sum()) / min(spectrum.n_features, spectrum.n_samples)
    else:
        variance = positive("sigma", sigma) ** 2
    threshold = variance * (1 + np.sqrt(short / long)) ** 2
    return RankEstimate(
        rule="Marchenko-Pastur edge",
        rank=int(np.count_nonzero(values > threshold)),
        threshold=float(threshold * unit),
        sigma=float(np.sqrt(variance)),
        assumes=(EQUAL, UNCORRELATED, *(("signal adds little to the variance",) if sigma is None else ())),
        warnings=("the plain edge is exceeded by one noise matrix in six",),
    )


@dataclass(frozen=True)
class Consensus:
    """What several rules make of one recording.

    `rank` is the recommended one. `agree` and `disagree` name rules; `reasons` says for each that disagrees why.
    """

    rank: int
    agree: tuple[str, ...]
    disagree: tuple[str, ...]
    reasons: tuple[str, ...]


def consensus(estimates: Iterable[RankEstimate]) -> Consensus:
    """Weigh rules by what they take for granted, and say why those that disagree do.

    A rule that is wrong about the noise finds too many or too few components, however many such rules there are: so
    they are not counted. The rules that assume least decide, and of those the lower median: noise of a kind that was
    not expected adds components rather than hiding them. Rules that do not mean to detect (`RankEstimate.detects`)
    decide only among themselves.

    Raises
    ------
    ConfigError
        No estimates.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 40)) * np.linspace(1, 4, 40)
    >>> spectrum = Spectrum(np.linalg.eigvalsh(X.T @ X / 1000), 40, 1000)
    >>> white, known = white_test(spectrum), RankEstimate(rule="frames", rank=0, threshold=30.0, assumes=())
    >>> found = consensus([white, known])
    >>> found.rank, found.disagree
    (0, ('white test',))
    """
    given = list(estimates)
    if not given:
        raise ConfigError("expected at least one rank estimate, got none")
    able = [one for one in given if one.detects] or given
    fewest = min(len(one.assumes) for one in able)
    least = [one for one in able if len(one.assumes) == fewest]
    rank = sorted(one.rank for one in least)[(len(least) - 1) // 2]
    agree = [one for one in given if one.rank == rank]
    common = set.intersection(*(set(one.assumes) for one in agree))
    disagree = [one for one in given if one.rank != rank]
    return Consensus(
        rank=rank,
        agree=tuple(one.rule for one in agree),
        disagree=tuple(one.rule for one in disagree),
        reasons=tuple(_reason(one, common) for one in disagree),
    )


def _reason(one: RankEstimate, common: set[str]) -> str:
    extra = [sentence for sentence in one.assumes if sentence not in common]
    why = "it assumes that " + ", and that ".join(extra) if extra else "it has another power or level"
    return f"{one.rule} finds {one.rank}: {why}" + "".join(f"; {warning}" for warning in one.warnings)


def level(alpha: float) -> float:
    """Return alpha if it is a probability of an error."""
    if not 0 < alpha < 1:
        raise ConfigError(f"expected alpha between 0 and 1, got {alpha!r}")
    return alpha


def short_side(spectrum: Spectrum) -> tuple[FloatArray, int, int, float]:
    """Return eigenvalues on the short side (divided by the long one), both sides, and the unit that leads back."""
    short, long = spectrum.sides
    return spectrum.by_long_side, short, long, long / spectrum.n_samples


def sequential(values: FloatArray, law_at: Callable[[int], EdgeLaw], alpha: float) -> tuple[int, FloatArray, EdgeLaw]:
    """Test values one by one; after the first that noise explains, the rest is compared with the same law."""
    p_values = np.ones(values.size)
    for j, value in enumerate(values):
        law = law_at(j)
        if law.scale <= 0:  # no noise at all
            p_values[j] = float(value <= 0)
        else:
            p_values[j] = law.p_value(value)
        if p_values[j] >= alpha:
            p_values[j:] = law.p_value(values[j:]) if law.scale > 0 else 1.0
            break
    p_values = np.maximum.accumulate(p_values)
    return int(np.count_nonzero(p_values < alpha)), p_values, law
