"""From the periodograms of the noise to its variance profile: channels by frequency, as fine as the data are."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.special

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.rmt.variance_profile import VarianceProfile
from sciml.signal.correlation import correlation_samples

__all__ = ["NoiseSpectra", "noise_spectra", "restored"]


LEAST_KEPT = 0.05  # of a frequency, after removing time courses that take all of it
TINY = float(np.finfo(float).tiny)
SHARPEST = 3.0  # after removing time courses that take more than 3/4, what remains of a frequency is mostly others'
WIDEST_BIN = 64
MAX_GROUPS = 160  # of channels; beyond, those of similar spectrum have one together


@dataclass(frozen=True)
class NoiseSpectra:
    """Power of the noise in bins of frequency: `power` (bin, channel), in units of each channel's noise variance.

    Bins begin at the frequencies `starts`; `sizes` says how many dimensions of time each stands for and `degrees` how
    many squared normal values each of its powers averages, `uniqueness` the part of each channel that is noise, after
    removing components, `pooled` the average over channels at each single frequency, `coarse` the power that remains in
    a few fixed bands.

    The time courses of the components took dimensions of time from the noise, and with them `removed_power` of it, one
    being all;
    `excess` is by how much more unequal those that remain are: sum x² / (sum x)² of their variances less that of all.
    """

    power: FloatArray
    starts: IntArray
    sizes: FloatArray
    degrees: FloatArray
    uniqueness: FloatArray
    pooled: FloatArray
    coarse: FloatArray
    coarse_sizes: FloatArray
    coarse_degrees: FloatArray
    removed_power: float
    excess: float

    @property
    def pooled_bins(self) -> FloatArray:
        """The spectrum averaged over channels, one value a bin."""
        return np.asarray(self.power @ self.uniqueness / self.uniqueness.sum())

    @property
    def tau(self) -> float:
        """How many samples of the noise are worth one (`sciml.signal.correlation.correlation_samples`)."""
        return correlation_samples(self.pooled_bins, self.sizes)

    @property
    def effective_fraction(self) -> FloatArray:
        """Part of each channel's samples that its noise is estimated from, after removing the components.

        The variance of its square is that of maximum likelihood (Lawley and Maxwell 1971, Factor Analysis as a
        Statistical Method, chapter 4): 2 / T times the inverse of the squared elements of I - U U^H.
        """
        return self.uniqueness**2 * (1 - self.removed_power)

    def profile(self, dof: int, *, common: bool) -> VarianceProfile:
        """Return the variance profile over `dof` samples; `common` takes one spectrum for all channels."""
        rows = self.sizes * (dof / self.sizes.sum())
        single = self.pooled_bins[:, None], np.array([self.uniqueness.sum()])
        power, counts = single if common else _grouped(self.power, self.uniqueness)
        return VarianceProfile(power, row_counts=rows, column_counts=counts)

    def relative_variance(self, *, common: bool) -> FloatArray:
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
        pooled = self.coarse @ self.uniqueness / self.uniqueness.sum()
        relative = self.coarse / np.maximum(pooled[:, None], np.finfo(float).tiny)
        relative = relative / np.average(relative, axis=0, weights=self.coarse_sizes)
        return _deviance_p_value(relative, self.coarse_degrees)

    def p_white(self) -> float:
        """Return the p-value of the hypothesis that no channel, and not their average, is colored."""
        sizes = self.coarse_degrees
        each = self.coarse / np.average(self.coarse, axis=0, weights=self.coarse_sizes)
        pooled = each @ self.uniqueness / self.uniqueness.sum()
        together = _deviance_p_value(pooled[:, None], sizes * self.uniqueness.sum())
        return min(1.0, 2 * min(_deviance_p_value(each, sizes), together))


def _deviance_p_value(relative: FloatArray, degrees: AnyArray) -> float:
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
    power: FloatArray,
    uniqueness: FloatArray,
    dimensions: FloatArray,
    squares: IntArray,
    *,
    removed_fraction: FloatArray,
) -> NoiseSpectra:
    r"""Return the spectra of noise from the power that remains after removing components.

    Time courses that take the part h of the dimensions at a frequency leave of the power S there, and of what noise of
    other frequencies has in their span, p. Where they have no relation to each other (free compression: Nica and
    Speicher 2006, Lectures on the Combinatorics of Free Probability, lecture 14), that is

    .. math:: p = (1 - h)^2 S + h (1 - h) s, \qquad s = \sum h q / \sum h, \quad q = p / (1 - h)

    so S is q + (q - s) h / (1 - h): power per remaining dimension, with the contrast that the time courses blurred.

    Neighboring frequencies that the data cannot tell apart are merged. A bin of M values is kept whole where their
    spread about their mean, relative to that of chi-square noise, is within one standard deviation of what M equal
    values would show; else it is halved, down to single values. So narrow peaks, which decide the edge, stay as they
    are, and smooth spectra are averaged.

    Parameters
    ----------
    power
        Periodograms (frequency, channel) of what remains.
    uniqueness
        Weight of each channel in the pooled spectrum.
    dimensions
        Dimensions of time that each frequency stands for.
    squares
        Squared normal values that the power at each frequency averages.
    removed_fraction
        Part h of each frequency's dimensions that went with components.
    """
    level = np.average(power, axis=0, weights=dimensions)
    power = power / np.where(level > 0, level, 1.0)
    kept_fraction, blurred = _kept(removed_fraction)
    each = dimensions / kept_fraction
    inside = (each * removed_fraction) @ power / max(float(dimensions @ removed_fraction), np.finfo(float).tiny)
    pooled_rest = power @ uniqueness / uniqueness.sum()
    even = pooled_rest / kept_fraction
    pooled = np.maximum(even + blurred * (even - inside @ uniqueness / uniqueness.sum()), 0.0)
    starts, bands = _split(even, _pooled_variance(power, uniqueness) * 2 / squares), _bands(len(power))
    sizes, degrees = _sizes(dimensions, squares, starts)
    fine = _sums(power, each * (1 + blurred), starts) - np.outer(np.add.reduceat(dimensions * blurred, starts), inside)
    coarse_sizes, coarse_degrees = _sizes(dimensions, squares, bands)
    removed_power, excess = _removed_power(pooled, pooled_rest, dimensions)
    return NoiseSpectra(
        power=_positive(fine / sizes[:, None], uniqueness) * (1 - removed_power),
        starts=starts,
        sizes=sizes,
        degrees=degrees,
        uniqueness=uniqueness,
        pooled=pooled * (1 - removed_power),
        coarse=_sums(power, each, bands) / coarse_sizes[:, None],
        coarse_sizes=coarse_sizes,
        coarse_degrees=coarse_degrees,
        removed_power=removed_power,
        excess=excess,
    )


def restored(rest: FloatArray, removed_fraction: FloatArray, dimensions: FloatArray) -> FloatArray:
    """Return the power of noise (frequency,) of which time courses left `rest`, in sum as much as is left.

    See `noise_spectra`.
    """
    kept_fraction, blurred = _kept(removed_fraction)
    even = rest / kept_fraction
    inside = float((dimensions * removed_fraction) @ even) / max(float(dimensions @ removed_fraction), TINY)
    power = np.maximum(even + blurred * (even - inside), 0.0)
    return power * (float(dimensions @ rest) / max(float(dimensions @ power), TINY))


def _kept(removed_fraction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the part of each frequency's dimensions that stays, and how far to undo the blur."""
    kept_fraction = np.maximum(1 - removed_fraction, LEAST_KEPT)
    return kept_fraction, np.minimum(removed_fraction / kept_fraction, SHARPEST)


