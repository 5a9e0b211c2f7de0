"""`sciml convert` writes what `open_recording` reads."""

import json
from pathlib import Path

import h5py
import numpy as np

from sciml.io import open_recording
from sciml_cli.app import run


def test_a_stated_array_is_written_as_a_recording(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw/data"] = np.arange(12.0).reshape(2, 6)
    out = tmp_path / "a.nc"
    words = ["convert", str(tmp_path / "a.h5"), "-o", str(out), "--signal", "data", "--dims", "channel,time"]
    assert run([*words, "--units", "uV", "--rate", "100"]) == 0
    recording = open_recording(out)
    np.testing.assert_array_equal(recording.values, np.arange(12.0).reshape(2, 6).T)
    assert (recording.attrs["units"], recording.attrs["sampling_rate"]) == ("uV", 100.0)
    assert run(words) == 74  # the file is there and stays
    assert run([*words, "--overwrite"]) == 0


def test_files_that_follow_each_other_become_one(tmp_path: Path, capsys: object) -> None:
    for number in range(2):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["x"] = np.full(4, float(number))
            file["time"] = number * 0.4 + np.arange(4) / 10
            file["time"].attrs["units"] = "s"
    files = [str(tmp_path / f"{number}.h5") for number in (1, 0)]
    assert run(["convert", *files, "-o", str(tmp_path / "out.nc"), "--signal", "x", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)  # type: ignore[attr-defined]
    assert printed["shape"] == {"time": 8}
    assert open_recording(tmp_path / "out.nc").values.tolist() == [0.0] * 4 + [1.0] * 4


def many(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        for number in range(3):
            series = file.create_group(f"acquisition/s{number}")
            series.attrs["neurodata_type"] = "TimeSeries"
            series["data"] = np.arange(20, dtype="i2") + number
            series["data"].attrs.update(unit="volts", conversion=0.5)
            series["starting_time"] = 1.0
            series["starting_time"].attrs["rate"] = 10.0 if number < 2 else 20.0
    return path


def test_several_signals_of_one_clock_are_written_side_by_side_with_their_provenance(tmp_path: Path) -> None:
    path, out = many(tmp_path / "a.nwb"), tmp_path / "out.nc"
    assert run(["convert", str(path), "-o", str(out), "--signal", "acquisition/s[01]"]) == 0
    recording, source = open_recording(out), open_recording(path, "acquisition/s[01]")
    np.testing.assert_array_equal(recording.values, (np.arange(20)[:, None] + [0, 1]) * 0.5)
    np.testing.assert_array_equal(recording.time, 1.0 + np.arange(20) / 10)
    for key in ("source", "signal", "reader", "sha256", "units"):
        assert recording.attrs[key] == source.attrs[key]
    assert recording.attrs["history"].startswith(source.attrs["history"])


def test_what_cannot_be_converted_says_why_and_leaves_nothing_behind(tmp_path: Path, capsys: object) -> None:
    path, out = many(tmp_path / "a.nwb"), tmp_path / "out.nc"
    for words, code, said in (
        (["--signal", "acquisition/s*"], 3, "expected signals of one clock"),
        ([], 3, "holds 3 signals; name one of"),
        (["--signal", "s7"], 3, "no signal 's7'"),
        (["--signal", "s0", "--dims", "time,channel"], 4, "dims"),
    ):
        assert run(["convert", str(path), "-o", str(out), *words]) == code
        assert said in capsys.readouterr().err  # type: ignore[attr-defined]
    assert run(["convert", str(tmp_path / "none.nwb"), "-o", str(out)]) == 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.nwb"]


def test_the_file_that_is_read_is_never_replaced(tmp_path: Path, capsys: object) -> None:
    path = many(tmp_path / "a.nwb")
    before = path.read_bytes()
    assert run(["convert", str(path), "-o", str(path), "--signal", "s0", "--overwrite"]) == 2
    assert "which is read from" in capsys.readouterr().err  # type: ignore[attr-defined]
    assert path.read_bytes() == before
