"""Modes of one band: eigenvalues against noise, one mode after another, and the channels that take part in each."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sciml._typing import AnyArray, ComplexArray, FloatArray
from sciml.noise.coherence.bands import BandPlan
from sciml.noise.coherence.cross_spectra import CrossSpectra, sine_tapered
from sciml.rmt.coherence import largest_eigenvalue, pair_p_value

__all__ = ["BandModes", "BandTest", "find_modes", "line_frequency", "participation", "screen"]

FEW_CHANNELS = 6  # below, the largest pairwise coherence is the whole test
MAX_PAIRED = 1024  # channels up to which all pairs are looked at
AXIS_STEPS = 4  # between noise of the channels and modes
LEAVE_OUT_STEPS = 12  # of the power method without the channel in question
NARROW = 0.8  # of a mode's power in one line, above which the line is named
SMALLEST_NOISE = 1e-4  # part of a channel's power


@dataclass(frozen=True)
class BandTest:
    """Eigenvalues of the coherence matrix (largest first), the test of whether there is any mode, and its edge."""

    eigenvalues: FloatArray
    p_value: float
    dof: float
    pair: tuple[int, int] | None


@dataclass(frozen=True)
class BandModes:
    """Modes of one band: arrays over (mode,) and (channel, mode) in units of each channel's `noise` (an amplitude)."""

    eigenvalues: FloatArray
    p_values: FloatArray
    patterns: ComplexArray
    noise: FloatArray


def screen(cross: CrossSpectra, band: int, *, n_null: int, n_kept: int) -> BandTest:
    """Test whether channels have anything in common in one band.

    Two tests, each at half the level: the largest eigenvalue of the coherence matrix finds what many channels
    have in common weakly, the largest pairwise coherence what few have strongly.
    """
    scale = np.sqrt(np.maximum(cross.power(band), np.finfo(float).tiny))
    values, _ = _eigen(cross, band, scale, n_kept)
    dof = float(cross.dof[band])
    n_channels = cross.n_channels - n_null
    # Channels that add up to nothing have one direction less; the others hold its variance.
    law = largest_eigenvalue(n_channels, dof)
    p_eigen = float(law.p_value(values[0] * n_channels / cross.n_channels))
    if cross.n_channels > MAX_PAIRED:
        return BandTest(values, p_eigen, dof, None)
    p_pair, pair = _strongest_pair(cross.matrix(band), scale, dof, n_null)
    if n_channels < FEW_CHANNELS:
        return BandTest(values, p_pair, dof, pair)
    return BandTest(values, min(1.0, 2 * min(p_eigen, p_pair)), dof, pair if p_pair < p_eigen else None)


def _strongest_pair(matrix: AnyArray, scale: FloatArray, dof: float, n_null: int) -> tuple[float, tuple[int, int]]:
    coherence = np.abs(matrix / np.outer(scale, scale))
    np.fill_diagonal(coherence, 0.0)
    n = len(scale)
    first, second = np.unravel_index(int(np.argmax(coherence)), coherence.shape)
    largest = float(coherence[first, second])
    if n_null:  # a common reference alone correlates every pair by -1 / (N - 1)
        largest = max(largest - n_null / (n - 1), 0.0)
    p = float(pair_p_value(largest**2, dof)) * n * (n - 1) / 2
    return min(p, 1.0), (int(first), int(second))


