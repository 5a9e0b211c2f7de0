"""Pairs of places of a grid by the lag between them: correlation, and its derivatives along the log spectrum."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.noise.spatial.correlation import LatticeCorrelation

__all__ = ["Lattice", "halved"]

SHORTEST = 32  # steps of half a circle
NEAR = 33  # places along an axis, the lags between which are told apart by themselves
MOST_BLOCKS = 4
LARGEST_BLOCK = 450  # channels whose products of matrices take milliseconds
LINES_COUNT = 4.0  # a variance along lines is a peak of the spectrum
LARGEST_LOG = 25.0  # of the spectrum's maximum over its minimum: beyond, rounding hides what is left


@dataclass(frozen=True)
class Lattice:
    r"""Noise at integer `places` (N, d) of a grid whose log spectrum has a cosine for each of the `lags` (P, d).

    .. math:: \log C(k) = \sum_l a_l \prod_d \cos(l_d k_d), \qquad
              \frac{\partial C}{\partial a_l} = C \prod_d \cos(l_d k_d)

    Covariances are cosine transforms over a circle of four times the extent of the places. Along an axis on which all
    places are one, nothing depends on the wavenumber.

    Beside that, along each axis of `lines` noise may be one for all places of a line, as a reader makes it that takes
    them row by row; its variance over that of the other noise is a parameter after the a_l, and no less than zero.
    """

    places: IntArray
    lags: IntArray
    lines: tuple[int, ...] = ()

    @cached_property
    def extent(self) -> tuple[int, ...]:
        """Steps that the places span along each axis, both ends counted."""
        return tuple(int(each) + 1 for each in np.ptp(self.places, axis=0))

    @cached_property
    def blocks(self) -> list[IntArray]:
        """Places that are near each other, at most `LARGEST_BLOCK`: halves along the longest side, and so on.

        Of very many blocks a few, spread over the grid, say what all do.
        """
        every = halved(self.places, np.arange(len(self.places)))
        return every[:: -(-len(every) // MOST_BLOCKS)]

    def of_channels(self, channels: IntArray) -> "Lattice":
        """Return the lattice of some of the places."""
        return self if len(channels) == len(self.places) else Lattice(self.places[channels], self.lags, self.lines)

    @cached_property
    def pairs(self) -> IntArray:
        """For each pair of places (N, N) the position of their lag in a table of lags."""
        found = np.zeros((len(self.places), len(self.places)), np.intp)
        for along, steps in zip(self.places.T, self.extent, strict=True):
            found *= steps
            found += np.abs(along[:, None] - along)
        return found

    @cached_property
    def _half_circle(self) -> tuple[int, ...]:
        return tuple(1 if n == 1 else scipy.fft.next_fast_len(max(2 * n, SHORTEST)) for n in self.extent)

    @cached_property
    def cosines(self) -> FloatArray:
        """The products of cosines (P, *wavenumbers), each wavenumber from 0 to pi."""
        found = np.ones((len(self.lags), *[1] * len(self.extent)))
        for d, n in enumerate(self._half_circle):
            along = np.cos(np.outer(self.lags[:, d], np.pi * np.arange(n + 1) / n))
            found = found * along.reshape(len(along), *(n + 1 if axis == d else 1 for axis in range(len(self.extent))))
        return found

    @property
    def n_parameters(self) -> int:
        """Coefficients and variances along lines."""
        return len(self.lags) + len(self.lines)

    @cached_property
    def _on_line(self) -> FloatArray:
        """One where a lag is along each axis of `lines` alone, zero elsewhere, (lines, n_lags)."""
        lag = np.indices(self.extent).reshape(len(self.extent), -1)
        return np.array([np.delete(lag, axis, axis=0).sum(axis=0) == 0 for axis in self.lines], np.float64)

    def log_spectrum(self, coefficients: FloatArray) -> FloatArray:
        """Return log C, (*wavenumbers), but for a constant."""
        return np.asarray(np.tensordot(coefficients[: len(self.lags)], self.cosines, 1))

    def tables(self, coefficients: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the correlation by lag (n_lags,), one at no lag, and its derivatives (1 + P, n_lags).

        The first is along a constant of the log spectrum; the others keep the constant, not the variance.
        """
        log = self.log_spectrum(coefficients)
        spectrum = np.exp(np.maximum(log - log.max(), -LARGEST_LOG))
        table = self._by_lag(spectrum)
        slopes = np.array([self._by_lag(spectrum * each) for each in self.cosines]).reshape(-1, len(table)) / table[0]
        table, variance = table / table[0], 1.0
        if self.lines:
            own = np.maximum(coefficients[len(self.lags) :], 0.0)
            slopes = slopes - slopes[:, :1] * table  # lines count in the variance of the other noise
            table, variance = table + own @ self._on_line, 1 + float(own.sum())
            slopes = np.concatenate([slopes, self._on_line])
        return table / variance, np.concatenate([table[None], slopes]) / variance

    def _by_lag(self, spectrum: FloatArray) -> FloatArray:
        covariance = scipy.fft.dctn(spectrum, type=1)
        return np.asarray(covariance[tuple(slice(n) for n in self.extent)].ravel())

    def correlation(self, coefficients: FloatArray) -> LatticeCorrelation:
        """Return the correlation by lag without noise along lines, of places up to 32 steps apart along each axis."""
        shape = tuple(min(n, NEAR) for n in self.extent)
        return LatticeCorrelation(shape, self.lags, coefficients[: len(self.lags)])

    def along(self, coefficients: FloatArray) -> list[FloatArray]:
        """Return the correlation by lag along each axis, none along the others."""
        found, own = self.correlation(coefficients), np.zeros(len(self.extent))
        own[list(self.lines)] = np.maximum(coefficients[len(self.lags) :], 0.0)
        each = [(found.along(axis) + own[axis]) / (1 + own.sum()) for axis in range(len(self.extent))]
        return [
            np.where(self._has_pairs(axis, len(correlation)), np.append(1.0, correlation[1:]), np.nan)
            for axis, correlation in enumerate(each)
        ]

    def _has_pairs(self, axis: int, n_lags: int) -> BoolArray:
        """Return for each lag along one axis whether any two places are so far apart."""
        grid = np.zeros(self.extent, np.bool_)
        grid[tuple((self.places - self.places.min(axis=0)).T)] = True
        grid = np.moveaxis(grid, axis, 0)
        return np.array([bool((grid[lag:] & grid[: len(grid) - lag]).any()) for lag in range(n_lags)])

    def sums(self, matrix: FloatArray) -> FloatArray:
        """Return the sums (n_lags,) of a matrix (N, N) over the pairs of each lag."""
        n_lags = int(np.prod(self.extent))
        return np.asarray(np.bincount(self.pairs.ravel(), matrix.ravel(), minlength=n_lags), np.float64)

    def change(self, step: FloatArray) -> float:
        """Return the largest change of log C by a step of the coefficients, but for a constant."""
        change = float(np.ptp(self.log_spectrum(step))) / 2 if len(self.lags) else 0.0
        return max(change, LINES_COUNT * float(np.abs(step[len(self.lags) :]).max(initial=0.0)))


def halved(places: IntArray | FloatArray, channels: IntArray) -> list[IntArray]:
    """Return channels near each other, halved along the longest side until few enough are together."""
    if len(channels) <= LARGEST_BLOCK:
        return [channels]
    axis = int(np.argmax(np.ptp(places[channels], axis=0)))
    order = channels[np.argsort(places[channels, axis], kind="stable")]
    return [*halved(places, np.sort(order[: len(order) // 2])), *halved(places, np.sort(order[len(order) // 2 :]))]
