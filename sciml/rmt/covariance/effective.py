"""How many independent samples a series of correlated ones is worth for the estimate of a covariance."""

import numpy as np
from numpy.typing import ArrayLike

from sciml._typing import AnyArray
from sciml.errors import ConfigError, DataError
from sciml.rmt.checks import numbers, positive, spectrum

__all__ = ["effective_samples", "estimate_effective_samples"]


def effective_samples(
    n_samples: int, *, psd: ArrayLike | None = None, autocorrelation: ArrayLike | None = None
) -> float:
    r"""Return the number of independent samples with which a covariance would be as uncertain as with these.

    .. math:: n_\text{eff} = \frac{T}{\tau}, \qquad
              \tau = 1 + 2 \sum_{k=1}^{T-1} \Big(1 - \frac{k}{T}\Big) \rho_k^2
              \approx \frac{\langle S^2 \rangle}{\langle S \rangle^2}

    An entry of the sample covariance of T Gaussian samples of one autocorrelation rho has tau / T times the variance
    that it has for one sample (the mean would have T / (1 + 2 sum rho_k) samples: another number). An AR(1) process has
    tau = (1 + phi²) / (1 - phi²).

    Parameters
    ----------
    n_samples
        Number of samples T.
    psd
        Values of the power spectrum on a two-sided regular grid of frequencies, any unit.
    autocorrelation
        rho_0 = 1, rho_1, ... up to any lag; further lags count as zero. Give this or `psd`.

    Raises
    ------
    ConfigError
        Both or neither of `psd` and `autocorrelation`; a number of samples that is not positive.
    DataError
        A spectrum without power, an autocorrelation that does not begin with 1.

    References
    ----------
    Bartlett (1946), doi:10.2307/2983611; Bayley and Hammersley (1946), doi:10.2307/2983560.

    Examples
    --------
    >>> round(effective_samples(1000, autocorrelation=0.9 ** np.arange(1000)), 1)
    105.5
    """
    count = positive("n_samples", n_samples)
    if (psd is None) == (autocorrelation is None):
        raise ConfigError("expected either psd or autocorrelation, got both or neither")
    if psd is not None:
        density = spectrum("power spectrum", psd)
        if density[0] == 0:
            raise DataError("expected a power spectrum with values above zero, got only zeros")
        relative = density / density[0]
        return count * float(np.mean(relative) ** 2 / np.mean(relative**2))
    rho = numbers("autocorrelation", autocorrelation if autocorrelation is not None else ())
    if rho.ndim != 1 or rho.size == 0 or not np.isclose(rho[0], 1):
        raise DataError(f"expected an autocorrelation that begins with 1 at lag 0, got {rho.ravel()[:3]}")
    lags = np.arange(1, min(rho.size, int(count)))
    return count / float(1 + 2 * np.sum((1 - lags / count) * rho[lags] ** 2))


def estimate_effective_samples(X: ArrayLike, *, assume_centered: bool = False) -> float:
    r"""Estimate from the data how many independent samples they are worth for a covariance.

    With P(f) the periodograms of all features added up and S the sample covariance,

    .. math:: n_\text{eff} = T\, \frac{(\mathrm{tr} S)^2 + \|S\|_F^2}{\langle P^2 \rangle} - 1

    For Gaussian rows of one autocorrelation and any covariance, the mean of P² is
    S(f)² ((tr Sigma)² + tr Sigma²): a periodogram alone has twice its square in the mean, many together have less.
    The numerator holds the same two traces of the sample covariance, of which sampling adds tau / T to the first order;
    the -1 takes that away. For white noise the result is T - 1, the degrees of freedom of demeaned data.

    Parameters
    ----------
    X
        Data of shape (n_samples, n_features), real or complex, rows in the order of time.
    assume_centered
        Do not remove the mean of each feature.

    Returns
    -------
    float
        Between 1 and n_samples, less one if the mean is removed. Features of large variance count most, as they do in
        the covariance.

    Raises
    ------
    DataError
        Not a table of at least two samples; values that are not finite.

    References
    ----------
    Isserlis (1918), doi:10.1093/biomet/12.1-2.134, for the moments; factor as in `effective_samples`.

    Examples
    --------
    >>> white = np.random.default_rng(0).normal(size=(1000, 20))
    >>> round(estimate_effective_samples(white)), round(estimate_effective_samples(np.cumsum(white, axis=0)))
    (999, 6)
    """
    data: AnyArray = np.asarray(X)
    if data.ndim != 2 or data.shape[0] < 2 or data.shape[1] < 1 or data.dtype.kind not in "fiubc":
        raise DataError(f"expected at least two samples in rows, got shape {data.shape} of type {data.dtype}")
    if not np.isfinite(data).all():
        raise DataError("expected finite values, got some that are not; leave out missing samples")
    values = data.astype(np.result_type(data.dtype, np.float64))
    most = float(len(values) - (not assume_centered))
    if not assume_centered:
        values = values - values.mean(axis=0)
    size = float(np.abs(values).max())
    return most if size == 0 else float(np.clip(_moment_ratio(values / size), 1.0, most))


def _moment_ratio(values: AnyArray) -> float:
    n = len(values)
    # sum over features of |X(f)|²; the Gram matrix of the short side has the traces of the covariance.
    power = np.sum(np.abs(np.fft.fft(values, axis=0)) ** 2, axis=1) / n
    short = values if values.shape[1] <= n else values.T
    gram = short.conj().T @ short / n
    traces = float(np.trace(gram).real ** 2 + np.sum(np.abs(gram) ** 2))
    return n * traces / float(np.mean(power**2)) - 1
