"""What is missing raises when it is read, or is NaN and masked on request; it is never zeros."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import ConfigError, DataError
from sciml.io import open_recording


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three files of 4 rows, the one in the middle gone."""
    layout = h5py.VirtualLayout(shape=(12, 2), dtype="i2")
    for number in range(3):
        if number != 1:
            with h5py.File(tmp_path / f"part{number}.h5", "w") as file:
                file["x"] = np.full((4, 2), number + 1, dtype="i2")
        layout[4 * number : 4 * number + 4] = h5py.VirtualSource(f"part{number}.h5", "x", shape=(4, 2))
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file.create_virtual_dataset("v", layout)
    return tmp_path / "whole.h5"


EXPECTED = np.repeat([1.0, np.nan, 3.0], 4)[:, None] * np.ones(2)


@pytest.mark.parametrize("key", [(), 5, (slice(2, 9, 3), 1), ([0, 4, 11],), (slice(None, None, -1), [1]), (4, 1)])
def test_rows_of_an_absent_file_are_nan_and_masked(path: Path, key: Any) -> None:
    recording = open_recording(path, allow_missing="mask")
    np.testing.assert_array_equal(recording[key].values, EXPECTED[key])
    np.testing.assert_array_equal(recording["mask"].values, np.isnan(EXPECTED[:, 0]))
    assert "part1.h5, which is not there" in recording.attrs["history"]


def test_it_pickles_and_still_raises_without_the_request(path: Path) -> None:
    again = pickle.loads(pickle.dumps(open_recording(path, allow_missing="mask")))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.values, EXPECTED)
    with pytest.raises(DataError, match="not there"):
        open_recording(path).load()
    with pytest.raises(ConfigError, match="expected None or 'mask'"):
        open_recording(path, allow_missing="zeros")  # type: ignore[arg-type]


def test_a_file_that_goes_after_opening_raises(path: Path) -> None:
    recording = open_recording(path, allow_missing="mask")
    path.with_name("part0.h5").unlink()
    with pytest.raises(DataError, match="not there"):
        recording.load()


def test_nine_petabytes_of_nothing_are_still_held_to_the_budget(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2**30, 2**20), dtype="f8", chunks=(1024, 64))
    recording = open_recording(tmp_path / "a.h5", allow_missing="mask")
    assert np.isnan(recording[-3:, :2].values).all()
    with pytest.raises(DataError, match="exceeds the limit"):
        recording.variable.load()


def test_what_cannot_be_read_at_all_is_masked_whole(tmp_path: Path) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes(80))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (5, 2), dtype="f8", external=[(str(tmp_path / "raw.bin"), 0, 80)])
        file["whole"] = np.ones(3)
    recording = open_recording(tmp_path / "a.h5", "x", allow_missing="mask")
    assert np.isnan(recording.values).all()
    assert np.isnan(recording[1:3, 0].values).all()
    assert recording["mask"].values.all()
    assert "mask" not in open_recording(tmp_path / "a.h5", "whole", allow_missing="mask").coords
