"""`sciml info`: signals, or the reason why there are none, for any file whatever."""

import json
from pathlib import Path

import h5py
import pytest


def test_a_recording_is_listed_with_unit_rate_and_duration(sciml, recording: Path) -> None:
    done = sciml("info", recording)
    assert done.code == 0
    row = next(line for line in done.out.splitlines() if line.startswith("processing/ophys"))
    assert row.split() == [
        "processing/ophys/DfOverF/RoiResponseSeries", "time,", "roi", "3000", "x", "16", "int16", "dF/F", "20", "Hz",
        "150", "s",
    ]  # fmt: skip
    assert "intervals/trials" in done.out
    assert f"Next: sciml spectrum report {recording} -o report.html" in done.out


def test_signals_that_differ_in_a_number_are_one_row_and_one_pattern(sciml, tmp_path: Path) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        for k in range(5):
            file[f"trace_{k}"] = [float(k)] * 20
    done = sciml("info", path)
    assert "trace_* (5 alike)" in done.out
    assert f"Next: sciml spectrum report {path} --signal 'trace_*' -o report.html" in done.out
    assert len(json.loads(sciml("info", path, "--json").out)["files"][0]["signals"]) == 5


def test_json_is_one_document_for_all_files(sciml, recording: Path) -> None:
    document = json.loads(sciml("info", recording, recording, "--json").out)
    assert document["schema"] == "sciml.info/1"
    [signal] = [each for each in document["files"][1]["signals"] if each["dims"][0] == "time"]
    assert (signal["shape"], signal["rate"], signal["unit"]) == ([3000, 16], 20.0, "dF/F")


def test_the_others_are_shown_when_one_file_is_missing(sciml, recording: Path, tmp_path: Path) -> None:
    done = sciml("info", tmp_path / "none.h5", recording)
    assert done.code == 3
    assert "none.h5" in done.err
    assert "RoiResponseSeries" in done.out
    document = json.loads(sciml("info", tmp_path / "none.h5", recording, "--json").out)
    assert ["error" in each for each in document["files"]] == [True, False]


def test_a_file_without_signals_says_why(sciml, tmp_path: Path) -> None:
    path = tmp_path / "names.h5"
    with h5py.File(path, "w") as file:
        file["names"] = ["a", "b"]
    done = sciml("info", path)
    assert done.code == 0
    assert "No signals: none of the 1 datasets of the file is an array of numbers." in done.out
    assert "Next:" not in done.out


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all, but text", b"\x89HDF\r\n\x1a\n" + bytes(64)])
def test_what_is_no_hdf5_is_an_error_of_data(sciml, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.h5"
    path.write_bytes(content)
    done = sciml("info", path)
    assert done.code == 3
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err


def test_every_real_file_is_described_or_refused_in_words(sciml, data_dir: Path) -> None:
    for path in sorted(data_dir.iterdir()):
        done = sciml("info", path)
        assert "Traceback" not in done.err + done.out, path.name
        if done.code == 0:
            assert done.out.startswith(f"{path}: ")
            assert "signal " in done.out or "No signals: " in done.out, path.name
        else:
            assert (done.code, "not HDF5" in done.err) == (3, True), path.name
