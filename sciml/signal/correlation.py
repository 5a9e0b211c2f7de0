"""Correlation in time of noise: how many independent samples a recording is worth, and whether it is white."""

import numpy as np
import scipy.stats
from numpy.typing import NDArray

__all__ = ["autocorrelation", "correlation_samples", "whiteness_p_value"]


def correlation_samples(psd: NDArray[np.float64]) -> float:
    r"""Return the correlation length of noise in samples, from the values of its power spectrum.

    .. math:: \tau = \sum_{k=-\infty}^{\infty} \rho_k^2 = \frac{\langle S^2 \rangle}{\langle S \rangle^2}

    (Parseval): the number of samples that count as one when a covariance between channels is estimated. White
    noise has tau = 1, an AR(1) process (1 + phi²)/(1 - phi²).

    Parameters
    ----------
    psd
        Values of the spectrum on a two-sided regular grid of frequencies, any unit.

    References
    ----------
    Bartlett (1946), doi:10.2307/2983611.

    Examples
    --------
    >>> correlation_samples(np.ones(64))
    1.0
    """
    return float(np.mean(psd**2) / np.mean(psd) ** 2)


def autocorrelation(psd: NDArray[np.float64], n_lags: int) -> NDArray[np.float64]:
    """Return rho_0 = 1, rho_1, ... rho_n_lags: the inverse Fourier transform of a two-sided power spectrum.

    Examples
    --------
    >>> autocorrelation(np.ones(64), 2).round(12).tolist()
    [1.0, 0.0, 0.0]
    """
    covariance = np.fft.ifft(psd).real
    return np.asarray(covariance[: n_lags + 1] / covariance[0])


def whiteness_p_value(rho: NDArray[np.float64], *, n_samples: int, n_channels: int) -> float:
    r"""Return the p-value of the hypothesis that channels of equal spectrum are white in time.

    The autocorrelation averaged over N independent channels of T samples has, for white noise, variance 1/(N T)
    at every lag, so that

    .. math:: Q = N T \sum_{k=1}^{h} \hat\rho_k^2 \sim \chi^2_h

    Parameters
    ----------
    rho
        Autocorrelation averaged over the channels: lags 0 to h.

    References
    ----------
    Box and Pierce (1970), doi:10.1080/01621459.1970.10481180, eq. 2.6, pooled over channels.

    Examples
    --------
    >>> whiteness_p_value(np.array([1.0, 0.5, 0.25]), n_samples=1000, n_channels=10) < 1e-10
    True
    """
    # Each lag of a demeaned channel is biased by about -1/T; with many channels that bias would look like color.
    statistic = n_samples * n_channels * np.sum((rho[1:] + 1.0 / n_samples) ** 2)
    return float(scipy.stats.chi2.sf(statistic, len(rho) - 1))
