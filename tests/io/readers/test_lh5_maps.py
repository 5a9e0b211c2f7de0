"""LH5 beyond tables: rows of rows, histograms on their bins, maps on the axes in the same structure."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording


def put(group: h5py.Group, name: str, values: Any, kind: str = "array<1>{real}", unit: str = "") -> h5py.Dataset:
    made = group.create_dataset(name, data=values)
    made.attrs["datatype"] = kind
    if unit:
        made.attrs["units"] = unit
    return made


def struct(group: h5py.Group, name: str, kind: str, unit: str = "") -> h5py.Group:
    made = group.create_group(name)
    made.attrs["datatype"] = kind
    if unit:
        made.attrs["units"] = unit
    return made


def nested(path: Path, inner_ends: list[int]) -> Path:
    with h5py.File(path, "w") as file:
        table = struct(file, "evt", "table{energy}")
        outer = struct(table, "energy", "array<1>{array<1>{array<1>{real}}}")
        put(outer, "cumulative_length", np.array([2, 3], "u4"))
        inner = struct(outer, "flattened_data", "array<1>{array<1>{real}}")
        put(inner, "cumulative_length", np.array(inner_ends, "u4"))
        put(inner, "flattened_data", np.arange(5.0))
    return path


def test_rows_of_rows_have_their_event_and_their_row(tmp_path: Path) -> None:
    path = nested(tmp_path / "a.lh5", [1, 3, 5])
    (found,) = list_signals(path)
    recording = open_recording(path, found.path)
    assert recording["event"].values.tolist() == [0, 0, 0, 1, 1]
    assert recording["row"].values.tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("ends", [[3, 1, 5], [1, 3, 9], [1, 3, 4]])
def test_a_broken_level_is_a_finding_and_gives_no_events(tmp_path: Path, ends: list[int]) -> None:
    path = nested(tmp_path / "a.lh5", ends)
    assert "ragged_overrun" in [issue.code for issue in describe(path).findings]
    assert "event" not in open_recording(path, list_signals(path)[0].path).coords


@pytest.mark.parametrize("stored", ["range", "edges"])
def test_histograms_have_the_edges_of_their_bins(tmp_path: Path, stored: str) -> None:
    with h5py.File(tmp_path / "a.lh5", "w") as file:
        histogram = struct(file, "h", "struct{binning,weights,isdensity}")
        put(histogram, "weights", [1.0, 2.0, 3.0, 4.0])
        axis = struct(struct(histogram, "binning", "struct{axis_0}"), "axis_0", "struct{binedges,closedleft}")
        if stored == "edges":
            put(axis, "binedges", [-1.0, -0.5, 0.0, 0.5, 1.0], unit="m")
        else:
            edges = struct(axis, "binedges", "struct{first,last,step}", unit="m")
            for name, value in {"first": -1.0, "last": 1.0, "step": 0.5}.items():
                put(edges, name, value, "real")
    (found,) = list_signals(tmp_path / "a.lh5")
    recording = open_recording(tmp_path / "a.lh5", found.path)
    assert recording["axis_0_left"].values.tolist() == [-1.0, -0.5, 0.0, 0.5]
    assert recording["axis_0_right"].values.tolist() == [-0.5, 0.0, 0.5, 1.0]
    assert recording["axis_0"].attrs["units"] == "m"


@pytest.mark.parametrize("shape", [(3, 4), (3, 3)])
def test_maps_lie_on_the_axes_of_their_structure(tmp_path: Path, shape: tuple[int, int]) -> None:
    with h5py.File(tmp_path / "a.lh5", "w") as file:
        group = struct(file, "det", "struct{r,z,drift_time}")
        put(group, "drift_time", np.zeros(shape), "array<2>{real}", "ns")
        put(group, "r", np.arange(shape[0]) * 0.1, unit="m")
        put(group, "z", np.arange(shape[1]) * 0.2, unit="m")
    (found,) = list_signals(tmp_path / "a.lh5")
    recording = open_recording(tmp_path / "a.lh5", found.path)
    assert recording.dims == ("r", "z")
    np.testing.assert_allclose(recording["z"].values, np.arange(shape[1]) * 0.2)
    assert recording["r"].attrs["units"] == "m"


@pytest.mark.parametrize("edges", [[0.0, 1.0, 2.0], {"first": 0.0, "last": 10.0, "step": 0.5}])
def test_bins_that_do_not_fit_are_a_finding_and_no_axis(tmp_path: Path, edges: Any) -> None:
    with h5py.File(tmp_path / "a.lh5", "w") as file:
        histogram = struct(file, "h", "struct{binning,weights,isdensity}")
        put(histogram, "weights", [1.0, 2.0, 3.0])
        axis = struct(struct(histogram, "binning", "struct{axis_0}"), "axis_0", "struct{binedges,closedleft}")
        if isinstance(edges, dict):
            group = struct(axis, "binedges", "struct{first,last,step}", "m")
            for name, value in edges.items():
                put(group, name, value, "real")
        else:
            put(axis, "binedges", edges)
    (found,) = [issue.message for issue in describe(tmp_path / "a.lh5").findings]
    assert "binedges" in found
    assert not open_recording(tmp_path / "a.lh5", "h/weights").coords
