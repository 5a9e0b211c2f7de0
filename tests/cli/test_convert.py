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
