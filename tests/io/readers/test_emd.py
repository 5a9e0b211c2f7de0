"""Berkeley EMD, written by the tests to the specification: versions 0.2, 1.0 and what py4DSTEM made of them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.emd import Emd

Axis = tuple[Any, str, str]


def emd(path: Path, data: Any, axes: list[Axis], *, mark: Any = 1, first: int = 1, unit: str = "") -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(version_major=0 if first else 1, version_minor=2 if first else 0)
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = mark
        group["data"] = data
        group["data"].attrs["units"] = unit
        for number, (values, name, units) in enumerate(axes, start=first):
            group[f"dim{number}"] = values
            group[f"dim{number}"].attrs.update(name=name, units=units)
    return path


DATA = np.arange(24.0).reshape(2, 3, 4)
AXES = [(np.array([5.0, 7.0]), "tilt", "deg"), (np.arange(3.0), "y", "nm"), (np.arange(4) * 0.5, "x", "nm")]


def test_axes_have_their_names_values_and_units(tmp_path: Path) -> None:
    recording = open_recording(emd(tmp_path / "a.emd", DATA, AXES, unit="counts"))
    assert recording.dims == ("tilt", "y", "x")
    np.testing.assert_array_equal(recording.values, DATA)
    assert recording.attrs["units"] == "counts"
    assert recording["x"].values.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert recording["tilt"].attrs["units"] == "deg"
    assert describe(tmp_path / "a.emd").format == "EMD 0.2"


def test_an_axis_called_time_in_no_unit_of_time_is_no_clock(tmp_path: Path) -> None:
    recording = open_recording(emd(tmp_path / "a.emd", DATA, [(np.arange(2.0), "time", "px"), *AXES[1:]]))
    assert recording.dims == ("frame", "y", "x")
    assert recording["frame"].values.tolist() == [0.0, 1.0]


def test_axes_of_emd_1_are_numbered_from_0_and_regular_ones_stored_by_two_values(tmp_path: Path) -> None:
    axes = [([0, 2], "Rx", "A"), ([1.0, 1.5], "Ry", "A"), ([-1, 0], "Qx", "A^-1")]
    recording = open_recording(emd(tmp_path / "a.emd", DATA, axes, mark="array", first=0))
    assert recording.dims == ("Rx", "Ry", "Qx")
    assert recording["Ry"].values.tolist() == [1.0, 1.5, 2.0]
    assert recording["Qx"].values.tolist() == [-1.0, 0.0, 1.0, 2.0]


def test_units_in_the_notation_of_version_0_2_are_read(tmp_path: Path) -> None:
    axes = [([1.0, 2.0], "t", "[m_s]"), (np.arange(3.0), "y", "[n_m]"), (np.arange(4.0), "x", "[n_m^-1]")]
    recording = open_recording(emd(tmp_path / "a.emd", DATA, axes, unit="[]"))
    assert (recording["y"].attrs["units"], recording["x"].attrs["units"]) == ("nm", "nm^-1")
    assert recording["time"].values.tolist() == [0.001, 0.002]
    assert recording.attrs["units"] == ""


def test_labels_of_a_stack_are_those_of_the_axis_they_fit(tmp_path: Path) -> None:
    axes = [([0, 1], "y", "nm"), ([0, 1], "x", "nm"), ([b"bright", b"dark"], "_labels_", "")]
    recording = open_recording(emd(tmp_path / "a.emd", DATA, axes, mark="array", first=0))
    assert recording.dims == ("labels", "y", "x")
    assert recording.sel(labels="dark").values.tolist() == DATA[1].tolist()


def test_an_axis_of_time_comes_first_and_is_the_clock_in_seconds(tmp_path: Path) -> None:
    axes = [(np.arange(2.0), "y", "nm"), (np.arange(3.0), "x", "nm"), (np.arange(4) * 20.0, "time", "ms")]
    recording = open_recording(emd(tmp_path / "a.emd", DATA, axes))
    assert recording.dims == ("time", "y", "x")
    np.testing.assert_array_equal(recording.values, DATA.transpose(2, 0, 1))
    np.testing.assert_allclose(recording["time"].values, [0, 0.02, 0.04, 0.06])
    assert recording.attrs["sampling_rate"] == pytest.approx(50.0)


def test_a_time_axis_stored_by_two_values_is_a_rate(tmp_path: Path) -> None:
    axes = [([10.0, 20.0], "t", "ms"), (np.arange(3.0), "y", "nm"), (np.arange(4.0), "x", "nm")]
    data = np.arange(60.0).reshape(5, 3, 4)
    recording = open_recording(emd(tmp_path / "a.emd", data, axes, mark="array", first=0))
    np.testing.assert_allclose(recording["time"].values, 0.01 * np.arange(1, 6))


@pytest.mark.parametrize(
    ("axes", "dims"),
    [
        ([(np.zeros(2), "", "")], ("frame", "y", "x")),
        ([([1, 2], "", ""), ([1, 2, 3], "", "")], ("frame", "y", "x")),
        ([([1, 2], "q", ""), ([1, 2, 3], "q", ""), ([1, 2, 3, 4], "q", "")], ("q_0", "q_1", "q_2")),
    ],
)
def test_axes_without_names_get_those_of_images_and_equal_ones_are_numbered(
    tmp_path: Path, axes: list[Axis], dims: tuple[str, ...]
) -> None:
    assert open_recording(emd(tmp_path / "a.emd", DATA, axes)).dims == dims


def test_an_axis_that_does_not_fit_is_left_out_and_noted(tmp_path: Path) -> None:
    recording = open_recording(emd(tmp_path / "a.emd", DATA, [*AXES[:2], (np.arange(7.0), "x", "nm")]))
    assert "x" not in recording.coords
    assert "does not fit x of 4" in recording.attrs["history"]


def test_arrays_that_are_not_numbers_are_a_finding(tmp_path: Path) -> None:
    found = describe(emd(tmp_path / "a.emd", np.zeros(3, dtype="f4,f4"), AXES[1:2]))
    assert "expected an array of numbers" in found.findings[0].message
    assert found.reason is not None
    assert found.reason.startswith("none of the EMD arrays of the file holds numbers")


def test_no_real_file_of_another_format_is_taken_for_emd(data_dir: Path) -> None:
    for path in sorted(data_dir.iterdir()):
        if h5py.is_hdf5(path):
            with open_tree(path) as tree:
                assert Emd().sniff(tree) == 0, path.name
