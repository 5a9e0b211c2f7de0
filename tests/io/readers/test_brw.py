"""3Brain files written to the specification: microvolts, frames stored one after the other, chunks with gaps."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.brw import Brw
from sciml.recording import segments

COUNTS = np.random.default_rng(0).integers(0, 4096, (50, 6)).astype(np.uint16)
CONVERTER = {"MinAnalogValue": -4125.0, "MaxAnalogValue": 4125.0, "MinDigitalValue": 0, "MaxDigitalValue": 4095}


def _version_3(path: Path, *, flat: bool, inversion: float = 1.0) -> Path:
    with h5py.File(path, "w") as file:
        variables = file.create_group("3BRecInfo/3BRecVars")
        stated = {"BitDepth": 12, "MinVolt": -4125.0, "MaxVolt": 4125.0, "SignalInversion": inversion}
        for name, value in {**stated, "SamplingRate": 18000.0, "NRecFrames": 50}.items():
            variables[name] = [value]
        channels = np.array([(row, col) for row in (1, 2) for col in (3, 4, 5)], [("Row", "<i2"), ("Col", "<i2")])
        file["3BRecInfo/3BMeaStreams/Raw/Chs"] = channels
        file["3BData/Raw"] = COUNTS.ravel() if flat else COUNTS
    return path


def _version_4(path: Path, *, attributes: bool = False) -> Path:
    """Write two chunks of twenty and thirty frames that start at frames 100 and 1000."""
    with h5py.File(path, "w") as file:
        if attributes:
            file.attrs.update(CONVERTER, SamplingRate=10000.0)
        else:
            older = {"History": {"FrameRate": 1.0}}
            settings = {"ValueConverter": {**CONVERTER, "ScaleFactor": 1.0}, "TimeConverter": {"FrameRate": 10000.0}}
            file["ExperimentSettings"] = [json.dumps(settings | older).encode()]
        file["TOC"] = [[100, 120], [1000, 1030]]
        well = file.create_group("Well_A1")
        well["StoredChIdxs"] = np.array([0, 1, 63, 64, 65, 4095])
        well["Raw"] = COUNTS.ravel()
    return path


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("inversion", [1.0, -1.0])
def test_version_3_is_in_microvolts(tmp_path: Path, flat: bool, inversion: float) -> None:
    recording = open_recording(_version_3(tmp_path / "a.brw", flat=flat, inversion=inversion))
    expected = inversion * (-4125.0 + COUNTS * 8250.0 / 4096)
    np.testing.assert_allclose(recording.values, expected, rtol=1e-6)
    np.testing.assert_allclose(recording[7:30:3, [4, 1]].values, expected[7:30:3, [4, 1]], rtol=1e-6)
    assert recording.attrs["units"] == "uV"
    assert recording.attrs["sampling_rate"] == 18000.0
    assert recording.electrode_col.values.tolist() == [3, 4, 5, 3, 4, 5]
    raw = open_recording(tmp_path / "a.brw", raw=True)
    assert raw.dtype == np.uint16
    np.testing.assert_array_equal(raw.values, COUNTS)


def test_chunks_of_dask_hold_whole_frames(tmp_path: Path) -> None:
    recording = open_recording(_version_3(tmp_path / "a.brw", flat=True), chunks=10)
    assert recording.chunks == ((10,) * 5, (6,))
    np.testing.assert_allclose(recording.compute().values, -4125.0 + COUNTS * 8250.0 / 4096, rtol=1e-6)


@pytest.mark.parametrize("attributes", [True, False])
def test_version_4_maps_the_digital_on_the_analog_range(tmp_path: Path, attributes: bool) -> None:
    recording = open_recording(_version_4(tmp_path / "a.brw", attributes=attributes))
    np.testing.assert_allclose(recording.values, -4125.0 + COUNTS * 8250.0 / 4095, rtol=1e-6)
    times = np.concatenate([np.arange(100, 120), np.arange(1000, 1030)]) / 10000.0
    np.testing.assert_allclose(recording.time, times)
    assert segments(recording) == [slice(0, 20), slice(20, 50)]
    assert recording.electrode_row.values.tolist() == [1, 1, 1, 2, 2, 64]
    assert recording.electrode_col.values.tolist() == [1, 2, 64, 1, 2, 64]


def _without(*paths: str) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        for path in paths:
            del file[path]

    return spoil


def _as(path: str, value: object) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        del file[path]
        file[path] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (_without("ExperimentSettings"), "not stated"),
        (_as("ExperimentSettings", "{not json"), "no JSON"),
        (_as("TOC", [[0, 7]]), "lists 7 frames of 50"),
        (_as("ExperimentSettings", json.dumps({"FrameRate": -5, "MinDigitalValue": 1e308})), "sampling rate is -5"),
        (_as("Well_A1/StoredChIdxs", np.arange(7)), "no whole number of frames"),
        (_without("Well_A1/StoredChIdxs"), "unknown number of channels"),
        (_as("Well_A1/Raw", ["text"]), "expected numbers"),
        (_as("Well_A1/StoredChIdxs", ["text"]), "unknown number of channels"),
    ],
)
def test_what_is_odd_about_version_4_is_a_finding(
    tmp_path: Path, spoil: Callable[[h5py.File], None], word: str
) -> None:
    path = _version_4(tmp_path / "a.brw")
    with h5py.File(path, "r+") as file:
        spoil(file)
    assert any(word in finding.message for finding in describe(path).findings)


@pytest.mark.parametrize(
    "spoil",
    [
        _without("3BRecInfo/3BMeaStreams/Raw/Chs", "3BRecInfo/3BRecVars/NRecFrames"),
        _as("3BRecInfo/3BMeaStreams/Raw/Chs", np.arange(3)),
        _as("3BRecInfo/3BRecVars/SamplingRate", ["fast"]),
        _as("3BRecInfo/3BRecVars/BitDepth", 5000.0),
        _as("3BData/Raw", np.zeros((2, 2, 2))),
    ],
)
def test_a_broken_version_3_raises_only_data_errors(tmp_path: Path, spoil: Callable[[h5py.File], None]) -> None:
    path = _version_3(tmp_path / "a.brw", flat=True)
    with h5py.File(path, "r+") as file:
        spoil(file)
    assert describe(path).findings
    with contextlib.suppress(DataError):  # what can be read is read
        open_recording(path).values.sum()


def test_a_table_of_other_channels_is_left_out(tmp_path: Path) -> None:
    path = _version_3(tmp_path / "a.brw", flat=False)
    with h5py.File(path, "r+") as file:
        del file["3BData/Raw"]
        file["3BData/Raw"] = COUNTS[:, :2]
    recording = open_recording(path)
    assert recording.shape == (50, 2)
    assert "does not fit the 2 channels" in recording.attrs["history"]


def test_what_only_the_maker_decodes_is_named(tmp_path: Path) -> None:
    with h5py.File(_version_4(tmp_path / "a.brw"), "r+") as file:
        del file["Well_A1/Raw"]
        file["Well_A1/EventsBasedSparseRaw"] = np.zeros(9, np.uint8)
    found = describe(tmp_path / "a.brw")
    assert "EventsBasedSparseRaw" in found.findings[0].message
    assert found.reason is not None
    assert "no well holds raw data" in found.reason


def test_no_other_file_looks_like_it(data_dir: Path) -> None:
    for path in data_dir.iterdir():
        if path.suffix not in {".md", ".nii", ".gz"}:
            with open_tree(path) as tree:
                assert Brw().sniff(tree) == 0, path.name
