"""What may leak is found: sessions recognized, units in two parts, near and equal windows; changed data are named."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from sciml.data import WindowDataset, sliding_windows, split_by, split_by_time
from sciml.data.identity import hash_items
from sciml.data.leakage import SessionTest, find_leakage, session_test
from sciml.errors import ScimlWarning
from sciml.train.baselines import covariance_classifier
from sciml.train.reading import fingerprint


def covariances(*parts):
    return covariance_classifier(*parts, n_classes=2).predicted


def by_time(windows):
    with pytest.warns(ScimlWarning, match="in more than one part"):
        return split_by(windows, "time", seed=0)


def held_out(windows):
    split = by_time(windows)
    parts = [windows.arrays(indices) for indices in split.parts.values()]
    on_split = float(np.mean(covariances(*parts) == parts[2][1]))
    return session_test(windows, [split], covariances, on_split=on_split, seed=0)


def test_sessions_that_pass_for_classes_give_the_alarm(sessions):
    found = [held_out(sessions(seed)) for seed in range(3)]
    assert all(each.alarm for each in found)
    assert all(each.on_split > 0.9 > each.held_out + 0.1 for each in found)
    assert "a net may recognize the session instead of the class" in found[0].finding()


def test_no_alarm_where_the_class_is_told_in_new_sessions_too(sessions):
    found = held_out(sessions(0, signal=3.0, n=12))
    assert not found.alarm
    assert found.held_out > 0.9


def test_what_falls_but_is_no_matter_of_sessions_is_said_without_alarm():
    """Sessions of both classes alike: who recognizes one knows nothing of the class."""
    found = SessionTest("session", on_split=0.95, held_out=0.7, n=200, n_units=6, by_unit=0.0)
    assert found.falls
    assert not found.alarm
    assert "scores hold for these sessions, not for new ones" in found.finding()


def test_a_class_of_one_session_is_not_testable(sessions):
    windows = sessions(0, n=3)  # classes 0, 1, 0
    found = held_out(windows)
    assert found.note.startswith("not testable: class 1 has one session")
    assert not found.alarm


def test_whole_sessions_need_no_session_test(sessions):
    windows = sessions(0)
    assert session_test(windows, [split_by(windows, seed=0)], covariances, on_split=1.0, seed=0) is None


def test_units_in_two_parts_and_the_nearest_windows_are_found(sessions):
    windows = sessions(0)
    shared = find_leakage(windows, [by_time(windows)])
    assert shared.units["session"] == (6, 6)
    assert shared.nearest == pytest.approx(windows.span / windows.rate)
    assert "session" in shared.nearest_at
    assert " and " in shared.nearest_at
    whole = find_leakage(windows, [split_by(windows, seed=0)])
    assert whole.units["session"] == (0, 6)
    assert whole.nearest == np.inf


def test_the_nearest_windows_are_those_of_all_pairs():
    recording = xr.DataArray(np.zeros(400), dims="time", attrs={"sampling_rate": 1.0})
    windows = sliding_windows(recording, length=3, step=2)
    split = split_by(windows, "random", allow_leakage=True, seed=0)
    assert find_leakage(windows, [split]).nearest == -1.0  # neighbors overlap by a sample
    split = split_by_time(windows, gap=4, seed=0)
    part = np.full(len(windows), -1)
    for k, indices in enumerate(split.parts.values()):
        part[indices] = k
    kept = np.flatnonzero(part >= 0)
    pairs = [
        windows.times[j] - windows.stops[i]
        for i in kept for j in kept if i < j and part[i] != part[j]
    ]  # fmt: skip
    assert find_leakage(windows, [split]).nearest == pytest.approx(min(pairs))


def test_windows_that_are_there_twice_are_found(sessions):
    rng = np.random.default_rng(0)
    values = rng.normal(size=300)
    values[200:300] = values[0:100]  # a third of the recording twice
    recording = xr.DataArray(values, dims="time", attrs={"sampling_rate": 1.0})
    windows = sliding_windows(recording, length=4, step=4)
    split = split_by_time(windows, gap=0, n_blocks=15, seed=2)
    found = find_leakage(windows, [split], hash_items(windows).samples)
    X, _ = windows.arrays()
    train = {X[k].tobytes() for k in split.train}
    assert found.equal == sum(X[k].tobytes() in train for k in [*split.validation, *split.test]) > 0
    assert "sample by sample" in found.alarms[0]
    assert find_leakage(sessions(0), [split_by(sessions(0), seed=0)], hash_items(sessions(0)).samples).equal == 0


def test_a_changed_item_is_named_whichever_it_is(sessions):
    windows = sessions(0, "mixed", n=3)
    stored = hash_items(windows).to_dict()
    assert hash_items(sessions(0, "mixed", n=3)).differences(stored, windows) == ""
    recording = windows.recording.copy(deep=True)
    recording.values[windows.starts[37] + 5, 2] += 1e-3
    assert hash_items(replace(windows, recording=recording, table=None)).differences(stored, windows) == (
        f"1 of 60 windows has other samples (window 37 at {windows.times[37]:g} s of session 1)"
    )
    labels = windows.labels.copy()
    labels[[3, 8, 9, 50]] = 1 - labels[[3, 8, 9, 50]]
    said = hash_items(replace(windows, labels=labels)).differences(stored, windows)
    assert said.startswith("4 of 60 windows have another class, number or weight (window 3 at ")
    assert said.endswith(", ...)")


def test_62_of_64_replaced_items_do_not_go_unnoticed(sessions):
    windows = sessions(0, "mixed", n=4, per_session=16)
    stored = hash_items(windows).to_dict()
    recording = windows.recording.copy(deep=True)
    first, last = windows.starts[1], windows.starts[63]
    recording.values[first:last] = np.random.default_rng(9).normal(size=(last - first, recording.sizes["channel"]))
    said = hash_items(replace(windows, recording=recording, table=None)).differences(stored, windows)
    assert said.startswith("62 of 64 windows have other samples")


def test_the_hash_of_a_part_covers_every_label_and_start_however_large_it_is(sessions, monkeypatch):
    """Of a large part only some items are read for the hash: labels and starts of the others are hashed too."""
    monkeypatch.setattr("sciml.train.reading.parts.HASHED_BYTES", 0)
    monkeypatch.setattr("sciml.train.reading.parts.HASHED_ITEMS", 2)
    windows = sessions(0, "mixed", n=3)
    before = fingerprint([WindowDataset(windows, np.arange(60))])
    labels = windows.labels.copy()
    labels[20] = 1 - labels[20]
    assert fingerprint([WindowDataset(windows.changed(labels=labels), np.arange(60))]) != before
    starts = windows.starts.copy()
    starts[20] += 1
    assert fingerprint([WindowDataset(windows.changed(starts=starts), np.arange(60))]) != before
