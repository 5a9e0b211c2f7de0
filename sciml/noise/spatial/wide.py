"""Noise that neighbors share on a grid of more channels than exact likelihood has time for."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.stats

from sciml._typing import FloatArray, IntArray
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.noise.spatial.local import local_whitening
from sciml.noise.spatial.pooled import Window, pooled_correlation
from sciml.noise.spatial.scatter import frequency_weights, units
from sciml.noise.spatial.whiten import WhitenedMatrix, Whitening

__all__ = ["WideGrid"]

VOXELS = 81  # of a window
MOST_WINDOWS = 36
LEAST_FILLED = 0.5  # of a window by channels
EXACT = 2048  # channels, up to which a dense factor of their covariance is exact at borders and holes
LEAST_LEFT = 0.05  # of a channel's variance, beside components
NUGGET = 1e-9  # of a channel's variance is its own
CHANCE = 1.5  # times the spread that chance gives, below which channels count as equal
UNLIKE = 4.0  # standard deviations from which one keeps its own


@dataclass(frozen=True)
class WideGrid:
    r"""Channels at `places` (N, d) of a grid, the noise of which is s_i s_j c(x_i - x_j).

    The correlation is the one that windows all over the grid have in common (`pooled_correlation`), found once beside
    what stands out in each of them. The scales s_i are what components leave of each channel, pulled to each other as
    far as chance explains that they differ. Channels are whitened by a Cholesky factor, and beyond 2048 of them by
    their neighbors (`local_whitening`).
    """

    plain: Matrix
    places: IntArray
    correlation: LatticeCorrelation

    @classmethod
    def of(cls, plain: Matrix, places: IntArray, spectra: NoiseSpectra) -> "WideGrid":
        """Find the correlation, in samples that `spectra` make white."""
        windows, n_dims = _windows(plain, places, spectra), places.shape[1]
        none = LatticeCorrelation((1,) * n_dims, np.zeros((0, n_dims), np.int64), np.zeros(0))
        found = pooled_correlation(windows, plain.dof / spectra.tau) if windows else None
        return cls(plain, places, found or none)

    @property
    def is_shared(self) -> bool:
        """Whether channels share noise."""
        return len(self.correlation.lags) > 0

    def whitened(self, scale: FloatArray) -> WhitenedMatrix:
        """Return the channels whitened, of noise `scale` (N,) in `units`."""
        noise = scale / units(self.plain)  # of standardized channels
        correlation = self.correlation.widened(np.ptp(self.places, axis=0) + 1)
        if len(self.places) > EXACT:
            return WhitenedMatrix(self.plain, local_whitening(correlation, self.places, noise))
        shared = correlation.between(self.places - self.places.min(axis=0))
        shared.flat[:: len(shared) + 1] += NUGGET
        null = self.plain.projected_out(np.ones(len(noise)))
        return WhitenedMatrix(self.plain, Whitening.of(shared * noise[:, None] * noise, null))

    def scale(self, spectra: NoiseSpectra, whitened: WhitenedMatrix | None, rank: int) -> FloatArray:
        """Return the standard deviation of each channel's noise, in `units`, beside `rank` components of `whitened`."""
        variance = units(self.plain) ** 2
        if whitened is not None and rank:
            found = whitened.eigen(whitened.total_scale, rank)
            level = float(np.mean(found.values[rank:]))
            maps = np.abs(whitened.whitening.color.conj().T @ found.directions) ** 2
            variance = variance * np.maximum(1 - maps @ np.maximum(found.values[:rank] - level, 0.0), LEAST_LEFT)
        return pulled(variance, (1 if self.plain.is_complex else 2) * spectra.tau / max(self.plain.dof - rank, 1))


def pulled(variance: FloatArray, chance: float) -> FloatArray:
    """Return standard deviations, drawn to their median as far as chance explains that they differ."""
    log = np.log(np.maximum(variance, np.finfo(float).tiny))
    middle = np.median(log)
    spread = float(scipy.stats.median_abs_deviation(log, scale="normal")) ** 2
    kept = 1 - chance / spread if spread > CHANCE * chance else 0.0
    unlike = np.abs(log - middle) > UNLIKE * np.sqrt(max(spread, chance))
    return np.asarray(np.exp(np.where(unlike, log, middle + kept * (log - middle)) / 2))


def _windows(plain: Matrix, places: IntArray, spectra: NoiseSpectra) -> list[Window]:
    """Return windows spread over the grid, of channels in `units` and samples white in time."""
    extent = np.ptp(places, axis=0) + 1
    side = _side(extent)
    widths = np.minimum(extent, side)
    along = int(np.ceil(MOST_WINDOWS ** (1 / _n_dims(extent))))
    low = places.min(axis=0)
    corners = product(
        *(
            np.unique(np.linspace(0, size - width, min(along, size // width)).astype(int))
            for size, width in zip(extent, widths, strict=True)
        )
    )
    weights, unit, found = frequency_weights(spectra, len(plain.fourier.frequencies)), units(plain), []
    for corner in corners:
        at = places - low - np.array(corner)
        inside = np.flatnonzero(((at >= 0) & (at < widths)).all(axis=1))
        if len(inside) >= LEAST_FILLED * np.prod(widths):
            covariance = plain.fourier.of_channels(inside).covariance(weights)
            covariance = covariance * unit[inside, None] * unit[inside]
            found.append(Window(covariance, plain.fourier.n_values, at[inside], tuple(widths.tolist())))
    return found


def _side(extent: IntArray) -> int:
    """Return how many steps a window spans along each axis that has so many."""
    return int(VOXELS ** (1 / _n_dims(extent)) + 0.5)


def _n_dims(extent: IntArray) -> int:
    """Return how many axes have more than one place."""
    return max(int(np.count_nonzero(extent > 1)), 1)
