"""Splits by what is independent: whole units in one part, every class in every part, folds, and what is refused."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.data import Split, Windows, folds_by, sliding_windows, split_by, split_by_time, split_by_unit, windows_around
from sciml.errors import ConfigError, DataError, ScimlWarning


def with_units(labels, **units) -> Windows:
    """Labeled windows of one second, one after the other, that belong to units."""
    n = len(labels)
    recording = xr.DataArray(np.zeros((n, 1)), dims=("time", "channel"), attrs={"sampling_rate": 1.0})
    events = xr.Dataset({"start_time": ("event", np.arange(float(n))), "kind": ("event", np.asarray(labels))})
    windows = windows_around(recording, events, label="kind", before=0, length=1)
    return replace(windows, units={name: np.asarray(values).astype(str) for name, values in units.items()})


def parts_of(split: Split, unit) -> list[set[str]]:
    return [set(np.asarray(unit)[indices].tolist()) for indices in split.parts.values()]


def shared(split: Split, unit) -> set[str]:
    train, validation, test = parts_of(split, unit)
    return (train & validation) | (train & test) | (validation & test)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_units=st.integers(3, 12), n_classes=st.integers(1, 3))
def test_units_stay_whole_and_no_window_is_lost(seed, n_units, n_classes):
    rng = np.random.default_rng(seed)
    unit = rng.permutation(np.concatenate([np.arange(n_units), rng.integers(0, n_units, 60)]))
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, len(unit) - n_classes)])
    recording = xr.DataArray(np.zeros(len(unit)), dims="time", attrs={"sampling_rate": 1.0})
    windows = replace(
        sliding_windows(recording, length=1, step=1),
        units={"session": unit.astype(str)},
        labels=labels,
        classes=tuple("abc"[:n_classes]),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScimlWarning)
            split = split_by_unit(windows, "session", seed=seed)
    except DataError:  # a class of one unit, which is not in training
        return
    assert not shared(split, unit)
    assert sum(map(len, split.parts.values())) == len(unit)
    assert split.check(windows) >= 0
    assert Split.from_dict(json.loads(json.dumps(split.to_dict()))).sha256 == split.sha256


@pytest.mark.parametrize("design", ["pure", "mixed"])
def test_every_class_comes_to_every_part_where_units_allow_it(sessions, design):
    for seed in range(5):
        windows = sessions(seed, design)
        split = split_by_unit(windows, "session", seed=seed)
        assert min(min(counts.values()) for counts in split.class_counts(windows).values()) > 0
        assert [len(units) for units in parts_of(split, windows.units["session"])] == (
            [2, 2, 2] if design == "pure" else [4, 1, 1]
        )


def test_auto_takes_the_coarsest_unit_that_fills_three_parts_with_every_class():
    labels = np.tile([0, 1], 60)
    by_session = np.arange(120) // 20
    assert split_by(with_units(labels, subject=by_session // 2, session=by_session), seed=0).unit == "subject"
    with pytest.warns(ScimlWarning, match="split by session: . of 2 subjects have windows in more than one part"):
        assert split_by(with_units(labels, subject=by_session // 3, session=by_session), seed=0).unit == "session"
    assert split_by(with_units(labels, session=by_session * 0, file=by_session), seed=0).unit == "file"
    assert split_by(with_units(labels), seed=0).unit == "time block"
    # class 1 lives in two of the six sessions: it cannot be in three parts
    rare = np.where(by_session < 2, labels, 0)
    with pytest.warns(ScimlWarning, match="sessions have windows in more than one part"):
        assert split_by(with_units(rare, session=by_session), gap=0, seed=0).unit == "time block"


def test_it_says_what_is_independent_and_how_many_there_are(sessions):
    assert split_by(sessions(0), seed=0).independence() == "unit of independence: session, n = 6"


def test_a_finer_unit_than_is_known_says_what_it_cannot_exclude(sessions):
    with pytest.warns(ScimlWarning, match="6 of 6 sessions have windows in more than one part") as said:
        split_by(sessions(0), "time", seed=0)
    assert "can pass for its class" in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split_by(sessions(0), "session", seed=0)


def test_gaps_apply_inside_a_file_only():
    clock = np.concatenate([np.arange(300.0), np.arange(300.0) + 300.5])  # two files, half a second apart
    recording = xr.DataArray(np.zeros(600), dims="time", coords={"time": clock})
    windows = sliding_windows(recording, length=2, step=2)
    windows = replace(windows, units={"file": np.where(windows.times < 300, "a", "b")})
    halves = Split(
        train=np.flatnonzero(windows.times < 300), validation=np.arange(0), test=np.flatnonzero(windows.times > 300),
        gap=2.0, blocks=(), block=np.zeros(len(windows), int), windows=split_by_time(windows, seed=0).windows,
    )  # fmt: skip
    assert halves.check(windows) == np.inf
    split = split_by_time(windows, gap=2.0, seed=0)
    file_of_block = {block: set(windows.units["file"][split.block == block]) for block in np.unique(split.block)}
    assert all(len(files) == 1 for files in file_of_block.values())


def test_a_column_of_events_and_arrays_of_any_kind_are_units():
    labels = np.tile([0, 1], 30)
    windows = with_units(labels, stimulus=np.arange(60) // 2 % 15)
    split = split_by(windows, "stimulus", seed=0)
    assert split.unit == "stimulus"
    assert not shared(split, windows.units["stimulus"])


def test_random_windows_need_permission_and_are_marked():
    windows = with_units(np.tile([0, 1], 30))
    with pytest.raises(ConfigError, match="allow_leakage = true"):
        split_by(windows, "random", seed=0)
    split = split_by(windows, "random", allow_leakage=True, seed=0)
    assert split.leaks
    assert "random" in split.summary()
    assert split.check(windows) == 0.0


@pytest.mark.parametrize(("units", "said"), [
    ({"session": np.zeros(60)}, "at least 3 units .session. for 3 parts, got 1"),
    ({"session": np.arange(60) // 30}, "at least 3 units .session. for 3 parts, got 2"),
    ({"session": np.where(np.arange(60) < 20, "", "a")}, "got none for 20 of 60"),
    ({}, "known are time and none"),
])  # fmt: skip
def test_units_that_cannot_be_split_by_are_refused(units, said):
    with pytest.raises((DataError, ConfigError), match=said):
        split_by(with_units(np.tile([0, 1], 30), **units), "session", seed=0)


def test_a_part_of_one_class_is_said():
    labels = np.repeat([0, 0, 0, 0, 1, 1], 10)
    with pytest.warns(ScimlWarning, match="the (validation|test) part has no window of class 1"):
        split_by(with_units(labels, session=np.arange(60) // 10), "session", seed=0)


@pytest.mark.parametrize(("design", "n_folds"), [("pure", 3), ("mixed", 5), ("mixed", 6)])
def test_folds_test_each_unit_once_and_validate_inside(sessions, design, n_folds):
    windows = sessions(1, design)
    unit = windows.units["session"]
    folds = folds_by(windows, n_folds=n_folds, seed=0)
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(len(windows)))
    for fold in folds:
        assert fold.unit == "session"
        assert not shared(fold, unit)
        assert len(fold.validation)
        counts = fold.class_counts(windows)
        assert min(min(counts[part].values()) for part in ("train", "validation")) > 0


def test_folds_of_one_session_are_blocks_of_time():
    recording = xr.DataArray(np.zeros(800), dims="time", attrs={"sampling_rate": 1.0})
    windows = sliding_windows(recording, length=2, step=2)
    folds = folds_by(windows, n_folds=4, seed=0)
    assert {fold.unit for fold in folds} == {"time block"}
    assert all(fold.check(windows) >= 2.0 for fold in folds)
    tested = np.concatenate([fold.test for fold in folds])
    assert len(np.unique(tested)) == len(tested) > 0.8 * len(windows)


def test_more_folds_than_units_are_refused(sessions):
    with pytest.raises(DataError, match=r"at least 7 units \(session\) for 7 folds, got 6"):
        folds_by(sessions(0, "mixed"), "session", n_folds=7, seed=0)
    with pytest.raises(ConfigError, match="from 2 to 50 folds, got 1"):
        folds_by(sessions(0, "mixed"), n_folds=1, seed=0)


def test_a_stored_split_of_the_former_format_is_read():
    import hashlib

    split = split_by_time(with_units(np.tile([0, 1], 30)), seed=0)
    content = {key: value for key, value in split.to_dict().items() if key != "sha256"}
    content |= {"format": 1, "blocks": [block[:3] for block in content["blocks"]]}
    content["sha256"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    np.testing.assert_array_equal(Split.from_dict(content).test, split.test)


def test_a_column_of_groups_of_one_is_refused_but_trials_of_one_window_are_not():
    windows = with_units(np.tile([0, 1], 30), identity=np.arange(60), trial=np.arange(60))
    with pytest.raises(DataError, match="another value for each of 60 windows"):
        split_by(windows, "identity", seed=0)
    with pytest.raises(DataError, match="another value for each of 60 windows"):
        folds_by(windows, "identity", n_folds=3, seed=0)
    assert split_by(windows, "trial", seed=0).unit == "trial"
