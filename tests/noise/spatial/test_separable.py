"""One correlation at all speeds is not refused; a slow noise that reaches farther than a fast one is."""

import numpy as np
import pytest
import scipy.signal
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import NoiseFloorWarning
from sciml.noise import noise_floor
from sciml.noise.channels.read import read_channels
from sciml.noise.matrix.gram import Matrix
from sciml.noise.spatial.separable import Separability, separability
from sciml.noise.spatial.whiten import WhitenedMatrix, Whitening

N, T = 48, 600
EXPONENTIAL = 0.6 ** np.abs(np.subtract.outer(np.arange(N), np.arange(N)))


def colored(seed: int, root: AnyArray, memory: float) -> FloatArray:
    rng = np.random.default_rng(seed)
    white = rng.normal(size=(T + 100, N)) @ root.T
    return np.asarray(scipy.signal.lfilter([np.sqrt(1 - memory**2)], [1, -memory], white, axis=0)[100:])


def measured(values: FloatArray, covariance: FloatArray, rank: int = 0) -> Separability:
    plain = Matrix(read_channels(xr.DataArray(values, dims=("time", "channel")), hold=True))
    matrix, scale = WhitenedMatrix(plain, Whitening.of(covariance)), np.ones(N)
    found = matrix.eigen(scale, rank)
    return separability(matrix, matrix.spectra(scale, found.directions), scale, found.directions)


def test_separable_noise_is_refused_as_seldom_as_the_level_says() -> None:
    root = np.linalg.cholesky(EXPONENTIAL)
    p_values = np.array([measured(colored(seed, root, 0.7), EXPONENTIAL).p_value for seed in range(40)])
    assert np.count_nonzero(p_values < 0.05) <= 6
    assert p_values.min() > 1e-3
    assert 0.3 < np.median(p_values) < 0.75


@pytest.mark.parametrize("slow_is_wide", [True, False])
def test_noise_whose_speed_decides_how_far_it_reaches_is_refused(slow_is_wide: bool) -> None:
    root, one = np.linalg.cholesky(EXPONENTIAL), np.eye(N)
    wide, narrow = (0.9, 0.0) if slow_is_wide else (0.0, 0.9)
    values = colored(1, root, wide) + colored(2, one, narrow)
    found = measured(values, (EXPONENTIAL + one) / 2)
    assert found.p_value < 1e-6
    assert found.wider_at_low_frequencies == slow_is_wide


def test_a_slow_component_that_was_removed_is_no_reason_to_refuse() -> None:
    values = colored(6, np.linalg.cholesky(EXPONENTIAL), 0.5)
    rng = np.random.default_rng(10)
    course = scipy.signal.lfilter([0.3], [1, -0.95], rng.normal(size=T))
    values += np.outer(course, 2.4 * np.exp(-((np.arange(N) - 20) ** 2) / 18))
    assert measured(values, EXPONENTIAL).p_value < 1e-3
    assert measured(values, EXPONENTIAL, rank=1).p_value > 1e-3


def test_a_floor_allows_for_noise_that_reaches_farther_where_it_is_slow() -> None:
    values = colored(1, np.linalg.cholesky(EXPONENTIAL), 0.9) + colored(2, np.eye(N), 0.0)
    given = xr.DataArray(values, dims=("time", "distance"))
    floor = noise_floor(given)
    assert (floor.model, floor.rank, floor.converged) == ("spatial-nonseparable", 0, True)
    with pytest.warns(NoiseFloorWarning, match="slow noise reaches farther"):
        assert not noise_floor(given, model="spatial").converged
    shape = np.exp(-((np.arange(N) - 20) ** 2) / 18)
    course = scipy.signal.lfilter([0.3], [1, -0.95], np.random.default_rng(5).normal(size=T))
    found = noise_floor(given + xr.DataArray(3 * np.outer(course, shape), dims=given.dims))
    assert (found.model, found.rank, found.converged) == ("spatial-nonseparable", 1, True)
    assert abs(found.components[:, 0] @ shape) / np.linalg.norm(shape) > 0.9
