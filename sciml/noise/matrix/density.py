"""The power density of the noise, and of the recording that it is a part of, averaged over channels."""

from dataclasses import dataclass

import numpy as np

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.matrix.gram import SMALLEST_NOISE, Matrix
from sciml.noise.matrix.noise_spectra import restored
from sciml.noise.matrix.tapered import Measure, tapered_power

__all__ = ["Density", "density"]

N_BINS = 4096  # at most, so that what falls by decades within a few frequencies is not blunted
RELATIVE = 4  # wider bins begin where they are a quarter of their frequency


@dataclass(frozen=True)
class Density:
    """One-sided power of noise and recording over `frequency` in cycles a sample, mean over the used channels.

    In squared units of the data; two-sided where they are complex.
    """

    frequency: FloatArray
    noise: FloatArray
    recording: FloatArray


def density(matrix: Matrix, scale: FloatArray, rank: int, *, noise: FloatArray, unit: FloatArray) -> Density:
    r"""Return the tapered power density of what `rank` components leave of a recording, and of the recording itself.

    What is left of channel i, of the variance v_i, counts times sigma_i² / v_i: components took a part of its noise
    away. No noise is stronger than the recording that holds it, so that it is the lower of the two.

    Parameters
    ----------
    scale
        Noise standard deviation of each channel that the components are found with.
    noise
        Noise standard deviation of each channel, sigma_i, in the units of the data.
    unit
        What one standard deviation of each standardized channel is in the units of the data.
    """
    weights = np.stack([unit**2, noise**2 / _left(matrix, scale, rank)], axis=1) / len(noise)
    power = tapered_power(matrix.statistics, _measure(matrix, scale, rank, weights))
    widths = np.gradient(power.frequencies)
    dimensions = widths * (matrix.dof / widths.sum())
    time_courses = power.values[:, 2:]
    removed = (time_courses / np.maximum(dimensions @ time_courses, np.finfo(float).tiny)).sum(axis=1)
    rest = restored(power.values[:, 1], np.minimum(removed, 1.0), dimensions)
    starts = _starts(power.frequencies)
    sides = 1.0 if matrix.is_complex else np.where(power.frequencies < 0.5, 2.0, 1.0)  # the last one has no twin
    columns = np.column_stack([power.frequencies, sides * rest, sides * power.values[:, 0]])
    frequency, rest, total = (np.add.reduceat(columns, starts) / np.diff(starts, append=len(columns))[:, None]).T
    return Density(frequency, np.minimum(rest, total), total)


def _left(matrix: Matrix, scale: FloatArray, rank: int) -> FloatArray:
    """Return the part of each channel's variance that the components leave, and what was projected out."""
    if matrix.null.shape[1]:
        every = matrix.eigen(scale)
        rest = np.abs(every.directions[:, rank:]) ** 2 @ every.values[rank:]
        return np.maximum(rest * (scale / matrix.total_scale) ** 2, SMALLEST_NOISE)
    return np.maximum(1 - matrix.explained(scale, rank), SMALLEST_NOISE)


def _measure(matrix: Matrix, scale: FloatArray, rank: int, weights: FloatArray) -> Measure:
    """Return what gives the weighted power of all channels, of what components leave, and that of each time course."""
    project, reconstruct = matrix.plain_factors(scale, matrix.eigen(scale, rank).directions)

    def measure(rows: AnyArray) -> FloatArray:
        if not project.shape[1]:
            return _squares(rows) @ weights
        components = rows @ project.astype(rows.dtype)
        rest = rows - components @ reconstruct.astype(rows.dtype)
        total, left = _squares(rows) @ weights[:, 0], _squares(rest) @ weights[:, 1]
        return np.column_stack([total, left, _squares(components[:, :rank])])

    return measure


def _squares(values: AnyArray) -> FloatArray:
    return np.asarray(values.real**2 + values.imag**2 if np.iscomplexobj(values) else values**2)


def _starts(frequencies: FloatArray) -> IntArray:
    """Return where bins begin: single low frequencies, then wider, then even ones."""
    n = len(frequencies)
    widest = -(-n // N_BINS)
    if frequencies[0] < 0 or widest == 1:
        return np.arange(0, n, widest)
    low = RELATIVE * widest
    bends = np.cumsum(np.maximum(np.arange(1, low) // RELATIVE, 1))
    starts = np.unique(np.concatenate([[0, 1], 1 + bends[bends < low], np.arange(low, n, widest)]))
    return starts[starts < n]
