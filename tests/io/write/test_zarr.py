"""A Zarr folder holds the same recording as a netCDF file."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sciml.errors import ConfigError, DataError, StorageError
from sciml.io import Limits, open_recording, save_recording
from sciml_cli.app import run

zarr = pytest.importorskip("zarr")
DRAW = np.random.default_rng(0)
NUMBERS = DRAW.standard_normal((4000, 5))
VALUES = {
    "float64": np.where(NUMBERS > 2, np.nan, NUMBERS),
    "float32": NUMBERS.astype(np.float32),
    "float16": NUMBERS.astype(np.float16),
    "int16": (100 * NUMBERS).astype(np.int16),
    "uint64": np.full((4, 5), 2**64 - 1, dtype=np.uint64),
    "bool": NUMBERS > 0,
    "complex128": NUMBERS + 1j * NUMBERS[::-1],
    "complex64": (NUMBERS - 1j).astype(np.complex64),
}


def recording(values: np.ndarray[Any, Any]) -> xr.DataArray:
    n = len(values)
    return xr.DataArray(
        values,
        dims=("time", "channel"),
        coords={
            "time": ("time", np.arange(n) / 7, {"units": "s"}),
            "channel": ["a", "b", "c", "d", "µ"],
            "mask": ("time", np.arange(n) % 3 == 0, {"flags": ["dead", "noisy"]}),
            "day": ("channel", np.array(["2020-01-01", "NaT", "1969-12-31"] + ["NaT"] * 2, dtype="datetime64[ns]")),
            "error": (("time", "channel"), np.abs(values).astype(np.float64), {"kind": "standard uncertainty"}),
            "subject": 7,
        },
        attrs={"units": "mV", "sampling_rate": 7.0, "history": "one\ntwo", "none": None, "gains": np.array([1.0, 2.0])},
        name="lfp",
    )


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_everything_comes_back_bit_for_bit(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    saved = recording(values)
    back = open_recording(save_recording(saved, tmp_path / "a.zarr"))
    assert back.dtype == saved.dtype
    np.testing.assert_array_equal(back[1:3, ::-2].values, values[1:3, ::-2])
    assert pickle.loads(pickle.dumps(back)).values.tobytes() == saved.values.tobytes()  # noqa: S301 - our own
    xr.testing.assert_identical(back, saved)


def test_it_is_lazy_within_the_limits_and_in_blocks(tmp_path: Path) -> None:
    saved = recording(DRAW.standard_normal((100_000, 5)))
    path = save_recording(saved, tmp_path / "a.zarr")
    bounded = open_recording(path, limits=Limits(read_bytes=1000))
    assert bounded[5:8].values.tobytes() == saved[5:8].values.tobytes()
    with pytest.raises(DataError, match="exceeds the limit"):
        bounded.load()
    blocks = open_recording(path, chunks=1000)
    assert blocks.chunks == ((26_214,) * 3 + (21_358,), (5,))
    assert float(blocks.sum()) == pytest.approx(saved.values.sum())
    assert open_recording(path, dtype="float32").dtype == np.float32


def test_other_readers_of_zarr_open_it(tmp_path: Path) -> None:
    saved = recording(NUMBERS)
    path = save_recording(saved, tmp_path / "a.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # xarray tells that there is no consolidated metadata
        found = xr.open_zarr(path, consolidated=False)
    np.testing.assert_array_equal(found["lfp"].values, NUMBERS)
    assert found["lfp"].attrs["units"] == "mV"


def test_a_folder_is_replaced_only_on_demand_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = save_recording(recording(NUMBERS), tmp_path / "a.zarr")
    with pytest.raises(StorageError, match="exists"):
        save_recording(recording(NUMBERS), path)
    save_recording(recording(NUMBERS + 1), path, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]
    np.testing.assert_array_equal(open_recording(path).values, NUMBERS + 1)


def test_other_folders_and_facts_that_do_not_apply_are_named(tmp_path: Path) -> None:
    path = save_recording(recording(NUMBERS), tmp_path / "a.zarr")
    with pytest.raises(ConfigError, match="states its one signal itself"):
        open_recording(path, rate=5.0)
    zarr.open_group(str(tmp_path / "b.zarr"), mode="w", zarr_format=3)
    with pytest.raises(DataError, match=r"open others with xarray\.open_zarr"):
        open_recording(tmp_path / "b.zarr")


def test_convert_writes_a_folder(tmp_path: Path) -> None:
    saved = recording(NUMBERS)
    source = save_recording(saved, tmp_path / "a.nc")
    assert run(["convert", str(source), "-o", str(tmp_path / "a.zarr")]) == 0
    xr.testing.assert_identical(open_recording(tmp_path / "a.zarr"), saved)
