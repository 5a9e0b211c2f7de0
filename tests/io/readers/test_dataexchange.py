"""Data Exchange tomography: a real tooth, and files written to the specification."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.dataexchange import DataExchange

TOOTH = "tomo_aps_tooth.h5"
DATA = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


def exchange(path: Path, data: Any = DATA, *, axes: str = "", group: str = "exchange", **others: Any) -> Path:
    with h5py.File(path, "w") as file:
        file[f"{group}/data"] = data
        if axes:
            file[f"{group}/data"].attrs["axes"] = axes
        for name, values in others.items():
            file[f"{group}/{name}"] = values
        file["implements"] = "exchange"
    return path


def test_only_data_exchange_files_are_recognized(data_dir: Path) -> None:
    found = set()
    for path in sorted(data_dir.iterdir()):
        if h5py.is_hdf5(path):
            with open_tree(path) as tree:
                if DataExchange().sniff(tree):
                    found.add(path.name)
    assert found == {TOOTH}


def test_projections_of_a_real_tooth_equal_h5py_with_their_angles(data_dir: Path) -> None:
    path = data_dir / TOOTH
    projections = open_recording(path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(projections.values, file["exchange/data"][()])
        np.testing.assert_array_equal(projections["theta"].values, file["exchange/theta"][()])
        np.testing.assert_array_equal(open_recording(path, "data_dark").values, file["exchange/data_dark"][()])
    assert projections.dims == ("frame", "y", "x")
    assert projections["theta"].dims == ("frame",)
    assert projections["theta"].attrs["units"] == "degrees"
    assert projections.attrs["units"] == "counts"
    assert projections.attrs["white"] == "exchange/data_white"
    assert [signal.kind for signal in list_signals(path)] == ["projection", "white field", "dark field"]
    assert describe(path).attrs["sample"] == "Tooth"
    assert "time" not in projections.coords


def test_sinograms_are_presented_with_the_angles_first(tmp_path: Path) -> None:
    path = exchange(tmp_path / "a.h5", axes="y:theta:x", theta=[0.0, 60.0, 120.0])
    recording = open_recording(path, raw=True)
    assert recording.dims == ("frame", "y", "x")
    np.testing.assert_array_equal(recording.values, DATA.transpose(1, 0, 2))
    assert recording["theta"].values.tolist() == [0.0, 60.0, 120.0]


def test_angles_without_a_unit_are_taken_as_degrees_and_noted(tmp_path: Path) -> None:
    recording = open_recording(exchange(tmp_path / "a.h5", theta=[0.0, 90.0]))
    assert recording["theta"].attrs["units"] == "degree"
    assert "states no unit; taken as degrees" in recording.attrs["history"]


def test_several_exchange_groups_are_all_listed(tmp_path: Path) -> None:
    path = exchange(tmp_path / "a.h5", theta=[0.0, 90.0])
    with h5py.File(path, "a") as file:
        file["exchange_2/data"] = DATA
    assert [signal.path for signal in list_signals(path)] == ["exchange/data", "exchange_2/data"]
    assert describe(path).default == "exchange/data"


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({}, "states no angles"),
        ({"theta": [0.0, 1.0, 2.0]}, "does not fit 2 frames"),
        ({"theta": "ninety"}, "does not fit 2 frames"),
    ],
)
def test_angles_that_are_missing_or_do_not_fit_are_noted(tmp_path: Path, others: dict[str, Any], said: str) -> None:
    recording = open_recording(exchange(tmp_path / "a.h5", **others))
    assert "theta" not in recording.coords
    assert said in recording.attrs["history"]


@pytest.mark.parametrize("data", [np.ones((3, 4)), np.ones((2, 2, 3, 4)), np.ones(3)])
def test_another_rank_opens_with_the_dims_of_images(tmp_path: Path, data: np.ndarray) -> None:
    recording = open_recording(exchange(tmp_path / "a.h5", data, axes="theta:y:x", theta=[0.0, 1.0]))
    np.testing.assert_array_equal(recording.values, data)
    assert recording.dims[-1] == "x"


def test_data_that_is_text_is_a_reason(tmp_path: Path) -> None:
    assert describe(exchange(tmp_path / "a.h5", "nothing")).reason == "exchange/data is no array of numbers"
