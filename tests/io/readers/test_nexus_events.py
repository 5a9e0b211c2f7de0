"""NeXus events: the conventions of the pulse index, nanosecond clocks, and the image that events add up to."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.errors import DataError
from sciml.io import describe, open_recording
from sciml.io.readers.nexus import events as reader

SNS = "nexus_sns_REF_L_70977_event.nxs"
IDS = np.array([3, 1, 1, 4, 9], np.uint32)


def test_events_counted_by_pixel_are_the_stored_image(data_dir: Path) -> None:
    image = open_recording(data_dir / SNS, "entry/bank1_events/histogram")
    with h5py.File(data_dir / SNS) as file:
        np.testing.assert_array_equal(image.values, file["entry/bank1/data_x_y"][()])
        np.testing.assert_array_equal(image.x, file["entry/bank1/x_pixel_offset"][()])
    assert image.dims == ("x", "y")
    assert image.attrs["units"] == "counts"
    stored = open_recording(data_dir / SNS)
    np.testing.assert_array_equal(stored.values, image.values)
    np.testing.assert_array_equal(image[5:9, [3, 200]].values, image.values[5:9, [3, 200]])
    np.testing.assert_array_equal(image[[7, 5], 3].values, image.values[[7, 5], 3])


def test_the_image_is_counted_in_blocks_and_again_in_another_process(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = open_recording(data_dir / SNS, "histogram").values
    monkeypatch.setattr(reader, "BLOCK", 999)
    again = pickle.loads(pickle.dumps(open_recording(data_dir / SNS, "histogram")))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.values, whole)


def test_each_event_has_its_pulse(data_dir: Path) -> None:
    events = open_recording(data_dir / SNS, "entry/bank1_events")
    with h5py.File(data_dir / SNS) as file:
        group = file["entry/bank1_events"]
        np.testing.assert_array_equal(events.values, group["event_time_offset"][()])
        np.testing.assert_array_equal(events.event_id, group["event_id"][()])
        first, zero = group["event_index"][()].astype(np.int64), group["event_time_zero"][()]
    counts = np.diff(first, append=events.size)
    np.testing.assert_array_equal(events.pulse, np.repeat(np.arange(len(first)), counts))
    np.testing.assert_array_equal(events.time, np.repeat(zero, counts))
    assert counts[-1] == 2
    assert events.attrs["units"] == "microsecond"
    assert events.time.attrs["since"] == "2012-02-24T12:06:46-05:00"


def test_the_ids_open_as_they_are_stored(data_dir: Path) -> None:
    ids = open_recording(data_dir / SNS, "entry/bank1_events/event_id", raw=True)
    with h5py.File(data_dir / SNS) as file:
        np.testing.assert_array_equal(ids.values, file["entry/bank1_events/event_id"][()])
    assert ids.dtype == np.uint32


def test_plots_and_default_stay_those_of_any_nexus_file(data_dir: Path) -> None:
    info = describe(data_dir / SNS)
    assert info.default == "entry/bank1/data_x_y"
    assert [signal.path for signal in info.signals if signal.kind != "NXlog"][1:] == [
        "entry/bank1_events",
        "entry/bank1_events/event_id",
        "entry/bank1_events/histogram",
    ]


def _write(
    path: Path, *, index: object = (0, 2, 2), zero: object = (0.0, 0.1, 0.2), unit: str = "s", **more: object
) -> None:
    """Write five events of three pulses at a detector of 2 x 2 pixels, in the layout of ESS."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        bank = entry.create_group("bank")
        bank.attrs["NX_class"] = "NXdetector"
        bank["detector_number"] = np.array([[1, 2], [3, 3]])
        events = bank.create_group("bank_events")
        events.attrs["NX_class"] = "NXevent_data"
        events["event_id"] = IDS
        events["event_time_offset"] = np.arange(5) * 10
        events["event_time_offset"].attrs["units"] = "ns"
        if zero is not None:
            events["event_time_zero"] = zero
            events["event_time_zero"].attrs["units"] = unit
        if index is not None:
            events["event_index"] = index
        for name, value in more.items():
            if name in events:
                del events[name]
            events[name] = value


def _open(path: Path) -> xr.DataArray:
    return open_recording(path, "entry/bank/bank_events")


