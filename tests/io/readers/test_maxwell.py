"""MaxWell files written to the specification: both layouts, missing frames, unrouted channels, the maker's filter."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording, read_events
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.maxwell import MaxWell
from sciml.recording import segments

MAPPING = np.dtype([("channel", "<i4"), ("electrode", "<i4"), ("x", "<f8"), ("y", "<f8")])
SPIKES = np.dtype([("frameno", "<i8"), ("channel", "<i4"), ("amplitude", "<f4")])
COUNTS = np.random.default_rng(0).integers(0, 1024, (5, 60)).astype(np.uint16)
LSB = 6.294e-6
RECORDING = "data_store/data0000"


def _old(path: Path, *, lsb: bool = True) -> Path:
    with h5py.File(path, "w") as file:
        file["version"] = [b"20160704"]
        file["sig"] = COUNTS
        file["mapping"] = np.array([(3, 33, 1.0, 2.0), (0, 11, 3.0, 4.0), (-1, 99, 0.0, 0.0)], MAPPING)
        file["settings/gain"] = [1024.0]
        if lsb:
            file["settings/lsb"] = [LSB]
    return path


def _new(path: Path, *, gap: int = 0) -> Path:
    with h5py.File(path, "w") as file:
        file["version"] = [b"20190530"]
        recording = file.create_group(RECORDING)
        recording["groups/routed/raw"] = COUNTS
        recording["groups/routed/channels"] = np.array([8, 2, 5, 9, 1], np.int32)
        recording["groups/routed/frame_nos"] = np.arange(60) + 10**12 + gap * (np.arange(60) >= 40)
        recording["settings/lsb"] = [LSB]
        recording["settings/sampling"] = [10000.0]
        rows = [(channel, 100 + channel, channel * 17.5, 0.0) for channel in (1, 2, 5, 8, 9)]
        recording["settings/mapping"] = np.array([*rows, (1, 777, 0.0, 0.0)], MAPPING)
        recording["spikes"] = np.array([(10**12 + 5, 2, -30.0), (10**12 + 50, 9, -25.0)], SPIKES)
        file.create_group("wells/well000")
        file["wells/well000/rec0000"] = h5py.SoftLink(f"/{RECORDING}")
    return path


def test_the_layout_of_2016_masks_channels_without_electrode(tmp_path: Path) -> None:
    recording = open_recording(_old(tmp_path / "a.h5"))
    np.testing.assert_allclose(recording.values, COUNTS.T * LSB, rtol=1e-6)
    assert recording.dims == ("time", "channel")
    assert recording.attrs["units"] == "V"
    assert recording.attrs["sampling_rate"] == 20_000.0
    assert recording.electrode.values.tolist() == [11, -1, -1, 33, -1]
    np.testing.assert_array_equal(recording.electrode_x, [3.0, np.nan, np.nan, 1.0, np.nan])
    assert recording.mask.values.tolist() == [False, True, True, False, True]
    assert recording.mask.attrs["flags"] == ["not routed"]


def test_volts_follow_from_the_gain_where_they_are_not_stated(tmp_path: Path) -> None:
    path = _old(tmp_path / "a.h5", lsb=False)
    np.testing.assert_allclose(open_recording(path).values, COUNTS.T * 3.3 / 1024 / 1024, rtol=1e-6)
    assert any("gain 1024" in finding.message for finding in describe(path).findings)


def test_later_layouts_name_one_recording_once(tmp_path: Path) -> None:
    path = _new(tmp_path / "a.h5")
    assert [signal.path for signal in describe(path).signals] == [f"{RECORDING}/groups/routed/raw"]
    recording = open_recording(path, "wells/well000/rec0000/groups/routed/raw")
    np.testing.assert_allclose(recording.values, COUNTS.T * LSB, rtol=1e-6)
    assert recording.channel_id.values.tolist() == [8, 2, 5, 9, 1]
    assert recording.electrode.values.tolist() == [108, 102, 105, 109, 101]
    assert recording.attrs["sampling_rate"] == 10_000.0
    assert recording.time[0] == 0.0
    assert "mask" not in recording.coords


def test_missing_frames_are_a_gap(tmp_path: Path) -> None:
    recording = open_recording(_new(tmp_path / "a.h5", gap=500))
    np.testing.assert_allclose(recording.time, (np.arange(60) + 500 * (np.arange(60) >= 40)) / 10_000)
    assert segments(recording) == [slice(0, 40), slice(40, 60)]
    assert any("500 frames are missing" in finding.message for finding in describe(tmp_path / "a.h5").findings)


def test_spikes_are_on_the_clock_of_the_traces(tmp_path: Path) -> None:
    spikes = read_events(_new(tmp_path / "a.h5"), f"{RECORDING}/spikes")
    np.testing.assert_allclose(spikes.start_time, [5e-4, 5e-3])
    assert spikes["channel"].values.tolist() == [2, 9]
    assert spikes["amplitude"].values.tolist() == [-30.0, -25.0]


def test_without_the_filter_of_the_maker_only_reading_fails(tmp_path: Path) -> None:
    path = _new(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        routed = file[f"{RECORDING}/groups/routed"]
        del routed["raw"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((5, 60))
        plist.set_filter(401, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((5, 60))
        made = h5py.h5d.create(routed.id, b"raw", h5py.h5t.NATIVE_UINT16, space, plist)
        made.write_direct_chunk((0, 0), b"compressed")
    recording = open_recording(path)
    assert recording.shape == (60, 5)
    assert any(
        "HDF5_PLUGIN_PATH" in finding.message and "MaxWell" in finding.message for finding in describe(path).findings
    )
    with pytest.raises(DataError, match=r"filter 401 .* HDF5_PLUGIN_PATH"):
        recording[:3].values.sum()


def _as(name: str, value: object) -> Callable[[h5py.Group], None]:
    def spoil(recording: h5py.Group) -> None:
        del recording[name]
        if value is not None:
            recording[name] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "opens"),
    [
        (_as("groups/routed/raw", np.arange(3)), False),
        (_as("groups/routed/raw", ["text"]), False),
        (_as("settings/sampling", None), False),
        (_as("settings/sampling", ["fast"]), False),
        (_as("settings/mapping", np.arange(3)), True),
        (_as("settings/lsb", None), True),
        (_as("groups/routed/channels", None), True),
        (_as("groups/routed/channels", ["text"]), True),
        (_as("groups/routed/frame_nos", [1, 2]), True),
        (_as("spikes", np.arange(3)), True),
    ],
)
def test_broken_parts_raise_only_data_errors(tmp_path: Path, spoil: Callable[[h5py.Group], None], opens: bool) -> None:
    path = _new(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        spoil(file[RECORDING])
    describe(path)
    if opens:
        assert open_recording(path).shape == (60, 5)
    else:
        with pytest.raises(DataError):
            open_recording(path)


def test_frame_numbers_that_are_none_leave_spikes_where_they_are(tmp_path: Path) -> None:
    with h5py.File(_new(tmp_path / "a.h5"), "r+") as file:
        del file[f"{RECORDING}/groups/routed/frame_nos"]
        file[f"{RECORDING}/groups/routed/frame_nos"] = np.zeros((2, 2))
    spikes = read_events(tmp_path / "a.h5", f"{RECORDING}/spikes")
    np.testing.assert_allclose(spikes.start_time, [1e8 + 5e-4, 1e8 + 5e-3])


def test_no_other_file_looks_like_it(data_dir: Path) -> None:
    for path in data_dir.iterdir():
        if path.suffix not in {".md", ".nii", ".gz"}:
            with open_tree(path) as tree:
                assert MaxWell().sniff(tree) == 0, path.name
