"""Spike trains of sorted units in NWB, as events in the order of time."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording, read_events


def units(path: Path, **columns: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        group = file.create_group("units")
        group.attrs["colnames"] = ["spike_times"]
        for name, values in columns.items():
            group[name] = values
    return path


def test_real_spike_trains_are_events_with_the_id_of_their_unit(data_dir: Path) -> None:
    path = data_dir / "nwb_units_A8604.nwb"
    events = read_events(path, "units/spike_times")
    with h5py.File(path) as file:
        times, ends, ids = (file[f"units/{name}"][()] for name in ("spike_times", "spike_times_index", "id"))
    assert events.sizes["event"] == len(times)
    assert (np.diff(events["start_time"].values) >= 0).all()
    for number, stored in zip(ids, np.split(times, ends[:-1].astype(int)), strict=True):
        np.testing.assert_array_equal(events["start_time"].values[events["unit"].values == number], np.sort(stored))
    binned = open_recording(path)
    assert (describe(path).default, int(binned.sum())) == ("units/binned", len(times))


def test_ends_of_small_unsigned_type_and_silent_units_are_read_right(tmp_path: Path) -> None:
    ends = np.array([2, 2, 3], dtype=np.uint8)
    path = units(tmp_path / "a.nwb", spike_times=[0.3, 0.1, 0.2], spike_times_index=ends, id=[7, 8, 9])
    events = read_events(path, "spike_times")
    assert events["start_time"].values.tolist() == [0.1, 0.2, 0.3]
    assert events["unit"].values.tolist() == [7, 9, 7]


def test_no_units_have_no_spikes(tmp_path: Path) -> None:
    path = units(tmp_path / "a.nwb", spike_times=[0.3], spike_times_index=np.empty(0, np.int64))
    assert read_events(path, "spike_times").sizes["event"] == 0


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"spike_times_index": [2, 9]}, "rise to at most 3"),
        ({"spike_times_index": [3, 1]}, "rise to at most 3"),
        ({"spike_times_index": "three"}, "expected a row of integers"),
        ({"spike_times_index": [[1, 3]]}, "expected a row of integers"),
        ({"spike_times_index": [1.0, 3.0]}, "expected a row of integers"),
        ({"spike_times_index": [1, 3], "id": [4]}, "expected 1 rows, one a unit, got 2"),
    ],
)
def test_trains_that_do_not_fit_are_an_error_in_words(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_events(units(tmp_path / "a.nwb", spike_times=[0.1, 0.2, 0.3], **columns), "spike_times")


@pytest.mark.parametrize("times", ["early", [[0.1], [0.2]]])
def test_times_that_are_no_row_of_numbers_are_no_events(tmp_path: Path, times: Any) -> None:
    path = units(tmp_path / "a.nwb", spike_times=times, spike_times_index=[1])
    assert [table.name for table in describe(path).tables] == ["units"]


def test_a_column_of_a_single_value_is_omitted_in_words(tmp_path: Path) -> None:
    path = units(tmp_path / "a.nwb", spike_times=[0.1], spike_times_index=[1])
    with h5py.File(path, "a") as file:
        trials = file.create_group("intervals/trials")
        trials.attrs["colnames"] = ["start_time", "kind"]
        trials["start_time"], trials["kind"] = [0.0, 1.0], 3.0
    events = read_events(path, "trials")
    assert "kind" not in events
    assert "is a single value, not a column" in "".join(events.attrs["omitted"])
