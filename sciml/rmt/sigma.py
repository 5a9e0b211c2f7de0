"""The noise level: from a spectrum in which most eigenvalues are noise, or from what is known to be noise."""

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.signal
import scipy.special
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import positive
from sciml.rmt.laws import MarchenkoPastur
from sciml.rmt.matrix import matrix
from sciml.rmt.shrink import spike_strength
from sciml.rmt.spectrum import Spectrum

__all__ = [
    "EdgeRefit",
    "SigmaEstimate",
    "from_differences",
    "from_high_band",
    "from_noise",
    "known",
    "median_edge_refit",
    "residual_variance",
]

MAX_ITERATIONS = 100  # the count rarely moves more than ten times; a long spectrum of ever new outliers may creep
MAX_CORRECTION = 0.5  # fraction of the noise that components may have removed beyond their own dimensions
LAW_DISTANCE = 0.05  # Kolmogorov-Smirnov; 40 eigenvalues of noise, 20 components removed, are within 0.09 (measured)

SLACK = 0.05  # fraction of many equal components, which repel each other, that may lie below the edge


@dataclass(frozen=True)
class SigmaEstimate:
    """Noise standard deviation of an entry, its standard error, and where it comes from."""

    sigma: float
    standard_error: float
    method: str


@dataclass(frozen=True)
class EdgeRefit(SigmaEstimate):
    """Noise standard deviation of an entry, and the number of eigenvalues above the noise it implies.

    `converged` is False where the estimate broke down and `sigma` is the standard deviation of all entries, signal
    included: an upper bound.
    """

    rank: int
    converged: bool
    iterations: int


def median_edge_refit(spectrum: Spectrum, *, max_rank: int | None = None) -> EdgeRefit:
    r"""Estimate sigma from the median eigenvalue, count what exceeds the noise edge, refit on the rest, repeat.

    With m the short side, n the long one, s_i the m eigenvalues of the scatter matrix X^H X, beta = m / n and mu_beta
    the median of the Marchenko-Pastur law:

    .. math:: \sigma_0^2 = \frac{\mathrm{median}(s)}{n \mu_\beta}, \qquad
              k = \#\{s_i > \sigma^2 (\sqrt{m - k} + \sqrt{n - k})^2\}, \qquad
              \sigma^2 = \frac{\sum_{i > k} s_i}{(m - k)(n - k)(1 - \epsilon)}

    until k repeats; `residual_variance` explains the divisor. Where a third of the eigenvalues are signal, the median
    lies so high that weak components hide each other, and a count of few repeats as well as the right one. So where the
    rest does not follow the Marchenko-Pastur law, that count is taken, of all that repeat, after which it best does.

    Once k runs past `max_rank`, the median itself is signal (noise correlated in time and a spectrum without a gap both
    do this), and no eigenvalue can be trusted to be noise: then sigma² is the mean of the squared entries, k is counted
    once at the edge of that, and `converged` is False.

    Mean over 40 runs of the estimate of sigma = 1, 20 components at 2 to 4 times the detection limit in 60 x 125: 1.000
    (without epsilon .984); for any rank up to a third of the short side and strengths of twice the limit or more, at
    (60, 125), (125, 125), (125, 200), (30, 400), (64, 5000): .997 to 1.010.

    The standard error is that of white noise of known rank: sigma / sqrt(2 (m - k)(n - k)), for complex data divided
    by sqrt(2) once more.

    Parameters
    ----------
    spectrum
        The min(n_features, n_samples) largest eigenvalues, all of them; of demeaned data with n_features >= n_samples
        also the n_samples - 1 that are not zero.
    max_rank
        Largest credible number of signal components; half of the short side if not given.

    Raises
    ------
    DataError
        A number of eigenvalues that does not fit the shape: a partial decomposition has another median.
    ConfigError
        A `max_rank` that leaves no noise.

    References
    ----------
    Gavish and Donoho (2014), doi:10.1109/TIT.2014.2323359, for the median; divisor as in Olesen et al. (2023),
    doi:10.1002/mrm.29478.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = 3.0 * rng.normal(size=(1000, 40)) + 5.0 * np.outer(rng.normal(size=1000), rng.normal(size=40))
    >>> estimate = median_edge_refit(Spectrum(np.linalg.eigvalsh(X.T @ X / 1000), 40, 1000))
    >>> estimate.rank, round(estimate.sigma, 2)
    (1, 3.01)
    """
    m, n = spectrum.sides
    limit = _limit(m, max_rank)
    scatter = spectrum.by_long_side
    rank, iterations, converged = _iterate(scatter, n, limit)
    if converged:
        variance = residual_variance(scatter, n, rank)
        dof = (m - rank) * (n - rank)
    else:
        variance, dof = float(spectrum.values.sum()) / spectrum.n_features, m * n
        rank = _count(scatter, n, variance, 0)
    sigma = float(np.sqrt(variance))
    error = sigma / np.sqrt((4 if spectrum.complex_data else 2) * dof)
    return EdgeRefit(sigma, float(error), "median, edge, refit", rank, converged, iterations)


