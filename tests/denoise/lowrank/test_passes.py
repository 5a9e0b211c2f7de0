"""How often denoising reads a recording: once for its noise floor, and once to apply what was learned."""

from typing import Any

import dask.array
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from sciml.denoise import denoise
from sciml.noise import noise_floor


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
        lazy = dask.array.from_array(self, chunks=(50, -1), meta=np.empty((0, 0), self.dtype))
        return xr.DataArray(lazy, dims=("time", "channel"), attrs={"sampling_rate": 10.0})


def values() -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(400) / 9)[:, None] * rng.uniform(0, 2, 20)
    noise = rng.normal(size=(401, 20))
    return np.asarray(3 * wave + noise[1:] + 0.7 * noise[:-1])


@pytest.mark.parametrize("memory", [2**29, 1], ids=["held", "streamed"])
@pytest.mark.parametrize(
    ("options", "passes"),
    [({}, 2), ({"sigma": 1.0}, 2), ({"shrinkage": "hard"}, 2), ({"whiten": "time"}, 1), ({"fill": True}, 2)],
)
def test_a_recording_is_read_twice_at_most(
    options: dict[str, Any], passes: int, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", memory)
    monkeypatch.setattr("sciml.noise.channels.read.BLOCK_BYTES", 8 * 20 * 100)
    counted = Counted(values())
    denoise(counted.recording(), **options).compute()
    assert counted.passes == passes


def test_a_recording_is_read_once_given_a_floor() -> None:
    floor = noise_floor(xr.DataArray(values(), dims=("time", "channel"), attrs={"sampling_rate": 10.0}))
    counted = Counted(values())
    denoise(counted.recording(), floor).compute()
    assert counted.passes == 1
