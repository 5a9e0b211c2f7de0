"""Whether noise reaches equally far at all speeds: one correlation over channels at all frequencies."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.special
import scipy.stats

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.spatial.whiten import WhitenedMatrix

__all__ = ["PowerByReach", "Separability", "power_by_reach", "separability"]

MOST_CHANNELS = 1024  # the first of them: Cholesky factors whiten them without the others
MOST_DIRECTIONS = 256  # of them: more would tell what these do
N_EVEN, N_LOW = 10, 10  # bands, and ones that get finer towards frequency zero
N_GROUPS = 8
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
    """Compare the spectra, given components, of directions that channels share much and of those they share little.

    Parameters
    ----------
    matrix
        Whitened channels.
    spectra
        Of the noise.
    scale, directions
        Noise of the whitened channels and components, as of `Matrix.eigen`.
    """
    found = power_by_reach(matrix, spectra, scale, directions, N_EVEN, N_LOW, (N_GROUPS, 0))
    table, degrees = found.relative, np.outer(found.squares, found.weights)
    rows = np.average(table, axis=1, weights=found.weights)
    columns = np.average(table, axis=0, weights=found.squares)
    mean = float(np.average(table, weights=degrees))
    return Separability(table * mean / np.outer(rows, columns), degrees)


@dataclass(frozen=True)
class PowerByReach:
    """Power of whitened noise over its spectrum, `relative` (band, group), bands of frequency and groups of directions.

    Directions ascend in the noise that they had before whitening. `band` is that of each frequency of the Fourier
    coefficients, `squares` (band,) how many squared normal values its power averages in each direction, `weights`
    (group,) how many directions there are, of which components leave a part.
    """

    relative: FloatArray
    band: IntArray
    squares: FloatArray
    weights: FloatArray


def power_by_reach(
    matrix: WhitenedMatrix,
    spectra: NoiseSpectra,
    scale: FloatArray,
    directions: AnyArray,
    n_even: int,
    n_low: int,
    n_groups: tuple[int, int],
) -> PowerByReach:
    """Return the power in `n_even` bands and `n_low` ones that get finer towards frequency zero.

    Directions come in even groups, and in ones that get finer towards those that channels share most: `n_groups`.
    """
    fourier = matrix.fourier
    combinations, uniqueness = _by_reach(matrix, scale, directions)
    power = fourier.power_of(combinations) / uniqueness / _level(spectra, len(fourier.frequencies))[:, None]
    n, speed = len(power), np.abs(fourier.frequencies)
    starts, order = np.unique(np.concatenate([_even(n, n_even), _finer(n, n_low)])), np.argsort(speed, kind="stable")
    dimensions = fourier.dimensions[order]
    sizes = np.add.reduceat(dimensions, starts)
    in_bands = np.add.reduceat(power[order] * dimensions[:, None], starts, axis=0) / sizes[:, None]
    m = len(uniqueness)
    even, fine = (min(each, max(m // 2, 1)) for each in n_groups)
    groups = np.unique(np.concatenate([_even(m, even), m - _finer(m, fine)]))
    weights = np.add.reduceat(uniqueness, groups)
    band = np.empty(n, np.int64)
    band[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=n))
    return PowerByReach(
        np.add.reduceat(in_bands * uniqueness, groups, axis=1) / weights,
        band,
        np.add.reduceat(fourier.squares[order].astype(np.float64), starts),
        weights,
    )


def _even(n: int, parts: int) -> IntArray:
    """Return where equal parts of n begin."""
    return np.linspace(0, n, parts, endpoint=False).astype(np.int64)


def _finer(n: int, parts: int) -> IntArray:
    """Return places from 1 to n, ever further apart."""
    return np.geomspace(1, n, parts, endpoint=False).astype(np.int64)


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
    some = np.unique(np.linspace(0, n - 1, MOST_DIRECTIONS).astype(np.int64))
    rotation = np.zeros((matrix.n_channels, len(some)), part.dtype)
    rotation[:n] = scipy.linalg.eigh(part @ part.conj().T, check_finite=False)[1][:, some]
    project, reconstruct = matrix.removal(scale, directions).factors
    rest = rotation - project @ (reconstruct @ rotation) if project.shape[1] else rotation
    uniqueness = np.clip((np.abs(rest) ** 2).sum(axis=0), 0.02, 1.0)
    return rest, np.asarray(uniqueness)


def _level(spectra: NoiseSpectra, n: int) -> FloatArray:
    """Return the spectrum of the noise at each of n frequencies, as smooth as it is known."""
    counts = np.diff(np.append(spectra.starts, n))
    return np.repeat(np.maximum(spectra.pooled_bins, LEAST), counts)
