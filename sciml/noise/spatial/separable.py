"""Whether noise reaches equally far at all speeds: one correlation over channels at all frequencies."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.special
import scipy.stats

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.spatial.whiten import WhitenedMatrix

__all__ = ["Separability", "separability"]

MOST_CHANNELS = 1024  # the first of them: Cholesky factors whiten them without the others
N_EVEN, N_LOW = 10, 10  # bands, and ones that get finer towards frequency zero
N_GROUPS = 8
FEWEST_GROUPS = 2
LEAST = 1e-12


@dataclass(frozen=True)
class Separability:
    r"""Power of whitened noise in bands of frequency and groups of directions, over the product of their means.

    `relative` (band, group) averages `degrees` squared normal values each; bands ascend in frequency, groups in the
    range of the correlation: the last one holds the directions that the channels share most. Under separable noise

    .. math:: \sum_{bg} m_{bg} (x_{bg} - 1 - \log x_{bg}) \sim \chi^2_{(B-1)(G-1)}
    """

    relative: FloatArray
    degrees: FloatArray

    @property
    def p_value(self) -> float:
        """Probability that separable noise has so unequal powers."""
        n_bands, n_groups = self.relative.shape
        free = (n_bands - 1) * (n_groups - 1)
        if free < 1:
            return 1.0
        half = self.degrees / 2
        x = np.maximum(self.relative, LEAST)
        expected = self.degrees * (np.log(half) - scipy.special.digamma(half))  # of few values, more than one
        return float(scipy.stats.chi2.sf(np.sum(self.degrees * (x - 1 - np.log(x)) / expected), free))

    @property
    def wider_at_low_frequencies(self) -> bool:
        """Whether the directions that channels share most hold more of the slow noise than of the fast."""
        n_bands, n_groups = self.relative.shape
        speed, reach = np.arange(n_bands) - (n_bands - 1) / 2, np.arange(n_groups) - (n_groups - 1) / 2
        return bool(speed @ (self.degrees * np.log(np.maximum(self.relative, LEAST))) @ reach < 0)


def separability(
    matrix: WhitenedMatrix, spectra: NoiseSpectra, scale: FloatArray, directions: AnyArray
) -> Separability:
    """Compare the spectra, beside components, of directions that channels share much and of those they share little.

    Parameters
    ----------
    matrix
        Whitened channels.
    spectra
        Of the noise.
    scale, directions
        Noise of the whitened channels and components, as of `Matrix.eigen`.
    """
    combinations, uniqueness = _by_reach(matrix, scale, directions)
    power = matrix.fourier.power_of(combinations) / uniqueness
    every, level = matrix.fourier.dimensions, _level(spectra, len(power))
    starts = _bands(np.abs(matrix.fourier.frequencies))
    order = np.argsort(np.abs(matrix.fourier.frequencies), kind="stable")
    white = (power / level[:, None])[order]
    sizes = np.add.reduceat(every[order], starts)
    squares = np.add.reduceat(matrix.fourier.squares[order].astype(np.float64), starts)
    in_bands = np.add.reduceat(white * every[order, None], starts, axis=0) / sizes[:, None]
    groups = np.linspace(0, len(uniqueness), _n_groups(len(uniqueness)), endpoint=False).astype(np.int64)
    weights = np.add.reduceat(uniqueness, groups)
    table = np.add.reduceat(in_bands * uniqueness, groups, axis=1) / weights
    degrees = np.outer(squares, weights)
    total = degrees.sum()
    rows, columns = (degrees * table).sum(axis=1) / degrees.sum(axis=1), (degrees * table).sum(axis=0) / degrees.sum(0)
    mean = float((degrees * table).sum() / total)
    return Separability(table * mean / np.outer(rows, columns), degrees)


def _by_reach(matrix: WhitenedMatrix, scale: FloatArray, directions: AnyArray) -> tuple[AnyArray, FloatArray]:
    """Return combinations of whitened channels less components, in ascending order of the noise before whitening.

    These are the left singular vectors of `color`, from whitened noise to that of the channels. And the part of each
    combination that the components leave.
    """
    color = matrix.whitening.color
    n = min(MOST_CHANNELS, matrix.n_channels)
    square = color.shape[0] == color.shape[1]  # a triangle, of which a part is that of some channels
    part = color[:n, :n] if square else color[:n]
    part = np.asarray(part if isinstance(part, np.ndarray) else part.toarray())
    rotation = np.zeros((matrix.n_channels, n), part.dtype)
    rotation[:n] = scipy.linalg.eigh(part @ part.conj().T, check_finite=False)[1]
    project, reconstruct = matrix.removal(scale, directions).factors
    rest = rotation - project @ (reconstruct @ rotation) if project.shape[1] else rotation
    uniqueness = np.clip((np.abs(rest) ** 2).sum(axis=0), 0.02, 1.0)
    return rest, np.asarray(uniqueness)


def _level(spectra: NoiseSpectra, n: int) -> FloatArray:
    """Return the spectrum of the noise at each of n frequencies, as smooth as it is known."""
    counts = np.diff(np.append(spectra.starts, n))
    return np.repeat(np.maximum(spectra.pooled_bins, LEAST), counts)


def _bands(frequencies: FloatArray) -> IntArray:
    """Return where bands of sorted frequencies begin."""
    n = len(frequencies)
    even, low = np.linspace(0, n, N_EVEN, endpoint=False), np.geomspace(1, n, N_LOW, endpoint=False)
    return np.unique(np.concatenate([even, low]).astype(np.int64))


def _n_groups(n: int) -> int:
    return max(min(N_GROUPS, n // 2), min(n, FEWEST_GROUPS))
