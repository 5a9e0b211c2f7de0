"""What is saved comes back as it was; what cannot be saved leaves nothing behind."""

import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.errors import ConfigError, DataError, StorageError
from sciml.io import open_recording, save_recording
from sciml.io.write import save

DRAW = np.random.default_rng(0)


def recording(values: np.ndarray[Any, Any] | None = None, **coords: Any) -> xr.DataArray:
    values = DRAW.standard_normal((40, 3)) if values is None else values
    return xr.DataArray(
        values,
        dims=("time", "channel"),
        coords={"time": ("time", np.arange(len(values)) / 7, {"units": "s"}), **coords},
        attrs={"units": "µV", "sampling_rate": 7.0, "source": "a.h5", "history": "one\ntwo"},
        name="lfp",
    )


COMPLEX = np.array([[1 + 2j, complex(np.inf, -0.0), complex(np.nan, np.inf)]] * 4)
VALUES = {
    "float64": DRAW.standard_normal((40, 3)),
    "float32": DRAW.standard_normal((40, 3)).astype(np.float32),
    "float16": DRAW.standard_normal((40, 3)).astype(np.float16),
    "int16": DRAW.integers(-5, 5, (40, 3), dtype=np.int16),
    "uint64": np.full((4, 3), 2**64 - 1, dtype=np.uint64),
    "bool": DRAW.random((40, 3)) > 0.5,
    "complex128": COMPLEX,
    "complex64": COMPLEX.astype(np.complex64),
    "nan": np.array([[np.nan, np.inf, -0.0]] * 3),
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_values_of_every_dtype_come_back_bit_for_bit(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    saved = recording(values)
    back = open_recording(save_recording(saved, tmp_path / "a.nc"))
    assert back.dtype == saved.dtype
    assert back.values.tobytes() == saved.values.tobytes()
    xr.testing.assert_identical(back, saved)


def test_coordinates_masks_names_and_attributes_come_back(tmp_path: Path) -> None:
    saved = recording(
        channel=["a", "b", "µ"],
        mask=(("time", "channel"), DRAW.random((40, 3)) > 0.5, {"flags": ["dead", "noisy"]}),
        quality=("time", np.arange(40, dtype=np.uint32), {"flags": ["DATA"]}),
        day=("channel", np.array(["2020-01-01", "NaT", "1969-12-31"], dtype="datetime64[ns]")),
        where=("channel", np.array(["x", "y y", ""], dtype=object)),
        subject=7,
    )
    saved.attrs |= {
        "none": None,
        "true": True,
        "gains": np.array([1.0, 2.0]),
        "nested": {"a": [1, "b"]},
        "coordinates": "x",
        "long": "x" * 100_000,
    }
    saved.name = "a/b c"
    back = open_recording(save_recording(saved, tmp_path / "a.nc"))
    xr.testing.assert_identical(back, saved)
    assert back.attrs["true"] is True
    assert back["day"].dtype == saved["day"].dtype
    assert list(back.indexes) == list(saved.indexes)


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("nwb_openephys_tetrodes_rate.nwb", None),
        ("nwb_scholz2018_141721.nwb", "acquisition/Activity_*"),
        ("gwosc_H1_GW150914_4k_32s.hdf5", None),
        ("nexus_ipns_chopper.nxs", None),
    ],
)
def test_real_recordings_come_back_identical(data_dir: Path, tmp_path: Path, name: str, signal: str | None) -> None:
    saved = open_recording(data_dir / name, signal)
    xr.testing.assert_identical(open_recording(save_recording(saved, tmp_path / "a.nc")), saved)


def test_other_readers_of_netcdf_open_it(tmp_path: Path) -> None:
    saved = recording(mask=("time", np.arange(40) > 30))
    save_recording(saved, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as found:
        np.testing.assert_array_equal(found["lfp"].values, saved.values)
        assert found["lfp"].attrs["units"] == "µV"
        assert "mask" in found["lfp"].coords


def test_a_lazy_recording_is_written_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = DRAW.standard_normal((5000, 8))
    monkeypatch.setattr(save, "BLOCK_BYTES", 64_000)
    sizes: list[int] = []
    original = save._stored

    def counted(values: np.ndarray) -> np.ndarray:
        sizes.append(values.nbytes)
        return original(values)

    monkeypatch.setattr(save, "_stored", counted)
    for chunks in (None, 700):
        source = open_recording(tmp_path / "a.h5", "x", chunks=chunks)
        path = save_recording(source, tmp_path / "b.nc", overwrite=True)
        np.testing.assert_array_equal(open_recording(path).values, source.values)
    assert max(sizes) <= 64_000
    assert len(sizes) > 10


def test_an_existing_file_is_kept_unless_overwritten(tmp_path: Path) -> None:
    path = save_recording(recording(), tmp_path / "a.nc")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="exists; choose another name, or replace"):
        save_recording(recording() * 2, path)
    assert path.read_bytes() == before
    save_recording(recording() * 2, path, overwrite=True)
    assert path.read_bytes() != before


