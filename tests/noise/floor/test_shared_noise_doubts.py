"""Noise that neighbors share in more ways than channels can tell is refused; what is no grid is taken for none."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import xarray as xr

from sciml._typing import AnyArray
from sciml.denoise import denoise
from sciml.errors import NoiseFloorWarning
from sciml.noise import noise_floor

LINE = ("time", "distance")


def exponential(n_samples: int, n_channels: int, r: float) -> AnyArray:
    lag = np.abs(np.subtract.outer(np.arange(n_channels), np.arange(n_channels)))
    root = np.linalg.cholesky(r**lag)
    return np.asarray(np.random.default_rng(0).normal(size=(n_samples, n_channels)) @ root.T)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_spectrum_with_a_zero_is_refused(sign: int) -> None:
    white = np.random.default_rng(0).normal(size=(3000, 81))
    with pytest.warns(NoiseFloorWarning, match="more ways than so few channels can tell"):
        floor = noise_floor(xr.DataArray(white[:, 1:] + sign * white[:, :-1], dims=LINE))
    assert not floor.converged
    assert floor.spatial is None


@pytest.mark.parametrize(("n_samples", "n_channels"), [(1000, 8), (10000, 16)])
def test_few_channels_do_not_tell_how_far_noise_is_shared(n_samples: int, n_channels: int) -> None:
    with pytest.warns(NoiseFloorWarning, match="so few channels"):
        assert not noise_floor(xr.DataArray(exponential(n_samples, n_channels, 0.5), dims=LINE)).converged


def test_enough_channels_do() -> None:
    floor = noise_floor(xr.DataArray(exponential(5000, 64, 0.6), dims=LINE))
    assert (floor.model, floor.rank, floor.converged) == ("spatial", 0, True)
    assert "because neighboring channels share noise" in floor.summary()


def test_uneven_steps_are_no_grid() -> None:
    places = np.cumsum(0.5 + np.random.default_rng(1).random(64))
    root = np.linalg.cholesky(np.exp(-np.abs(np.subtract.outer(places, places))))
    values = np.random.default_rng(0).normal(size=(3000, 64)) @ root.T
    floor = noise_floor(xr.DataArray(values, dims=LINE, coords={"distance": places}))
    assert (floor.model, floor.rank, floor.converged) == ("spatial-groups", 0, True)


def test_steps_without_a_unit_are_counted() -> None:
    floor = noise_floor(xr.DataArray(exponential(5000, 64, 0.6), dims=LINE, coords={"distance": np.arange(64) * 20.0}))
    assert floor.spatial is not None
    assert "at one step" in floor.spatial.summary()


def test_gaps_in_shared_noise_do_not_blow_it_up() -> None:
    rng = np.random.default_rng(3)
    noise = scipy.ndimage.gaussian_filter(rng.normal(size=(300, 32, 32)), (0, 0.7, 0.7))[:, 9:23, 9:23]
    blob = np.exp(-((np.arange(14)[:, None] - 6) ** 2 + (np.arange(14) - 7) ** 2) / 8)
    course = scipy.signal.lfilter([0.44], [1, -0.9], rng.normal(size=300))
    signal = 2 * course[:, None, None] * blob
    movie = xr.DataArray(noise / noise.std() + signal, dims=("time", "y", "x"))
    floor = noise_floor(movie)
    assert floor.rank == 1
    gap = rng.random(movie.shape) < 0.3
    whole, filled = (
        ((denoise(each, floor, fill=True).values - signal) ** 2)[~gap].mean()
        for each in (movie, movie.where(xr.DataArray(~gap, dims=movie.dims)))
    )
    assert filled < 2 * whole
