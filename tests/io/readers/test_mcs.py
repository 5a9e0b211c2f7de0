"""MCS-HDF5: conversion per channel, runs of samples between gaps, cut-outs and events."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording, read_events
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.mcs import Mcs
from sciml.recording import segments

STREAM = "Data/Recording_0/AnalogStream/Stream_0"
INFO = np.dtype(
    [
        ("ChannelID", "<i4"),
        ("RowIndex", "<i4"),
        ("Label", h5py.string_dtype()),
        ("Unit", "S4"),
        ("Exponent", "<i4"),
        ("ADZero", "<i4"),
        ("Tick", "<i8"),
        ("ConversionFactor", "<i8"),
    ]
)
BLANK = (0, 0, "", b"V", 0, 0, 100, 1)
COUNTS = np.random.default_rng(0).integers(-500, 500, (3, 30)).astype(np.int32)


@pytest.fixture
def real(data_dir: Path) -> Path:
    return data_dir / "mcs_8ch_2014.h5"


def _write(path: Path) -> Path:
    """Write two runs of ten and twenty samples at 10 kHz, half a second apart, rows described out of order."""
    with h5py.File(path, "w") as file:
        file.attrs.update(McsHdf5ProtocolType=b"RawData", McsHdf5ProtocolVersion=3)
        stream = file.create_group(STREAM)
        stream.attrs.update(DataSubType=b"Electrode", SourceStreamGUID=b"00000000-0000-0000-0000-000000000000")
        stream["ChannelData"] = COUNTS
        stream["ChannelDataTimeStamps"] = [[1000, 0, 9], [501_000, 10, 29]]
        rows = [
            (7, 2, "E3  \r\n", b"V", -9, 30, 100, 300),
            (5, 0, "E1", b"V", -9, 10, 100, 100),
            (6, 1, "E2", b"V", -9, 20, 100, 200),
        ]
        stream["InfoChannel"] = np.array(rows, dtype=INFO)
    return path


def test_values_of_the_real_file_are_those_of_h5py(real: Path) -> None:
    with h5py.File(real) as file:
        raw = file["Data/Recording_0/AnalogStream/Stream_1/ChannelData"][()]
    recording = open_recording(real)
    assert recording.attrs["signal"] == "Data/Recording_0/AnalogStream/Stream_1"
    assert recording.dims == ("time", "channel")
    np.testing.assert_allclose(recording.values, raw.T * 381470e-9, rtol=1e-12)
    assert recording.attrs["units"] == "V"
    assert recording.attrs["sampling_rate"] == pytest.approx(500.0)
    assert recording.time[0] == pytest.approx(0.1)
    assert recording.label.values.tolist() == [f"E{number}" for number in range(1, 9)]
    np.testing.assert_array_equal(open_recording(real, raw=True).values, raw.T)


def test_digital_channels_keep_their_values(real: Path) -> None:
    with h5py.File(real) as file:
        raw = file["Data/Recording_0/AnalogStream/Stream_2/ChannelData"][()]
    digital = open_recording(real, "AnalogStream/Stream_2")
    assert raw.any()
    np.testing.assert_array_equal(digital.values, raw.T)
    assert digital.attrs["units"] == ""


def test_cutouts_and_events_of_the_real_file_agree(real: Path) -> None:
    with h5py.File(real) as file:
        segment = file["Data/Recording_0/SegmentStream/Stream_0"]
        raw, timestamps = segment["SegmentData_3"][()], segment["SegmentData_ts_3"][0]
        ports = file["Data/Recording_0/EventStream/Stream_0/EventEntity_0"][()]
    cutouts = open_recording(real, "SegmentData_3")
    assert cutouts.dims == ("event", "sample")
    np.testing.assert_allclose(cutouts.values, raw.T * 381470e-9, rtol=1e-12)
    np.testing.assert_allclose(cutouts.start_time, timestamps * 1e-6)
    np.testing.assert_allclose(read_events(real, "TimeStampEntity_3").start_time, timestamps * 1e-6)
    events = read_events(real, "EventEntity_0")
    np.testing.assert_allclose(events.stop_time, (ports[0] + ports[1]) * 1e-6)


def test_each_channel_has_its_zero_and_its_factor(tmp_path: Path) -> None:
    recording = open_recording(_write(tmp_path / "a.h5"))
    zeros, factors = np.array([10, 20, 30]), np.array([100, 200, 300])
    np.testing.assert_allclose(recording.values, (COUNTS.T - zeros) * factors * 1e-9, rtol=1e-12)
    np.testing.assert_allclose(recording[4, [2, 0]].values, recording.values[4, [2, 0]])
    assert recording.label.values.tolist() == ["E1", "E2", "E3"]
    assert recording.channel_id.values.tolist() == [5, 6, 7]


def test_a_pause_of_the_recording_is_a_gap(tmp_path: Path) -> None:
    recording = open_recording(_write(tmp_path / "a.h5"))
    times = np.concatenate([0.001 + np.arange(10) * 1e-4, 0.501 + np.arange(20) * 1e-4])
    np.testing.assert_allclose(recording.time, times, atol=1e-12)
    assert "sampling_rate" not in recording.attrs
    assert segments(recording) == [slice(0, 10), slice(10, 30)]
    assert "1 gap" in recording.attrs["history"]


def test_runs_without_a_pause_are_one_regular_clock(tmp_path: Path) -> None:
    with h5py.File(_write(tmp_path / "a.h5"), "r+") as file:
        file[STREAM]["ChannelDataTimeStamps"][1] = [2000, 10, 29]
    assert open_recording(tmp_path / "a.h5").attrs["sampling_rate"] == pytest.approx(1e4)


def _replace(name: str, value: object) -> Callable[[h5py.Group], None]:
    def spoil(stream: h5py.Group) -> None:
        del stream[name]
        if value is not None:
            stream[name] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (_replace("InfoChannel", None), "values are as stored"),
        (_replace("InfoChannel", np.arange(3)), "expected a row of records"),
        (_replace("InfoChannel", np.array([BLANK] * 3, INFO)), "one by one"),
        (_replace("InfoChannel", np.array([BLANK], INFO)), "one by one"),
        (_replace("InfoChannel", np.zeros(2, [("a", "<i4")])), "one by one"),
        (_replace("ChannelDataTimeStamps", None), "counted from the first sample"),
        (_replace("ChannelDataTimeStamps", [[0, 0, 7]]), "do not cover"),
        (_replace("ChannelDataTimeStamps", [0, 0, 29]), "not rows of three"),
        (_replace("ChannelData", np.arange(4)), "expected numbers of shape"),
        (_replace("ChannelData", ["a"]), "expected numbers of shape"),
    ],
)
def test_what_is_odd_is_a_finding(tmp_path: Path, spoil: Callable[[h5py.Group], None], word: str) -> None:
    path = _write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        spoil(file[STREAM])
    assert any(word in finding.message for finding in describe(path).findings)
    if "expected numbers" not in word:
        assert open_recording(path, raw=True).shape == (30, 3)


def test_a_sampling_interval_of_zero_says_so(tmp_path: Path) -> None:
    with h5py.File(_write(tmp_path / "a.h5"), "r+") as file:
        info = file[STREAM]["InfoChannel"][()]
        info["Tick"] = 0
        file[STREAM]["InfoChannel"][...] = info
    with pytest.raises(DataError, match="sampling rate"):
        open_recording(tmp_path / "a.h5")


def test_only_mcs_files_are_recognized(data_dir: Path, real: Path) -> None:
    for path in data_dir.iterdir():
        if path.suffix not in {".md", ".nii", ".gz"}:
            with open_tree(path) as tree:
                assert Mcs().sniff(tree) == (100 if path == real else 0), path.name
