"""Frames that are not new: named when they are repeated, interpolated or smoothed, and only then."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from sciml.denoise import denoise_patches, denoise_patches_to_file
from sciml.denoise.patches import denoising, to_file
from sciml.io import open_recording

PATCH = {"y": 6, "x": 6}
SHAPE = (60, 18, 18)


def noise(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def signal() -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    slow = np.sin(np.arange(60) / 5)[:, None, None] * rng.random(SHAPE[1:])
    events = (rng.random((60, 1, 1)) < 0.15) * rng.random(SHAPE[1:])
    return (5 * slow + 6 * events).astype(np.float32)


def findings(values: NDArray[np.generic], dim: str = "time") -> list[str]:
    found = denoise_patches(xr.DataArray(values, dims=(dim, "y", "x")), patch=PATCH)
    return list(found.attrs.get("findings", []))


def repeated(values: NDArray[np.float32]) -> NDArray[np.float32]:
    values[20], values[21] = values[19], values[19]
    return values


def interpolated(values: NDArray[np.float32]) -> NDArray[np.float32]:
    for k in range(1, 4):
        values[29 + k] = values[29] * (1 - k / 4) + values[33] * k / 4
    return values


@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "i4"])
def test_repeated_and_interpolated_frames_are_named(kind: str) -> None:
    for change, words in (
        (repeated, "counted from 0: 20, 21) repeat"),
        (interpolated, "30, 31, 32) are each the mean"),
    ):
        (found,) = findings(np.round(1000 * change(noise() + signal())).astype(kind))
        assert words in found


@pytest.mark.parametrize("values", [noise(), noise() + signal(), np.cumsum(0.1 * noise(), axis=0) + 5 * noise(2)])
def test_new_noise_is_not_named(values: NDArray[np.float32]) -> None:
    assert findings(values) == []
    assert findings(np.round(values).astype(np.int16)) == []


def test_sparse_counts_are_alike_by_chance() -> None:
    assert findings(np.random.default_rng(0).poisson(0.02, size=SHAPE).astype(np.uint16)) == []


@pytest.mark.parametrize("with_signal", [False, True])
def test_smoothing_in_time_is_named(with_signal: bool) -> None:
    for smoothed in (
        uniform_filter1d(noise(), 2, axis=0),
        uniform_filter1d(noise(), 3, axis=0),
        gaussian_filter1d(noise(), 0.6, axis=0),
        gaussian_filter1d(noise(), 2.0, axis=0),
        (noise() + np.roll(noise(), 1, axis=0)) / 2,
    ):
        found, *others = findings(smoothed + signal() * with_signal)
        assert "after smoothing or interpolation in time" in found
        # what it did to the noise that neighbors share is said beside it
        assert all(each.endswith("noise was taken for independent between voxels") for each in others)
        assert len(others) <= 1


def test_only_what_is_in_order_of_time_is_looked_at() -> None:
    assert findings(repeated(noise()), dim="energy") == []
    assert findings(repeated(noise()), dim="frame") != []


def test_a_file_says_what_memory_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (to_file, denoising):
        monkeypatch.setattr(module, "voxels_that_fit", lambda *_: 250)
    for values in (repeated(noise()), interpolated(noise() + signal()), uniform_filter1d(noise(), 3, axis=0)):
        values[:, :12] = np.where(np.arange(12)[:, None] < 10, 0, values[:, :12])  # a tile that says nothing
        movie = xr.DataArray(values, dims=("time", "y", "x"))
        out = tmp_path / "clean.nc"
        found = denoise_patches_to_file(movie, out, patch=PATCH, overwrite=True)
        assert found.n_tiles > 3
        whole = denoise_patches(movie, patch=PATCH)
        assert [each[:40] for each in found.findings] == [each[:40] for each in whole.attrs["findings"]]
        assert tuple(open_recording(out).attrs["findings"]) == found.findings
        tiled = denoise_patches(movie, patch=PATCH, memory="2GB")
        assert [each[:40] for each in tiled.attrs["findings"]] == [each[:40] for each in whole.attrs["findings"]]
