"""How noise correlates between places of a grid: a function of their lag alone."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.fft

from sciml._typing import FloatArray, IntArray

__all__ = ["LatticeCorrelation"]

CIRCLE = 4  # times the grid: on it the correlation has died out before it comes round
SHORTEST_CIRCLE = 64
LARGEST_LOG = 40.0  # of the spectrum over its mean: beyond, nothing is left of the weakest wavenumbers


@dataclass(frozen=True)
class LatticeCorrelation:
    r"""Correlation c of noise that is stationary on a grid, from the logarithm of its spectrum over wavenumbers k.

    .. math:: \log C(k) = \sum_l a_l \prod_d \cos(l_d k_d), \qquad
              c(m) = \frac{\int C(k) \prod_d \cos(m_d k_d)\,dk}{\int C(k)\,dk}

    with the lag vectors l = `lags` (P, d) and a = `coefficients` (P,); a constant has no say. It is positive whatever
    the coefficients (Bloomfield 1973, doi:10.1093/biomet/60.2.217). The integral is a sum over a circle of four times
    the grid of `shape`.

    Examples
    --------
    >>> blurred = LatticeCorrelation((16,), lags=np.array([[1], [2]]), coefficients=np.array([0.8, -0.1]))
    >>> blurred.along(0)[:3].round(3).tolist()
    [1.0, 0.355, 0.023]
    """

    shape: tuple[int, ...]
    lags: IntArray
    coefficients: FloatArray

    @cached_property
    def table(self) -> FloatArray:
        """Correlation by lag along each axis, of the grid's shape: one at no lag."""
        circle = tuple(max(CIRCLE * n, SHORTEST_CIRCLE) for n in self.shape)
        log_spectrum = np.zeros(circle)
        cosines = [np.cos(np.outer(self.lags[:, d], 2 * np.pi * np.arange(n) / n)) for d, n in enumerate(circle)]
        for i, coefficient in enumerate(self.coefficients):
            wave = np.array(coefficient)
            for each in cosines:
                wave = np.multiply.outer(wave, each[i])
            log_spectrum += wave
        spectrum = np.exp(np.clip(log_spectrum - log_spectrum.mean(), -LARGEST_LOG, LARGEST_LOG))
        covariance = scipy.fft.ifftn(spectrum).real
        kept = covariance[tuple(slice(n) for n in self.shape)]
        return np.asarray(kept / kept.flat[0])

    def widened(self, shape: IntArray) -> "LatticeCorrelation":
        """Return the same correlation, known up to the lags of a grid of `shape` at least."""
        wider = tuple(max(known, int(size)) for known, size in zip(self.shape, shape, strict=True))
        return replace(self, shape=wider)

    def along(self, axis: int) -> FloatArray:
        """Return the correlation by lag along one axis, none along the others."""
        return np.asarray(self.table[tuple(slice(None) if d == axis else 0 for d in range(len(self.shape)))])

    def between(self, places: IntArray) -> FloatArray:
        """Return the correlation (N, N) between `places` (N, d) of the grid: exact at its borders and with holes."""
        lag = np.zeros((len(places), len(places)), np.int64)
        for axis, size in enumerate(self.shape):
            lag *= size
            lag += np.abs(places[:, axis, None] - places[None, :, axis])
        return np.asarray(self.table.ravel()[lag])
