"""Event lists: columns by name, times from the millisecond markers."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording, read_events


def test_columns_and_times_are_those_of_h5py(data_dir: Path) -> None:
    path = data_dir / "mpes_event_Scan0030_2.h5"
    assert [signal.path for signal in describe(path).signals] == ["X", "Y", "t", "MasterRstCtr", "ADC", "State Input"]
    flight = open_recording(path, "t")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(flight.values, file["Stream_2"][()])
        counts = np.diff(file["msMarkers"][()].astype(np.int64), prepend=0)
    # Marker k is the number of events by the end of millisecond k.
    np.testing.assert_array_equal(flight.time, np.repeat(np.arange(len(counts)) * 1e-3, counts))
    np.testing.assert_array_equal(open_recording(path, "Stream_2")[:9].values, flight[:9].values)


def test_the_table_has_all_columns_on_one_clock(data_dir: Path) -> None:
    path = data_dir / "mpes_event_Scan0030_2.h5"
    events = read_events(path, "events")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(events["Y"], file["Stream_1"][()])
        assert events["Y"].dtype == file["Stream_1"].dtype
    np.testing.assert_array_equal(events["start_time"], open_recording(path, "X").time)
    np.testing.assert_allclose(events["stop_time"] - events["start_time"], 1e-3)


def _write(path: Path, *, markers: object = (2, 2, 5), **columns: object) -> None:
    with h5py.File(path, "w") as file:
        for number, (name, values) in enumerate({"X": [5, 4, 3, 2, 1], "Y": [1, 2, 3, 4, 5], **columns}.items()):
            file[f"Stream_{number}"] = values
            file[f"Stream_{number}"].attrs["Name"] = name.encode()
        if markers is not None:
            file["msMarkers"] = np.array(markers)


def test_columns_stack_by_name(tmp_path: Path) -> None:
    _write(tmp_path / "a.h5")
    both = open_recording(tmp_path / "a.h5", "[XY]")
    assert both.dims == ("event", "column")
    np.testing.assert_array_equal(both.sel(column="X"), [5, 4, 3, 2, 1])


def test_events_keep_their_times_in_another_process(tmp_path: Path) -> None:
    _write(tmp_path / "a.h5")
    again = pickle.loads(pickle.dumps(open_recording(tmp_path / "a.h5", "X")))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.time, [0, 0, 2e-3, 2e-3, 2e-3])


def test_markers_of_few_bits_serve_many_events(tmp_path: Path) -> None:
    _write(tmp_path / "a.h5", markers=np.array([100, 200], np.uint8), X=np.zeros(300), Y=np.zeros(300))
    time = open_recording(tmp_path / "a.h5", "X").time
    np.testing.assert_array_equal(time, np.repeat([0, 1e-3, 2e-3], 100))


@pytest.mark.parametrize("markers", [(3, 2, 5), (-1, 5), (2, 6), ((1, 2), (3, 4)), (0.5, 5.0)])
def test_markers_that_cannot_be_counts_give_no_times(tmp_path: Path, markers: object) -> None:
    _write(tmp_path / "a.h5", markers=markers)
    recording = open_recording(tmp_path / "a.h5", "X")
    assert "time" not in recording.coords
    assert "msMarkers: expected" in recording.attrs["history"]
    with pytest.raises(DataError, match="msMarkers: expected"):
        read_events(tmp_path / "a.h5", "events")


def test_without_markers_there_are_no_times(tmp_path: Path) -> None:
    _write(tmp_path / "a.h5", markers=None)
    assert any("msMarkers" in finding.message for finding in describe(tmp_path / "a.h5").findings)
    assert "time" not in open_recording(tmp_path / "a.h5", "X").coords
    with pytest.raises(DataError, match="no start_time"):
        read_events(tmp_path / "a.h5", "events")


def test_columns_of_another_length_are_left_out_and_named(tmp_path: Path) -> None:
    _write(tmp_path / "a.h5", t=[1, 2, 3])
    info = describe(tmp_path / "a.h5")
    assert [signal.path for signal in info.signals] == ["X", "Y"]
    assert any("Stream_2" in finding.message for finding in info.findings)


def test_streams_without_names_are_not_events(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["Stream_0"] = np.arange(5)
    assert describe(tmp_path / "a.h5").format == "HDF5"
