"""`sciml denoise` on whole recordings: options, a table of methods, and results inside a copy of an NWB file."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.io import open_recording, save_recording
from sciml.simulate import population_recording, write_nwb


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 1)) @ rng.normal(size=(1, 12)) + rng.normal(size=(400, 12))
    values[3, 4] = np.nan
    recording = xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V"})
    return save_recording(recording, tmp_path / "a.nc")


def test_options_of_whole_recordings_reach_the_library(sciml, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.nc"
    words = ["--sigma", "1", "--shrinkage", "operator", "--fill", "-q"]
    assert sciml("denoise", file, "-o", out, *words).out.endswith("1 of 12 components kept\n")
    cleaned = open_recording(out)
    assert np.isfinite(cleaned.values).all()
    assert "white noise of the given sigma 1 V; shrinkage operator, sciml" in cleaned.attrs["history"]
    assert cleaned.attrs["noise_sigma"] == 1
    assert cleaned.attrs["noise_rank"] == 1


def test_methods_are_compared_in_a_table(sciml, file: Path) -> None:
    lines = sciml("denoise", file, "--compare", "-q").out.splitlines()
    assert lines[0].split() == ["method", "excess", "removed", "rank", "left", "p", "left", "seconds"]
    document = json.loads(sciml("denoise", file, "--compare", "--json", "-q").out)
    assert document["schema"] == "sciml.denoise-compare/1"
    assert {each["method"] for each in document["methods"]} == {line.split()[0] for line in lines[2:]}
    options = ("--compare", "--model", "white", "--patch", "channel=6", "--json", "-q")
    document = json.loads(sciml("denoise", file, *options).out)
    assert document["model"] == "white"
    assert "patches" in {each["method"] for each in document["methods"]}


def test_an_nwb_output_is_a_copy_with_the_result_in_it(sciml, file: Path, tmp_path: Path) -> None:
    source = write_nwb(population_recording(n_neurons=12, duration=30.0), tmp_path / "s.nwb")
    assert sciml("denoise", source, "-o", tmp_path / "t.nwb", "-q").code == 0
    with h5py.File(tmp_path / "t.nwb") as copy:
        assert "sciml.denoise: kept" in copy["processing/sciml/RoiResponseSeries_denoised"].attrs["comments"]
    refused = sciml("denoise", file, "-o", tmp_path / "u.nwb")
    assert refused.code == 4
    assert "expected an NWB file to copy" in refused.err
    assert sciml("denoise", file).code == 2


def test_a_page_shows_what_was_done(sciml, file: Path, tmp_path: Path) -> None:
    pages = [tmp_path / name for name in ("whole.html", "patches.html")]
    assert sciml("denoise", file, "-o", tmp_path / "b.nc", "--report", pages[0], "-q").code == 0
    words = ["--patch", "channel=6", "--maps"]
    done = sciml("denoise", file, "-o", tmp_path / "c.nc", *words, "--report", pages[1], "-q")
    assert done.code == 0
    whole, patches = (page.read_text() for page in pages)
    assert "What was removed" in whole
    assert "How far to trust the result" in patches
    refused = sciml("denoise", file, "-o", tmp_path / "d.nc", "--report", pages[0])
    assert refused.code != 0
    assert not (tmp_path / "d.nc").exists()


def test_an_nwb_copy_has_its_page(sciml, tmp_path: Path) -> None:
    source = write_nwb(population_recording(n_neurons=12, duration=30.0), tmp_path / "s.nwb")
    done = sciml("denoise", source, "-o", tmp_path / "t.nwb", "--report", tmp_path / "t.html", "-q")
    assert done.code == 0
    assert "Before and after" in (tmp_path / "t.html").read_text()


def test_patches_go_into_an_nwb_copy(sciml, tmp_path: Path) -> None:
    source = write_nwb(population_recording(n_neurons=12, duration=30.0), tmp_path / "s.nwb")
    words = ["--patch", "6", "--maps", "--report", tmp_path / "t.html", "-q"]
    assert sciml("denoise", source, "-o", tmp_path / "t.nwb", *words).code == 0
    with h5py.File(tmp_path / "t.nwb") as copy:
        assert "sciml.denoise_patches" in copy["processing/sciml/RoiResponseSeries_denoised"].attrs["comments"]
    assert "standard error" in (tmp_path / "t.html").read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["s.nwb", "t.html", "t.nwb"]


def test_frames_without_a_clock_need_no_size_in_a_patch(sciml, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(30, 16, 12)).astype(np.float32)
    movie = save_recording(xr.DataArray(values, dims=("frame", "y", "x")), tmp_path / "movie.nc")
    assert sciml("denoise", movie, "-o", tmp_path / "a.nc", "--patch", "5,4", "-q").code == 0
    refused = sciml("denoise", movie, "-o", tmp_path / "c.nc", "--patch", "5", "-q")
    assert refused.code == 2
    assert "expected 2 sizes along y, x" in refused.err


@pytest.mark.parametrize("kind", ["constant", "missing", "duplicate"])
def test_a_large_recording_with_a_channel_without_noise_of_its_own(
    sciml, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", 1)
    values = np.random.default_rng(0).normal(size=(400, 16))
    spoiled: dict[str, Any] = {"constant": 0.0, "missing": np.nan, "duplicate": values[:, 2]}
    values[:, 3] = spoiled[kind]
    recording = xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V"})
    source = save_recording(recording, tmp_path / "a.nc")
    assert sciml("denoise", source, "-o", tmp_path / "b.nc", "-q").code == 0
