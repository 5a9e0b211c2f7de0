"""The ways in which a recording is read."""

from collections.abc import Callable

import pytest
import xarray as xr

from sciml.noise import NoiseFloor, RunningNoiseFloor, noise_floor

Floor = Callable[..., NoiseFloor]


def held(recording: xr.DataArray, model: str = "auto") -> NoiseFloor:
    return noise_floor(recording, model=model)


def streamed(recording: xr.DataArray, model: str = "auto") -> NoiseFloor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sciml.noise.channels.read.MEMORY", 1)
        patch.setattr("sciml.noise.channels.read.BLOCK_BYTES", 8 * 24 * 170)
        return noise_floor(recording, model=model)


def from_dask(recording: xr.DataArray, model: str = "auto") -> NoiseFloor:
    return noise_floor(recording.chunk({"time": 130, "channel": 7}), model=model)


def running(recording: xr.DataArray, model: str = "auto") -> NoiseFloor:
    floor = RunningNoiseFloor()
    for start in range(0, recording.sizes["time"], 170):
        floor.add(recording.isel(time=slice(start, start + 170)))
    return floor.floor(model)


@pytest.fixture(params=[held, streamed, from_dask, running], ids=lambda way: way.__name__)
def read(request: pytest.FixtureRequest) -> Floor:
    """Return the noise floor of a recording, read in one of the ways there are."""
    way: Floor = request.param
    return way
