"""The covariance that shared noise is fitted to: of samples as they are, and of samples weighed to be white in time."""

import numpy as np

from sciml._typing import AnyArray, FloatArray
from sciml.noise.matrix.gram import Matrix
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.spatial.scoring import Scatter

__all__ = ["frequency_weights", "scatter_of", "units"]

WEIGHED_FROM = 1.02  # samples that are worth one: below, samples are as good as white
COSTLY = 3e10  # products that a covariance of weighed samples costs
LEAST_POWER = 0.02  # of the mean: no frequency counts for more than so much less noise makes it


def scatter_of(matrix: Matrix, spectra: NoiseSpectra) -> Scatter:
    """Return the covariance of channels in `units`, whose noise has the pooled spectrum of `spectra`.

    Samples of a long recording that are not held are weighed where a subsample says more than all as they are.
    """
    unit = units(matrix)
    covariance, fourier, weights = _covariance(matrix), matrix.fourier, matrix.statistics.row_weights
    n_white = fourier.n_values
    if spectra.tau > max(WEIGHED_FROM, matrix.dof / n_white) and matrix.n_channels**2 * n_white < COSTLY:
        white, n_effective = fourier.covariance(frequency_weights(spectra, len(fourier.frequencies))), n_white
    else:
        white, n_effective = covariance, matrix.dof / spectra.tau
    n_effective /= 1.0 if weights is None else float(np.mean(weights**2))
    same, null = white is covariance, matrix.null
    covariance = covariance * unit[:, None] * unit
    white = covariance if same else white * unit[:, None] * unit
    null = np.linalg.qr(null / unit[:, None])[0] if null.shape[1] else null
    return Scatter(covariance, white, null, matrix.dof, n_effective, matrix.is_complex)


def units(matrix: Matrix) -> FloatArray:
    """Return what a standard deviation of each channel is in a unit that all have in common.

    Channels are equal, or not, before they are standardized: their standard deviations hold what they have of signals.
    """
    unit = matrix.total_scale / np.sqrt(matrix.statistics.fraction_present)
    return np.asarray(unit / np.median(unit))


def _covariance(matrix: Matrix) -> AnyArray:
    if matrix.gram is not None:
        return matrix.gram
    assert matrix.samples is not None  # noqa: S101
    return np.asarray(matrix.samples.conj().T @ matrix.samples / matrix.dof)


def frequency_weights(spectra: NoiseSpectra, n_frequencies: int) -> FloatArray:
    """Return by what the power at each frequency is multiplied so that noise is white in time."""
    power = np.repeat(spectra.pooled_bins, np.diff(spectra.starts, append=n_frequencies))
    return 1 / np.maximum(power, LEAST_POWER * float(power.mean()))
