"""Kwik files written to the specification: voltages of channels, and spikes on the clock of their recordings."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording, read_events
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.kwik import Kwik

COUNTS = np.random.default_rng(0).integers(-900, 900, (40, 3)).astype(np.int16)
GAINS = np.array([0.195, 0.195, 37.4], np.float32)
SPIKES = "channel_groups/0/spikes"


def _kwd(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["kwik_version"] = 2
        for number in (0, 1):
            recording = file.create_group(f"recordings/{number}")
            recording.attrs.update(sample_rate=np.float32(20000), start_time=np.uint64(40000 * number), bit_depth=16)
            recording["data"] = COUNTS + np.int16(number)
            recording.create_group("application_data").attrs["channel_bit_volts"] = GAINS
    return path


def _kwik(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(kwik_version=2, name="shank")
        for number, start in enumerate((0.0, 100.0)):
            recording = file.create_group(f"recordings/{number}")
            recording.attrs.update(sample_rate=20000.0, start_time=start)
        spikes = file.create_group(SPIKES)
        spikes["time_samples"] = np.array([200, 400, 100], np.uint64)
        spikes["time_fractional"] = np.array([0, 51, 0], np.uint8)
        spikes["recording"] = np.array([0, 0, 1], np.uint16)
        spikes["clusters/main"] = np.array([4, 9, 4], np.uint32)
    return path


def test_raw_data_are_in_microvolts(tmp_path: Path) -> None:
    recording = open_recording(_kwd(tmp_path / "a.kwd"), "recordings/0/data")
    np.testing.assert_allclose(recording.values, (COUNTS * GAINS.astype(float)).astype(np.float32))
    np.testing.assert_allclose(recording[::5, 2].values, COUNTS[::5, 2] * float(GAINS[2]), rtol=1e-6)
    assert recording.dims == ("time", "channel")
    assert recording.attrs["units"] == "uV"
    assert recording.attrs["sampling_rate"] == 20000.0


def test_a_later_recording_starts_later(tmp_path: Path) -> None:
    recording = open_recording(_kwd(tmp_path / "a.kwd"), "recordings/1/data")
    assert recording.time[0] == 2.0  # 40 000 samples, as Open Ephys counts


def test_spikes_are_on_the_clock_of_their_recordings(tmp_path: Path) -> None:
    spikes = read_events(_kwik(tmp_path / "a.kwik"), SPIKES)
    np.testing.assert_allclose(spikes.start_time, [0.01, 400.2 / 20000, 100.005])
    assert spikes["cluster_main"].values.tolist() == [4, 9, 4]
    assert spikes["recording"].values.tolist() == [0, 0, 1]


def test_a_file_of_spikes_says_that_it_holds_no_traces(tmp_path: Path) -> None:
    found = describe(_kwik(tmp_path / "a.kwik"))
    assert found.signals == ()
    assert "no traces" in str(found.reason)
    assert found.tables[0].columns == ("start_time", "stop_time", "recording", "cluster_main")
    assert found.tables[0].rows == 3


def test_features_of_spikes_open(tmp_path: Path) -> None:
    with h5py.File(_kwik(tmp_path / "a.kwx"), "r+") as file:
        file["channel_groups/0/features_masks"] = np.ones((3, 6, 2), np.float32)
    assert open_recording(tmp_path / "a.kwx").dims == ("event", "feature", "masked")


def _as(path: str, value: object) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        del file[path]
        if value is not None:
            file[path] = value

    return spoil


def _attribute(path: str, name: str, value: object) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        file[path].attrs.pop(name)
        if value is not None:
            file[path].attrs[name] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (_as("recordings/0/application_data", None), "values are as stored"),
        (_attribute("recordings/0/application_data", "channel_bit_volts", np.ones(7)), "values are as stored"),
        (_attribute("recordings/0/application_data", "channel_bit_volts", "loud"), "values are as stored"),
        (_attribute("recordings/0", "sample_rate", None), "sampling rate is nan"),
        (_as("recordings/0/data", np.arange(4)), "expected numbers of shape"),
        (_as("recordings/0/data", ["text"]), "expected numbers of shape"),
    ],
)
def test_what_is_odd_about_raw_data_is_a_finding(tmp_path: Path, spoil: Callable[[h5py.File], None], word: str) -> None:
    path = _kwd(tmp_path / "a.kwd")
    with h5py.File(path, "r+") as file:
        spoil(file)
    assert any(word in finding.message for finding in describe(path).findings)
    if "stored" in word:
        np.testing.assert_array_equal(open_recording(path, "recordings/0/data").values, COUNTS)
    else:
        with pytest.raises(DataError):
            open_recording(path, "recordings/0/data")


@pytest.mark.parametrize(
    "spoil",
    [
        _as(f"{SPIKES}/time_samples", ["text"]),
        _as(f"{SPIKES}/time_samples", np.zeros((2, 2))),
        _attribute("recordings/1", "sample_rate", None),
        _as("recordings", None),
    ],
)
def test_spikes_without_times_raise_a_data_error(tmp_path: Path, spoil: Callable[[h5py.File], None]) -> None:
    path = _kwik(tmp_path / "a.kwik")
    with h5py.File(path, "r+") as file:
        spoil(file)
    describe(path)
    with pytest.raises(DataError):
        read_events(path, SPIKES)


def test_no_other_file_looks_like_it(data_dir: Path) -> None:
    for path in data_dir.iterdir():
        if path.suffix not in {".md", ".nii", ".gz"}:
            with open_tree(path) as tree:
                assert Kwik().sniff(tree) == 0, path.name
