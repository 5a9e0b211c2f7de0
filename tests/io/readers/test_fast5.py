"""Nanopore reads: current in picoampere on the clock of the run, in files of many reads and of one."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, list_signals, open_recording

COUNTS = np.array([371, 370, -5, 333], dtype=np.int16)
CHANNEL = {"digitisation": 8192.0, "offset": 21.0, "range": 1437.7, "sampling_rate": 4000.0, "channel_number": b"109"}


def test_the_current_of_each_read_is_that_of_h5py(data_dir: Path) -> None:
    path = data_dir / "nanopore_multi_zip.fast5"
    with h5py.File(path) as file:
        assert [signal.path for signal in list_signals(path)] == list(file)
        for name in list(file)[:3]:
            recording = open_recording(path, name, dtype="float64")
            channel, raw = file[name]["channel_id"].attrs, file[name]["Raw"]
            expected = (raw["Signal"][()] + channel["offset"]) * channel["range"] / channel["digitisation"]
            np.testing.assert_allclose(recording.values, expected, rtol=1e-12)
            assert recording.attrs["units"] == "pA"
            assert recording.attrs["sampling_rate"] == 4000.0
            assert recording.time[0] == raw.attrs["start_time"] / 4000.0
            assert recording.attrs["read_id"] == raw.attrs["read_id"].decode()


def _multi(path: Path, **changes: object) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["file_version"] = b"2.0"
        raw = file.create_group("read_a/Raw")
        raw.attrs.update(start_time=8000, read_id=b"a")
        raw["Signal"] = COUNTS
        channel = {name: value for name, value in (CHANNEL | changes).items() if value is not None}
        file.create_group("read_a/channel_id").attrs.update(channel)


def test_a_file_of_one_read_has_its_channel_elsewhere(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.fast5", "w") as file:
        file["Raw/Reads/Read_17/Signal"] = COUNTS
        file.create_group("UniqueGlobalKey/channel_id").attrs.update(CHANNEL)
    recording = open_recording(tmp_path / "a.fast5")
    np.testing.assert_allclose(recording.values, (COUNTS + 21.0) * 1437.7 / 8192.0, rtol=1e-6)
    np.testing.assert_array_equal(recording.time, np.arange(4) / 4000.0)


def test_bulk_files_hold_channels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.fast5", "w") as file:
        file["Raw/Channel_109/Signal"] = COUNTS
        meta = {"sample_rate" if name == "sampling_rate" else name: value for name, value in CHANNEL.items()}
        file.create_group("Raw/Channel_109/Meta").attrs.update(meta)
    recording = open_recording(tmp_path / "a.fast5")
    np.testing.assert_allclose(recording.values, (COUNTS + 21.0) * 1437.7 / 8192.0, rtol=1e-6)
    assert recording.attrs["sampling_rate"] == 4000.0


def test_raw_hands_out_the_counts(tmp_path: Path) -> None:
    _multi(tmp_path / "a.fast5")
    np.testing.assert_array_equal(open_recording(tmp_path / "a.fast5", raw=True).values, COUNTS)
    assert open_recording(tmp_path / "a.fast5").time[0] == 2.0


@pytest.mark.parametrize("name", ["range", "digitisation"])
@pytest.mark.parametrize("value", [None, 0.0, np.nan, np.inf, -1.0])
def test_without_the_range_of_the_converter_values_stay_counts(tmp_path: Path, name: str, value: object) -> None:
    _multi(tmp_path / "a.fast5", **{name: value})
    recording = open_recording(tmp_path / "a.fast5")
    np.testing.assert_array_equal(recording.values, COUNTS)
    assert recording.attrs["units"] == ""
    assert any(f"states no {name}" in finding.message for finding in describe(tmp_path / "a.fast5").findings)


@pytest.mark.parametrize("rate", [None, 0.0, "fast", np.nan, -4000.0])
def test_without_a_rate_there_is_no_clock(tmp_path: Path, rate: object) -> None:
    _multi(tmp_path / "a.fast5", sampling_rate=rate)
    recording = open_recording(tmp_path / "a.fast5")
    assert "time" not in recording.coords
    assert "sampling_rate" not in recording.attrs


def test_signals_compressed_with_vbz_name_the_filter_and_the_remedy(tmp_path: Path) -> None:
    _multi(tmp_path / "a.fast5")
    with h5py.File(tmp_path / "a.fast5", "a") as file:
        del file["read_a/Raw/Signal"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(32020, h5py.h5z.FLAG_OPTIONAL, (0, 2, 1, 1))
        space = h5py.h5s.create_simple((4,))
        made = h5py.h5d.create(file["read_a/Raw"].id, b"Signal", h5py.h5t.STD_I16LE, space, plist)
        made.write_direct_chunk((0,), b"compressed")
    assert any("VBZ" in finding.message for finding in describe(tmp_path / "a.fast5").findings)
    recording = open_recording(tmp_path / "a.fast5")
    with pytest.raises(DataError, match=r"32020 \(VBZ\).*ont-vbz-hdf-plugin"):
        recording.values  # noqa: B018


def test_signals_of_two_axes_are_no_reads(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.fast5", "w") as file:
        file["read_a/Raw/Signal"] = np.zeros((2, 3))
        file.create_group("read_a/channel_id").attrs.update(CHANNEL)
    assert describe(tmp_path / "a.fast5").format == "HDF5"