def _limit(short: int, max_rank: int | None) -> int:
    if max_rank is None:
        return short // 2
    if not 0 <= max_rank < short:
        raise ConfigError(f"expected max_rank from 0 to {short - 1}, got {max_rank}")
    return max_rank


def _iterate(scatter: FloatArray, long: int, limit: int) -> tuple[int, int, bool]:
    """Iterate to a count of outliers that reproduces itself: the count, the number of steps, whether there is one."""
    variance = float(np.median(scatter)) / MarchenkoPastur(scatter.size / long).median()
    rank = 0
    for iteration in range(1, MAX_ITERATIONS + 1):
        found = _count(scatter, long, variance, rank)
        if found > limit:
            return found, iteration, False
        if found == rank and iteration > 1:
            return _masked_outliers(scatter, long, rank, limit), iteration, True
        rank = found
        variance = residual_variance(scatter, long, rank)
    return rank, MAX_ITERATIONS, False


def _masked_outliers(scatter: FloatArray, long: int, rank: int, limit: int) -> int:
    """Return a count of more outliers after which the rest follows the law of noise, if after `rank` it does not."""
    distance = _law_distance(scatter, long, rank)
    limit_of_noise = max(LAW_DISTANCE, 0.63 / np.sqrt(scatter.size))
    if distance < limit_of_noise:
        return rank
    counts = [
        k
        for k in range(rank + 1, limit + 1)
        if abs(_count(scatter, long, residual_variance(scatter, long, k), k) - k) <= SLACK * k
    ]
    distances = [_law_distance(scatter, long, k) for k in counts]
    best = int(np.argmin(distances)) if counts else 0
    return counts[best] if counts and distances[best] < min(2 * limit_of_noise, distance / 1.5) else rank


def _count(scatter: FloatArray, long: int, variance: float, rank: int) -> int:
    """Return how many eigenvalues lie above the upper edge of the noise that `rank` components leave."""
    edge = (np.sqrt(scatter.size - rank) + np.sqrt(long - rank)) ** 2 / long
    return int(np.count_nonzero(scatter > variance * edge))


def _law_distance(scatter: FloatArray, long: int, rank: int) -> float:
    """Return the Kolmogorov-Smirnov distance of all but the `rank` largest values from the law of noise."""
    variance = residual_variance(scatter, long, rank)
    if not variance:
        return 0.0
    rest = scatter[rank:][::-1] * long / (variance * (long - rank))
    level = MarchenkoPastur(rest.size / (long - rank)).cdf(rest)
    steps = np.arange(rest.size + 1) / rest.size
    return float(max((level - steps[:-1]).max(), (steps[1:] - level).max()))


def residual_variance(scatter: FloatArray, long: int, rank: int) -> float:
    r"""Return the noise variance that explains all but the `rank` largest values of descending `scatter`.

    The k components found have absorbed noise from n + m - k of its degrees of freedom, which leaves (m - k)(n - k).
    A component that is not infinitely strong also turns toward the noise and takes more of it: its eigenvalue is
    theta² + (n + m - 2 k) sigma² + (m - k)(n - k) sigma⁴ / theta², whose last term is missing in the rest:

    .. math:: \sigma^2 = \frac{\sum_{i > k} s_i}{(m - k)(n - k)(1 - \epsilon)}, \qquad
              \epsilon = \sum_{i \le k} \frac{\sigma^2}{\theta_i^2}

    with the strength theta of each component from its eigenvalue (Benaych-Georges and Nadakuditi 2012,
    doi:10.1016/j.jmva.2012.04.019, section 3.1, among (m - k) x (n - k) noise), and sigma by fixed point.

    Parameters
    ----------
    scatter
        Eigenvalues of X^H X / long, all of the short side, in descending order.

    Raises
    ------
    DataError
        Values that are negative or not finite.
    ConfigError
        A rank that leaves no noise.

    Examples
    --------
    >>> round(residual_variance(np.array([100.0, 1.2, 1.0, 0.8]), 1000, 1), 3)
    1.001
    """
    m = scatter.size
    if not (np.isfinite(scatter).all() and scatter.min() >= 0):
        raise DataError(
            "expected finite eigenvalues of zero or more; leave out missing samples before the decomposition"
        )
    if not 0 <= rank < m:
        raise ConfigError(f"expected a rank from 0 to {m - 1}, so that noise is left, got {rank}")
    plain = float(scatter[rank:].sum()) * long / ((m - rank) * (long - rank))
    if rank == 0 or plain == 0:
        return plain
    beta, found = (m - rank) / (long - rank), scatter[:rank] * long / (long - rank)

    def refit(variance: float) -> float:
        strength = spike_strength(found / variance, beta, below=np.sqrt(beta))  # theta² / (sigma² (n - k))
        return plain / (1 - min(float((1 / strength).sum()) / (long - rank), MAX_CORRECTION))

    variance = plain
    for _ in range(MAX_ITERATIONS):
        last, variance = variance, refit(variance)
        if abs(variance - last) <= 1e-13 * variance:
            return variance
    # It grows from step to step, ever more slowly where two solutions are about to meet, up to the largest correction.
    highest = plain / (1 - MAX_CORRECTION) * (1 + 1e-9)
    return float(scipy.optimize.brentq(lambda v: refit(v) - v, variance, highest, xtol=1e-14 * plain, rtol=1e-13))


