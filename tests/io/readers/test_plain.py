"""Any HDF5 file: dims and clock from what the file says, and a note where they are a guess."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, list_signals, open_recording

VALUES = np.arange(20.0).reshape(10, 2)


def test_the_first_axis_is_time_by_default_and_the_guess_is_told(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES
    recording = open_recording(tmp_path / "a.h5", "x")
    assert recording.dims == ("time", "channel")
    assert "time" not in recording.coords
    assert "taken as time, without a clock" in recording.attrs["history"]
    assert any("taken as time, without a clock" in text.message for text in describe(tmp_path / "a.h5").findings)


@pytest.mark.parametrize("name", ["sampling_rate", "SamplingFrequency[Hz]", "fs", "Sample Rate (Hz)"])
@pytest.mark.parametrize("place", ["x", "/", "beside"])
def test_a_stated_sampling_rate_is_found(tmp_path: Path, name: str, place: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["g/x"] = VALUES
        file.create_group("beside")
        {"x": file["g/x"], "/": file["g"], "beside": file["beside"]}[place].attrs[name] = "250"
    assert open_recording(tmp_path / "a.h5").attrs["sampling_rate"] == 250.0


@pytest.mark.parametrize(("unit", "seconds"), [("s", 1.0), ("us", 1e-6), ("micro.second", 1e-6), ("minutes", 60.0)])
def test_time_stamps_beside_are_the_clock_in_seconds(tmp_path: Path, unit: str, seconds: float) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["time"] = VALUES, np.arange(10) * 5
        file["time"].attrs["units"] = unit
    assert [found.path for found in list_signals(tmp_path / "a.h5")] == ["x"]
    recording = open_recording(tmp_path / "a.h5")
    np.testing.assert_allclose(recording["time"].values, np.arange(10) * 5 * seconds, rtol=1e-15)
    assert recording.attrs["sampling_rate"] == pytest.approx(0.2 / seconds)


def test_whole_numbers_without_a_unit_are_no_clock(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["time"] = VALUES, np.arange(10)
    recording = open_recording(tmp_path / "a.h5")
    assert "time" not in recording.coords
    assert "no unit of time" in recording.attrs["history"]


def test_dimension_scales_name_the_axes_and_time_comes_first(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES.T
        file["depth"], file["time"] = [1.0, 4.0], np.arange(10) * 0.5
        file["depth"].attrs["units"] = "m"
        for axis, name in enumerate(("depth", "time")):
            file[name].make_scale(name)
            file["x"].dims[axis].attach_scale(file[name])
    recording = open_recording(tmp_path / "a.h5", "x")
    assert recording.dims == ("time", "depth")
    np.testing.assert_array_equal(recording.values, VALUES)
    assert recording["depth"].attrs["units"] == "m"
    assert recording.attrs["sampling_rate"] == 2.0


def test_equal_guesses_get_numbers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"], file["four"] = np.zeros((3, 4, 5)), np.zeros((2, 3, 4, 5))
    assert open_recording(tmp_path / "a.h5", "cube").dims == ("time", "y", "x")
    assert open_recording(tmp_path / "a.h5", "four").dims == ("time", "dim_1", "dim_2", "dim_3")


def test_a_unique_end_of_a_path_is_enough_and_an_ambiguous_one_is_not(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one/raw"], file["two/raw"], file["two/dark[0]"] = VALUES, VALUES + 1, VALUES + 2
    path = tmp_path / "a.h5"
    assert open_recording(path, "dark[0]").values[0, 0] == 2
    assert open_recording(path, "/two/raw").values[0, 0] == 1
    with pytest.raises(DataError, match="end of several paths: one/raw, two/raw"):
        open_recording(path, "raw")
    assert open_recording(path, "*/raw").dims == ("time", "series", "channel")


def test_units_are_cleaned_and_the_text_of_the_file_is_kept(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, unit in (("a", np.array([b"\xb5V"])), ("b", "No unit"), ("c", "microns")):
            file[name] = VALUES
            file[name].attrs["units"] = unit
    path = tmp_path / "a.h5"
    assert open_recording(path, "a").attrs["units"] == "µV"
    assert (open_recording(path, "b").attrs["units"], open_recording(path, "b").attrs["units_raw"]) == ("", "No unit")
    assert open_recording(path, "c").attrs["units"] == "micrometer"
