"""From the periodograms of the noise to its variance profile: channels by frequency, as fine as the data are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import scipy.special
from numpy.typing import NDArray

from sciml.rmt.profile import VarianceProfile
from sciml.signal.correlation import correlation_samples

__all__ = ["NoiseSpectra", "noise_spectra"]

Array = NDArray[np.float64]

LEAST_KEPT = 0.05  # of a frequency, beside courses that take all of it
SHARPEST = 3.0  # beside courses that take more than 3/4, what is left of a frequency is mostly others'
WIDEST_BIN = 64
MAX_GROUPS = 160  # of channels; beyond, those of similar spectrum share one


@dataclass(frozen=True)
class NoiseSpectra:
    """Power of the noise in bins of frequency: `power` (bin, channel), in units of each channel's noise variance.

    Bins begin at the frequencies `starts`; `sizes` says how many dimensions of time each stands for and `degrees` how
    many squared normal values each of its powers averages, `left` how much of each channel is noise (beside components
    that were taken out), `pooled` is the average over channels at each single frequency. `coarse` is what is left of
    the power in a few fixed bands.

    The courses of those components took dimensions of time from the noise, and with them the share `lost` of its power;
    `excess` is by how much more unequal those that remain are: sum x² / (sum x)² of their variances less that of all.
    """

    power: Array
    starts: NDArray[np.int64]
    sizes: Array
    degrees: Array
    left: Array
    pooled: Array
    coarse: Array
    coarse_sizes: Array
    coarse_degrees: Array
    lost: float
    excess: float

    @property
    def pooled_bins(self) -> Array:
        """The spectrum averaged over channels, one value a bin."""
        return np.asarray(self.power @ self.left / self.left.sum())

    @property
    def tau(self) -> float:
        """How many samples of the noise are worth one (`sciml.signal.correlation.correlation_samples`)."""
        return correlation_samples(self.pooled_bins, self.sizes)

    @property
    def known(self) -> Array:
        """Share of each channel's samples that its noise is known from, beside the components.

        The variance of its square is that of maximum likelihood (Lawley and Maxwell 1971, Factor Analysis as a
        Statistical Method, chapter 4): 2 / T times the inverse of the squared elements of I - U U^H.
        """
        return self.left**2 * (1 - self.lost)

    def profile(self, freedom: int, *, common: bool) -> VarianceProfile:
        """Return the variance profile over `freedom` samples; `common` takes one spectrum for all channels."""
        rows = self.sizes * (freedom / self.sizes.sum())
        single = self.pooled_bins[:, None], np.array([self.left.sum()])
        power, counts = single if common else _grouped(self.power, self.left)
        return VarianceProfile(power, row_counts=rows, column_counts=counts)

    def scatter(self, *, common: bool) -> Array:
        """Return the relative variance by chance of each channel's mean power, were the values real.

        For d dimensions of time of power S it is 2 sum(d S²) / sum(d S)²; `common` takes the spectrum of all channels.
        Of one channel, powers that average m squared normal values stand for S: their squares are too large by 1 + 2/m.
        """
        if common:
            return np.full(self.power.shape[1], 2 * self.tau / self.sizes.sum())
        squares = self.power**2 / (1 + 2 / self.degrees[:, None])
        return np.asarray(2 * (self.sizes @ squares) / (self.sizes @ self.power) ** 2)

    def p_equal(self) -> float:
        r"""Return the p-value of the hypothesis that all channels have one spectrum up to scale.

        With x the power of a channel in a fixed band over the pooled one, a mean of m squared normal values, the
        deviance m (x - 1 - log x) has a known mean and variance; summed over channels and bands it is normal.
        """
        pooled = self.coarse @ self.left / self.left.sum()
        relative = self.coarse / np.maximum(pooled[:, None], np.finfo(float).tiny)
        relative = relative / np.average(relative, axis=0, weights=self.coarse_sizes)
        return _deviance_p_value(relative, self.coarse_degrees)

    def p_white(self) -> float:
        """Return the p-value of the hypothesis that no channel, and not their average, is colored."""
        sizes = self.coarse_degrees
        each = self.coarse / np.average(self.coarse, axis=0, weights=self.coarse_sizes)
        pooled = each @ self.left / self.left.sum()
        together = _deviance_p_value(pooled[:, None], sizes * self.left.sum())
        return min(1.0, 2 * min(_deviance_p_value(each, sizes), together))


def _deviance_p_value(relative: Array, degrees: NDArray[Any]) -> float:
    """Test values that are means of `degrees` (one number a row) squared normal values."""
    half = degrees[:, None] / 2
    x = np.maximum(relative, np.finfo(float).tiny)
    deviance = 2 * half * (x - 1 - np.log(x))
    mean = 2 * half * (np.log(half) - scipy.special.digamma(half))
    variance = 4 * half**2 * (scipy.special.polygamma(1, half) - 1 / half)
    n_channels = relative.shape[1]
    z = (deviance.sum() - mean.sum() * n_channels) / np.sqrt(variance.sum() * n_channels)
    return float(scipy.special.ndtr(-z))


def noise_spectra(
    power: Array, left: Array, dimensions: Array, squares: NDArray[np.int64], *, taken: Array
) -> NoiseSpectra:
    r"""Return the spectra of noise from the power that is left of it beside components.

    Courses that take the share h of the dimensions at a frequency leave of the power S there, and of what noise of
    other frequencies has in their span, p. Where they have no relation to each other (free compression: Nica and
    Speicher 2006, Lectures on the Combinatorics of Free Probability, lecture 14), that is

    .. math:: p = (1 - h)^2 S + h (1 - h) s, \qquad s = \sum h q / \sum h, \quad q = p / (1 - h)

    so S is q + (q - s) h / (1 - h): power per dimension that is left, with the contrast that the courses blurred.

    Neighboring frequencies that the data cannot tell apart are merged. A bin of M values is kept whole where their
    spread about their mean, relative to that of chi-square noise, is within one standard deviation of what M equal
    values would show; else it is halved, down to single values. So narrow peaks, which decide the edge, stay as they
    are, and smooth spectra are averaged.

    Parameters
    ----------
    power
        Periodograms (frequency, channel) of what is left.
    left
        Weight of each channel in the pooled spectrum.
    dimensions
        Dimensions of time that each frequency stands for.
    squares
        Squared normal values that the power at each frequency averages.
    taken
        Share h of each frequency's dimensions that went with components.
    """
    level = np.average(power, axis=0, weights=dimensions)
    power = power / np.where(level > 0, level, 1.0)
    kept = np.maximum(1 - taken, LEAST_KEPT)
    blurred = np.minimum(taken / kept, SHARPEST)
    each = dimensions / kept
    inside = (each * taken) @ power / max(float(dimensions @ taken), np.finfo(float).tiny)
    pooled_left = power @ left / left.sum()
    even = pooled_left / kept
    pooled = np.maximum(even + blurred * (even - inside @ left / left.sum()), 0.0)
    starts, bands = _split(even, _pooled_variance(power, left) * 2 / squares), _bands(len(power))
    sizes, degrees = _sizes(dimensions, squares, starts)
    fine = _sums(power, each * (1 + blurred), starts) - np.outer(np.add.reduceat(dimensions * blurred, starts), inside)
    coarse_sizes, coarse_degrees = _sizes(dimensions, squares, bands)
    lost, excess = _lost(pooled, pooled_left, dimensions)
    return NoiseSpectra(
        power=_positive(fine / sizes[:, None], left) * (1 - lost),
        starts=starts,
        sizes=sizes,
        degrees=degrees,
        left=left,
        pooled=pooled * (1 - lost),
        coarse=_sums(power, each, bands) / coarse_sizes[:, None],
        coarse_sizes=coarse_sizes,
        coarse_degrees=coarse_degrees,
        lost=lost,
        excess=excess,
    )


def _lost(whole: Array, left: Array, dimensions: Array) -> tuple[float, float]:
    """Return which share of the noise went with the courses, and how much more unequal the dimensions that stay are."""
    total, remaining = (max(float(dimensions @ each), np.finfo(float).tiny) for each in (whole, left))
    squares, remaining_squares = float(dimensions @ whole**2), float(dimensions @ (whole * left))
    return 1 - remaining / total, remaining_squares / remaining**2 - squares / total**2


def _positive(power: Array, left: Array) -> Array:
    """Return powers none of which is negative, with the average over channels (weights `left`) that they had."""
    positive = np.maximum(power, 0.0)
    average, now = np.maximum(power @ left, 0.0), positive @ left
    return np.asarray(positive * (average / np.where(now > 0, now, 1.0))[:, None])


def _sizes(dimensions: Array, squares: NDArray[np.int64], starts: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the dimensions that each bin stands for, and the squared normal values that its mean averages."""
    sizes = np.add.reduceat(dimensions, starts)
    return sizes, sizes**2 / np.add.reduceat(dimensions**2 / squares, starts)


