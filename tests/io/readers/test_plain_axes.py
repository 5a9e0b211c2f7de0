"""Axes of arrays that no reader knows: HDF5's own labels and scales, stated sizes, rows of the only fitting length."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording


def labeled(path: Path) -> Path:
    """An image whose axes have labels; some have scales, of which one value is the pitch."""
    with h5py.File(path, "w") as file:
        image = file.create_dataset("g/image", data=np.zeros((4, 6, 2)))
        for axis, (label, values) in enumerate(
            (("C", 4e-7 + 1e-9 * np.arange(4)), ("T", 2e-9 * np.arange(6)), ("X", 3e-6))
        ):
            scale = file.create_dataset(f"g/Scale{label}", data=values)
            scale.make_scale(label)
            scale.attrs["UNIT"] = "s" if label == "T" else "m"
            if label != "X":
                image.dims[axis].attach_scale(scale)
        image.attrs["DIMENSION_LABELS"] = np.array(["C", "T", "X"], dtype=h5py.string_dtype())
        file["g/XOffset"] = 1e-3
    return path


def test_labels_of_hdf5_name_the_axes_and_single_scales_are_pitches(tmp_path: Path) -> None:
    recording = open_recording(labeled(tmp_path / "a.h5"), "g/image")
    assert recording.dims == ("time", "C", "X")
    assert recording["C"].attrs["units"] == "m"
    np.testing.assert_allclose(recording["time"].values, 2e-9 * np.arange(6))
    np.testing.assert_allclose(recording["X"].values, [1e-3, 1e-3 + 3e-6])
    assert [signal.path for signal in list_signals(tmp_path / "a.h5")] == ["g/image"]


def test_a_scale_of_edges_is_the_bins_of_its_axis(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["energy"], file["counts"] = [1.0, 3.0, 7.0], np.zeros(2)
        file["energy"].make_scale("energy")
        file["counts"].dims[0].attach_scale(file["energy"])
    recording = open_recording(tmp_path / "a.h5", "counts")
    assert recording["energy"].values.tolist() == [2.0, 5.0]
    assert recording["energy_right"].values.tolist() == [3.0, 7.0]


def test_rows_of_the_only_fitting_length_are_the_axes_and_no_signals(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["profile"], file["distances"] = np.zeros((4, 6), "f4"), 0.5 * np.arange(6)
        file["start_times"] = 1.78e9 + 5.0 * np.arange(4)
        file["end_times"] = file["start_times"][()] + 1
    recording = open_recording(tmp_path / "a.h5", "profile")
    assert recording.dims == ("time", "distances")
    np.testing.assert_allclose(recording["time"].values, 1.78e9 + 5.0 * np.arange(4))
    np.testing.assert_allclose(recording["distances"].values, 0.5 * np.arange(6))
    assert "profile" in [signal.path for signal in list_signals(tmp_path / "a.h5")]
    assert "distances" not in [signal.path for signal in list_signals(tmp_path / "a.h5")]


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((4, 4), {"distance": 4}),  # fits both axes
        ((4, 6), {"distance": 9}),  # fits none
        ((4, 6), {"distance": 6, "depth": 6}),  # two that fit
        ((4, 6), {"gain_of_each": 6, "other": 6}),
        ((6,), {"other": 6}),  # as much a signal as the first
    ],
)
def test_rows_that_do_not_tell_name_nothing(tmp_path: Path, shape: tuple[int, ...], rows: dict[str, int]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(shape)
        for name, size in rows.items():
            file[name] = np.arange(float(size))
    recording = open_recording(tmp_path / "a.h5", "x")
    assert recording.dims == ("time", "channel")[: len(shape)]
    assert not recording.coords


def test_a_spectrum_finds_its_wavelengths(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["intensity"], file["wavelength (nm)"] = np.zeros(5), np.linspace(400, 500, 5)
    recording = open_recording(tmp_path / "a.h5", "intensity")
    assert recording.dims == ("wavelength",)
    assert recording["wavelength"].attrs["units"] == "nm"
    assert [signal.path for signal in list_signals(tmp_path / "a.h5")] == ["intensity"]


@pytest.mark.parametrize("where", ["attributes", "numbers", "text"])
def test_stated_sizes_say_which_axis_is_which(tmp_path: Path, where: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("g")
        group["eeg"] = np.arange(35.0).reshape(7, 5)
        for name, value in {"n_channels": 7, "n_samples": 5}.items():
            if where == "attributes":
                group.attrs[name] = value
            else:
                group[name] = value if where == "numbers" else str(value)
    recording = open_recording(tmp_path / "a.h5", "g/eeg")
    assert recording.dims == ("time", "channel")
    np.testing.assert_array_equal(recording.values, np.arange(35.0).reshape(7, 5).T)


@pytest.mark.parametrize(
    "names",
    [
        ("r", "i"),
        ("i", "r"),
        ("re", "im"),
        ("Real", "Imag"),
        ("REAL", "IMAGINARY"),
        ("x_re", "x_im"),
        ("real_part", "imag_part"),
    ],
)
@pytest.mark.parametrize("kind", ["<i2", "<f4", ">f8"])
def test_pairs_under_any_names_are_complex_numbers(tmp_path: Path, names: tuple[str, str], kind: str) -> None:
    stored = np.zeros((3, 2), dtype=[(name, kind) for name in names])
    real, imaginary = sorted(names, key=lambda name: "im" in name.lower() or name == "i")
    stored[real], stored[imaginary] = 3, -4
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["z"] = stored
    (found,) = list_signals(tmp_path / "a.h5")
    assert open_recording(tmp_path / "a.h5", found.path).values.tolist() == [[3 - 4j] * 2] * 3


def test_records_that_are_no_pair_stay_a_table(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["t"] = np.zeros(4, dtype=[("x", "f4"), ("y", "f4")])
    assert [signal.path for signal in list_signals(tmp_path / "a.h5")] == ["t/x", "t/y"]


@pytest.mark.parametrize("name", ["units", "Units", "UNIT", "unit", "UNITS"])
def test_attributes_are_found_in_other_case(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(4)
        file["x"].attrs[name] = "mV"
    assert open_recording(tmp_path / "a.h5", "x").attrs["units"] == "mV"


@pytest.mark.parametrize("unit", ["time (s)", "[s]", "Time [sec]", "s"])
def test_units_with_words_are_units(tmp_path: Path, unit: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["time"] = np.zeros(4), np.arange(4.0) / 10
        file["time"].attrs["units"] = unit
    assert open_recording(tmp_path / "a.h5", "x").attrs["sampling_rate"] == pytest.approx(10.0)


@pytest.mark.parametrize("value", [100.0, np.array([100.0]), np.array([[100.0]]), "100", b"100 "])
@pytest.mark.parametrize("where", ["attribute", "dataset"])
def test_a_rate_in_whatever_type_is_the_rate(tmp_path: Path, value: Any, where: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(4)
        if where == "attribute":
            file["x"].attrs["sampling_rate"] = value
        else:
            file["sampling_rate"] = value
    assert open_recording(tmp_path / "a.h5", "x").attrs["sampling_rate"] == 100.0


def test_times_in_the_type_of_hdf5_are_no_damage(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(4)
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"when", h5py.h5t.UNIX_D32LE, space)
    found = describe(tmp_path / "a.h5")
    assert "unreadable" not in [issue.code for issue in found.findings]
    assert any("H5T_TIME" in issue.message for issue in found.findings)


@pytest.mark.parametrize("shape", [(10, 1), (1, 10), (10,)])
def test_times_stored_as_a_column_or_a_row_are_the_clock(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["time"] = np.zeros((10, 3)), (np.arange(10) / 4).reshape(shape)
        file["time"].attrs["units"] = "s"
    recording = open_recording(tmp_path / "a.h5", "x")
    assert recording.attrs["sampling_rate"] == 4.0
    np.testing.assert_allclose(recording["time"].values, np.arange(10) / 4)


def test_times_of_another_length_are_a_finding(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["time"] = np.zeros((10, 3)), np.arange(9) / 4
    assert "sampling_rate" not in open_recording(tmp_path / "a.h5", "x").attrs
    assert any("9 stamps for 10 samples" in issue.message for issue in describe(tmp_path / "a.h5").findings)


def test_a_clock_that_runs_backward_is_a_finding(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["time"] = np.zeros(6), [0.0, 1, 2, 1, 2, 3]
    assert "clock_order" in [issue.code for issue in describe(tmp_path / "a.h5").findings]


def test_coordinates_of_cf_lie_along_their_dims(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:
        for name, size in (("y", 3), ("x", 4)):
            file[name] = np.arange(float(size))
            file[name].make_scale(name)
        for name in ("sst", "lat"):
            file[name] = np.arange(12.0).reshape(3, 4)
            for axis, dim in enumerate(("y", "x")):
                file[name].dims[axis].attach_scale(file[dim])
        file["depth"] = np.arange(4.0)
        file["lat"].attrs["units"] = "degrees_north"
        file["sst"].attrs["coordinates"] = "lat depth gone"
    recording = open_recording(tmp_path / "a.nc", "sst")
    assert recording["lat"].dims == ("y", "x")
    assert recording["depth"].dims == ("x",)
    np.testing.assert_array_equal(recording["lat"].values, np.arange(12.0).reshape(3, 4))


def test_a_scale_of_another_length_names_no_dim(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["energy"] = np.zeros((5, 4)), np.arange(9.0)
        file["energy"].make_scale("energy")
        file["x"].dims[1].attach_scale(file["energy"])
    assert "energy" not in open_recording(tmp_path / "a.h5", "x").dims
    assert any("does not fit" in issue.message for issue in describe(tmp_path / "a.h5").findings)


def test_units_at_the_end_of_names_are_those_of_the_axes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = np.zeros((3, 4, 5))
        file["y_um"], file["x_um"], file["wavelengths_nm"] = np.arange(3.0), np.arange(4.0), np.arange(5.0)
    recording = open_recording(tmp_path / "a.h5", "cube")
    assert recording.dims == ("y", "x", "wavelengths")
    assert [recording[dim].attrs["units"] for dim in recording.dims] == ["um", "um", "nm"]


def test_labels_of_hdf5_outrank_what_an_image_is_called(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stack"] = np.zeros((16, 17, 18), "u1")
        file["stack"].attrs["DIMENSION_LABELS"] = np.array(["x", "energy", "y"], dtype=h5py.string_dtype())
    assert open_recording(tmp_path / "a.h5", "stack").dims == ("x", "energy", "y")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dims", "time,lat,lon"),
        ("DimensionNames", "time, lat, lon"),
        ("_ARRAY_DIMENSIONS", ["time", "lat", "lon"]),
        ("axes", "['time', 'lat', 'lon']"),
        ("dimension_order", "time:lat:lon"),
    ],
)
def test_an_attribute_that_is_called_so_names_the_axes(tmp_path: Path, name: str, value: object) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = np.zeros((5, 5, 5))
        file["v"].attrs[name] = value
        file["lat"] = np.linspace(-10, 10, 5)
    recording = open_recording(tmp_path / "a.h5", "v")
    assert recording.dims == ("time", "lat", "lon")
    np.testing.assert_allclose(recording["lat"].values, np.linspace(-10, 10, 5))


def test_capitals_name_the_axes_and_sizes_do_not(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"], file["w"] = np.zeros((5, 4, 3, 2)), np.zeros((2, 3))
        file["v"].attrs["axes"], file["w"].attrs["dims"] = "TZYX", [2, 3]
    assert open_recording(tmp_path / "a.h5", "v").dims == ("time", "z", "y", "x")
    assert open_recording(tmp_path / "a.h5", "w").dims == ("time", "channel")


def test_the_row_that_a_label_names_lies_along_its_axis(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = np.zeros((6, 9))
        file["v"].dims[0].label, file["v"].dims[1].label = "time", "depth"
        file["depth"], file["other"] = 2.0 * np.arange(9), np.arange(9.0)
    np.testing.assert_allclose(open_recording(tmp_path / "a.h5", "v")["depth"].values, 2.0 * np.arange(9))


@pytest.mark.parametrize(
    ("name", "value"), [("dt", 1e-3), ("sample_interval", "0.001"), ("Sampling_Interval_ms", 1), ("wf_increment", 1e-3)]
)
def test_an_interval_in_an_attribute_is_a_clock(tmp_path: Path, name: str, value: object) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = np.zeros((100, 2))
        file["v"].attrs[name] = value
    assert open_recording(tmp_path / "a.h5", "v").attrs["sampling_rate"] == pytest.approx(1000.0)


def test_times_at_which_samples_end_are_no_signal(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["temperature"], file["distances"] = np.zeros((6, 9)), np.arange(9.0)
        file["start_times"], file["end_times"] = 60.0 * np.arange(6), 60.0 * np.arange(1, 7)
    assert [signal.path for signal in list_signals(tmp_path / "a.h5")] == ["temperature"]


def test_a_label_and_the_row_of_that_name_may_both_state_the_unit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"], file["Time (ms)"] = np.zeros((30, 4)), 2.0 * np.arange(30)
        file["v"].attrs["axes"] = ["Time (ms)", "Channel"]
    assert open_recording(tmp_path / "a.h5", "v").attrs["sampling_rate"] == pytest.approx(500.0)
