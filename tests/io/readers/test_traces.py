"""Results of CaImAn and Suite2p in HDF5, written by the tests as the programs write them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse

from sciml.io import describe, list_signals, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.traces import Traces

TRACES = np.arange(12.0).reshape(3, 4)  # 3 ROIs, 4 frames


def caiman(path: Path, *, rate: Any = 30, **estimates: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["dims"] = [8, 8]
        file["estimates/A/data"] = np.ones(3)
        file["estimates/C"] = TRACES
        for name, values in estimates.items():
            file[f"estimates/{name}"] = values
        if rate is not None:
            file["params/data/fr"] = rate
    return path


def suite2p(path: Path, *, group: str = "plane0", **entries: Any) -> Path:
    with h5py.File(path, "w") as file:
        arrays = {"F": TRACES, "Fneu": TRACES / 2, "spks": TRACES * 0, **entries}
        for name, values in arrays.items():
            file[f"{group}/{name}"] = values
    return path


def test_caiman_traces_come_as_time_by_roi_with_their_rate_and_scores(tmp_path: Path) -> None:
    path = caiman(tmp_path / "a.hdf5", F_dff=TRACES + 1, SNR_comp=[3.0, 1.0, 2.0], idx_components=[0, 2], S="NoneType")
    recording = open_recording(path, "F_dff")
    assert recording.dims == ("time", "roi")
    np.testing.assert_array_equal(recording.values, (TRACES + 1).T)
    np.testing.assert_array_equal(recording[1:3, 2].values, TRACES[2, 1:3] + 1)
    assert recording.attrs["sampling_rate"] == 30.0
    assert recording["accepted"].values.tolist() == [True, False, True]
    assert recording["SNR_comp"].values.tolist() == [3.0, 1.0, 2.0]
    assert [signal.path for signal in list_signals(path)] == ["estimates/C", "estimates/F_dff"]
    assert describe(path).default == "estimates/C"


def test_centers_of_caiman_footprints_are_those_of_the_dense_matrix(tmp_path: Path) -> None:
    height, width = 8, 5
    dense = np.random.default_rng(0).random((height * width, 3)) * (np.arange(40)[:, None] % 3 == 0)
    dense[:, 1] = 0.0  # a component that lost all its pixels
    path = caiman(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        del file["dims"], file["estimates/A"]
        file["dims"] = [height, width]
        sparse = scipy.sparse.csc_matrix(dense)
        for name in ("data", "indices", "indptr", "shape"):
            file[f"estimates/A/{name}"] = getattr(sparse, name)
    recording = open_recording(path)
    images = dense.T.reshape(3, width, height).transpose(0, 2, 1)  # pixels are counted down the columns
    for roi in (0, 2):
        y, x = scipy.ndimage.center_of_mass(images[roi])
        np.testing.assert_allclose(recording["center_y"].values[roi], y)
        np.testing.assert_allclose(recording["center_x"].values[roi], x)
    assert np.isnan(recording["center_y"].values[1])


@pytest.mark.parametrize("dims", [[np.nan, 8.0], [0, 8], [np.inf, 1.0], np.empty(0)])
def test_frames_of_no_height_give_no_centers(tmp_path: Path, dims: Any) -> None:
    path = caiman(tmp_path / "a.hdf5", dims=dims, **{"A/indices": [0, 1, 2], "A/indptr": [0, 1, 2, 3]})
    recording = open_recording(path)
    assert "center_y" not in recording.coords
    assert "a height of frames" in recording.attrs["history"]


@pytest.mark.parametrize("ends", [[0, 1], [0, 2, 1, 3], [0, 1, 2, 9], [1, 1, 2, 3]])
def test_footprints_that_do_not_fit_are_left_out_and_noted(tmp_path: Path, ends: list[int]) -> None:
    path = caiman(tmp_path / "a.hdf5", **{"A/indices": [0, 1, 2], "A/indptr": ends})
    recording = open_recording(path)
    assert "center_y" not in recording.coords
    assert "expected a sparse matrix of 3 columns" in recording.attrs["history"]


def test_suite2p_traces_come_with_rate_and_classification(tmp_path: Path) -> None:
    entries: dict[str, Any] = {"iscell": [[1, 0.9], [0, 0.2], [1, 0.6]], "ops/fs": 15.5}
    path = suite2p(tmp_path / "a.h5", **entries)
    recording = open_recording(path, "Fneu")
    np.testing.assert_array_equal(recording.values, TRACES.T / 2)
    assert recording.attrs["sampling_rate"] == 15.5
    assert recording["iscell"].values.tolist() == [True, False, True]
    assert recording["iscell_probability"].values.tolist() == [0.9, 0.2, 0.6]
    assert describe(path).format == "Suite2p results"


def test_three_traces_stack_along_a_new_dim(tmp_path: Path) -> None:
    stack = open_recording(suite2p(tmp_path / "a.h5", fs=10.0), "plane0/F*")
    assert stack.dims == ("time", "trace", "roi")
    assert stack["trace"].values.tolist() == ["F", "Fneu"]


def test_results_at_the_root_are_found(tmp_path: Path) -> None:
    path = suite2p(tmp_path / "a.h5", group="/", fs=10.0)
    assert open_recording(path).attrs["sampling_rate"] == 10.0


@pytest.mark.parametrize("rate", [None, 0, -3.0, "fast", [1.0, 2.0], np.nan])
def test_without_a_rate_that_is_one_there_is_no_clock_and_that_is_noted(tmp_path: Path, rate: Any) -> None:
    recording = open_recording(caiman(tmp_path / "a.hdf5", rate=rate))
    assert "time" not in recording.coords
    assert "states no frame rate" in recording.attrs["history"]


@pytest.mark.parametrize("kept", [[7], [-1], "all", [[0.5]]])
def test_positions_of_components_that_do_not_fit_are_left_out(tmp_path: Path, kept: Any) -> None:
    recording = open_recording(caiman(tmp_path / "a.hdf5", idx_components=kept))
    assert "accepted" not in recording.coords
    np.testing.assert_array_equal(recording.values, TRACES.T)


def test_traces_of_another_rank_are_a_finding(tmp_path: Path) -> None:
    found = describe(suite2p(tmp_path / "a.h5", F=np.ones(3), Fneu="none", spks=np.ones((2, 2, 2))))
    assert found.signals == ()
    assert any("expected (roi, time), got shape (3,)" in text.message for text in found.findings)
    assert found.reason is not None
    assert found.reason.startswith("none of the traces is an array of ROIs by time")


def test_no_real_file_of_another_format_is_taken_for_traces(data_dir: Path) -> None:
    for path in sorted(data_dir.iterdir()):
        if h5py.is_hdf5(path):
            with open_tree(path) as tree:
                assert Traces().sniff(tree) == 0, path.name
