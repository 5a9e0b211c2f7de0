"""NWB 2 files written by the tests to the letter of the schema, and against it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, list_signals, open_recording, read_events
from sciml.recording import segments

Edit = Callable[[h5py.File], None]


def nwb(path: Path, edit: Edit) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        edit(file)
    return path


def series(file: h5py.File, path: str, data: Any, *, kind: str = "TimeSeries", **attrs: Any) -> h5py.Group:
    group = file.create_group(path)
    group.attrs["neurodata_type"] = kind
    group["data"] = data
    group["data"].attrs.update({"unit": "V", **attrs})
    return group


def clocked(group: h5py.Group, rate: float = 10.0, start: float = 0.0) -> h5py.Group:
    group["starting_time"] = start
    group["starting_time"].attrs["rate"] = rate
    return group


def table(group: h5py.Group, **columns: Any) -> h5py.Group:
    group.attrs["colnames"] = [name for name in columns if not name.endswith("_index")]
    group["id"] = np.arange(len(next(iter(columns.values()))))
    for name, cells in columns.items():
        group[name] = cells
    return group


COUNTS = np.arange(24, dtype=np.int16).reshape(8, 3)


def test_conversion_channel_conversion_and_offset_are_applied_in_that_order(tmp_path: Path) -> None:
    gains = np.array([1.0, 2.0, 4.0])

    def edit(file: h5py.File) -> None:
        group = clocked(series(file, "acquisition/e", COUNTS, kind="ElectricalSeries", conversion=0.5, offset=-3.0))
        group["channel_conversion"] = gains
        group["channel_conversion"].attrs["axis"] = 1

    recording = open_recording(nwb(tmp_path / "a.nwb", edit))
    expected = COUNTS * 0.5 * gains - 3.0
    np.testing.assert_allclose(recording.values, expected, rtol=1e-6)
    np.testing.assert_allclose(recording[2:7:2, 1].values, expected[2:7:2, 1], rtol=1e-6)
    np.testing.assert_allclose(recording.isel(channel=[2, 0]).values, expected[:, [2, 0]], rtol=1e-6)


def test_starting_time_and_rate_give_the_clock(tmp_path: Path) -> None:
    path = nwb(tmp_path / "a.nwb", lambda file: clocked(series(file, "acquisition/e", COUNTS), 4.0, 2.5) and None)
    recording = open_recording(path)
    assert recording["time"].values.tolist() == [2.5 + k / 4 for k in range(8)]
    assert recording.attrs["sampling_rate"] == 4.0
    (found,) = list_signals(path)
    assert (found.rate, found.duration, found.unit, found.dims) == (4.0, 2.0, "V", ("time", "channel"))


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan])
def test_a_rate_that_is_none_is_an_error_on_opening_and_a_finding(tmp_path: Path, rate: float) -> None:
    path = nwb(tmp_path / "a.nwb", lambda file: clocked(series(file, "acquisition/e", COUNTS), rate) and None)
    with pytest.raises(DataError, match="sampling rate"):
        open_recording(path)
    assert any("sampling rate" in text.message for text in describe(path).findings)


def test_regular_time_stamps_become_a_rate_and_gaps_do_not(tmp_path: Path) -> None:
    regular = 1e9 + np.arange(8) / 5
    gap = np.where(np.arange(8) < 4, 0.0, 41.0) + np.arange(8) / 5

    def edit(file: h5py.File) -> None:
        series(file, "acquisition/regular", COUNTS)["timestamps"] = regular
        series(file, "acquisition/gap", COUNTS)["timestamps"] = gap

    path = nwb(tmp_path / "a.nwb", edit)
    assert open_recording(path, "regular").attrs["sampling_rate"] == pytest.approx(5.0, rel=1e-6)
    recording = open_recording(path, "gap")
    assert "sampling_rate" not in recording.attrs
    assert segments(recording) == [slice(0, 4), slice(4, 8)]


def test_rois_first_is_turned_round_when_the_clock_says_so(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        series(file, "acquisition/r", COUNTS.T, kind="RoiResponseSeries")["timestamps"] = np.arange(8.0)

    recording = open_recording(nwb(tmp_path / "a.nwb", edit))
    assert recording.dims == ("time", "roi")
    np.testing.assert_array_equal(recording.values, COUNTS)
    np.testing.assert_array_equal(recording[[5, 1], 1:].values, COUNTS[[5, 1], 1:])
    assert "conflict with the schema" in recording.attrs["history"]


def test_a_region_selects_rows_by_position_and_an_overrun_is_left_out(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        rows = table(file.create_group("general/extracellular_ephys/electrodes"), label=["a", "b", "c", "d"])
        rows["id"][...] = [10, 11, 12, 13]
        for name, region in (("good", [3, 0, 0]), ("bad", [3, 0, 4])):
            group = clocked(series(file, f"acquisition/{name}", COUNTS, kind="ElectricalSeries"))
            group["electrodes"] = region
            group["electrodes"].attrs["table"] = rows.ref

    path = nwb(tmp_path / "a.nwb", edit)
    good = open_recording(path, "good")
    assert good["label"].values.tolist() == ["d", "a", "a"]
    assert good["channel"].values.tolist() == [13, 10, 10]
    bad = open_recording(path, "bad")
    assert "label" not in bad.coords
    assert "left out" in bad.attrs["history"]


def test_trials_come_with_text_numbers_and_ragged_tags(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        trials = table(
            file.create_group("intervals/trials"),
            start_time=[0.0, 2.0, 4.0],
            stop_time=[1.0, 3.0, 5.0],
            stimulus=["left", "right", "l\u00e9ft"],
            contrast=[0.1, 0.2, 0.3],
            correct=np.array([True, False, True]),
        )
        trials["tags"], trials["tags_index"] = ["x", "y", "z"], np.array([1, 1, 3], dtype=np.uint8)
        trials["spikes"], trials["spikes_index"] = [1.0, 2.0], np.array([1, 1, 2], dtype=np.uint8)
        trials.attrs["colnames"] = [*trials.attrs["colnames"], "tags", "spikes"]

    events = read_events(nwb(tmp_path / "a.nwb", edit), "trials")
    assert events.sizes == {"event": 3}
    assert events["stimulus"].values.tolist() == ["left", "right", "l\u00e9ft"]
    assert events["tags"].values.tolist() == ["x", "", "y, z"]
    assert events["correct"].values.tolist() == [True, False, True]
    assert events["contrast"].values.tolist() == [0.1, 0.2, 0.3]
    assert "spikes" not in events
    assert "several values a row" in events.attrs["omitted"][0]


def test_a_ragged_column_that_overruns_is_omitted_with_both_numbers(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        trials = table(file.create_group("intervals/trials"), start_time=[0.0, 2.0], tags=["x", "y", "z"])
        trials["tags_index"] = np.array([1, 9])

    (reason,) = read_events(nwb(tmp_path / "a.nwb", edit), "trials").attrs["omitted"][1:]
    assert "at most 3" in reason
    assert "9" in reason


def test_invalid_times_become_the_mask(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        clocked(series(file, "acquisition/e", COUNTS))
        table(file.create_group("intervals/invalid_times"), start_time=[0.2], stop_time=[0.4])

    recording = open_recording(nwb(tmp_path / "a.nwb", edit))
    assert np.flatnonzero(recording["mask"].values).tolist() == [2, 3, 4]


def test_series_of_different_clocks_do_not_stack_and_the_message_names_them(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        for name, start in (("a_1", 0.0), ("a_2", 0.0), ("a_3", 0.5)):
            clocked(series(file, f"acquisition/{name}", COUNTS[:, 0]), 10.0, start)

    path = nwb(tmp_path / "a.nwb", edit)
    assert open_recording(path, "a_[12]").shape == (8, 2)
    with pytest.raises(DataError, match="acquisition/a_1 and acquisition/a_3 differ"):
        open_recording(path, "a_*")


def test_stacked_names_sort_by_number(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        for number in (10, 9, 1):
            clocked(series(file, f"acquisition/n{number}", COUNTS[:, 0] * number))

    recording = open_recording(nwb(tmp_path / "a.nwb", edit), "n*")
    assert recording["roi"].values.tolist() == ["n1", "n9", "n10"]
    np.testing.assert_array_equal(recording.isel(roi=2).values, COUNTS[:, 0] * 10)


def test_shared_time_stamps_over_a_soft_link_and_an_extension_type_are_read_by_layout(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        series(file, "acquisition/one", COUNTS, kind="MyLabSeries")["timestamps"] = np.arange(8.0)
        series(file, "acquisition/two", COUNTS, kind="MyLabSeries")["timestamps"] = h5py.SoftLink(
            "/acquisition/one/timestamps"
        )

    path = nwb(tmp_path / "a.nwb", edit)
    assert [found.path for found in list_signals(path)] == ["acquisition/one", "acquisition/two"]
    assert open_recording(path, "two")["time"].values.tolist() == list(range(8))


def test_a_clock_of_another_length_is_an_error_with_both_lengths(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        series(file, "acquisition/e", COUNTS[:, 0])["timestamps"] = np.arange(5.0)

    with pytest.raises(DataError, match=r"shape \(5,\); expected \(8,\)"):
        open_recording(nwb(tmp_path / "a.nwb", edit))


def test_integers_in_volts_without_conversion_are_a_finding(tmp_path: Path) -> None:
    path = nwb(tmp_path / "a.nwb", lambda file: clocked(series(file, "acquisition/e", COUNTS)) and None)
    assert any("uncalibrated" in text.message for text in describe(path).findings)


def test_frames_in_external_files_are_named_as_the_reason(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        group = clocked(series(file, "acquisition/movie", np.zeros((0, 0, 0)), kind="ImageSeries"))
        group["external_file"] = ["movie.avi"]

    assert any("external files" in text.message for text in describe(nwb(tmp_path / "a.nwb", edit)).findings)


def test_version_1_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "old.nwb", "w") as file:
        file["nwb_version"] = "NWB-1.0.6"
        file["acquisition/timeseries/x/data"] = np.zeros(4)
    found = describe(tmp_path / "old.nwb")
    assert found.format == "NWB 1.0.6"
    assert "layout of version 1" in (found.reason or "")
    assert open_recording(tmp_path / "old.nwb", "acquisition/timeseries/x/data").shape == (4,)


@pytest.mark.parametrize("conversion", [0.0, np.nan, np.inf, "x", [1.0, 2.0, 3.0]])
def test_a_conversion_that_is_none_is_a_finding_and_the_values_have_no_unit(tmp_path: Path, conversion: object) -> None:
    def edit(file: h5py.File) -> None:
        clocked(series(file, "acquisition/e", COUNTS))["data"].attrs["conversion"] = conversion

    recording = open_recording(nwb(tmp_path / "a.nwb", edit))
    np.testing.assert_array_equal(recording.values, COUNTS)
    assert recording.attrs["units"] == ""
    found = [issue for issue in describe(tmp_path / "a.nwb").findings if issue.code == "not_applied"]
    assert "conversion" in found[0].message
    assert not [issue for issue in describe(tmp_path / "a.nwb").findings if issue.code == "blank_unit"]


def test_channels_whose_gain_is_zero_are_nan_not_zeros(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        group = clocked(series(file, "acquisition/e", COUNTS))
        group["channel_conversion"] = [2.0, 0.0, *[1.0] * (COUNTS.shape[1] - 2)]

    recording = open_recording(nwb(tmp_path / "a.nwb", edit))
    np.testing.assert_array_equal(recording.values[:, 0], 2.0 * COUNTS[:, 0])
    assert np.isnan(recording.values[:, 1]).all()
    assert "not_applied" in [issue.code for issue in describe(tmp_path / "a.nwb").findings]


def test_a_series_that_never_got_a_sample_opens_as_empty(tmp_path: Path) -> None:
    path = nwb(tmp_path / "a.nwb", lambda file: clocked(series(file, "acquisition/e", np.zeros((0, 4)))) and None)
    assert open_recording(path, "acquisition/e").shape == (0, 4)
    assert any("is empty" in issue.message for issue in describe(path).findings)


@pytest.mark.parametrize(("ends", "code"), [([5, 3], "ragged_overrun"), ([3, 9], "ragged_overrun"), ([2, 4], "note")])
def test_ragged_rows_that_fall_overrun_or_end_early_are_findings(tmp_path: Path, ends: list[int], code: str) -> None:
    def edit(file: h5py.File) -> None:
        table = file.create_group("intervals/trials")
        table.attrs["colnames"] = ["tags"]
        table["id"], table["tags"], table["tags_index"] = [0, 1], ["a", "b", "c", "d", "e"], np.array(ends, "u2")

    found = describe(nwb(tmp_path / "a.nwb", edit)).findings
    assert code in [issue.code for issue in found if "tags_index" in issue.message]


def test_a_clock_that_runs_backward_is_a_finding(tmp_path: Path) -> None:
    def edit(file: h5py.File) -> None:
        series(file, "acquisition/e", COUNTS)["timestamps"] = [0.0, 1, 2, 3, 2, 3, 4, 5]

    assert "clock_order" in [issue.code for issue in describe(nwb(tmp_path / "a.nwb", edit)).findings]


@pytest.mark.parametrize("shape", [(3, 1), (1, 3)])
def test_channel_conversion_may_be_a_matrix_of_one_row(tmp_path: Path, shape: tuple[int, int]) -> None:
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        group = series(file, "acquisition/a", np.ones((5, 3)))
        group["channel_conversion"] = np.array([1.0, 2.0, 3.0]).reshape(shape)
    assert open_recording(tmp_path / "a.nwb").values[0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("rows", [[0, 1, 7], [0, -1, 1], [0, 1]])
def test_a_region_that_does_not_fit_is_a_finding(tmp_path: Path, rows: list[int]) -> None:
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        electrodes = table(file.create_group("general/extracellular_ephys/electrodes"), label=["a", "b", "c"])
        group = clocked(series(file, "acquisition/a", np.ones((5, 3))))
        group["electrodes"] = rows
        group["electrodes"].attrs["table"] = electrodes.ref
    (found,) = [issue.message for issue in describe(tmp_path / "a.nwb").findings]
    assert "acquisition/a/electrodes names" in found
    recording = open_recording(tmp_path / "a.nwb")
    assert "label" not in recording.coords
    assert recording.attrs["history"].count("electrodes names") == 1


def test_a_column_of_another_length_than_its_table_is_a_finding(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        clocked(series(file, "acquisition/a", np.ones((5, 3))))
        table(file.create_group("general/extracellular_ephys/electrodes"), label=["a", "b", "c"], x=[1.0, 2.0])
    (found,) = [issue.message for issue in describe(tmp_path / "a.nwb").findings]
    assert "column x has 2 of 3 rows" in found


def test_no_clock_and_two_clocks_are_findings(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        series(file, "acquisition/none", np.arange(5.0))
        clocked(series(file, "acquisition/two", np.arange(5.0)))["timestamps"] = np.arange(5) / 20
    said = " ".join(issue.message for issue in describe(tmp_path / "a.nwb").findings)
    assert "none: it states neither" in said
    assert "two: it states both" in said