def test_a_recording_can_replace_the_file_it_reads_from(tmp_path: Path) -> None:
    original = recording()
    path = save_recording(original, tmp_path / "a.nc")
    save_recording(open_recording(path) + 1, path, overwrite=True)
    np.testing.assert_array_equal(open_recording(path).values, original.values + 1)


@pytest.mark.parametrize("target", ["", "absent/a.nc"])
def test_a_place_that_cannot_be_written_to_says_so(tmp_path: Path, target: str) -> None:
    with pytest.raises(StorageError, match=r"got a folder|does not exist; create it"):
        save_recording(recording(), tmp_path / target)


def test_a_full_disk_leaves_nothing_and_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_recording(recording(), tmp_path / "a.nc")
    before = path.read_bytes()

    def full(self: Any, key: Any, value: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(h5netcdf.Variable, "__setitem__", full)
    with pytest.raises(StorageError, match="disk is full"):
        save_recording(recording() * 2, path, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.nc"]
    assert path.read_bytes() == before


def test_the_limit_of_a_real_file_size_is_met_as_a_full_disk(tmp_path: Path) -> None:
    """The operating system itself refuses to write on, at 1 MiB."""
    program = (
        "import resource, signal, sys, numpy as np, xarray as xr\n"
        "from sciml.errors import StorageError\n"
        "from sciml.io import save_recording\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        "values = xr.DataArray(np.random.default_rng(0).standard_normal((2**16, 8)), dims=('time', 'channel'))\n"
        "try:\n"
        "    save_recording(values, sys.argv[1])\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.nc")], capture_output=True, text=True, check=False
    )
    assert "disk is full" in done.stdout, done.stderr
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            recording(where=("channel", np.array([1, "a", None], dtype=object))),
            "where: expected numbers, text or dates",
        ),
        (recording(None, **{"a/b": 1}), "without '/'"),
        (recording()[:0], "with values"),
        (recording().assign_attrs(x=object()), "turn it into text"),
    ],
    ids=["objects", "slash", "empty", "attribute"],
)
def test_what_netcdf_cannot_hold_is_named(tmp_path: Path, broken: xr.DataArray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        save_recording(broken, tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_header_is_our_error(tmp_path: Path) -> None:
    path = save_recording(recording(), tmp_path / "a.nc")
    with h5py.File(path, "r+") as file:
        file["sciml_header"][()] = '{"values": "gone"}'
    with pytest.raises(DataError, match="header"):
        open_recording(path)


LAYOUTS = {None: (131_072 // 8, 8), "time": (131_072 // 8, 8), "channel": (40_000, 3)}


@pytest.mark.parametrize("along", LAYOUTS)
def test_chunks_are_short_along_the_axis_that_is_read(tmp_path: Path, along: str | None) -> None:
    values = xr.DataArray(np.zeros((40_000, 8)), dims=("time", "channel"))
    path = save_recording(values, tmp_path / "a.nc", along=along)
    with h5py.File(path) as file:
        assert file["recording"].chunks == LAYOUTS[along]
    with pytest.raises(ConfigError, match="along='y': expected one of the dims time, channel"):
        save_recording(values, tmp_path / "b.nc", along="y")


def test_progress_ends_at_the_size_of_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save, "BLOCK_BYTES", 200)
    saved = recording()
    told: list[tuple[int, int]] = []
    save_recording(saved, tmp_path / "a.nc", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (saved.nbytes, saved.nbytes)
    assert len(told) > 2
    assert told == sorted(told)


KILLED = """
import os, signal, sys, numpy as np, xarray as xr
from sciml.io import save_recording
from sciml.io.write import save
save.BLOCK_BYTES = 2**16
values = xr.DataArray(np.random.default_rng(0).standard_normal((2**16, 4)), dims=("time", "channel"))
kill = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if 2 * done > total else None
save_recording(values, sys.argv[1], overwrite=True, progress=kill)
"""


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_a_kill_in_the_middle_leaves_the_old_one(tmp_path: Path, name: str) -> None:
    if name.endswith(".zarr"):
        pytest.importorskip("zarr")
    saved = recording()
    path = save_recording(saved, tmp_path / name)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    xr.testing.assert_identical(open_recording(path).load(), saved)
