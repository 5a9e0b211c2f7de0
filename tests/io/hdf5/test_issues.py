"""What is odd about a file is said in words, with a code and a path for programs."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np

from sciml.io import FileInfo, describe, signal_detail
from sciml.io.hdf5.issues import Issue, IssueError


def coded(found: FileInfo) -> dict[str, str]:
    return {finding.code: finding.path for finding in found.findings}


def test_an_nwb_file_of_oddities_is_told_by_codes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = [1.0]
    with h5py.File(tmp_path / "in" / "a.nwb", "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        for name, values, unit in (("counts", np.arange(9, dtype="i2"), "volts"), ("blank", np.arange(9.0), "n.a.")):
            series = file.create_group(f"acquisition/{name}")
            series.attrs["neurodata_type"] = "TimeSeries"
            series["data"] = values
            series["data"].attrs["unit"] = unit
            series["timestamps"] = np.arange(9) / 10 + (50.0 * (np.arange(9) > 5) if name == "blank" else 0.0)
        file["same"] = file["acquisition/counts"]
        file["gone"] = h5py.SoftLink("/nowhere")
        file["round"] = h5py.SoftLink("/round")
        file["outside"] = h5py.ExternalLink("../secret.h5", "/x")
        units = file.create_group("units")
        units.attrs["colnames"] = ["spike_times"]
        units["spike_times"], units["spike_times_index"] = np.arange(10.0), np.array([4, 99], dtype="u1")
    found = coded(describe(tmp_path / "in" / "a.nwb"))
    assert found == {
        "uncalibrated_integers": "acquisition/counts",
        "blank_unit": "acquisition/blank",
        "gaps": "acquisition/blank",
        "ragged_overrun": "units/spike_times_index",
        "dangling_link": "gone",
        "link_cycle": "round",
        "external_link_refused": "outside",
        "alias": "acquisition/counts",
    }


def test_values_that_cannot_be_had_are_told_by_codes(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource("absent.h5", "x", shape=(4,))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (5,), dtype="f8", external=[("raw.bin", 0, 40)])
        file.create_dataset("empty", (2**30, 2**20), dtype="f8", chunks=(64, 64))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((5,))
        plist.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, ())
        space, kind = h5py.h5s.create_simple((5,)), h5py.h5t.NATIVE_DOUBLE
        h5py.h5d.create(file.id, b"filtered", kind, space, plist).write(space, space, np.arange(5.0))
    assert coded(describe(tmp_path / "a.h5")) == {
        "note": "empty",
        "missing_source": "virtual",
        "external_storage_refused": "raw",
        "never_written": "empty",
        "unknown_filter": "filtered",
    }


def test_a_deflate_bomb_is_told_by_its_ratio_before_it_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("bomb", (2**27,), dtype="u1", chunks=(2**24,), compression="gzip", compression_opts=9)
        file["bomb"][:] = 0
        file["noise"] = np.random.default_rng(0).normal(size=1000)
    found = describe(tmp_path / "a.h5")
    assert [finding.path for finding in found.findings if finding.code == "compression_ratio"] == ["bomb"]


def test_findings_stay_words(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(4.0)
        file["gone"] = h5py.SoftLink("/nowhere")
    (finding,) = (one for one in describe(tmp_path / "a.h5").findings if one.code == "dangling_link")
    assert str(finding) == "the link gone points at /nowhere, which is not in the file a.h5"
    again = pickle.loads(pickle.dumps(finding))  # noqa: S301 - our own
    assert (again, again.code, again.path) == (finding, "dangling_link", "gone")


def test_an_error_keeps_its_issue_between_processes() -> None:
    error = IssueError(Issue("dangling_link", "points nowhere", "gone"))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (again.issue, str(again), again.exit_code) == (error.issue, "points nowhere", 3)


def test_what_is_told_of_a_file_is_words_and_plain_values(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(12.0).reshape(6, 2)
        file["x"].attrs.update(units="mV", sampling_rate=50.0)
        file["gone"] = h5py.SoftLink("/nowhere")
    found, detail = describe(tmp_path / "a.h5"), signal_detail(tmp_path / "a.h5", "x")
    assert found.summary().splitlines() == [
        f"{tmp_path / 'a.h5'}: HDF5, 1 signal",
        "  x (time 6, channel 2) [mV], 50 Hz",
    ]
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["signals"][0]["shape"] == [6, 2]
    assert ("dangling_link", "error") in [(each["code"], each["severity"]) for each in plain["findings"]]
    assert "median 5.5" in detail.summary()
    assert json.loads(json.dumps(detail.to_dict()))["info"]["path"] == "x"
