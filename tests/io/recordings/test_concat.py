"""Several files are one recording along time, unread, with the gaps between them."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.errors import DataError
from sciml.io import Limits, open_recording, save_recording
from sciml.recording import segments

VALUES = np.random.default_rng(0).integers(-1000, 1000, (90, 3), dtype=np.int16)


def write(path: Path, rows: slice, *, times: np.ndarray | None = None, rate: float = 10.0, unit: str = "mV") -> Path:
    with h5py.File(path, "w") as file:
        file["x"] = VALUES[rows]
        file["x"].attrs.update(units=unit, scale_factor=0.5)
        if times is None:
            file["x"].attrs["sampling_rate"] = rate
        else:
            file["time"] = times
            file["time"].attrs["units"] = "s"
    return path


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """The second file continues the first; the third comes after a gap of 5 s."""
    clocks = [np.arange(40) / 10, 4 + np.arange(30) / 10, 12 + np.arange(20) / 10]
    rows = [slice(0, 40), slice(40, 70), slice(70, 90)]
    parts = zip(rows, clocks, strict=True)
    return [write(tmp_path / f"part{k}.h5", part, times=times) for k, (part, times) in enumerate(parts)]


def test_files_follow_each_other_in_time_whatever_their_order(paths: list[Path]) -> None:
    recording = open_recording([paths[2], paths[0], paths[1]], "x")
    np.testing.assert_array_equal(recording.values, VALUES * np.float32(0.5))
    expected = np.concatenate([np.arange(70) / 10, 12 + np.arange(20) / 10])
    np.testing.assert_allclose(recording.time.values, expected, rtol=0, atol=1e-12)
    assert segments(recording) == [slice(0, 70), slice(70, 90)]
    assert recording.attrs["source"].split("\n") == ["part0.h5", "part1.h5", "part2.h5"]
    assert "the clock has 1 gap" in recording.attrs["history"]


def test_files_without_a_gap_keep_their_rate(paths: list[Path]) -> None:
    assert open_recording(paths[:2], "x").attrs["sampling_rate"] == pytest.approx(10.0)
    assert segments(open_recording(paths[:2], "x")) == [slice(0, 70)]


@pytest.mark.parametrize(
    "key",
    [
        {"time": slice(30, 80, 7)},
        {"time": slice(None, None, -3), "channel": 1},
        {"time": 69},
        {"time": -1, "channel": [2, 0]},
        {"time": [89, 0, 40, 40], "channel": slice(1, None)},
        {"time": slice(5, 5)},
        {"time": []},
    ],
)
@pytest.mark.parametrize("chunks", [None, 25])
def test_indexing_across_files_equals_that_of_the_whole(
    paths: list[Path], key: dict[str, Any], chunks: int | None
) -> None:
    recording = open_recording(paths, "x", chunks=chunks)
    whole = recording.copy(data=VALUES * np.float32(0.5))
    np.testing.assert_array_equal(recording.isel(key).values, whole.isel(key).values)


def test_nothing_is_read_at_opening_and_the_recording_pickles(paths: list[Path]) -> None:
    recording = open_recording(paths, "x", limits=Limits(read_bytes=200))
    assert pickle.loads(pickle.dumps(recording))[39:42].values.shape == (3, 3)  # noqa: S301 - our own
    with pytest.raises(DataError, match="the joined files: one read of"):
        recording.load()


def test_what_differs_is_named(tmp_path: Path, paths: list[Path]) -> None:
    for name, other in {
        "units": write(tmp_path / "a.h5", slice(0, 5), times=100 + np.arange(5) / 10, unit="uV"),
        "sampling_rate": write(tmp_path / "b.h5", slice(0, 5), times=100 + np.arange(5) / 20),
    }.items():
        with pytest.raises(DataError, match=rf"equal {name} .* in part0\.h5 and .* in {other.name}"):
            open_recording([paths[0], other], "x")
    with pytest.raises(DataError, match=r"part0\.h5 begins at 0\.0 s and part0\.h5 ends at"):
        open_recording([paths[0], paths[0]], "x")
    with pytest.raises(DataError, match="at least one file"):
        open_recording([])


def test_channels_must_be_the_same_and_masks_are_joined(tmp_path: Path, paths: list[Path]) -> None:
    saved = []
    for number, path in enumerate(paths):
        recording = open_recording(path, "x")
        mask = ("time", np.arange(recording.sizes["time"]) % 2 == number % 2)
        labeled = recording.assign_coords(channel=["a", "b", "c"], mask=mask)
        saved.append(save_recording(labeled, tmp_path / f"saved{number}.nc"))
    joined = open_recording(saved)
    expected = np.concatenate([np.arange(n) % 2 == k % 2 for k, n in enumerate((40, 30, 20))])
    np.testing.assert_array_equal(joined["mask"].values, expected)
    assert joined["channel"].values.tolist() == ["a", "b", "c"]
    swapped = open_recording(paths[2], "x").assign_coords(channel=["a", "c", "b"], mask=("time", expected[70:]))
    other = save_recording(swapped, tmp_path / "swapped.nc")
    with pytest.raises(DataError, match="equal channel"):
        open_recording([saved[0], other])


def test_clocks_from_the_start_of_each_file_are_shifted_by_the_starts(tmp_path: Path) -> None:
    paths = []
    for number, start in enumerate(("2024-01-01T00:00:10+00:00", "2024-01-01T00:00:00+00:00")):
        paths.append(tmp_path / f"{number}.nwb")
        with h5py.File(paths[-1], "w") as file:
            file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
            file["session_start_time"] = start
            series = file.create_group("acquisition/x")
            series.attrs["neurodata_type"] = "TimeSeries"
            series["data"] = np.full(20, float(number))
            series["data"].attrs["unit"] = "V"
            series["starting_time"] = 0.0
            series["starting_time"].attrs["rate"] = 10.0
    recording = open_recording(paths)
    assert recording.values.tolist() == [1.0] * 20 + [0.0] * 20
    np.testing.assert_allclose(recording.time.values[[0, 19, 20]], [0.0, 1.9, 10.0])
    assert "shifted by the start" in recording.attrs["history"]


def test_files_of_trials_are_joined_along_them(tmp_path: Path) -> None:
    paths = []
    for number in range(2):
        values = np.full((3, 4), float(number))
        coords = {"time": np.arange(4) / 10, "trial": 3 * number + np.arange(3), "kind": ("trial", ["a", "b", "a"])}
        part = xr.DataArray(values, dims=("trial", "time"), coords=coords, attrs={"units": "mV"})
        paths.append(save_recording(part, tmp_path / f"{number}.nc"))
    joined = open_recording(paths)
    assert joined.dims == ("trial", "time")
    assert joined[:, 0].values.tolist() == [0.0] * 3 + [1.0] * 3
    assert joined["trial"].values.tolist() == list(range(6))
    assert joined["kind"].values.tolist() == ["a", "b", "a"] * 2
    np.testing.assert_array_equal(joined["time"].values, np.arange(4) / 10)
    other = save_recording(part.assign_coords(time=np.arange(4) / 5), tmp_path / "other.nc")
    with pytest.raises(DataError, match="equal time to join them"):
        open_recording([paths[0], other])