def find_modes(
    cross: CrossSpectra,
    band: int,
    test: BandTest,
    *,
    n_tests: float,
    alpha: float,
    dof: float,
    n_null: int,
    most: int,
) -> BandModes:
    """Find the modes of a band that has one, each tested with the channels' noise after removing those found before.

    Parameters
    ----------
    n_tests
        By which p-values of further modes are multiplied.
    dof
        Degrees of freedom after removing the modes found.
    most
        Largest number of modes looked for.
    """
    power = cross.power(band)
    scale = _start(power, test.pair)
    p_values = [test.p_value]
    limit = max(1, min(most, cross.n_channels // 2, int(dof) // 3))
    found = 0
    while found < len(p_values):
        found = len(p_values)
        scale, values, vectors = _noise_given(cross, band, scale, power, found, limit + 1)
        for k in range(found, min(limit, len(values))):
            law = largest_eigenvalue(max(cross.n_channels - k - n_null, 1), dof - k)
            p = float(law.p_value(values[k] / (1 - k / dof)))
            if not n_tests * p < alpha:
                break
            p_values.append(p)
    # The matrix is the mean of conj(y_i) y_j: the pattern of a signal is the conjugate eigenvector.
    return BandModes(values[:found], np.array(p_values), vectors[:, :found].conj(), scale)


def _start(power: FloatArray, pair: tuple[int, int] | None) -> FloatArray:
    """Return scales to start from: where a pair was found, it stands out of the other channels' eigenvalues."""
    scale = np.sqrt(np.maximum(power, np.finfo(float).tiny))
    if pair is not None:
        scale[list(pair)] *= np.sqrt(SMALLEST_NOISE)
    return scale


def _noise_given(
    cross: CrossSpectra, band: int, scale: FloatArray, power: FloatArray, n_modes: int, n_kept: int
) -> tuple[FloatArray, FloatArray, AnyArray]:
    """Return the channels' noise after removing some modes, and eigenvalues and eigenvectors in units of that noise."""
    n_averages = float(cross.n_averages[band])
    for _ in range(AXIS_STEPS):
        values, vectors = _eigen(cross, band, scale, n_modes)
        found = np.abs(vectors) ** 2
        rest = np.maximum(power / scale**2 - found @ values, 0.0)
        # Fitted directions absorb noise too: the part h_i of channel i's, and n_modes of the dof.
        dof = np.maximum(1 - found.sum(axis=1), 0.1) * (1 - n_modes / n_averages)
        scale = np.asarray(np.sqrt(np.clip(scale**2 * rest / dof, SMALLEST_NOISE * power, power)))
    values, vectors = _eigen(cross, band, scale, n_kept)
    return scale, values, vectors


def _eigen(cross: CrossSpectra, band: int, scale: FloatArray, n_largest: int) -> tuple[FloatArray, AnyArray]:
    """Return the largest eigenvalues and eigenvectors of S_ij / (scale_i scale_j), from its short side."""
    if not cross.wide(band):
        matrix = cross.matrix(band) / scale[:, None] / scale
        n = len(matrix)
        values, vectors = scipy.linalg.eigh(matrix, subset_by_index=[max(n - n_largest, 0), n - 1], check_finite=False)
        return np.maximum(values[::-1].astype(np.float64), 0.0), vectors[:, ::-1]
    rows = cross.rows[band] / scale
    n = len(rows)
    gram = rows @ rows.conj().T / n
    squares, left = scipy.linalg.eigh(gram, subset_by_index=[max(n - n_largest, 0), n - 1], check_finite=False)
    left = left[:, ::-1]
    positive = np.asarray(np.maximum(squares[::-1].astype(np.float64), np.finfo(float).tiny))
    return positive, np.asarray(rows.conj().T @ left / np.sqrt(positive * n))


def participation(cross: CrossSpectra, band: int, modes: BandModes, dof: float) -> tuple[FloatArray, FloatArray]:
    """Return the fraction of each channel's power that a mode explains, and the p-value of its taking part.

    The time course of the mode is estimated from the other channels alone, so that a channel of pure noise has the
    null law of a pair: (1 - c^2)^(n - 1). Shapes (channel, mode).
    """
    n_modes = len(modes.p_values)
    vectors = modes.patterns.conj()
    leave_one_out = _leave_one_out_wide if cross.wide(band) else _leave_one_out
    explained, p = np.zeros(vectors.shape), np.ones(vectors.shape)
    for mode in range(n_modes):
        others = [k for k in range(n_modes) if k != mode]
        squared = leave_one_out(
            cross, band, modes.noise, modes.eigenvalues[others], vectors[:, others], vectors[:, mode]
        )
        explained[:, mode] = np.clip(squared, 0.0, 1.0)
        p[:, mode] = pair_p_value(explained[:, mode], max(dof - len(others), 1.0))
    return explained, p


def _leave_one_out(
    cross: CrossSpectra,
    band: int,
    scale: FloatArray,
    values: FloatArray,
    vectors: AnyArray,
    vector: AnyArray,
) -> FloatArray:
    """Return the squared coherence of each channel with the mode of the others; column i is the mode without i."""
    matrix = cross.matrix(band) / scale[:, None] / scale
    matrix = matrix - (vectors * values) @ vectors.conj().T
    weights = np.repeat(vector[:, None], len(vector), axis=1)
    np.fill_diagonal(weights, 0.0)
    for _ in range(LEAVE_OUT_STEPS):
        weights = matrix @ weights
        np.fill_diagonal(weights, 0.0)
        weights /= np.maximum(np.linalg.norm(weights, axis=0), np.finfo(float).tiny)
    product = matrix @ weights
    time_course = np.einsum("ij,ij->j", weights.conj(), product).real
    power = np.diagonal(matrix).real
    return np.asarray(np.abs(np.diagonal(product)) ** 2 / np.maximum(power * time_course, np.finfo(float).tiny))


def _leave_one_out_wide(
    cross: CrossSpectra,
    band: int,
    scale: FloatArray,
    values: FloatArray,
    vectors: AnyArray,
    vector: AnyArray,
) -> FloatArray:
    """Return the same from the rows: column i is the time course of the mode without channel i."""
    del values
    rows = cross.rows[band] / scale
    rows = rows - (rows @ vectors) @ vectors.conj().T
    gram = rows @ rows.conj().T
    time_course = np.repeat((rows @ vector)[:, None], rows.shape[1], axis=1) - rows * vector
    for _ in range(LEAVE_OUT_STEPS):
        time_course = gram @ time_course - rows * np.einsum("ij,ij->j", rows.conj(), time_course)
        time_course /= np.maximum(np.linalg.norm(time_course, axis=0), np.finfo(float).tiny)
    power = np.sum(np.abs(rows) ** 2, axis=0)
    return np.asarray(
        np.abs(np.einsum("ij,ij->j", rows.conj(), time_course)) ** 2 / np.maximum(power, np.finfo(float).tiny)
    )


def line_frequency(cross: CrossSpectra, plan: BandPlan, band: int, modes: BandModes) -> float | None:
    r"""Return the frequency in Hz of the line that carries most of the strongest mode, or None.

    A line at offset x from the center of the band has, up to its amplitude, the transforms V_k(x) of the tapers. Its
    part of the power of the time course z of the mode is

    .. math:: \frac{\sum_s |\sum_k V_k^*(x) z_{sk}|^2}{\sum_k |V_k(x)|^2 \sum_{sk} |z_{sk}|^2}
    """
    n_tapers = int(plan.n_tapers[band])
    if cross.matrices is not None or n_tapers < 3:  # the rows are gone, or too few to tell a line from noise
        return None
    time_course = (cross.rows[band] / modes.noise @ modes.patterns[:, 0].conj()).reshape(-1, n_tapers)
    offsets = np.linspace(-n_tapers, n_tapers, 8 * n_tapers + 1)
    responses = np.stack([_line_transforms(x, n_tapers, plan.length) for x in offsets])
    power = np.sum(np.abs(time_course @ responses.conj().T) ** 2, axis=0) / np.sum(np.abs(responses) ** 2, axis=1)
    best = int(np.argmax(power))
    if power[best] < NARROW * np.sum(np.abs(time_course) ** 2):
        return None
    return float((plan.center[band] + offsets[best]) * plan.rate / plan.n_fft)


def _line_transforms(offset: float, n_tapers: int, length: int) -> ComplexArray:
    """Return V_k: the tapered transforms of a line of unit amplitude, `offset` bins above the center of the band."""
    bins = np.arange(-n_tapers, n_tapers + 1) - offset
    angle = np.pi * bins / (length + 1)
    half = np.where(
        np.abs(angle) < 1e-12, length, np.sin(length * angle / 2) / np.where(angle == 0, 1.0, np.sin(angle / 2))
    )
    transform = half * np.exp(-0.5j * angle * (length + 1))
    return np.asarray(sine_tapered(transform[None, :, None], n_tapers, n_tapers, length)[0, :, 0])