def _removed_power(whole: FloatArray, rest: FloatArray, dimensions: FloatArray) -> tuple[float, float]:
    """Return the part of the noise that went with time courses, and how much more unequal the other dimensions are."""
    total, remaining = (max(float(dimensions @ each), np.finfo(float).tiny) for each in (whole, rest))
    squares, remaining_squares = float(dimensions @ whole**2), float(dimensions @ (whole * rest))
    return 1 - remaining / total, remaining_squares / remaining**2 - squares / total**2


def _positive(power: FloatArray, uniqueness: FloatArray) -> FloatArray:
    """Return powers none of which is negative, with the average over channels (weights `uniqueness`) that they had."""
    positive = np.maximum(power, 0.0)
    average, now = np.maximum(power @ uniqueness, 0.0), positive @ uniqueness
    return np.asarray(positive * (average / np.where(now > 0, now, 1.0))[:, None])


def _sizes(dimensions: FloatArray, squares: IntArray, starts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the dimensions that each bin stands for, and the squared normal values that its mean averages."""
    sizes = np.add.reduceat(dimensions, starts)
    return sizes, sizes**2 / np.add.reduceat(dimensions**2 / squares, starts)


def _sums(power: FloatArray, weights: FloatArray, starts: IntArray) -> FloatArray:
    """Return the weighted sums of the power (frequency, channel) over each bin."""
    n = len(power)
    return np.asarray(scipy.sparse.csr_array((weights, np.arange(n), np.append(starts, n)), (len(starts), n)) @ power)


def _bands(n: int) -> IntArray:
    """Return where fixed bands for the tests begin: sixteen even ones, and finer towards frequency zero."""
    even, fine = np.linspace(0, n, 16, endpoint=False), np.geomspace(1, n, 12, endpoint=False)
    return np.unique(np.concatenate([even, fine]).astype(np.int64))


def _pooled_variance(power: FloatArray, uniqueness: FloatArray) -> FloatArray:
    """Return the sum of squares of the channels' local powers over their squared sum: 1 / N for equal channels."""
    width = min(16, len(power))
    starts = np.arange(0, len(power) - width + 1, width)
    sizes = np.diff(starts, append=len(power))
    local = np.add.reduceat(power, starts, axis=0) / sizes[:, None] * uniqueness
    concentration = (local**2).sum(axis=1) / np.maximum(local.sum(axis=1) ** 2, np.finfo(float).tiny)
    return np.repeat(np.maximum(concentration, 1 / power.shape[1]), sizes)


def _split(pooled: FloatArray, variance: FloatArray) -> IntArray:
    """Return where bins begin: halved until each is as even as chance."""
    n = len(pooled)
    first, last = np.arange(0, n, WIDEST_BIN), np.minimum(np.arange(0, n, WIDEST_BIN) + WIDEST_BIN, n)
    sums = [np.concatenate([[0.0], np.cumsum(each)]) for each in (pooled, pooled**2, variance)]
    done: list[AnyArray] = []
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


def _grouped(power: FloatArray, uniqueness: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Average channels of similar spectrum where there are more than `MAX_GROUPS` of them.

    The most uneven spectra decide the edge: half of the groups are single channels.
    """
    n = power.shape[1]
    if n <= MAX_GROUPS:
        return power, uniqueness
    order = np.argsort((power**2).sum(axis=0), kind="stable")
    single = MAX_GROUPS // 2
    starts = np.append(
        np.linspace(0, n - single, MAX_GROUPS - single, endpoint=False).astype(int), np.arange(n - single, n)
    )
    counts = np.add.reduceat(uniqueness[order], starts)
    return np.add.reduceat((power * uniqueness)[:, order], starts, axis=1) / counts, counts
