"""EBSD patterns: real ones of nickel, and files in the spellings of the makers."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.ebsd import Ebsd

NICKEL = "ebsd_nickel_kikuchipy.h5"
PATTERNS = np.arange(6 * 5 * 7, dtype=np.uint8).reshape(6, 5, 7)


def ebsd(path: Path, name: str = "Pattern", patterns: Any = PATTERNS, **entries: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["map/EBSD/Header/Mode"] = "fast"
        file[f"map/EBSD/Data/{name}"] = patterns
        for place, values in entries.items():
            file[f"map/EBSD/{place.replace('__', '/').replace('_', ' ')}"] = values
    return path


def test_only_ebsd_files_are_recognized(data_dir: Path) -> None:
    found = set()
    for path in sorted(data_dir.iterdir()):
        if h5py.is_hdf5(path):
            with open_tree(path) as tree:
                if Ebsd().sniff(tree):
                    found.add(path.name)
    assert found == {NICKEL}


def test_real_patterns_equal_h5py_with_background_grid_and_orientations(data_dir: Path) -> None:
    path = data_dir / NICKEL
    patterns = open_recording(path, "Scan 1/EBSD/Data/patterns", raw=True)
    with h5py.File(path) as file:
        scan = file["Scan 1/EBSD"]
        np.testing.assert_array_equal(patterns.values, scan["Data/patterns"][()])
        np.testing.assert_array_equal(patterns["static_background"].values, scan["Header/static_background"][()])
        np.testing.assert_array_equal(patterns["phi1"].values, scan["CrystalMap/crystal_map/data/phi1"][()])
        np.testing.assert_array_equal(patterns["position_x"].values, scan["CrystalMap/crystal_map/data/x"][()])
    assert patterns.dims == ("frame", "y", "x")
    assert patterns["static_background"].dims == ("y", "x")
    np.testing.assert_array_equal(patterns["column"].values * 1.5, patterns["position_x"].values)
    np.testing.assert_array_equal(patterns["row"].values * 1.5, patterns["position_y"].values)
    assert (patterns.attrs["step_x"], patterns.attrs["beam_energy"]) == (1.5, 20.0)
    found = describe(path)
    assert (found.format, found.attrs["instrument"]) == ("EBSD kikuchipy", "Hitachi SU-6600")
    assert len(found.signals) == 2
    assert "time" not in patterns.coords


@pytest.mark.parametrize("name", ["Pattern", "RawPatterns", "Processed Patterns", "Unprocessed Patterns"])
def test_patterns_are_found_whatever_the_maker_calls_them(tmp_path: Path, name: str) -> None:
    path = ebsd(tmp_path / "a.h5", name, Header__Step_X=[0.5], Header__X_Cells=3, Header__Y_Cells=2, Data__MAD=range(6))
    recording = open_recording(path, raw=True)
    np.testing.assert_array_equal(recording.values, PATTERNS)
    assert recording.attrs["step_x"] == 0.5
    assert recording["column"].values.tolist() == [0, 1, 2, 0, 1, 2]
    assert recording["MAD"].values.tolist() == list(range(6))


def test_angles_that_are_stored_together_are_numbered(tmp_path: Path) -> None:
    angles = np.arange(18.0).reshape(6, 3)
    recording = open_recording(ebsd(tmp_path / "a.h5", Data__Euler=angles, Data__Wide=np.ones((6, 9))))
    for number in range(3):
        np.testing.assert_array_equal(recording[f"Euler_{number}"].values, angles[:, number])
    assert "Wide_0" not in recording.coords


def test_a_grid_that_has_another_number_of_points_gives_no_rows_and_columns(tmp_path: Path) -> None:
    recording = open_recording(ebsd(tmp_path / "a.h5", Header__n_columns=4, Header__n_rows=2))
    assert "row" not in recording.coords


@pytest.mark.parametrize("background", [np.zeros((2, 2)), "none", np.zeros(3)])
def test_a_background_of_another_shape_is_left_out(tmp_path: Path, background: Any) -> None:
    recording = open_recording(ebsd(tmp_path / "a.h5", Header__StaticBackground=background))
    assert "static_background" not in recording.coords


@pytest.mark.parametrize("cells", [np.nan, np.inf, -3, "many", [1, 2]])
def test_a_grid_of_no_number_gives_no_rows_and_columns(tmp_path: Path, cells: Any) -> None:
    recording = open_recording(ebsd(tmp_path / "a.h5", Header__n_columns=cells, Header__n_rows=2))
    assert "row" not in recording.coords


def test_a_background_stored_as_a_stack_of_one_is_read(tmp_path: Path) -> None:
    background = np.arange(35, dtype=np.uint8).reshape(1, 5, 7)
    recording = open_recording(ebsd(tmp_path / "a.h5", "RawPatterns", Header__StaticBackground=background))
    np.testing.assert_array_equal(recording["static_background"].values, background[0])


def test_patterns_on_a_grid_have_rows_and_columns_as_dims(tmp_path: Path) -> None:
    recording = open_recording(ebsd(tmp_path / "a.h5", patterns=PATTERNS.reshape(2, 3, 5, 7)))
    assert recording.dims == ("row", "column", "y", "x")


@pytest.mark.parametrize("patterns", ["text", np.zeros((6, 4)), np.zeros((6, 2, 2)), 3.0])
def test_a_scan_without_patterns_is_left_to_the_reader_of_plain_files(tmp_path: Path, patterns: Any) -> None:
    path = ebsd(tmp_path / "a.h5", patterns=patterns)
    assert describe(path).format == "HDF5"
    with pytest.raises(DataError):
        open_recording(path, "no/such/pattern")
