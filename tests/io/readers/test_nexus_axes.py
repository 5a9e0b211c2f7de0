"""Axes of NeXus plots: stated sizes first, then lengths that fit in one way only; numbers beside them are applied."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording


def plot(file: h5py.File, **attributes: object) -> h5py.Group:
    entry = file.create_group("entry")
    entry.attrs["NX_class"] = "NXentry"
    data = entry.create_group("data")
    data.attrs.update({"NX_class": "NXdata", **attributes})
    return data


@pytest.mark.parametrize("prefix", ["I_", ""])
def test_fields_scale_the_signal(tmp_path: Path, prefix: str) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="I", axes=["x"])
        data["I"], data["x"] = np.arange(4, dtype="i4"), np.arange(4.0)
        data[f"{prefix}scaling_factor"], data[f"{prefix}offset"] = 0.5, 10.0
    assert open_recording(tmp_path / "a.nxs").values.tolist() == [5.0, 5.5, 6.0, 6.5]
    assert [signal.path for signal in list_signals(tmp_path / "a.nxs")] == ["entry/data/I"]


def test_fields_scale_axes_and_clocks(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="I", axes=["time", "x"])
        data["I"], data["time"], data["x"] = np.zeros((4, 3)), np.arange(4), np.arange(4)  # x: edges of bins
        data["time_scaling_factor"], data["x_scaling_factor"], data["x_offset"] = 0.1, 2.0, 1.0
        data["time"].attrs["units"] = "ms"
    recording = open_recording(tmp_path / "a.nxs")
    np.testing.assert_allclose(recording["time"].values, np.arange(4) * 1e-4)
    np.testing.assert_allclose(recording["x"].values, [3.0, 5.0, 7.0])
    np.testing.assert_allclose(recording["x_left"].values, [2.0, 4.0, 6.0])


def test_a_scaling_factor_that_is_none_is_a_finding(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="I", axes=["x"])
        data["I"], data["x"], data["I_scaling_factor"] = np.arange(1, 5), np.arange(4.0), 0.0
    assert open_recording(tmp_path / "a.nxs").values.tolist() == [1, 2, 3, 4]
    assert "not_applied" in [issue.code for issue in describe(tmp_path / "a.nxs").findings]


def test_axes_in_the_order_of_fortran_go_where_they_fit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file)
        data["values"], data["axis1"], data["axis2"] = np.zeros((2, 4)), np.arange(5.0) * 10, [7.0, 8.0]
        data["values"].attrs.update(signal=1, axes="axis1,axis2")
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.dims == ("axis2", "axis1")
    assert recording["axis1"].values.tolist() == [5.0, 15.0, 25.0, 35.0]
    assert recording["axis2"].values.tolist() == [7.0, 8.0]


def test_mantid_counts_its_axes_from_the_fastest_also_where_both_orders_fit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file)
        data["values"], data["axis1"], data["axis2"] = np.zeros((3, 3)), np.arange(4.0), [7.0, 8.0, 9.0]
        data["values"].attrs.update(signal=1, axes="axis1,axis2")
    assert open_recording(tmp_path / "a.nxs").dims == ("axis2", "axis1")


@pytest.mark.parametrize("indices", [0, "0", [0.0], "1"])
def test_wrong_numbers_of_dims_are_repaired_by_length(tmp_path: Path, indices: object) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="I", axes=["y", "x"], x_indices=indices)
        data["I"], data["y"], data["x"] = np.zeros((3, 5)), np.arange(3.0), np.arange(5.0)
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.dims == ("y", "x")
    assert recording["x"].size == 5


def test_an_axis_that_fits_nowhere_names_no_dim(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="I", axes=["energy", "x"])
        data["I"], data["energy"], data["x"] = np.zeros((3, 4)), np.arange(9.0), np.arange(4.0)
    recording = open_recording(tmp_path / "a.nxs")
    assert "energy" not in recording.dims
    assert recording["x"].dims == ("x",)
    assert any("does not fit" in issue.message for issue in describe(tmp_path / "a.nxs").findings)


def test_rows_of_the_only_fitting_length_are_the_axes_where_none_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="I")
        data["I"], data["energy"], data["angle"] = np.zeros((3, 5)), np.arange(6.0), [1.0, 2.0, 3.0]
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.dims == ("angle", "energy")
    assert recording["energy_right"].values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_nxspe_has_detectors_energies_and_errors(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxspe", "w") as file:
        data = plot(file)
        data["data"], data["error"], data["energy"] = np.ones((4, 3)), np.full((4, 3), 0.1), [-1.0, 0, 1, 2]
        data["polar"], data["azimuthal"], data["energy"].attrs["units"] = [1.0, 2, 3, 4], np.zeros(4), "meV"
    recording = open_recording(tmp_path / "a.nxspe")
    assert recording.dims == ("detector", "energy")
    assert recording["energy"].values.tolist() == [-0.5, 0.5, 1.5]
    assert recording["polar"].dims == ("detector",)
    np.testing.assert_allclose(recording["uncertainty"].values, 0.1)
    assert [signal.path for signal in list_signals(tmp_path / "a.nxspe")] == ["entry/data/data"]


def test_cansas_without_nexus_classes_is_read_as_such(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        entry = file.create_group("sasentry01")
        entry.attrs["canSAS_class"] = "SASentry"
        data = entry.create_group("sasdata01")
        data.attrs.update(canSAS_class="SASdata", signal="I", I_axes="Q", Q_indices=0)
        data["I"], data["Q"], data["Idev"] = np.arange(5.0), np.linspace(0.1, 0.5, 5), np.ones(5)
        data["I"].attrs.update(uncertainties="Idev", units="1/cm")
    recording = open_recording(tmp_path / "a.h5")
    assert recording.dims == ("Q",)
    np.testing.assert_allclose(recording["Q"].values, np.linspace(0.1, 0.5, 5))
    assert "uncertainty" in recording.coords


@pytest.mark.parametrize("index", [[0, 3, 2], [0, 2, 9]])
def test_first_events_of_pulses_that_fall_or_overrun_are_a_finding(tmp_path: Path, index: list[int]) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        events = entry.create_group("bank1_events")
        events.attrs["NX_class"] = "NXevent_data"
        events["event_id"], events["event_time_offset"] = np.arange(5), np.arange(5.0)
        events["event_index"], events["event_time_zero"] = index, np.arange(3.0)
    assert "ragged_overrun" in [issue.code for issue in describe(tmp_path / "a.nxs").findings]


def test_lengths_that_fit_exactly_come_before_edges_of_bins(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="I", axes=["x", "y"], x_indices=0, y_indices=1)
        data["I"], data["x"], data["y"] = np.zeros((4, 3)), np.arange(3.0), np.arange(4.0)
    assert open_recording(tmp_path / "a.nxs").dims == ("y", "x")


def test_each_spectrum_may_have_bins_of_its_own(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file)
        data["values"], data["axis2"] = np.zeros((2, 3)), [7.0, 8.0]
        data["axis1"] = [[0.0, 1.0, 2.0, 3.0], [0.0, 2.0, 4.0, 6.0]]
        data["values"].attrs.update(signal=1, axes="axis2,axis1")
    recording = open_recording(tmp_path / "a.nxs")
    assert recording["axis1"].values.tolist() == [[0.5, 1.5, 2.5], [1.0, 3.0, 5.0]]
    assert recording["axis1_right"].values.tolist() == [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]


def test_complex_pairs_are_plotted_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="F", axes=["x"])
        data["F"], data["x"] = np.full(3, 2, dtype=[("real", "f4"), ("imag", "f4")]), np.arange(3.0)
    assert open_recording(tmp_path / "a.nxs").values.tolist() == [2 + 2j] * 3


def test_an_axis_of_texts_labels_its_dim(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file)
        data["values"], data["axis1"], data["axis2"] = np.zeros((2, 3)), np.arange(4.0), [b"sum", b"fit"]
        data["values"].attrs.update(signal=1, axes="axis2,axis1")
    assert open_recording(tmp_path / "a.nxs")["axis2"].values.tolist() == ["sum", "fit"]


def test_times_in_words_are_no_clock_and_a_finding(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = plot(file, signal="I", axes=["time"])
        data["I"], data["time"] = np.arange(2.0), [b"2020-01-01", b"2020-01-02"]
    assert "time" not in open_recording(tmp_path / "a.nxs").coords
    assert any("holds texts" in issue.message for issue in describe(tmp_path / "a.nxs").findings)
