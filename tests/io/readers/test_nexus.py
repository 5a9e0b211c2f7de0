"""NeXus: the default plot by every way in which files have marked it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, list_signals, open_recording

IMAGE = np.arange(12, dtype=np.int32).reshape(3, 4)


def group(parent: h5py.Group, name: str, kind: str, **attrs: object) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs.update({"NX_class": np.bytes_(kind), **attrs})
    return made


def test_the_chain_of_defaults_is_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file.attrs["default"] = "second"
        for name in ("first", "second"):
            entry = group(file, name, "NXentry", default="plot_b")
            for plot in ("plot_a", "plot_b"):
                group(entry, plot, "NXdata", signal="counts")["counts"] = IMAGE
    assert describe(tmp_path / "a.nxs").default == "second/plot_b/counts"
    assert open_recording(tmp_path / "a.nxs").attrs["signal"] == "second/plot_b/counts"
    assert len(list_signals(tmp_path / "a.nxs")) == 4


def test_without_defaults_the_first_plot_that_can_be_had_is_taken(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        entry = group(file, "entry", "NXentry")
        group(entry, "a_broken", "NXdata", signal="absent")
        group(entry, "b_good", "NXdata", signal="counts")["counts"] = IMAGE
    found = describe(tmp_path / "a.nxs")
    assert found.default == "entry/b_good/counts"
    assert any("signal absent" in text.message for text in found.findings)


def test_modern_axes_indices_edges_and_errors(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = group(
            group(file, "entry", "NXentry"),
            "data",
            "NXdata",
            signal="I",
            axes=["angle", "tof"],
            position_indices=[0, 1],
        )
        data["I"], data["I_errors"] = IMAGE, np.sqrt(IMAGE)
        data["angle"], data["tof"], data["position"] = [1.0, 2.0, 3.0], np.arange(5.0), IMAGE * 0.5
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.dims == ("angle", "tof")
    assert recording["angle"].values.tolist() == [1.0, 2.0, 3.0]
    assert recording["tof"].values.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert recording["tof_right"].values.tolist() == [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_array_equal(recording["position"].values, IMAGE * 0.5)
    np.testing.assert_array_equal(recording["uncertainty"].values, np.sqrt(IMAGE))


@pytest.mark.parametrize("axes", ["angle:tof", "[angle,tof]", None])
@pytest.mark.parametrize("mark", [1, "1"])
def test_legacy_marks_on_datasets(tmp_path: Path, axes: str | None, mark: object) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = group(group(file, "entry", "NXentry"), "data", "NXdata")
        data["counts"], data["angle"], data["tof"] = IMAGE, [1.0, 2.0, 3.0], np.arange(4.0)
        data["counts"].attrs["signal"] = mark
        if axes is None:
            data["angle"].attrs["axis"], data["tof"].attrs["axis"] = 1, 2
        else:
            data["counts"].attrs["axes"] = axes
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.dims == ("angle", "tof")
    assert recording["angle"].values.tolist() == [1.0, 2.0, 3.0]


def test_a_time_axis_is_in_seconds_and_comes_first(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = group(group(file, "entry", "NXentry"), "data", "NXdata", signal="I", axes=["energy", "time"])
        data["I"], data["time"], data["energy"] = IMAGE, np.arange(4) * 250.0, [1.0, 2.0, 3.0]
        data["time"].attrs["units"] = "ms"
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.dims == ("time", "energy")
    np.testing.assert_array_equal(recording.values, IMAGE.T)
    assert recording.attrs["sampling_rate"] == 4.0


def test_an_axis_that_does_not_fit_is_left_out_and_noted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        data = group(group(file, "entry", "NXentry"), "data", "NXdata", signal="I", axes=["y", "x"])
        data["I"], data["x"] = IMAGE, np.arange(9.0)
    recording = open_recording(tmp_path / "a.nxs")
    assert "x" not in recording.coords
    assert "does not fit" in recording.attrs["history"]


def test_detectors_are_listed_once_though_linked_twice(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        entry = group(file, "entry", "NXentry")
        detector = group(group(entry, "instrument", "NXinstrument"), "detector", "NXdetector")
        detector["data"] = np.zeros((2, 3, 4))
        group(entry, "data", "NXdata", signal="data")["data"] = detector["data"]
    (found,) = list_signals(tmp_path / "a.nxs")
    assert found.dims == ("frame", "y", "x")
    assert open_recording(tmp_path / "a.nxs", "entry/instrument/detector/data").shape == (2, 3, 4)


def test_an_entry_without_plots_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        group(file, "entry", "NXentry")["title"] = "empty"
    with pytest.raises(DataError, match="no NXdata"):
        open_recording(tmp_path / "a.nxs")


@pytest.mark.parametrize("name", ["unit", "Unit", "UNITS"])
def test_a_unit_may_be_stated_under_a_name_in_the_singular(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("data")
        data.attrs.update(NX_class="NXdata", signal="I", axes=["time"])
        data["I"], data["time"] = np.arange(5.0), np.arange(5.0)
        data["I"].attrs[name], data["time"].attrs[name] = np.array([b"mV"]), "ms"
    recording = open_recording(tmp_path / "a.nxs")
    assert recording.attrs["units"] == "mV"
    assert recording.attrs["sampling_rate"] == pytest.approx(1000.0)