def known(sigma: float, *, standard_error: float = 0.0) -> SigmaEstimate:
    """Return a noise level that is known from the instrument.

    Raises
    ------
    ConfigError
        A sigma that is not positive and finite, or a negative standard error.

    Examples
    --------
    >>> known(2.5, standard_error=0.1).sigma
    2.5
    """
    if not 0 <= standard_error < np.inf:
        raise ConfigError(f"expected a standard error of zero or more, got {standard_error!r}")
    return SigmaEstimate(positive("sigma", sigma), float(standard_error), "known")


def from_noise(X: ArrayLike) -> SigmaEstimate:
    r"""Noise level of frames that hold nothing but noise: before a stimulus, with the shutter closed.

    sigma² is the mean of the features' variances. The samples may be correlated in time: with S the periodogram
    averaged over the p features, :math:`n\, \langle S \rangle^2 / \langle S^2 \rangle` of the n samples
    count as independent (for real data twice that many degrees of freedom, 1 + 1/p taken from the mean square).

    Parameters
    ----------
    X
        (n_samples, n_features), regular in time; each feature is demeaned.

    Raises
    ------
    DataError
        NaN, fewer than two samples, or features that are all constant.

    References
    ----------
    Bartlett (1946), doi:10.2307/2983611, for the variance of a variance of correlated samples.

    Examples
    --------
    >>> estimate = from_noise(3.0 * np.random.default_rng(0).normal(size=(500, 20)))
    >>> round(estimate.sigma, 1), round(estimate.standard_error, 3)
    (3.0, 0.021)
    """
    data = _samples(X, 2)
    n, p = data.shape
    variance = float(np.mean(np.abs(data) ** 2)) * n / (n - 1)
    if variance == 0:
        raise DataError("expected noise, got features that are all constant")
    # In units of sigma, so that no square of a square leaves the range of a float.
    power = np.mean(np.abs(np.fft.fft(data / np.sqrt(variance), axis=0)) ** 2, axis=1)[1:]
    spread = max(1.0, float(np.mean(power**2) / np.mean(power) ** 2) / (1 + 1 / p))
    dof = (n - 1) * p / spread
    return _estimate(variance, (1 if np.iscomplexobj(data) else 2) / dof, "noise-only samples")


