"""How often a recording is read: once for its noise floor, twice where components reach channels that were not read."""

from typing import Any

import dask.array
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sciml.noise import noise_floor, spectral_noise_floor


class Counted:
    """An array that counts the values that were read of it."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values, self.n_read = values, 0
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, key: Any) -> NDArray[Any]:
        part = np.asarray(self.values[key])
        self.n_read += part.size
        return part

    @property
    def passes(self) -> float:
        return self.n_read / self.values.size

    def recording(self) -> xr.DataArray:
        """Return it as a lazy recording in chunks of 50 samples."""
        lazy = dask.array.from_array(self, chunks=(50, -1), meta=np.empty((0, 0), self.dtype))
        return xr.DataArray(lazy, dims=("time", "channel"), attrs={"sampling_rate": 10.0})


def values_of(kind: str) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    sine = np.sin(np.arange(400) / 9)[:, None] * rng.uniform(0, 1, 20)
    if kind == "counts":
        return rng.poisson(5 * np.exp(sine))
    noise = rng.normal(size=(401, 20))
    return 2 * sine + noise[1:] + (0.7 * noise[:-1] if kind == "colored" else 0)


@pytest.mark.parametrize("memory", [2**29, 1], ids=["held", "streamed"])
@pytest.mark.parametrize("kind", ["white", "colored", "counts"])
def test_a_recording_is_read_once(kind: str, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", memory)
    monkeypatch.setattr("sciml.noise.channels.read.BLOCK_BYTES", 8 * 20 * 100)
    counted = Counted(values_of(kind))
    floor = noise_floor(counted.recording())
    assert floor.rank >= 1
    assert (floor.model == "counts") == (kind == "counts" and memory > 1)
    assert counted.passes == 1


@pytest.mark.parametrize("memory", [2**29, 1], ids=["held", "streamed"])
def test_a_recording_of_counts_is_read_once_where_they_are_asked_for(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", memory)
    counted = Counted(values_of("counts"))
    assert noise_floor(counted.recording(), model="counts").model == "counts"
    assert counted.passes == 1


def test_a_recording_of_more_channels_than_fit_is_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", 8 * 400 * 15)
    monkeypatch.setattr("sciml.noise.channels.read.MAX_CHANNELS", 10)
    counted = Counted(values_of("white"))
    assert noise_floor(counted.recording()).n_used == 15
    assert counted.passes == 2


def test_a_recording_is_read_once_for_its_floor_in_frequency() -> None:
    counted = Counted(values_of("white"))
    spectral_noise_floor(counted.recording())
    assert counted.passes == 1
