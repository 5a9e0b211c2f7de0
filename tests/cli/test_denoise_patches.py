"""`sciml denoise --patch`: the library's result in a file, options that are checked, runs that go on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sciml.denoise import denoise_patches
from sciml.io import open_recording, save_recording
from sciml.simulate import smooth_phantom


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    found = smooth_phantom((20, 18), n_samples=30).recording.assign_attrs(units="mV", sampling_rate=10.0)
    return save_recording(found, tmp_path / "movie.nc")


def test_it_writes_what_the_library_gives(sciml: Callable[..., Any], movie: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.nc"
    done = sciml("denoise", movie, "-o", out, "--patch", "5,5", "--stride", "3", "--maps", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    whole = denoise_patches(open_recording(movie), patch={"y": 5, "x": 5}, stride=3)
    np.testing.assert_allclose(open_recording(out), whole["denoised"], rtol=1e-6)
    assert document["patch"] == {"y": 5, "x": 5}
    assert document["sigma"] == pytest.approx(float(whole["sigma"].mean()), rel=1e-5)
    with xr.open_dataset(out) as found:
        assert {"sigma", "rank", "variance", "removed", "coverage"} <= set(found)


def test_masks_and_noise_maps_come_from_files(sciml: Callable[..., Any], movie: Path, tmp_path: Path) -> None:
    mask = xr.DataArray(np.ones((20, 18)), dims=("y", "x"), name="mask")
    mask[:5] = 0
    save_recording(mask, tmp_path / "mask.nc")
    save_recording(xr.full_like(mask, 2.0).rename("sigma"), tmp_path / "sigma.nc")
    options = ["--mask", tmp_path / "mask.nc", "--sigma", tmp_path / "sigma.nc", "--weights", "uniform"]
    done = sciml("denoise", movie, "-o", tmp_path / "a.nc", "--patch", "y=6,x=5", *options)
    assert done.code == 0, done.err
    assert "patches of 6 x 5" in done.out
    assert "mean noise 2 mV" in done.out
    np.testing.assert_array_equal(open_recording(tmp_path / "a.nc")[:, :5], open_recording(movie)[:, :5])


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--patch", "7"], 2, "expected 2 sizes along y, x"),
        (["--patch", "7,seven"], 2, "expected 2 sizes along y, x"),
        (["--maps"], 2, "--maps needs --patch"),
        (["--device", "cpu"], 2, "--device needs --patch"),
        (["--patch", "5,5", "--memory", "lots"], 4, "expected an amount of memory"),
        (["--patch", "5,5", "--device", "abacus"], 4, "expected a device as"),
        (["--patch", "5,5", "--stride", "9"], 4, "expected strides of at most the patch"),
    ],
)
def test_wrong_options_are_refused(
    sciml: Callable[..., Any], movie: Path, tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    done = sciml("denoise", movie, "-o", tmp_path / "a.nc", *options)
    assert (done.code, message in done.err) == (code, True), done.err


def test_what_was_left_untouched_is_printed_and_gaps_are_filled_on_request(
    sciml: Callable[..., Any], movie: Path, tmp_path: Path
) -> None:
    holed = open_recording(movie).load()
    holed[{"y": slice(3)}] = 0
    holed[{"time": 4, "y": 10, "x": 10}] = np.nan
    save_recording(holed, movie, overwrite=True)
    said = sciml("denoise", movie, "-o", tmp_path / "a.nc", "--patch", "5,5")
    assert "54 of 360 voxels left as they were" in said.out
    filled = json.loads(sciml("denoise", movie, "-o", tmp_path / "b.nc", "--patch", "5,5", "--fill", "--json").out)
    assert (filled["untouched"], filled["voxels"]) == (54, 360)
    assert np.isnan(open_recording(tmp_path / "a.nc")[4, 10, 10])
    assert np.isfinite(open_recording(tmp_path / "b.nc")[4, 10, 10])


def test_a_movie_of_which_nothing_can_be_denoised_is_an_error(
    sciml: Callable[..., Any], movie: Path, tmp_path: Path
) -> None:
    save_recording(open_recording(movie).load() * np.nan, movie, overwrite=True)
    done = sciml("denoise", movie, "-o", tmp_path / "a.nc", "--patch", "5,5")
    assert (done.code, "all 360 voxels" in done.err) == (3, True), done.err


def test_shared_noise_is_said_and_can_be_left_alone(sciml: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(size=(60, 24, 25))
    movie = xr.DataArray(white[:, :, 1:] + white[:, :, :-1], dims=("time", "y", "x"), name="movie")
    save_recording(movie, tmp_path / "movie.nc")
    run = ("denoise", tmp_path / "movie.nc", "--patch", "7,7", "-o")
    assert "neighbors share noise: correlation" in sciml(*run, tmp_path / "a.nc").out
    found = json.loads(sciml(*run, tmp_path / "b.nc", "--json").out)
    assert found["noise_correlation"]["x"][1] == pytest.approx(0.5, abs=0.05)
    assert found["sigma"] == pytest.approx(2**0.5, rel=0.02)
    alone = json.loads(sciml(*run, tmp_path / "c.nc", "--noise", "independent", "--json").out)
    assert alone["noise_correlation"] == {}
