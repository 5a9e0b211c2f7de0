"""Files that a program is writing are read as far as they are written, or say why they cannot be."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import open_recording

WRITER = """
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w", libver="latest") as file:
    x = file.create_dataset("x", (0, 2), "f8", maxshape=(None, 2), chunks=(10, 2))
    x.attrs["sampling_rate"] = 10.0
    if sys.argv[2] == "swmr":
        file.swmr_mode = True
    for line in sys.stdin:
        n = int(line)
        x.resize(n, axis=0)
        x[:] = np.arange(2.0 * n).reshape(n, 2)
        x.flush()
        print(n, flush=True)
"""


def _writer(path: Path, mode: str) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", WRITER, str(path), mode]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _write(writer: "subprocess.Popen[str]", n: int) -> None:
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write(f"{n}\n")
    writer.stdin.flush()
    assert writer.stdout.readline() == f"{n}\n"


def test_a_growing_file_is_read_and_opening_anew_sees_what_came(tmp_path: Path) -> None:
    with _writer(tmp_path / "a.h5", "swmr") as writer:
        _write(writer, 15)
        first = open_recording(tmp_path / "a.h5")
        assert first.shape == (15, 2)
        np.testing.assert_array_equal(first[3:].values, np.arange(6.0, 30.0).reshape(12, 2))
        _write(writer, 40)
        np.testing.assert_array_equal(first.values, np.arange(30.0).reshape(15, 2))
        second = open_recording(tmp_path / "a.h5")
        np.testing.assert_array_equal(second.values, np.arange(80.0).reshape(40, 2))
        writer.communicate()


def test_a_file_that_is_written_otherwise_says_so(tmp_path: Path) -> None:
    with _writer(tmp_path / "a.h5", "alone") as writer:
        _write(writer, 15)
        with pytest.raises(DataError, match=r"open for writing; wait|did not close it"):
            open_recording(tmp_path / "a.h5")
        writer.communicate()
    assert open_recording(tmp_path / "a.h5").shape == (15, 2)


def test_files_and_folders_without_the_right_to_write_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "sealed"
    folder.mkdir()
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = [1.0, 2.0]
    (folder / "a.h5").chmod(0o444)
    folder.chmod(0o555)
    try:
        assert open_recording(folder / "a.h5").values.tolist() == [1.0, 2.0]
    finally:
        folder.chmod(0o755)
