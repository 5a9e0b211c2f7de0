"""Files are whole or not there, have one writer, and what killed writers left goes with the next one."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sciml import files
from sciml.errors import DataError, StorageError

WRITER = """
import sys, time
from pathlib import Path
from sciml import files
context = files.replacing_folder if sys.argv[1].endswith(".zarr") else files.replacing
with context(sys.argv[1]) as part:
    part.mkdir() if sys.argv[1].endswith(".zarr") else part.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_a_second_writer_ends_at_once_and_a_killed_one_leaves_nothing_for_long(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    context = files.replacing_folder if name.endswith(".zarr") else files.replacing
    with subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        with pytest.raises(StorageError, match=rf"{name} is being written by another run"), context(target):
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert any(entry.name.endswith(".part") for entry in tmp_path.iterdir())
    with context(target) as part:
        part.mkdir() if name.endswith(".zarr") else part.write_text("whole")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    kept = [".a.nc.part", ".a.nc.0123456.part", ".b.nc.01234567.part", "a.nc.01234567.part", ".a.nc.01234567.part.txt"]
    for name in (*kept, ".a.nc.01234567.part"):
        (tmp_path / name).touch()
    files.write_bytes(tmp_path / "a.nc", b"noise")
    assert {entry.name for entry in tmp_path.iterdir()} == {*kept, "a.nc"}


def test_an_old_folder_is_removed_only_where_the_new_one_is(tmp_path: Path) -> None:
    (tmp_path / ".a.zarr.01234567.old").mkdir()
    with pytest.raises(ZeroDivisionError), files.replacing_folder(tmp_path / "a.zarr"):
        1 / 0  # noqa: B018
    assert (tmp_path / ".a.zarr.01234567.old").is_dir()
    (tmp_path / "a.zarr").mkdir()
    with files.replacing_folder(tmp_path / "a.zarr", overwrite=True) as part:
        part.mkdir()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EFBIG, "File too large"),
        OSError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')"),
        RuntimeError("Can't decrement id ref count (file write failed: errno = 28, 'No space left on device')"),
    ],
)
def test_a_full_disk_is_named_however_it_is_told(tmp_path: Path, error: Exception) -> None:
    def write() -> None:
        with files.replacing(tmp_path / "a.nc") as part:
            part.write_bytes(b"half")
            raise error

    with pytest.raises(StorageError, match=r"the disk is full.*; nothing was left behind") as told:
        write()
    assert told.value.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    assert ("ulimit -f" in str(told.value)) == ("File too large" in str(error))
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_kinds_pass(tmp_path: Path) -> None:
    for error in (RuntimeError("HDF5 error"), DataError("expected values"), KeyboardInterrupt()):
        with pytest.raises(type(error)), files.replacing(tmp_path / "a.nc"):
            raise error


def test_it_works_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    files.write_bytes(tmp_path / "a.nc", b"noise")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.nc"]
