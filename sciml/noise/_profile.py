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

WIDEST_BIN = 64
MAX_GROUPS = 160  # of channels; beyond, those of similar spectrum share one


@dataclass(frozen=True)
class NoiseSpectra:
    """Power of the noise in bins of frequency: `power` (bin, channel), in units of each channel's noise variance.

    `sizes` says how many dimensions of time each bin stands for and `degrees` how many squared normal values each of
    its powers averages, `left` how much of each channel is noise (beside components that were taken out), `pooled` is
    the average over channels at each single frequency. `coarse` is the power in a few fixed bands. `taken` is the share
    of the dimensions of time that went with those components.
    """

    power: Array
    sizes: Array
    degrees: Array
    left: Array
    pooled: Array
    coarse: Array
    coarse_sizes: Array
    coarse_degrees: Array
    taken: float

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
        return self.left**2 * (1 - self.taken)

    def profile(self, freedom: int, *, common: bool) -> VarianceProfile:
        """Return the variance profile over `freedom` samples; `common` takes one spectrum for all channels.

        What k courses leave of a wave is a little spread over all frequencies: with h = k / T, power S becomes
        (1 - h)² S + h (1 - h) <S>, and its contrast 1 - h of what it is. Its eigenvalue became 1 - h of what it was.
        """
        rows = self.sizes * (freedom / self.sizes.sum())
        single = self.pooled_bins[:, None], np.array([self.left.sum()])
        power, counts = single if common else _grouped(self.power, self.left)
        contrasted = np.maximum(1 + (power - 1) / (1 - self.taken), 0.0)
        return VarianceProfile(contrasted, row_counts=rows, column_counts=counts)

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
    power: Array, left: Array, dimensions: Array, squares: NDArray[np.int64], *, taken: float = 0.0
) -> NoiseSpectra:
    r"""Merge neighboring frequencies that the data cannot tell apart.

    A bin of M values is kept whole where their spread about their mean, relative to that of chi-square noise, is
    within one standard deviation of what M equal values would show; else it is halved, down to single values. So narrow
    peaks, which decide the edge, stay as they are, and smooth spectra are averaged.

    Parameters
    ----------
    power
        Periodograms (frequency, channel), of mean one over the dimensions of time.
    left
        Weight of each channel in the pooled spectrum.
    dimensions
        Dimensions of time that each frequency stands for.
    squares
        Squared normal values that the power at each frequency averages.
    taken
        Share of the dimensions of time that went with components.
    """
    pooled = power @ left / left.sum()
    starts = _split(pooled, _pooled_variance(power, left) * 2 / squares)
    bands = _bands(len(power))
    fine, coarse = (_averaged(power, dimensions, squares, each) for each in (starts, bands))
    return NoiseSpectra(*fine, left, pooled, *coarse, taken)


def _averaged(
    power: Array, dimensions: Array, squares: NDArray[np.int64], starts: NDArray[np.int64]
) -> tuple[Array, Array, Array]:
    """Return the mean power in each bin, the dimensions it stands for, and the squared normal values it averages."""
    sizes = np.add.reduceat(dimensions, starts)
    sums = scipy.sparse.csr_array(
        (dimensions, np.arange(len(power)), np.append(starts, len(power))), (len(starts), len(power))
    )
    return (sums @ power) / sizes[:, None], sizes, sizes**2 / np.add.reduceat(dimensions**2 / squares, starts)


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
