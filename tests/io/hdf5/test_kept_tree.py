"""A file is walked once a process; what it costs grows with its objects; what is kept is never what the file was."""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording
from sciml.io.hdf5.tree import Node, Tree, open_tree
from sciml.io.hdf5.tree.node import Shared


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were walked, one entry a walk."""
    counted: list[str] = []
    walk = Tree.__init__

    def counting(self: Tree, *arguments: object) -> None:
        counted.append("walk")
        walk(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Tree, "__init__", counting)
    return counted


def many(path: Path, size: int) -> Path:
    with h5py.File(path, "w") as file:
        for number in range(size):
            file.create_dataset(f"a_{number}", data=np.full(10, number, "f4"))
    return path


def test_signals_in_a_loop_are_one_walk(tmp_path: Path, walks: list[str]) -> None:
    path = many(tmp_path / "a.h5", 8)
    for number, signal in enumerate(list_signals(path)):
        assert open_recording(path, signal.path).values.tolist() == [float(number)] * 10
    assert len(describe(path).signals) == 8
    assert walks == ["walk"]


def test_a_file_that_changed_is_walked_anew_though_its_size_is_the_same(tmp_path: Path, walks: list[str]) -> None:
    path = tmp_path / "a.h5"
    for unit in ("mV", "uV", "nV"):
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(10.0)
            file["x"].attrs["units"] = unit
        assert open_recording(path, "x").attrs["units"] == unit
    assert len(walks) == 3


def test_a_file_is_closed_between_uses_and_can_be_written(tmp_path: Path) -> None:
    path = many(tmp_path / "a.h5", 2)
    assert len(describe(path).signals) == 2
    with h5py.File(path, "a") as file:
        file["b"] = np.arange(3.0)
    assert [signal.path for signal in describe(path).signals] == ["a_0", "a_1", "b"]


def test_a_tree_in_use_is_nobody_elses(tmp_path: Path, walks: list[str]) -> None:
    path = many(tmp_path / "a.h5", 2)
    with open_tree(path) as one, open_tree(path) as other:
        assert one is not other
        assert one.get("a_1") is not other.get("a_1")
    with open_tree(path) as again:
        assert again is one or again is other
        node = again.get("a_1")
        assert node is not None
        assert node.read().tolist() == [1.0] * 10
    assert len(walks) == 2


def test_what_lies_in_other_files_is_looked_for_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink("b.h5", "/y")
    assert not describe(path).signals
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["y"] = [1.0, 2.0]
    assert [signal.path for signal in describe(path).signals] == ["x"]


def test_references_and_scales_lead_to_the_same_nodes_when_a_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(4.0)
        file["x"].make_scale("x")
        file["y"] = np.arange(4.0)
        file["y"].dims[0].attach_scale(file["x"])
        file["soft"] = h5py.SoftLink("/y")
        file.attrs["to"] = file["y"].ref
    for _ in range(2):
        with open_tree(path) as tree:
            node = tree.get("soft")
            assert node is not None
            assert tree.referred(tree.root.attr("to"), tree.root) is node
            assert node.scales() == (tree.get("x"),)


def labeled(path: Path, size: int) -> Path:
    """Write arrays each of which names its axes."""
    with h5py.File(path, "w") as file:
        for number in range(size):
            file.create_dataset(f"a{number}", data=np.zeros((4, 3))).attrs["axes"] = "time,depth"
    return path


def calls(action: Callable[[], object]) -> int:
    """Return how many Python functions an action calls."""
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return counted


def nexus(path: Path, size: int) -> Path:
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        for number in range(size):
            plot, bank = entry.create_group(f"plot_{number}"), entry.create_group(f"bank_{number}")
            plot.attrs.update(NX_class="NXdata", signal="I")
            bank.attrs["NX_class"] = "NXdetector"
            plot["I"], bank["detector_number"] = np.zeros((3, 4)), np.arange(12).reshape(3, 4)
            events = entry.create_group(f"bank_{number}_events")
            events.attrs["NX_class"] = "NXevent_data"
            events["event_id"], events["event_time_offset"] = np.arange(5), np.arange(5.0)
    return path


@pytest.mark.parametrize(
    "make",
    [many, nexus, labeled],
    ids=["arrays in one group", "detectors and their events", "arrays that name their axes"],
)
def test_listing_costs_in_proportion_to_the_objects(tmp_path: Path, make: Callable[[Path, int], Path]) -> None:
    describe(make(tmp_path / "warm.h5", 2))  # imports, caches of regular expressions
    few, more = (calls(partial(describe, make(tmp_path / f"{n}.h5", n))) for n in (50, 200))
    assert more < 1.2 * 4 * few


def test_numbers_beside_the_data_are_not_opened_to_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.snirf"
    with h5py.File(path, "w") as file:
        file["formatVersion"] = "1.1"
        file["nirs/data1/dataTimeSeries"] = np.zeros((10, 60))
        file["nirs/data1/time"] = np.arange(10) / 10
        for number in range(60):
            file[f"nirs/data1/measurementList{number + 1}/sourceIndex"] = 1
    opened: list[Node] = []
    monkeypatch.setattr(Shared, "opened", lambda _, node: opened.append(node))
    describe(path)
    assert not [node.path for node in opened if node.name == "sourceIndex"]


def test_an_object_of_a_hundred_thousand_attributes_is_listed_without_them(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["x"] = np.arange(10.0)
        for number in range(3000):
            file["x"].attrs[f"a{number}"] = number
    info = describe(path)
    assert any("1000 attributes" in str(issue) for issue in info.findings)
    assert open_recording(path, "x").shape == (10,)


def test_times_of_change_in_whole_seconds_are_not_trusted_at_once(tmp_path: Path, walks: list[str]) -> None:
    path = many(tmp_path / "a.h5", 2)
    now = int(time.time())
    for age, expected in ((0, 2), (100, 3)):
        os.utime(path, (now - age, now - age))
        describe(path)
        describe(path)
        assert len(walks) == expected
