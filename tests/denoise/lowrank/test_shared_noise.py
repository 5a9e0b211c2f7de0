"""Whole recordings whose channels share noise: whitened, shrunk, and colored again by one map over channels."""

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from numpy.typing import NDArray

from sciml.denoise import Denoiser, StreamingDenoiser, denoise
from sciml.errors import ConfigError
from sciml.noise import NoiseFloor, noise_floor


@pytest.fixture(scope="module")
def blurred() -> tuple[xr.DataArray, NDArray[np.floating], NoiseFloor]:
    """A movie of 14 x 14 pixels in noise blurred by .7 pixels, with a cell and a smooth background; its signal."""
    rng = np.random.default_rng(0)
    noise = scipy.ndimage.gaussian_filter(rng.normal(size=(250, 26, 26)), (0, 0.7, 0.7))[:, 6:-6, 6:-6]
    y, x = np.meshgrid(*[np.linspace(-1, 1, 14)] * 2, indexing="ij")
    cell = (abs(y - 0.3) < 0.25) & (abs(x) < 0.25)
    maps = np.array([cell.astype(float), np.exp(-(y**2) - x**2)])
    times = scipy.ndimage.gaussian_filter1d(rng.normal(size=(250, 2)), 3, axis=0)
    signal = np.tensordot(times / times.std(axis=0), maps, 1)
    movie = xr.DataArray(signal + noise / noise.std(), dims=("time", "y", "x"))
    return movie, signal, noise_floor(movie, model="spatial")


def test_error_is_at_most_half_of_that_of_independent_noise(
    blurred: tuple[xr.DataArray, NDArray[np.floating], NoiseFloor],
) -> None:
    movie, signal, floor = blurred
    before = denoise(movie, noise_floor(movie, model="heteroscedastic"))
    after = denoise(movie, floor)
    assert floor.rank == 2
    errors = [float(np.mean((each.values - signal) ** 2)) for each in (before, after)]
    assert errors[1] < 0.5 * errors[0]
    assert after.attrs["noise_rank"] == 2


def test_the_map_is_that_of_filters_and_components(
    blurred: tuple[xr.DataArray, NDArray[np.floating], NoiseFloor],
) -> None:
    movie, _, floor = blurred
    flat = (movie.values.reshape(len(movie), -1) - floor.channel_mean) / floor.channel_scale
    scores = flat @ floor.filters.conj()
    expected = (scores @ floor.components.T) * floor.channel_scale + floor.channel_mean
    found = denoise(movie, floor, shrinkage="none")
    np.testing.assert_allclose(found.values.reshape(len(movie), -1), expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(floor.filters.conj().T @ floor.components, np.eye(2), atol=1e-6)


def test_a_denoiser_learned_on_one_recording_serves_another(
    blurred: tuple[xr.DataArray, NDArray[np.floating], NoiseFloor],
) -> None:
    movie, signal, floor = blurred
    learned = Denoiser(model="spatial").fit(movie)
    np.testing.assert_allclose(learned.transform(movie), denoise(movie, floor), rtol=1e-6, atol=1e-9)
    assert learned.linear_denoiser_.encode.shape == (2, 196)
    streaming = StreamingDenoiser(model="spatial").partial_fit(movie[:125]).partial_fit(movie[125:])
    error = float(np.mean((streaming.transform(movie).values - signal) ** 2))
    assert error < 1.1 * float(np.mean((denoise(movie, floor).values - signal) ** 2))


def test_components_from_within_shared_noise_are_refused(
    blurred: tuple[xr.DataArray, NDArray[np.floating], NoiseFloor],
) -> None:
    movie, _, floor = blurred
    with pytest.raises(ConfigError, match="channels share noise"):
        denoise(movie, floor, rank=5)


def test_chunks_give_the_whole(blurred: tuple[xr.DataArray, NDArray[np.floating], NoiseFloor]) -> None:
    movie, _, floor = blurred
    lazy = denoise(movie.chunk(time=50), floor)
    np.testing.assert_allclose(lazy.compute(scheduler="synchronous"), denoise(movie, floor), rtol=1e-9)
