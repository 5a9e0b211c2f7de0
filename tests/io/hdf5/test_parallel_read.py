"""Chunks decompressed in threads are those that HDF5 reads; what is not for threads is left to it."""

import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import open_recording
from sciml.io.hdf5 import parallel_read

VALUES = np.random.default_rng(0).integers(-30, 30, (1000, 7))


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_read, "_is_large", lambda *_: True)
    monkeypatch.setattr(parallel_read, "_cores", lambda: 3)
    monkeypatch.setattr(parallel_read, "MIN_CHUNKS", 2)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f8", ">f4", "u1", "<u8"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_values_equal_those_of_hdf5_whatever_the_type_and_the_window(tmp_path: Path, dtype: str, shuffle: bool) -> None:
    keys: list[Any] = [np.s_[:, :], np.s_[90:777, 1:6], np.s_[999, :], np.s_[:, 3], np.s_[-1, 2:], np.s_[5:5, :]]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        options: Any = {"chunks": (64, 3), "compression": "gzip", "shuffle": shuffle}
        x = file.create_dataset("x", data=VALUES.astype(dtype), **options)
        for key in keys:
            found = parallel_read.read_parallel(x, tuple(i % 1000 if isinstance(i, int) else i for i in key))
            assert found is None or (found.tobytes(), found.dtype) == (x[key].tobytes(), x.dtype)
        whole = parallel_read.read_parallel(x, np.s_[:, :])
        assert whole is not None
        np.testing.assert_array_equal(whole, x[()])


def test_chunks_that_were_never_written_hold_the_fill_value_and_stored_ones_may_be_uncompressed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", (400, 2), "i4", chunks=(100, 2), compression="gzip", shuffle=True, fillvalue=7)
        x.id.write_direct_chunk((100, 0), np.arange(200, dtype="i4").tobytes(), filter_mask=3)
        x[300:, 1] = 5
        found = parallel_read.read_parallel(x, np.s_[:, :])
        assert found is not None
        np.testing.assert_array_equal(found, x[()])
        assert found[0, 0] == 7


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "lzf"},
        {"compression": "gzip", "fletcher32": True},
        {"compression": "gzip", "scaleoffset": 0},
    ],
    ids=["none", "lzf", "checksum", "scaleoffset"],
)
def test_other_filters_are_left_to_hdf5(tmp_path: Path, options: dict[str, Any]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", data=VALUES, chunks=(64, 3), **options)
        assert parallel_read.read_parallel(x, np.s_[:, :]) is None
        assert parallel_read.read_parallel(x, np.s_[::2, :]) is None


def test_damaged_chunks_and_bombs_are_our_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", data=VALUES, chunks=(64, 7), compression="gzip")
        file.create_dataset("y", data=VALUES, chunks=(64, 7), compression="gzip")
        x.id.write_direct_chunk((64, 0), b"no deflate")
        file["y"].id.write_direct_chunk((64, 0), zlib.compress(bytes(10**6)))
    for name, said in (("x", "does not decompress"), ("y", "bytes in place of")):
        with pytest.raises(DataError, match=rf"a\.h5: /{name}: the chunk at .*{said}"):
            open_recording(tmp_path / "a.h5", name).load()
