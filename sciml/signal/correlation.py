"""Correlation in time of noise: how many independent samples a recording is worth."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["correlation_samples"]


def correlation_samples(psd: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float:
    r"""Return the correlation length of noise in samples, from the values of its power spectrum.

    .. math:: \tau = \sum_{k=-\infty}^{\infty} \rho_k^2 = \frac{\langle S^2 \rangle}{\langle S \rangle^2}

    (Parseval): the number of samples that count as one when a covariance between channels is estimated. White
    noise has tau = 1, an AR(1) process (1 + phi²)/(1 - phi²).

    Parameters
    ----------
    psd
        Values of the spectrum on a two-sided regular grid of frequencies, any unit.
    weights
        How many frequencies of such a grid each value stands for; by default all stand for alike.

    References
    ----------
    Bartlett (1946), doi:10.2307/2983611.

    Examples
    --------
    >>> correlation_samples(np.ones(64))
    1.0
    """
    return float(np.average(psd**2, weights=weights) / np.average(psd, weights=weights) ** 2)
