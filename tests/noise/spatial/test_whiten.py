"""Whitened channels: independent noise, with directions projected out too, whatever is held of the recording."""

import numpy as np
import pytest
import xarray as xr

from sciml.noise.channels.accumulate import ChannelAccumulator
from sciml.noise.channels.read import read_channels
from sciml.noise.channels.statistics import channel_statistics
from sciml.noise.matrix.fourier import fourier_coefficients
from sciml.noise.matrix.gram import Matrix
from sciml.noise.spatial.whiten import WhitenedMatrix, Whitening

CORRELATION = 0.6 ** np.abs(np.subtract.outer(np.arange(12), np.arange(12)))


def test_what_is_left_of_a_projected_covariance_is_white() -> None:
    null = np.ones((12, 1)) / np.sqrt(12)
    left = np.eye(12) - null @ null.T
    whitening = Whitening.of(CORRELATION, null)
    assert whitening.n_dimensions == 11
    assert np.allclose(whitening.whiten.T @ left @ CORRELATION @ left @ whitening.whiten, np.eye(11))
    assert np.allclose(whitening.color.T @ whitening.color, left @ CORRELATION @ left)
    assert np.allclose(whitening.whiten @ whitening.color, left)


@pytest.mark.parametrize("n_samples", [8, 400])
def test_values_gram_and_spectra_are_those_of_whitened_values(n_samples: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(n_samples, 12)) @ np.linalg.cholesky(CORRELATION).T
    whitening = Whitening.of(CORRELATION)
    plain = Matrix(read_channels(xr.DataArray(values, dims=("time", "channel")), hold=True))
    matrix = WhitenedMatrix(plain, whitening)
    assert plain.samples is not None
    expected = plain.samples @ whitening.whiten
    eigenvalues = np.linalg.svd(expected, compute_uv=False) ** 2 / (n_samples - 1)
    kept = min(12, n_samples - 1)
    found = matrix.eigen(np.ones(12), 2)
    assert np.allclose(found.values, eigenvalues[:kept])
    assert np.allclose(np.abs(found.directions.T @ expected.T @ expected @ found.directions).diagonal(),
                       eigenvalues[:2] * (n_samples - 1))  # fmt: skip
    nothing = np.zeros((12, 0)), np.zeros((0, 12))
    assert np.allclose(matrix.fourier.power(*nothing), fourier_coefficients(expected).power(*nothing), rtol=1e-4)


def test_a_gram_matrix_is_enough() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3000, 12)) @ np.linalg.cholesky(CORRELATION).T
    accumulator = ChannelAccumulator(12, hold=False)
    accumulator.add(values)
    whitening = Whitening.of(CORRELATION)
    found = WhitenedMatrix(Matrix(channel_statistics(accumulator)), whitening).eigen(np.ones(12)).values
    held = Matrix(read_channels(xr.DataArray(values, dims=("time", "channel")), hold=True))
    assert np.allclose(found, WhitenedMatrix(held, whitening).eigen(np.ones(12)).values, rtol=1e-10)
