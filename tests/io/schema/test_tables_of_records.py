"""Conventions of any HDF5: records, pandas frames, CF and HDF-EOS scaling, rates in datasets, clocks of any axis."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording, read_events

RECORDS = np.zeros(4, [("time", "<f8"), ("adc", "<i2", (3,)), ("name", "S4"), ("gain", ">f4")])
RECORDS["time"], RECORDS["gain"], RECORDS["name"] = [0.5, 1.0, 1.5, 2.0], [1, 2, 3, 4], [b"a", b"b", b"c", b"d"]
RECORDS["adc"] = np.arange(12).reshape(4, 3)


def test_columns_of_records_are_signals_with_the_others_beside_them(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("run/events", data=RECORDS, chunks=(2,), compression="gzip")
    assert [signal.path for signal in list_signals(tmp_path / "a.h5")] == [
        "run/events/time",
        "run/events/adc",
        "run/events/gain",
    ]
    recording = open_recording(tmp_path / "a.h5", "run/events/adc")
    assert recording.dims == ("event", "channel")
    np.testing.assert_array_equal(recording.values, RECORDS["adc"])
    np.testing.assert_array_equal(recording.isel(event=[0, 3], channel=1).values, RECORDS["adc"][[0, 3], 1])
    assert recording["time"].values.tolist() == RECORDS["time"].tolist()
    assert recording["name"].values.tolist() == ["a", "b", "c", "d"]
    events = read_events(tmp_path / "a.h5", "events")
    assert events["start_time"].values.tolist() == RECORDS["time"].tolist()


def test_frames_of_pandas_have_their_dates_and_columns(tmp_path: Path) -> None:
    first = 1_600_000_000 * 10**9
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("frame")
        group.attrs["pandas_type"] = b"frame"
        group["axis0"], group["block0_items"] = [b"x", b"y"], [b"x", b"y"]
        group["axis1"] = first + np.arange(3) * 10**7
        group["axis1"].attrs["kind"] = b"datetime64"
        group["block0_values"] = np.arange(6.0).reshape(3, 2)
        table = file.create_group("tracks")
        table.attrs["pandas_type"] = b"frame_table"
        table["table"] = np.array(
            [(0, [1.0, 2.0]), (1, [3.0, 4.0])], [("index", "<i8"), ("values_block_0", "<f8", (2,))]
        )
    recording = open_recording(tmp_path / "a.h5", "block0_values")
    assert recording.dims == ("time", "channel")
    assert recording["channel"].values.tolist() == ["x", "y"]
    assert (recording.attrs["unix_epoch"], recording.attrs["sampling_rate"]) == (1_600_000_000, pytest.approx(100.0))
    tracks = open_recording(tmp_path / "a.h5", "values_block_0")
    assert tracks.values.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert tracks["index"].values.tolist() == [0, 1]


def test_cf_scales_coordinates_too_and_says_since_when_time_counts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        for name, values in (("time", [0, 1, 2]), ("level", [10, 20])):
            file[name] = np.array(values, np.int16)
            file[name].make_scale(name)
        file["time"].attrs["units"] = "hours since 2000-01-01"
        file["level"].attrs.update(units="m", scale_factor=0.5, add_offset=1.0)
        file["t2m"] = np.array([[1, 2], [3, -999], [5, 6]], np.int16)
        file["t2m"].attrs.update(units="K", scale_factor=0.1, add_offset=200.0, _FillValue=np.int16(-999))
        for axis, name in enumerate(("time", "level")):
            file["t2m"].dims[axis].attach_scale(file[name])
    recording = open_recording(tmp_path / "a.nc", "t2m")
    np.testing.assert_allclose(recording.values, [[200.1, 200.2], [200.3, np.nan], [200.5, 200.6]], rtol=1e-6)
    assert recording["time"].values.tolist() == [0.0, 3600.0, 7200.0]
    assert recording.attrs["time_since"] == "2000-01-01"
    assert recording["level"].values.tolist() == [6.0, 11.0]


def test_hdf_eos_spells_scale_and_missing_values_its_own_way(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.he5", "w") as file:
        node = file.create_dataset("HDFEOS/SWATHS/ozone/Data Fields/Column", data=np.array([1, 2, -1], np.int32))
        node.attrs.update(Units="DU", ScaleFactor=0.25, Offset=100.0, MissingValue=np.int32(-1))
    recording = open_recording(tmp_path / "a.he5")
    np.testing.assert_array_equal(recording.values, [100.25, 100.5, np.nan])
    assert recording.attrs["units"] == "DU"


@pytest.mark.parametrize(
    ("name", "value", "unit"), [("fs", 250.0, None), ("sampling_interval", 4.0, "ms"), ("dt", 0.004, None)]
)
def test_a_number_beside_the_data_states_the_rate(tmp_path: Path, name: str, value: float, unit: str | None) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["eeg"], file[name] = np.zeros((10, 2)), value
        if unit:
            file[name].attrs["units"] = unit
    assert open_recording(tmp_path / "a.h5").attrs["sampling_rate"] == pytest.approx(250.0)


def test_the_axis_as_long_as_the_clock_is_time(tmp_path: Path) -> None:
    values = np.arange(20.0).reshape(4, 5)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file["time"] = values, np.arange(5) * 0.5
    recording = open_recording(tmp_path / "a.h5")
    assert recording.sizes == {"time": 5, "channel": 4}
    np.testing.assert_array_equal(recording.values, values.T)
    assert recording.attrs["sampling_rate"] == 2.0


def test_sparse_matrices_are_named_and_not_taken_for_signals(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        group = file.create_group("X")
        group["data"], group["indices"], group["indptr"] = [1.0, 2.0], [0, 1], [0, 1, 2]
        group.attrs["shape"] = [2, 2]
    found = describe(tmp_path / "a.h5ad")
    assert not found.signals
    assert any("X is a sparse matrix of shape (2, 2)" in text.message for text in found.findings)


def test_tie_points_of_cf_make_clock_and_distance(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        data = file.create_dataset("velocity", data=np.zeros((21, 5), np.float32))
        for axis, (name, size) in enumerate((("time", 21), ("distance", 5))):
            scale = file.create_dataset(name, data=np.zeros(size))
            scale.make_scale(f"This is a netCDF dimension but not a netCDF variable. {size}")
            data.dims[axis].attach_scale(scale)
        file["time_indices"], file["time_values"] = [0, 10, 20], [5, 100005, 200005]
        file["time_values"].attrs["units"] = "microseconds since 2020-01-01"
        file["distance_indices"], file["distance_values"] = [0, 4], [10.0, 18.0]
    recording = open_recording(tmp_path / "a.nc", "velocity")
    assert recording.attrs["sampling_rate"] == pytest.approx(100.0)
    assert recording["distance"].values.tolist() == [10.0, 12.0, 14.0, 16.0, 18.0]


def test_a_wide_array_with_a_rate_has_one_channel_a_row_and_their_names(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["recording/signals"], file["recording/sampling_rate"] = np.arange(200.0).reshape(2, 100), 500.0
        file["recording/channel_names"] = ["Fz", "Cz"]
    recording = open_recording(tmp_path / "a.h5", "signals")
    assert recording.sizes == {"time": 100, "channel": 2}
    assert recording["channel"].values.tolist() == ["Fz", "Cz"]
    assert recording[:, 1].values[0] == 100.0