def _sums(power: Array, weights: Array, starts: NDArray[np.int64]) -> Array:
    """Return the weighted sums of the power (frequency, channel) over each bin."""
    n = len(power)
    return np.asarray(scipy.sparse.csr_array((weights, np.arange(n), np.append(starts, n)), (len(starts), n)) @ power)


def _bands(n: int) -> NDArray[np.int64]:
    """Return where fixed bands for the tests begin: sixteen even ones, and finer towards frequency zero."""
    even, fine = np.linspace(0, n, 16, endpoint=False), np.geomspace(1, n, 12, endpoint=False)
    return np.unique(np.concatenate([even, fine]).astype(np.int64))


def _pooled_variance(power: Array, left: Array) -> Array:
    """Return the sum of squares of the channels' local powers over their squared sum: 1 / N for equal channels."""
    width = min(16, len(power))
    starts = np.arange(0, len(power) - width + 1, width)
    sizes = np.diff(starts, append=len(power))
    local = np.add.reduceat(power, starts, axis=0) / sizes[:, None] * left
    concentration = (local**2).sum(axis=1) / np.maximum(local.sum(axis=1) ** 2, np.finfo(float).tiny)
    return np.repeat(np.maximum(concentration, 1 / power.shape[1]), sizes)


def _split(pooled: Array, variance: Array) -> NDArray[np.int64]:
    """Return where bins begin: halved until each is as even as chance."""
    n = len(pooled)
    first, last = np.arange(0, n, WIDEST_BIN), np.minimum(np.arange(0, n, WIDEST_BIN) + WIDEST_BIN, n)
    sums = [np.concatenate([[0.0], np.cumsum(each)]) for each in (pooled, pooled**2, variance)]
    done: list[NDArray[Any]] = []
    while len(first):
        size = last - first
        total, squares, noise = (each[last] - each[first] for each in sums)
        mean = total / size
        spread = np.maximum(squares - total * mean, 0) / np.maximum(noise / size * mean**2, np.finfo(float).tiny)
        even = (size == 1) | (spread <= size - 1 + np.sqrt(2.0 * np.maximum(size - 1, 0)))
        done.append(first[even])
        middle = (first + last)[~even] // 2
        first, last = np.concatenate([first[~even], middle]), np.concatenate([middle, last[~even]])
    return np.sort(np.concatenate(done)).astype(np.int64)


def _grouped(power: Array, left: Array) -> tuple[Array, Array]:
    """Average channels of similar spectrum where there are more than `MAX_GROUPS` of them.

    The most uneven spectra decide the edge: half of the groups are single channels.
    """
    n = power.shape[1]
    if n <= MAX_GROUPS:
        return power, left
    order = np.argsort((power**2).sum(axis=0), kind="stable")
    single = MAX_GROUPS // 2
    starts = np.append(
        np.linspace(0, n - single, MAX_GROUPS - single, endpoint=False).astype(int), np.arange(n - single, n)
    )
    counts = np.add.reduceat(left[order], starts)
    return np.add.reduceat((power * left)[:, order], starts, axis=1) / counts, counts
