"""Files that were cut or changed while they are open, and chunks that their index lost: errors, never zeros."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import check_values, open_recording
from sciml.io.hdf5.guard import explain

DIMS = ("time", "channel")
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": (50, 4)},
    "compressed": {"chunks": (50, 4), "compression": "gzip", "shuffle": True},
}


def written(path: Path, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.random.default_rng(0).normal(size=(2000, 8)) + 100, **options)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("chunks", [None, "auto"])
def test_a_file_cut_while_open_is_an_error_at_the_next_read(
    tmp_path: Path, layout: str, warm: bool, chunks: Literal["auto"] | None
) -> None:
    path = written(tmp_path / "a.h5", **LAYOUTS[layout])
    recording = open_recording(path, dims=DIMS, rate=10.0, chunks=chunks)
    if warm:
        recording[0].values  # noqa: B018
    os.truncate(path, path.stat().st_size // 2)
    for part in (recording[-5:], recording[[3, 1900]], recording[0], recording):
        with pytest.raises(DataError, match="the file changed since it was opened"):
            part.values  # noqa: B018


@pytest.mark.parametrize("change", ["append", "touch", "rewrite", "gone"])
def test_a_file_changed_while_open_is_an_error(tmp_path: Path, change: str) -> None:
    path = written(tmp_path / "a.h5")
    recording = open_recording(path, dims=DIMS, rate=10.0)
    recording[0].values  # noqa: B018
    if change == "append":
        with path.open("ab") as stream:
            stream.write(b"more")
    elif change == "touch":
        os.utime(path, ns=(1, 1))
    elif change == "rewrite":
        path.write_bytes(bytes(path.stat().st_size))
        os.utime(path, ns=(1, 1))
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"the file (changed|is gone) since it was opened"):
        recording[-1].values  # noqa: B018


def test_a_chunk_off_the_grid_is_an_error(tmp_path: Path) -> None:
    """The key of a chunk in a B-tree of version 1 is damaged: HDF5 finds nothing there and gives zeros."""
    path = written(tmp_path / "a.h5", chunks=(50, 8))
    content = bytearray(path.read_bytes())
    size = (50 * 8 * 8).to_bytes(4, "little")
    key = size + bytes(4) + (500).to_bytes(8, "little") + bytes(8)
    place = content.index(key)
    content[place + 8] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad coordinate offset|off the grid of chunks"):
        open_recording(path, dims=DIMS, rate=10.0)[:10].values  # noqa: B018


def test_a_chunk_listed_twice_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", chunks=(50, 8))
    content = bytearray(path.read_bytes())
    head = (50 * 8 * 8).to_bytes(4, "little") + bytes(4)
    place = content.index(head + (500).to_bytes(8, "little") + bytes(8))
    content[place + 8 : place + 16] = (450).to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match="its index lists 1 chunks twice"):
        open_recording(path, dims=DIMS, rate=10.0)[:10].values  # noqa: B018


def sparse(path: Path, rows: list[int], **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (2000, 8), "f8", chunks=(100, 8), **options)
        for row in rows:
            x[row : row + 100] = 7.0
    return path


def test_a_hole_between_chunks_is_an_error_where_it_is_read(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.h5", [row for row in range(0, 2000, 100) if row not in (200, 900)])
    recording = open_recording(path, dims=DIMS, rate=10.0)
    assert (recording[:200] == 7).all()
    assert (recording[300:400] == 7).all()
    for part in (recording, recording[150:250], recording[[100, 205]], recording[::-1], recording[:, 3]):
        with pytest.raises(DataError, match=r"2 of 20 chunks are not in the index \(the first at \(200, 0\)\)"):
            part.values  # noqa: B018


@pytest.mark.parametrize(
    ("rows", "options", "value"),
    [
        ([0, 100], {}, 0.0),
        ([0, 100], {"fillvalue": np.nan}, np.nan),
        ([0, 300, 1900], {"fillvalue": -1.0}, -1.0),
        ([700, 1900], {}, 0.0),
    ],
)
def test_what_was_never_written_keeps_the_fill_value_and_it_is_said(
    tmp_path: Path, rows: list[int], options: dict[str, float], value: float
) -> None:
    path = sparse(tmp_path / "a.h5", rows, **options)
    recording = open_recording(path, dims=DIMS, rate=10.0)
    values = recording.values
    np.testing.assert_array_equal(values[500:600], value)
    assert (values[rows[0] : rows[0] + 100] == 7).all()
    (found,) = [issue for issue in check_values(path) if issue.code == "unwritten"]
    assert f"{20 - len(rows)} of 20 chunks were never written, and read as {value}" in found.message


def test_a_recording_that_ended_early_along_a_later_axis_is_no_damage(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", (8, 2000), "f8", chunks=(1, 100))
        x[:, :700] = 7.0
        x[:3, 700:800] = 7.0
    values = open_recording(tmp_path / "a.h5", dims=("channel", "time"), rate=10.0).values
    assert (values[:700] == 7).all()


def test_locked_is_said_only_of_locks(tmp_path: Path) -> None:
    locked = OSError("Unable to synchronously open file (unable to lock file, errno = 11, error message = 'Resource')")
    assert "another program has the file open" in explain(locked)
    for said in (
        "Unable to synchronously open object (unable to load symbol table block)",
        "Can't synchronously read data (unable to protect fractal heap direct block)",
        "Unable to open file (unable to read superblock, block size)",
        "Unable to get group info (can't protect symbol table node, deadlock)",
        "unable to find clock",
    ):
        assert "damaged" in explain(OSError(said))
    path = written(tmp_path / "a.h5")
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(DataError, match=r"another program|did not close it"):
            open_recording(path, dims=DIMS, rate=10.0)
        writer.kill()
