"""Noise with a known spectrum."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from sciml.errors import ConfigError

__all__ = ["ar1_noise"]


def ar1_noise(
    n_samples: int,
    n_channels: int,
    *,
    phi: ArrayLike = 0.0,
    sigma: ArrayLike = 1.0,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    r"""Return Gaussian AR(1) noise that is stationary from its first sample, of shape (n_samples, n_channels).

    .. math:: x_t = \phi x_{t-1} + \sqrt{1 - \phi^2}\, \sigma\, \varepsilon_t, \qquad x_0 = \sigma \varepsilon_0

    so that each sample has variance σ², neighbors correlate with φ, and the correlation falls to 1/e after
    -1/ln φ samples. The two-sided power spectrum is S(f) = σ² (1 - φ²) / \|1 - φ exp(-2πi f)\|², f in cycles a sample.

    Parameters
    ----------
    n_samples, n_channels
        Shape of the noise.
    phi
        Correlation of neighboring samples, -1 < phi < 1: one number, or one for each channel.
    sigma
        Standard deviation of a sample, in the unit of the result: one number, or one for each channel.
    rng
        Source of randomness.

    Raises
    ------
    ConfigError
        `phi` outside (-1, 1), `sigma` negative, or one of them neither a number nor of length n_channels.

    References
    ----------
    Brockwell & Davis (1991), Time Series: Theory and Methods, example 3.1.2, doi:10.1007/978-1-4419-0320-4.

    Examples
    --------
    >>> x = ar1_noise(20_000, 2, phi=0.8, sigma=[1.0, 3.0], rng=np.random.default_rng(0))
    >>> bool(np.allclose(x.std(axis=0), [1, 3], rtol=0.05))
    True
    """
    phi = _per_channel("phi", phi, n_channels)
    sigma = _per_channel("sigma", sigma, n_channels)
    if np.any(np.abs(phi) >= 1):
        raise ConfigError(f"expected -1 < phi < 1, got {phi}; AR(1) noise is stationary only inside that interval")
    if np.any(sigma < 0):
        raise ConfigError(f"expected sigma >= 0, got {sigma}; sigma is a standard deviation")
    noise = rng.standard_normal((n_samples, n_channels))
    noise[1:] *= np.sqrt(1 - phi**2)
    for value in np.unique(phi):
        same = phi == value
        noise[:, same] = lfilter([1.0], [1.0, -value], noise[:, same], axis=0)
    noise *= sigma
    return noise


def _per_channel(name: str, value: ArrayLike, n_channels: int) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if array.ndim > 0 and array.shape != (n_channels,):
        raise ConfigError(f"expected {name} as one number or {n_channels} (one a channel), got shape {array.shape}")
    return np.broadcast_to(array, (n_channels,))
