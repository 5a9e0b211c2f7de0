"""A report on a denoised recording shows it before and after, and says whether what was removed is noise."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from sciml.denoise import denoise, denoise_patches
from sciml.errors import ConfigError, DataError
from sciml.report import denoising_report
from sciml.simulate import smooth_phantom

PATCH = {"y": 5, "x": 5}


def test_white_noise_that_was_removed_is_called_white_and_maps_are_shown() -> None:
    phantom = smooth_phantom((24, 24), n_samples=60)
    found = denoising_report(
        phantom.recording, denoise_patches(phantom.recording, patch=PATCH), settings={"patch": "5,5"}
    )
    alike = found.numbers["neighbor_correlation_of_removed"]
    # 34560 values: the standard error is .005. The noise that smooth components keep, a tenth of it at most, is missing
    # from what was removed.
    assert set(alike) == {"time", "y", "x"}
    assert max(map(abs, alike.values())) < 0.1
    assert any("looks like white noise" in each.text for each in found.findings)
    assert found.numbers["median_sigma"] == pytest.approx(phantom.sigma, rel=0.05)
    page = found.to_html()
    assert len(re.findall("<svg", page)) == 6  # the pictures together and each alone, a spectrum, maps
    assert all(word in page for word in ("recorded", "denoised", "removed", "standard error", "sigma"))
    assert "mathdefault" not in page


def test_signal_that_was_removed_is_seen_as_correlation() -> None:
    """A mean over time is no denoiser of a moving signal: what it removes is smooth in space."""
    rng = np.random.default_rng(0)
    signal = gaussian_filter(rng.normal(size=(40, 20, 20)), (0, 3, 3)) * 30
    movie = xr.DataArray(signal + rng.normal(size=signal.shape), dims=("time", "y", "x"))
    found = denoising_report(movie, movie * 0 + movie.mean("time"))
    assert found.numbers["neighbor_correlation_of_removed"]["y"] > 0.3
    assert any(each.severity == "caution" and "not white" in each.text for each in found.findings)
    assert [section.title for section in found.sections] == ["Before and after", "What was removed"]


def test_noise_that_neighbors_share_is_said_to_be_found_and_no_caution(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.normal(size=(150, 32, 32)), (0, 0.7, 0.7))
    movie = xr.DataArray(noise / noise.std() + 100.0, dims=("time", "y", "x"))
    cleaned = denoise_patches(movie, patch=PATCH)
    found = denoising_report(movie, cleaned)
    known = found.numbers["neighbor_correlation_of_noise"]
    alike = found.numbers["neighbor_correlation_of_removed"]
    assert set(known) == {"y", "x"}
    assert all(alike[dim] == pytest.approx(known[dim], abs=0.05) for dim in known)
    texts = [each.text for each in found.findings]
    assert any(text.startswith("Noise that neighbors share was found and taken out") for text in texts)
    assert any("as the noise does that was found" in text for text in texts)
    assert not any("not white" in text for text in texts)
    assert all(each.severity != "caution" for each in found.findings)
    assert found.numbers["variance_removed"] <= 1
    assert "of the noise found" in found.to_html()
    cleaned["denoised"].rename("movie").to_netcdf(tmp_path / "denoised.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "denoised.nc", engine="h5netcdf") as file:
        assert denoising_report(movie, file["movie"].load()).numbers["neighbor_correlation_of_noise"] == known


def test_channels_are_a_picture_too_and_missing_samples_do_no_harm() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(300, 1)) @ rng.normal(size=(1, 12)) + rng.normal(size=(300, 12))
    values[7, 3] = np.nan
    recording = xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V"})
    found = denoising_report(recording, denoise(recording))
    assert "frequency [Hz]" in found.to_html()
    assert 0 < found.numbers["variance_removed"] < 1


def test_volumes_and_complex_numbers_are_shown_by_a_middle_plane() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(20, 6, 7, 8)) + 1j * rng.normal(size=(20, 6, 7, 8))
    volume = xr.DataArray(values, dims=("time", "z", "y", "x"))
    found = denoising_report(volume, denoise_patches(volume, patch={"z": 3, "y": 3, "x": 3}))
    assert set(found.numbers["neighbor_correlation_of_removed"]) == {"time", "y", "x"}
    assert "How far to trust the result" in found.to_html()


def test_what_does_not_belong_together_is_refused() -> None:
    movie = xr.DataArray(np.zeros((8, 6, 6)), dims=("time", "y", "x"))
    with pytest.raises(DataError, match=r"of sizes .'time': 4, 'y': 6, 'x': 6"):
        denoising_report(movie, movie[:4])
    with pytest.raises(ConfigError, match="variable 'denoised', got sigma"):
        denoising_report(movie, xr.Dataset({"sigma": movie[0]}))
    with pytest.raises(DataError, match="channels or voxels"):
        denoising_report(movie[:, 0, 0], movie[:, 0, 0])