@pytest.mark.parametrize(
    ("index", "pulses"),
    [
        ((0, 2, 2), [0, 0, 2, 2, 2]),  # first event of each pulse
        ((0, 2, 2, 5), [0, 0, 2, 2, 2]),  # the same, and the number of all
        ((2, 2, 5), [0, 0, 2, 2, 2]),  # end of each pulse
        ((1, 1, 3), [-1, 1, 1, 2, 2]),  # an event came before the first pulse
        ((0, 0, 5), [1, 1, 1, 1, 1]),  # the last pulse is empty
    ],
)
def test_pulses_are_found_in_each_convention(tmp_path: Path, index: tuple[int, ...], pulses: list[int]) -> None:
    _write(tmp_path / "a.nxs", index=np.array(index, np.uint64))
    events = _open(tmp_path / "a.nxs")
    np.testing.assert_array_equal(events.pulse, pulses)
    expected = [np.nan if pulse < 0 else pulse * 0.1 for pulse in pulses]
    np.testing.assert_allclose(events.time, expected)


def test_nanoseconds_since_1970_keep_their_last_digit(tmp_path: Path) -> None:
    start = 1_700_000_000_123_456_789
    _write(tmp_path / "a.nxs", zero=start + np.array([0, 1, 2]), unit="ns")
    events = _open(tmp_path / "a.nxs")
    assert events.time.attrs["epoch"] == 1_700_000_000
    np.testing.assert_allclose(events.time[[0, 2]], [0.123456789, 0.123456791], rtol=0, atol=1e-15)


def test_ids_of_no_pixel_are_in_none_and_pixels_may_share_an_id(tmp_path: Path) -> None:
    _write(tmp_path / "a.nxs")
    image = open_recording(tmp_path / "a.nxs", "histogram")
    assert image.dims == ("y", "x")
    np.testing.assert_array_equal(image.values, [[2, 0], [1, 1]])


@pytest.mark.parametrize("index", [(0, 3, 1), (0, 2, 9), (0.0, np.nan, 2.0), ((0, 1), (2, 3)), None])
def test_an_index_that_cannot_be_one_gives_no_pulses(tmp_path: Path, index: Any) -> None:
    _write(tmp_path / "a.nxs", index=index)
    events = _open(tmp_path / "a.nxs")
    np.testing.assert_array_equal(events.values, np.arange(5) * 10)
    assert set(events.coords) == {"event_id"}
    rows = index is not None and np.ndim(index) == 1
    assert ("expected numbers of events" in events.attrs["history"]) == rows


@pytest.mark.parametrize(("zero", "unit"), [((0.0, 0.1), "s"), ((0.0, 0.1, 0.2), "counts"), (None, "s")])
def test_pulse_times_that_do_not_fit_are_left_out(tmp_path: Path, zero: object, unit: str) -> None:
    _write(tmp_path / "a.nxs", zero=zero, unit=unit)
    events = _open(tmp_path / "a.nxs")
    assert "time" not in events.coords
    np.testing.assert_array_equal(events.pulse, [0, 0, 2, 2, 2])


def test_spectra_of_isis_are_the_pixels_of_their_events(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        for name, kind in (("", "NXentry"), ("/detector_1_events", "NXevent_data"), ("/detector_1", "NXdata")):
            file.create_group(f"raw_data_1{name}").attrs["NX_class"] = kind
        file["raw_data_1/detector_1_events/event_id"] = IDS
        file["raw_data_1/detector_1/spectrum_index"] = np.arange(1, 6)
    image = open_recording(tmp_path / "a.nxs", "histogram")
    assert image.dims == ("pixel",)
    np.testing.assert_array_equal(image.values, [2, 0, 1, 1, 0])


def test_groups_without_events_are_named(tmp_path: Path) -> None:
    _write(tmp_path / "a.nxs", event_id=np.zeros(0, np.uint32), event_time_offset=np.zeros(0))
    info = describe(tmp_path / "a.nxs")
    assert any("no event was counted in entry/bank/bank_events" in finding.message for finding in info.findings)
    with pytest.raises(DataError):
        _open(tmp_path / "a.nxs")


@pytest.mark.parametrize("ids", [np.zeros((5, 2), np.uint32), np.zeros(3, np.uint32), [b"a"] * 5])
def test_ids_that_do_not_belong_to_the_events_make_no_image(tmp_path: Path, ids: object) -> None:
    _write(tmp_path / "a.nxs", event_id=ids)
    paths = [signal.path for signal in describe(tmp_path / "a.nxs").signals]
    assert "entry/bank/bank_events/histogram" not in paths
