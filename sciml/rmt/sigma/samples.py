"""The noise level from samples that are known to be noise, or from what of them is: a high band, differences."""

import numpy as np
import scipy.signal
import scipy.special
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import positive
from sciml.rmt.matrix import matrix
from sciml.rmt.sigma.estimate import SigmaEstimate

__all__ = ["from_differences", "from_high_band", "from_noise", "known"]


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
