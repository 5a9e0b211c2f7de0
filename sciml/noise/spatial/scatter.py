"""What shared noise is fitted to: how channels scatter, in one unit, as samples weighed to be white in time say."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra

__all__ = ["Removed", "Scatter", "scatter_of", "units"]

WEIGHED_FROM = 1.02  # samples that are worth one: below, samples are as good as white
COSTLY = 3e10  # products that a covariance of weighed samples costs
LEAST_POWER = 0.02  # of the mean: no frequency counts for more than so much less noise makes it
TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Removed:
    """Components that are explained out of samples x (rows): x - (x `filters`) `maps`^H, both (N, rank).

    Filters and maps are those of orthonormal directions of whitened samples: of noise of covariance A that they were
    whitened by, A - `maps` `maps`^H is left.
    """

    filters: AnyArray
    maps: AnyArray
    dof: float

    @property
    def left(self) -> float:
        """Part of the samples' dimensions that time courses leave."""
        return float(1 - self.filters.shape[1] / self.dof)


@dataclass(frozen=True)
class Scatter:
    """Scatter of N channels whose samples are white in time: a covariance (N, N), or `rows` (n, N), their square root.

    `null` (N, n_null) are orthonormal directions that were projected out, `dof` the samples there are, `n_effective`
    how many independent ones the covariance averages.
    """

    covariance: AnyArray | None
    rows: AnyArray | None
    null: AnyArray
    dof: float
    n_effective: float
    is_complex: bool = False

    @property
    def weight(self) -> float:
        """Information of all samples on the logarithm of a variance."""
        return float(self.n_effective / (1 if self.is_complex else 2))

    @property
    def n_channels(self) -> int:
        """N."""
        return len(self.null)

    @property
    def variances(self) -> FloatArray:
        """The variance of each channel."""
        if self.covariance is not None:
            return np.diag(self.covariance).real
        assert self.rows is not None  # noqa: S101
        return np.asarray((np.abs(self.rows) ** 2).sum(axis=0))

    def variances_without(self, removed: Removed | None) -> FloatArray:
        """Return the variance of the noise of each channel, given components that are removed."""
        if removed is None:
            return self.variances
        across = self._times(removed.filters)
        inner = removed.filters.conj().T @ across
        maps = removed.maps
        explained = 2 * np.einsum("ik,ik->i", across, maps.conj()).real
        explained -= np.einsum("ik,kl,il->i", maps, inner, maps.conj()).real
        return np.asarray((self.variances - explained) / removed.left + (np.abs(maps) ** 2).sum(axis=1))

    def of_channels(self, channels: IntArray) -> "Scatter":
        """Return the scatter of some of the channels; the projection of all changes little of a few of many."""
        null = self.null if len(channels) == self.n_channels else np.zeros((len(channels), 0))
        covariance = None if self.covariance is None else self.covariance[np.ix_(channels, channels)]
        rows = None if self.rows is None else self.rows[:, channels]
        return Scatter(covariance, rows, null, self.dof, self.n_effective, self.is_complex)

    def block(self, channels: IntArray, removed: Removed | None) -> AnyArray:
        """Return the covariance of some channels without the components."""
        some = self.of_channels(channels)
        found = some._times(np.eye(len(channels))) if some.covariance is None else some.covariance
        if removed is None:
            return found
        maps = removed.maps[channels]
        across = self._times(removed.filters)
        inner = removed.filters.conj().T @ across
        crossed = across[channels] @ maps.conj().T
        return np.asarray(found - crossed - crossed.conj().T + maps @ (inner @ maps.conj().T))

    def _times(self, factors: AnyArray) -> AnyArray:
        if self.covariance is not None:
            return np.asarray(self.covariance @ factors)
        assert self.rows is not None  # noqa: S101
        return np.asarray(self.rows.conj().T @ (self.rows @ factors))

    def eigen(self, whiten: AnyArray, rank: int) -> tuple[FloatArray, AnyArray]:
        """Return the nonzero eigenvalues of the whitened channels, descending, and the first directions (M, rank)."""
        if self.covariance is not None:
            values, vectors = scipy.linalg.eigh(whiten.conj().T @ (self.covariance @ whiten), check_finite=False)
            return np.maximum(values[::-1], TINY), vectors[:, ::-1][:, :rank]
        assert self.rows is not None  # noqa: S101
        rows = self.rows @ whiten
        values, left = scipy.linalg.eigh(rows @ rows.conj().T, check_finite=False)
        values, left = np.maximum(values[::-1], TINY), left[:, ::-1][:, :rank]
        return values, rows.conj().T @ left / np.sqrt(values[:rank])


def scatter_of(matrix: Matrix, spectra: NoiseSpectra) -> Scatter:
    """Return the scatter of channels in `units`, whose noise has the pooled spectrum of `spectra`.

    Samples of a long recording that are not held are weighed where a subsample says more than all as they are.
    """
    unit, fourier, weights = units(matrix), matrix.fourier, matrix.statistics.row_weights
    n_white = fourier.n_values
    wide = matrix.samples is not None and not matrix.tall
    covariance = rows = None
    n_effective = n_white
    if wide or (spectra.tau > max(WEIGHED_FROM, matrix.dof / n_white) and matrix.n_channels**2 * n_white < COSTLY):
        power = _weights(spectra, len(fourier.frequencies))
        if wide:
            rows = fourier.weighed(power) * unit
        else:
            covariance = fourier.covariance(power) * unit[:, None] * unit
    else:
        assert matrix.gram is not None  # noqa: S101
        covariance, n_effective = matrix.gram * unit[:, None] * unit, matrix.dof / spectra.tau
    n_effective /= 1.0 if weights is None else float(np.mean(weights**2))
    null = np.linalg.qr(matrix.null / unit[:, None])[0] if matrix.null.shape[1] else matrix.null
    return Scatter(covariance, rows, null, matrix.dof, n_effective, matrix.is_complex)


def units(matrix: Matrix) -> FloatArray:
    """Return what a standard deviation of each channel is in a unit that all have in common.

    Channels are equal, or not, before they are standardized: their standard deviations hold what they have of signals.
    """
    unit = matrix.total_scale / np.sqrt(matrix.statistics.fraction_present)
    return np.asarray(unit / np.median(unit))


def _weights(spectra: NoiseSpectra, n_frequencies: int) -> FloatArray:
    power = np.repeat(spectra.pooled_bins, np.diff(spectra.starts, append=n_frequencies))
    return 1 / np.maximum(power, LEAST_POWER * float(power.mean()))
