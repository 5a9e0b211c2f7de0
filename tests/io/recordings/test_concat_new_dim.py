"""Several files side by side along a new dim: every file a trial."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import ConfigError, DataError
from sciml.io import open_recording

VALUES = [np.arange(12, dtype=np.int16).reshape(6, 2) + 100 * k for k in range(3)]


def _write(
    folder: Path, starts: Sequence[float], *, rate: float = 10.0, uneven: Sequence[float] | None = None
) -> list[Path]:
    paths = []
    for k, start in enumerate(starts):
        paths.append(folder / f"run{k}.nwb")
        with h5py.File(paths[-1], "w") as file:
            file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
            series = file.create_group("acquisition/x")
            series.attrs["neurodata_type"] = "TimeSeries"
            series["data"] = VALUES[k]
            series["data"].attrs.update(unit="V", conversion=0.5)
            if uneven is None:
                series["starting_time"] = start
                series["starting_time"].attrs["rate"] = rate
            else:
                series["timestamps"] = start + np.array(uneven)
    return paths


def test_files_become_trials_whose_time_counts_from_their_start(tmp_path: Path) -> None:
    recording = open_recording(_write(tmp_path, [1.0, 5.0, 9.5]), along="trial")
    assert recording.dims == ("time", "trial", "channel")
    np.testing.assert_allclose(recording.values, np.stack(VALUES, axis=1) * 0.5)
    np.testing.assert_allclose(recording.time.values, np.arange(6) / 10)
    np.testing.assert_allclose(recording.start_time.values, [1.0, 5.0, 9.5])
    assert recording.trial.values.tolist() == ["run0", "run1", "run2"]
    assert recording.attrs["sampling_rate"] == 10.0


@pytest.mark.parametrize(
    "key",
    [(2, 1, 0), (slice(None), 1), (3, [0, 2]), ([0, 4], [2, 0]), (slice(1, 5, 2), slice(1, None), 1), (0, slice(0, 0))],
)
def test_slices_read_as_those_of_the_whole(tmp_path: Path, key: tuple[object, ...]) -> None:
    recording = open_recording(_write(tmp_path, [0.0, 0.0, 0.0]), along="trial")
    assert "start_time" not in recording.coords  # they share their clock
    np.testing.assert_array_equal(recording[key].values, recording.load()[key].values)


def test_chunks_give_the_same_values(tmp_path: Path) -> None:
    paths = _write(tmp_path, [0.0, 3.0, 4.0])
    np.testing.assert_array_equal(
        open_recording(paths, along="trial", chunks=2).values, open_recording(paths, along="trial").values
    )


def test_uneven_clocks_must_be_equal_since_their_start(tmp_path: Path) -> None:
    steps = [0.0, 0.1, 0.3, 0.35, 0.5, 0.9]
    paths = _write(tmp_path, [1.0, 2.0], uneven=steps)
    recording = open_recording(paths, along="trial")
    np.testing.assert_allclose(recording.time.values, steps, atol=1e-12)
    with h5py.File(paths[1], "r+") as file:
        file["acquisition/x/timestamps"][3] = 2.31
    with pytest.raises(DataError, match=r"run0.nwb and run1.nwb differ"):
        open_recording(paths, along="trial")


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    paths = _write(tmp_path, [0.0, 1.0])
    with pytest.raises(ConfigError, match="expected 'time' or a new dim"):
        open_recording(paths, along="channel")
    with h5py.File(paths[1], "r+") as file:
        del file["acquisition/x/data"]
        file["acquisition/x/data"] = VALUES[0][:4]
    with pytest.raises(DataError, match="equal sizes"):
        open_recording(paths, along="trial")
