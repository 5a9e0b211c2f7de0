"""Opening reads nothing; indexing reads what was asked for, in any process, in the values of plain NumPy."""

import multiprocessing
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.errors import ConfigError, DataError
from sciml.io import open_recording
from sciml.io.hdf5.source import Source
from sciml.io.schema import clock

VALUES = np.random.default_rng(0).integers(-1000, 1000, (500, 6), dtype=np.int16)
LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "rows": {"chunks": (64, 6), "compression": "gzip"},
    "columns": {"chunks": (500, 1), "shuffle": True},
}
KEYS: list[dict[str, Any]] = [
    {},
    {"time": 7},
    {"time": -1, "channel": 2},
    {"time": slice(10, 300, 7)},
    {"time": slice(None, None, -3), "channel": slice(None, None, 2)},
    {"time": slice(400, 4000)},
    {"time": slice(5, 5)},
    {"time": [3, 3, 499, 0, 250]},
    {"time": [0, 499], "channel": [5, 0, 5]},
    {"channel": [4, 1]},
    {"time": np.arange(500) % 3 == 0},
    {"time": []},
]


@pytest.fixture(params=LAYOUTS)
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", data=VALUES, **LAYOUTS[request.param])
        x.attrs.update(sampling_rate=100.0, scale_factor=0.25, add_offset=1.0, _FillValue=np.int16(VALUES[0, 0]))
    return tmp_path / "a.h5"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of elements of every read of stored values."""
    sizes: list[int] = []
    original = Source._read

    def counted(self: Source, dataset: h5py.Dataset, key: tuple[Any, ...]) -> Any:
        values = original(self, dataset, key)
        sizes.append(values.size)
        return values

    monkeypatch.setattr(Source, "_read", counted)
    return sizes


def physical() -> np.ndarray[Any, Any]:
    return np.where(VALUES[0, 0] == VALUES, np.nan, VALUES * 0.25 + 1.0).astype(np.float32)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_indexing_equals_that_of_numpy(path: Path, key: dict[str, Any]) -> None:
    expected = xr.DataArray(physical(), dims=("time", "channel")).isel(key)
    np.testing.assert_array_equal(open_recording(path).isel(key).values, expected.values)
    np.testing.assert_array_equal(
        open_recording(path).transpose().isel(key).values, expected.transpose(*reversed(expected.dims)).values
    )


def test_opening_slicing_and_transposing_read_nothing_and_a_window_reads_a_window(path: Path, reads: list[int]) -> None:
    recording = open_recording(path)
    window = recording.isel(time=slice(100, 120)).transpose("channel", "time")
    assert reads == []
    window.load()
    assert reads == [120]


def test_far_rows_are_read_one_by_one_and_near_ones_together(path: Path, reads: list[int]) -> None:
    open_recording(path, raw=True).isel(time=[0, 2, 4, 490, 492]).load()
    assert sum(reads) <= (5 + 3) * 6 or len(reads) == 1  # a column-wise chunk holds all rows: then one read is right


def test_a_stack_reads_only_the_series_asked_for(tmp_path: Path, reads: list[int]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for k in range(5):
            file[f"s{k}"] = VALUES[:, k]
    stack = open_recording(tmp_path / "a.h5", "s*")
    assert stack.dims == ("time", "channel")
    assert stack["channel"].values.tolist() == [f"s{k}" for k in range(5)]
    np.testing.assert_array_equal(stack.isel(channel=[4, 1], time=slice(0, 3)).values, VALUES[:3, [4, 1]])
    assert reads == [3, 3]
    np.testing.assert_array_equal(stack.isel(time=3).values, VALUES[3, :5])
    assert stack.isel(channel=[]).values.shape == (500, 0)


def test_dtype_raw_and_defaults(path: Path) -> None:
    assert open_recording(path).dtype == np.float32
    assert open_recording(path, dtype="float64").dtype == np.float64
    raw = open_recording(path, raw=True)
    assert (raw.dtype, raw.attrs["units"]) == (np.dtype(np.int16), "")
    np.testing.assert_array_equal(raw.values, VALUES)
    with pytest.raises(ConfigError, match="raw=True"):
        open_recording(path, dtype="int32")


@pytest.mark.parametrize(
    ("stored", "physical_dtype"),
    [("u1", "f4"), ("i2", "f4"), ("i4", "f8"), ("f2", "f4"), ("f4", "f4"), (">f8", "f8"), ("?", "?"), ("c8", "c8")],
)
def test_the_dtype_of_values_follows_from_the_stored_one(tmp_path: Path, stored: str, physical_dtype: str) -> None:
    values = np.array([0, 1, 1, 0]).astype(stored)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = values
    recording = open_recording(tmp_path / "a.h5")
    assert recording.dtype == np.dtype(physical_dtype)
    np.testing.assert_array_equal(recording.values, values)


def test_recordings_pickle_without_their_handle(path: Path) -> None:
    recording = open_recording(path)
    recording[:2].load()
    again = pickle.loads(pickle.dumps(recording))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.values, physical())
    assert len(pickle.dumps(recording)) < 20_000


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_the_same_values(path: Path, method: str) -> None:
    recording = open_recording(path)
    recording[:2].load()  # the parent holds an open handle, which a forked child must not use
    with multiprocessing.get_context(method).Pool(1) as pool:
        np.testing.assert_array_equal(pool.map(np.asarray, [recording])[0], physical())
    np.testing.assert_array_equal(recording.values, physical())


def test_a_file_closes_with_its_last_recording(path: Path) -> None:
    recording = open_recording(path)
    recording[:2].load()
    del recording
    with h5py.File(path, "r+") as file:
        file["y"] = 1.0


def test_chunks_are_whole_chunks_of_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=VALUES, chunks=(64, 3))
    recording = open_recording(tmp_path / "a.h5", chunks=100)
    assert recording.chunks == ((128, 128, 128, 116), (6,))
    assert open_recording(tmp_path / "a.h5", chunks={"channel": 1}).chunks == ((500,), (3, 3))
    assert open_recording(tmp_path / "a.h5", chunks="auto").chunks == ((500,), (6,))
    np.testing.assert_array_equal(recording.mean("time").values, open_recording(tmp_path / "a.h5").mean("time").values)
    with pytest.raises(ConfigError, match="got y"):
        open_recording(tmp_path / "a.h5", chunks={"y": 3})


@pytest.fixture
def long_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "EAGER", 100)
    return iter(())


@pytest.mark.usefixtures("long_clock")
def test_a_long_clock_is_computed_on_demand_and_still_selects(path: Path) -> None:
    recording = open_recording(path)
    assert "time" not in recording.indexes
    assert isinstance(recording["time"].variable._data, xr.core.indexing.LazilyIndexedArray)
    assert recording["time"][-1].item() == 4.99
    assert recording.sel(time=slice(1.0, 1.995)).shape == (100, 6)


@pytest.mark.usefixtures("long_clock")
def test_long_time_stamps_are_read_on_demand(tmp_path: Path, reads: list[int]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["timestamps"] = VALUES, np.arange(500) * 20.0
        file["timestamps"].attrs["units"] = "ms"
    recording = open_recording(tmp_path / "a.h5", "x")
    assert reads == []
    assert recording["time"][[0, 499]].values.tolist() == [0.0, pytest.approx(9.98)]
    assert "not checked for gaps" in recording.attrs["history"]


def test_the_hash_tells_files_apart_and_is_that_of_the_whole_small_file(path: Path) -> None:
    import hashlib

    recording = open_recording(path)
    assert recording.attrs["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert recording.attrs["sha256_of"] == "whole file"


def test_importing_the_room_loads_no_heavy_package() -> None:
    code = "import sys, sciml.io; print({'torch', 'dask', 'matplotlib', 'scipy'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )


def test_a_missing_value_in_raw_values_stays_what_it_is(path: Path) -> None:
    assert np.isnan(open_recording(path)[0, 0].item())
    assert open_recording(path, raw=True)[0, 0].item() == VALUES[0, 0]


def test_an_unknown_dim_is_no_signal(path: Path) -> None:
    with pytest.raises(DataError, match="no signal 'y'"):
        open_recording(path, "y")


def test_a_walk_along_columns_of_chunks_decompresses_each_chunk_once(tmp_path: Path) -> None:
    """Forty windows cost less than four first ones; without a cache of one row of chunks they would cost forty."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored = np.tile(np.arange(200_000, dtype=np.int16)[:, None], (1, 48))
        file.create_dataset("x", data=stored, chunks=(200_000, 1), compression="gzip", compression_opts=1)
    recording = open_recording(tmp_path / "a.h5", raw=True)
    began = time.perf_counter()
    recording[:1000].load()
    first = time.perf_counter() - began
    for start in range(1000, 40_000, 1000):
        recording[start : start + 1000].load()
    assert time.perf_counter() - began < 4 * first
