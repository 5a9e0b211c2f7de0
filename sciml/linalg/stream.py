"""Sums over a recording that is read block by block: moments, covariance, pooled power spectrum.

A block is an array of shape (n_rows, n_features): consecutive samples in time without a gap. Memory is that of
one block plus the result, whatever the length of the recording.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["Moments", "PooledSpectrum", "covariance", "moments", "pooled_spectrum"]


@dataclass(frozen=True)
class Moments:
    """Per-feature statistics of all finite samples: shapes (n_features,), units of the data."""

    count: NDArray[np.int64]
    mean: NDArray[Any]
    variance: NDArray[np.float64]
    constant: NDArray[np.bool_]

    def select(self, features: NDArray[np.int64]) -> "Moments":
        """Return the statistics of some features."""
        return Moments(self.count[features], self.mean[features], self.variance[features], self.constant[features])


def moments(blocks: Iterable[NDArray[Any]]) -> Moments:
    """Return count, mean and variance (divisor n) of every feature, missing samples left out.

    Block means and sums of squared deviations are merged pairwise, so that an offset of many standard deviations
    costs no digits.

    References
    ----------
    Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115, eq. 1.5.

    Examples
    --------
    >>> result = moments([np.array([[1.0], [2.0]]), np.array([[3.0], [np.nan]])])
    >>> result.mean.tolist(), result.count.tolist()
    ([2.0], [3])
    """
    count, mean, squares = np.zeros(1, np.int64), np.zeros(1), np.zeros(1)
    first: NDArray[Any] | None = None
    constant: NDArray[np.bool_] | None = None
    for block in blocks:
        values = _as_float(block)
        finite = np.isfinite(values)
        n = finite.sum(axis=0)
        filled = values if finite.all() else np.where(finite, values, 0)
        block_mean = filled.sum(axis=0) / np.maximum(n, 1)
        deviation = np.where(finite, filled - block_mean, 0)
        total = count + n
        delta = block_mean - mean
        mean = mean + delta * n / np.maximum(total, 1)
        squares = squares + (np.abs(deviation) ** 2).sum(axis=0) + np.abs(delta) ** 2 * count * n / np.maximum(total, 1)
        count = total
        first, constant = _still_constant(values, finite, first, constant)
    if constant is None:
        raise ValueError("expected at least one block, got none")
    return Moments(count, mean, np.where(constant, 0.0, squares / np.maximum(count, 1)), constant)


def _still_constant(
    values: NDArray[Any], finite: NDArray[np.bool_], first: NDArray[Any] | None, constant: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the first finite value of each feature, and whether all so far equal it."""
    here = np.where(finite.any(axis=0), values[finite.argmax(axis=0), np.arange(values.shape[1])], np.nan)
    first = here if first is None else np.where(np.isnan(first), here, first)
    same = np.asarray(((values == first) | ~finite).all(axis=0))
    return first, same if constant is None else constant & same


def covariance(blocks: Iterable[NDArray[Any]], n_features: int) -> NDArray[Any]:
    """Return the sum of X^H X over demeaned blocks X of shape (n, n_features), accumulated in double precision.

    Examples
    --------
    >>> covariance([np.eye(2), np.eye(2)], 2)
    array([[2., 0.],
           [0., 2.]])
    """
    gram: NDArray[Any] = np.zeros((n_features, n_features))
    for block in blocks:
        values = _as_float(block)
        gram = gram + values.conj().T @ values
    return gram


@dataclass(frozen=True)
class PooledSpectrum:
    """Values of a power spectrum, one a sample; the first `n_grid` lie on a regular two-sided grid of frequencies."""

    values: NDArray[np.float64]
    n_grid: int

    @property
    def grid(self) -> NDArray[np.float64]:
        """The values on the regular grid, lowest frequency first, negative ones last (as `numpy.fft.fftfreq`)."""
        return self.values[: self.n_grid]


def pooled_spectrum(blocks: Iterable[NDArray[Any]], basis: NDArray[Any]) -> PooledSpectrum:
    r"""Return the values of the noise's power spectrum: periodograms averaged over all features but `basis`.

    .. math:: S(f) = \frac{1}{(N - k)\,n} \sum_{i=1}^{N} \Big|\sum_{t=1}^{n} r_{ti}\, e^{-2\pi i f t}\Big|^2,
       \qquad R = X (I - U U^H)

    The channels do the averaging, none is done over frequency: smoothing would blunt the narrow peaks of slow
    noise, and they decide how high its largest eigenvalue reaches. Blocks of equal length n are averaged; those
    of other lengths add their own values, because the temporal covariance of separate runs is block diagonal.

    Parameters
    ----------
    blocks
        Demeaned arrays (n, N).
    basis
        Orthonormal directions U over the features, shape (N, k), whose components are not noise.

    Returns
    -------
    One value a sample; their mean is the variance of the noise. The longest blocks give the regular grid.

    Examples
    --------
    >>> white = np.random.default_rng(0).normal(size=(500, 40))
    >>> round(float(pooled_spectrum([white], np.zeros((40, 0))).values.mean()), 1)
    1.0
    """
    sums: dict[int, NDArray[np.float64]] = {}
    counts: defaultdict[int, int] = defaultdict(int)
    for block in blocks:
        residual = _as_float(block)
        if basis.shape[1]:
            residual = residual - (residual @ basis) @ basis.conj().T
        power = _two_sided_power(residual).sum(axis=1) / len(residual) / (residual.shape[1] - basis.shape[1])
        sums[len(power)] = sums.get(len(power), np.zeros(len(power))) + power
        counts[len(power)] += 1
    lengths = sorted(sums, reverse=True)
    values = np.concatenate([np.tile(sums[n] / counts[n], counts[n]) for n in lengths])
    return PooledSpectrum(values, lengths[0])


def _two_sided_power(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return |FFT|² along axis 0 at all n frequencies, from half of them where the data are real."""
    if np.iscomplexobj(values):
        return np.asarray(np.abs(scipy.fft.fft(values, axis=0)) ** 2)
    half = np.abs(scipy.fft.rfft(values, axis=0)) ** 2
    mirrored = half[1 : len(values) - len(half) + 1][::-1]
    return np.asarray(np.concatenate([half, mirrored]))


def _as_float(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64, copy=False)