def from_high_band(X: ArrayLike, *, low: float = 0.25, n_segment: int = 256) -> SigmaEstimate:
    r"""Noise level from the upper band of the power spectrum, for signals that are slow and noise that is white.

    Welch spectra P (Hann windows, half overlapping) between `low` and half a cycle a sample, in each feature

    .. math:: \sigma^2 = \exp \langle \log P \rangle \cdot K e^{-\psi(K)}

    with K the equivalent number of independent segments (Welch 1967): the mean logarithm of an average of K
    periodograms is low by psi(K) - log K. The logarithm lets a few lines (mains, pixel clocks) count for little. sigma²
    is the mean over features.

    Parameters
    ----------
    X
        (n_samples, n_features), regular in time, real or complex.
    low
        Lower end of the band, in cycles a sample.
    n_segment
        Samples of a segment; no more than there are.

    Raises
    ------
    DataError
        NaN, or fewer than 16 samples.
    ConfigError
        `low` outside (0, .5), or a band without a frequency.

    References
    ----------
    Welch (1967), doi:10.1109/TAU.1967.1161901.

    Examples
    --------
    >>> time = np.arange(5000)[:, None]
    >>> X = np.random.default_rng(0).normal(size=(5000, 10)) + 20 * np.sin(2 * np.pi * time / 300)
    >>> round(from_high_band(X).sigma, 2), round(float(X.std()), 1)
    (1.0, 14.1)
    """
    if not 0 < low < 0.5:
        raise ConfigError(f"expected the lower end of the band between 0 and 0.5 cycles a sample, got {low!r}")
    data = _samples(X, 16)
    length = min(int(n_segment), data.shape[0])
    window = scipy.signal.get_window("hann", length)
    unit = np.maximum(np.abs(data).max(axis=0), np.finfo(float).tiny)
    frequency, power = scipy.signal.welch(data / unit, nperseg=length, axis=0, return_onesided=False)
    band = (np.abs(frequency) >= low) & (np.abs(frequency) < 0.5)
    if not np.iscomplexobj(data):
        band &= frequency > 0  # the other half is the same
    if not band.any():
        raise ConfigError(
            f"expected a band with frequencies in it, got none above {low} in segments of {length} samples"
        )
    n_averages, n_bins = _averages(window, data.shape[0]), np.count_nonzero(band) / _bin_correlation(window)
    varying = (power[band] > 0).all(axis=0)  # a constant feature has no noise
    levels = np.zeros(data.shape[1])
    bias = np.log(n_averages) - scipy.special.digamma(n_averages)
    levels[varying] = np.exp(np.log(power[:, varying][band]).mean(axis=0) + bias) * unit[varying] ** 2
    relative = scipy.special.polygamma(1, n_averages) / n_bins
    effective_fraction = (
        float(np.sum((levels / levels.max()) ** 2) / np.sum(levels / levels.max()) ** 2) if varying.any() else 1.0
    )
    return _estimate(float(levels.mean()), float(relative) * effective_fraction, "high band of the power spectrum")


def from_differences(X: ArrayLike) -> SigmaEstimate:
    r"""Noise level from differences of neighboring samples, for signals that are slow and noise that is white.

    .. math:: \sigma^2 = \tfrac12 \langle |x_{t+1} - x_t|^2 \rangle

    variance less autocovariance at lag one. The differences of white noise overlap, which leaves the mean square a
    variance of 3 sigma⁴ / n for real data and half of that for complex.

    Parameters
    ----------
    X
        (n_samples, n_features), regular in time.

    Raises
    ------
    DataError
        NaN, or fewer than two samples.

    References
    ----------
    von Neumann (1941), doi:10.1214/aoms/1177731677.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(5000, 10)) + 20 * np.sin(np.arange(5000) / 100)[:, None]
    >>> round(from_differences(X).sigma, 2)
    1.0
    """
    data = _samples(X, 2)
    step = np.diff(data, axis=0)
    levels = np.mean(np.abs(step) ** 2, axis=0) / 2
    largest = levels.max() or 1.0
    effective_fraction = float(np.sum((levels / largest) ** 2) / max(np.sum(levels / largest) ** 2, 1.0))
    factor = 1.5 if np.iscomplexobj(data) else 3.0
    return _estimate(float(levels.mean()), factor / step.shape[0] * effective_fraction, "differences of neighbors")


def _samples(X: ArrayLike, at_least: int) -> AnyArray:
    """Return demeaned samples."""
    data = matrix("samples", X)
    if data.shape[0] < at_least:
        raise DataError(f"expected at least {at_least} samples (rows), got {data.shape[0]}")
    demeaned: AnyArray = data - data.mean(axis=0)
    return demeaned


def _estimate(variance: float, relative: float, method: str) -> SigmaEstimate:
    """Return sigma for a variance with relative variance `relative`."""
    sigma = float(np.sqrt(variance))
    return SigmaEstimate(sigma, sigma * float(np.sqrt(relative)) / 2, method)


def _averages(window: FloatArray, n_samples: int) -> float:
    """Return the equivalent number of independent segments, half overlapping."""
    step = window.size - window.size // 2
    count = (n_samples - window.size) // step + 1
    shared = float(window[step:] @ window[: window.size - step] / (window @ window)) ** 2
    return count / (1 + 2 * (count - 1) / count * shared)


def _bin_correlation(window: FloatArray) -> float:
    """Return how many neighboring frequencies count as one, the sum of their correlations."""
    power = np.abs(np.fft.fft(window**2)) ** 2
    return float(power.sum() / power[0])
