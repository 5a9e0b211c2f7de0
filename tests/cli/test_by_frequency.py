"""`sciml spectrum noise FILE --by-frequency`: which channels share what, as a table and as JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sciml.io import save_recording


def with_a_line(folder: Path) -> Path:
    values, t = np.random.default_rng(0).normal(size=(2000, 9)), np.arange(2000) / 100
    values[:, [1, 4, 8]] += np.sin(2 * np.pi * 20 * t)[:, None]
    path = folder / "line.nc"
    save_recording(xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 100.0, "units": "V"}), path)
    return path


def test_the_table_names_frequency_and_channels(sciml: Any, tmp_path: Path) -> None:
    done = sciml("spectrum", "noise", with_a_line(tmp_path), "--by-frequency")
    assert done.code == 0
    assert "Shared activity in 1 band" in done.out
    row = done.out.splitlines()[-1].split()
    assert abs(float(row[0].rstrip("=")) - 20) < 0.5
    assert {part.strip(",") for part in row[-3:]} == {"1", "4", "8"}


def test_json_and_a_range_of_frequencies(sciml: Any, tmp_path: Path) -> None:
    path = with_a_line(tmp_path)
    document = json.loads(sciml("spectrum", "noise", path, "--by-frequency", "--band", "15", "25", "--json").out)
    assert document["schema"] == "sciml.noise-by-frequency/1"
    assert 15 <= min(document["frequency"]) < max(document["frequency"]) <= 25
    assert sorted(document["bands"][0]["modes"][0]["channels"]) == [1, 4, 8]
    elsewhere = sciml("spectrum", "noise", path, "--by-frequency", "--band", "30", "45")
    assert "No oscillation is shared" in elsewhere.out


def test_a_band_without_by_frequency_is_a_usage_error(sciml: Any, tmp_path: Path) -> None:
    done = sciml("spectrum", "noise", with_a_line(tmp_path), "--band", "1", "5")
    assert done.code == 2
    assert "need --by-frequency" in done.err
