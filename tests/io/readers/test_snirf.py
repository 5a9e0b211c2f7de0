"""SNIRF as its writers write it: indices as floats, times as a column, offsets, places, one group of arrays."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, open_recording

VALUES = np.arange(20.0).reshape(10, 2)
DESCRIBED = ("sourceIndex", "detectorIndex", "wavelengthIndex", "dataType", "dataTypeIndex")


def snirf(
    path: Path,
    *,
    time: Any = None,
    unit: str | None = "s",
    cell: Any = np.int32,
    arrays: bool = False,
    **extra: Any,
) -> Path:
    rows = [(1, 1, 1, 1, 1), (2, 1, 2, 1, 1)]
    with h5py.File(path, "w") as file:
        file["formatVersion"] = "1.2"
        tags = file.create_group("nirs/metaDataTags")
        tags["LengthUnit"] = "mm"
        if unit is not None:
            tags["TimeUnit"] = unit
        file["nirs/probe/wavelengths"] = [760.0, 850.0]
        file["nirs/probe/sourcePos3D"], file["nirs/probe/detectorPos3D"] = [[0.0, 0, 0], [0, 40, 0]], [[30.0, 0, 0]]
        data = file.create_group("nirs/data1")
        data["dataTimeSeries"], data["time"] = VALUES, np.arange(10) / 10 if time is None else time
        for name, value in extra.items():
            data[name] = value
        if arrays:
            for name, column in zip(DESCRIBED, zip(*rows, strict=True), strict=True):
                data[f"measurementLists/{name}"] = np.array(column)
        for number, row in enumerate(() if arrays else rows, 1):
            for name, value in zip(DESCRIBED, row, strict=True):
                data[f"measurementList{number}/{name}"] = cell(value)
    return path


@pytest.mark.parametrize("cell", [np.int32, float, lambda value: [float(value)], lambda value: [[value]], str])
def test_indices_in_whatever_type_lead_to_wavelengths_and_places(tmp_path: Path, cell: Any) -> None:
    recording = open_recording(snirf(tmp_path / "a.snirf", cell=cell))
    assert recording["wavelength"].values.tolist() == [760.0, 850.0]
    assert recording["source_index"].values.tolist() == [1, 2]
    assert recording["source_y"].values.tolist() == [0.0, 40.0]
    assert recording["distance"].values.tolist() == [30.0, 50.0]
    assert recording["distance"].attrs["units"] == "mm"


def test_one_group_of_arrays_describes_all_channels(tmp_path: Path) -> None:
    recording = open_recording(snirf(tmp_path / "a.snirf", arrays=True))
    assert recording["wavelength"].values.tolist() == [760.0, 850.0]
    assert recording["detector_x"].values.tolist() == [30.0, 30.0]


@pytest.mark.parametrize("unit", ["unknown", "", None])
def test_an_unknown_unit_of_time_is_seconds_and_a_finding(tmp_path: Path, unit: str | None) -> None:
    path = snirf(tmp_path / "a.snirf", unit=unit)
    assert open_recording(path).attrs["sampling_rate"] == pytest.approx(10.0)
    assert any("taken as seconds" in issue.message for issue in describe(path).findings)


@pytest.mark.parametrize("time", [np.arange(10)[:, None] / 10, np.arange(10)[None] / 10, [[0.0], [0.1]]])
def test_times_may_be_a_column_or_a_row(tmp_path: Path, time: Any) -> None:
    recording = open_recording(snirf(tmp_path / "a.snirf", time=time))
    np.testing.assert_allclose(recording["time"].values, np.arange(10) / 10)
    assert describe(tmp_path / "a.snirf").signals[0].rate == pytest.approx(10.0)


def test_offsets_of_the_channels_are_added(tmp_path: Path) -> None:
    recording = open_recording(snirf(tmp_path / "a.snirf", dataOffset=[100.0, -5.0]))
    np.testing.assert_array_equal(recording.values, VALUES + np.array([100.0, -5.0]))
    np.testing.assert_array_equal(recording[3:5, 1].values, VALUES[3:5, 1] - 5)


def test_offsets_of_other_channels_are_a_finding(tmp_path: Path) -> None:
    path = snirf(tmp_path / "a.snirf", dataOffset=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(open_recording(path).values, VALUES)
    assert "not_applied" in [issue.code for issue in describe(path).findings]


def test_a_row_of_times_too_short_is_a_finding(tmp_path: Path) -> None:
    path = snirf(tmp_path / "a.snirf", time=np.arange(9) / 10)
    assert "sampling_rate" not in open_recording(path).attrs
    assert any("9 times for 10 samples" in issue.message for issue in describe(path).findings)


def test_a_matrix_of_one_row_a_channel_is_presented_with_time_first(tmp_path: Path) -> None:
    path = snirf(tmp_path / "a.snirf", dataOffset=[100.0, -5.0])
    with h5py.File(path, "r+") as file:
        del file["nirs/data1/dataTimeSeries"]
        file["nirs/data1/dataTimeSeries"] = VALUES.T
    recording = open_recording(path)
    assert recording.dims == ("time", "channel")
    np.testing.assert_array_equal(recording.values, VALUES + np.array([100.0, -5.0]))
    assert recording["wavelength"].values.tolist() == [760.0, 850.0]


@pytest.mark.parametrize("arrays", [False, True])
def test_channels_that_point_at_no_row_of_the_probe_are_a_finding(tmp_path: Path, arrays: bool) -> None:
    path = snirf(tmp_path / "a.snirf", arrays=arrays)
    with h5py.File(path, "r+") as file:
        del file["nirs/probe/wavelengths"]
        file["nirs/probe/wavelengths"] = [760.0]
    (found,) = [issue.message for issue in describe(path).findings]
    assert "rows 1 to 2 of the 1 of nirs/probe/wavelengths" in found
    recording = open_recording(path)
    assert "wavelength" not in recording.coords
    assert recording.attrs["history"].count("probe/wavelengths") == 1
