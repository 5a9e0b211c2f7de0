"""Strain files with flags that change: every sample has the flags of its own second."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import open_recording

RATE = 4096


def strain(path: Path, *, start: float, seconds: int, flags: list[int], flags_start: int) -> Path:
    with h5py.File(path, "w") as file:
        values = file.create_dataset("strain/Strain", data=np.zeros(seconds * RATE))
        values.attrs.update(Xstart=start, Xspacing=1 / RATE, Yunits="")
        mask = file.create_dataset("quality/simple/DQmask", data=np.array(flags, dtype=np.uint32))
        mask.attrs.update(Xstart=flags_start, Xspacing=1.0)
        file["quality/simple/DQShortnames"] = np.array([b"DATA", b"CBC_CAT1"])
    return path


def test_flags_are_those_of_the_second_of_each_sample(tmp_path: Path) -> None:
    flags = [3, 1, 0, 2, 3]
    recording = open_recording(strain(tmp_path / "a.hdf5", start=1000, seconds=5, flags=flags, flags_start=1000))
    expected = np.repeat(flags, RATE)
    np.testing.assert_array_equal(recording["quality"].values, expected)
    np.testing.assert_array_equal(recording["mask"].values, expected % 2 == 0)
    assert recording["quality"].attrs["flags"] == ["DATA", "CBC_CAT1"]
    window = recording.isel(time=slice(2 * RATE - 1, 2 * RATE + 1))
    assert window["mask"].values.tolist() == [False, True]


def test_flags_that_begin_earlier_than_the_strain_stay_in_step(tmp_path: Path) -> None:
    recording = open_recording(
        strain(tmp_path / "a.hdf5", start=1001.5, seconds=2, flags=[0, 1, 3, 2, 0], flags_start=1000)
    )
    expected = np.concatenate([np.full(RATE // 2, 1), np.full(RATE, 3), np.full(RATE // 2, 2)])
    np.testing.assert_array_equal(recording["quality"].values, expected)
    assert recording.attrs["gps_epoch"] == 1001
    assert float(recording["time"][0]) == pytest.approx(0.5)


@pytest.mark.parametrize("stated", [{"Xstart": np.nan}, {"Xstart": np.inf}, {"Xspacing": np.nan}, {"Xspacing": -1.0}])
def test_flags_at_no_times_are_left_out_and_noted(tmp_path: Path, stated: dict[str, float]) -> None:
    path = strain(tmp_path / "a.hdf5", start=1000, seconds=2, flags=[1, 0], flags_start=1000)
    with h5py.File(path, "a") as file:
        file["quality/simple/DQmask"].attrs.update(stated)
    recording = open_recording(path)
    assert "quality" not in recording.coords
    assert "expected flags at regular times" in recording.attrs["history"]


def test_the_name_of_a_single_flag_need_not_be_an_array(tmp_path: Path) -> None:
    path = strain(tmp_path / "a.hdf5", start=1000, seconds=2, flags=[1, 0], flags_start=1000)
    with h5py.File(path, "a") as file:
        del file["quality/simple/DQShortnames"]
        file["quality/simple/DQShortnames"] = "DATA"
    assert open_recording(path)["quality"].attrs["flags"] == ["DATA"]
