"""Splits by time: no window of one part touches another, and a net cannot recognize the moment."""

import json

import numpy as np
import pytest
import scipy.stats
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from sciml.data import Split, sliding_windows, split_by_time, windows_around
from sciml.errors import ConfigError, DataError, ScimlWarning

torch.set_num_threads(1)


def silence(n, rate=1.0, channels=1):
    return xr.DataArray(np.zeros((n, channels)), dims=("time", "channel"), attrs={"sampling_rate": rate})


def trials(onsets, labels):
    return xr.Dataset({"start_time": ("event", np.asarray(onsets)), "kind": ("event", np.asarray(labels))})


def naive_distance(windows, split):
    """Smallest time between any two windows of different parts, all pairs."""
    best = np.inf
    names = list(split.parts)
    for k, a in enumerate(names):
        for b in names[k + 1 :]:
            for i in split.parts[a]:
                ahead = windows.times[split.parts[b]] - windows.stops[i]
                behind = windows.times[i] - windows.stops[split.parts[b]]
                best = min(best, np.maximum(ahead, behind).min(initial=np.inf))
    return best


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 9),
    horizon=st.integers(0, 4),
    step=st.integers(1, 12),
    n_blocks=st.integers(3, 20),
    gap=st.one_of(st.none(), st.floats(0, 20)),
    gapped=st.booleans(),
)
def test_no_two_parts_are_closer_than_the_gap(seed, length, horizon, step, n_blocks, gap, gapped):
    clock = np.arange(700.0)
    if gapped:
        clock[300:] += 50
    recording = xr.DataArray(np.zeros(700), dims="time", coords={"time": clock})
    windows = sliding_windows(recording, length=length, step=step, horizon=horizon)
    split = split_by_time(windows, gap=gap, n_blocks=n_blocks, seed=seed)
    expected = length + horizon if gap is None else gap
    assert naive_distance(windows, split) >= expected - 0.02
    assert split.check(windows) == pytest.approx(naive_distance(windows, split))
    kept = np.concatenate(list(split.parts.values()))
    assert len(np.unique(kept)) == len(kept)
    assert len(kept) + sum(split.dropped.values()) == len(windows)


def test_windows_in_any_order_and_overlapping_are_kept_apart():
    rng = np.random.default_rng(3)
    onsets = rng.uniform(0, 560, 400)
    windows = windows_around(
        silence(6000, rate=10.0), trials(onsets, rng.integers(0, 3, 400)), label="kind", before=0.3, length=2.0
    )
    split = split_by_time(windows, seed=1)
    assert naive_distance(windows, split) >= 2.0 - 0.002
    assert all(np.all(np.diff(windows.starts[part]) >= 0) for part in split.parts.values())


def test_every_part_sees_the_whole_session():
    windows = sliding_windows(silence(4000), length=4, step=4)
    split = split_by_time(windows, n_blocks=20, seed=5)
    for name, indices in split.parts.items():
        share = {"train": 0.6, "validation": 0.2, "test": 0.2}[name]
        quarter = np.histogram(windows.times[indices], bins=4, range=(0, 4000))[0] / 250
        assert quarter.min() > 0.5 * share, name
        assert abs(len(indices) / len(windows) - share) < 0.03


def test_the_gap_is_cut_from_the_largest_part():
    split = split_by_time(sliding_windows(silence(3000), length=2, step=1), n_blocks=10, seed=2)
    assert split.dropped["train"] > split.dropped["validation"] + split.dropped["test"]


def test_the_seed_alone_decides():
    windows = sliding_windows(silence(3000), length=2, step=2)
    a, b, c = (split_by_time(windows, seed=seed) for seed in (7, 7, 8))
    assert a.sha256 == b.sha256
    assert a.sha256 != c.sha256


def test_two_parts_are_enough():
    split = split_by_time(sliding_windows(silence(1000), length=2, step=2), fractions=(0.75, 0.25, 0.0), seed=0)
    assert len(split.test) == 0
    assert len(split.train) > 2 * len(split.validation) > 0


def test_a_stored_split_comes_back_and_a_changed_one_is_refused():
    windows = sliding_windows(silence(600), length=2, step=2)
    split = split_by_time(windows, seed=0)
    content = json.loads(json.dumps(split.to_dict()))
    back = Split.from_dict(content)
    assert back.sha256 == split.sha256
    assert back.check(windows) == split.check(windows)
    content["test"][0], content["train"][0] = content["train"][0], content["test"][0]
    with pytest.raises(DataError, match="was changed"):
        Split.from_dict(content)


def test_check_finds_other_windows_and_parts_that_touch():
    windows = sliding_windows(silence(600), length=2, step=2)
    split = split_by_time(windows, seed=0)
    with pytest.raises(DataError, match="other starts"):
        split.check(sliding_windows(silence(600), length=2, step=3))
    fields = {**split.__dict__, "test": np.sort(np.append(split.test, split.train[3]))}
    with pytest.raises(DataError, match="1 in two"):
        Split(**fields).check(windows)
    fields = {**split.__dict__, "test": split.train[3:4], "train": np.delete(split.train, 3)}
    with pytest.raises(DataError, match="expected 2 s between"):
        Split(**fields).check(windows)


def test_every_class_comes_to_every_part_where_that_is_possible():
    # Each class lives in a third of the session: only blocks dealt in rounds and redrawn can serve all parts.
    onsets = np.arange(5, 595, 5.0)
    windows = windows_around(
        silence(600), trials(onsets, (onsets // 200).astype(int)), label="kind", before=1, length=2
    )
    counts = split_by_time(windows, n_blocks=15, seed=0).class_counts(windows)
    assert min(count for part in counts.values() for count in part.values()) > 0


def test_a_class_missing_from_a_part_is_said():
    onsets = np.arange(5, 595, 5.0)
    rare = np.zeros(len(onsets), dtype=int)
    rare[60:62] = 1
    windows = windows_around(silence(600), trials(onsets, rare), label="kind", before=1, length=2)
    with pytest.warns(ScimlWarning, match="part has no window of class 1") as said:
        counts = split_by_time(windows, n_blocks=5, seed=0).class_counts(windows)
    assert len(said) == 2
    assert counts["train"]["1"] == 2


def test_a_class_that_cannot_be_learned_is_refused():
    onsets = np.arange(5, 595, 5.0)
    rare = np.zeros(len(onsets), dtype=int)
    rare[[59, 60]] = 1  # one on each side of the only boundary, and the gap takes both
    windows = windows_around(silence(600), trials(onsets, rare), label="kind", before=1, length=2)
    with pytest.raises(DataError, match="every class in the train part, got none of class 1 of"):
        split_by_time(windows, fractions=(0.5, 0.5, 0), n_blocks=2, gap=30, seed=0)


def test_arguments_out_of_range_are_refused():
    windows = sliding_windows(silence(100), length=2, step=2)
    with pytest.raises(ConfigError, match="sum to 1"):
        split_by_time(windows, fractions=(0.5, 0.2, 0.2), seed=0)
    with pytest.raises(ConfigError, match="gap of at least 0"):
        split_by_time(windows, gap=-1, seed=0)
    with pytest.raises(ConfigError, match="n_blocks from 3"):
        split_by_time(windows, n_blocks=2, seed=0)
    with pytest.raises(DataError, match="at least 6 windows for 3 parts, got 2"):
        split_by_time(sliding_windows(silence(4), length=2, step=2), seed=0)
    with pytest.raises(DataError, match="after the gap was cut"):
        split_by_time(windows, gap=90, seed=0)


def nearest_neighbor_accuracy(X, y, train, test):
    flat = X.reshape(len(X), -1)
    square = (flat**2).sum(axis=1)
    distance = square[test][:, None] + square[train][None] - 2 * flat[test] @ flat[train].T
    return float(np.mean(y[train][np.argmin(distance, axis=1)] == y[test]))


def test_leakage_canary_noise_with_a_fingerprint_of_the_moment_stays_at_chance():
    """Labels are coin flips over stretches of time; the noise drifts slowly, so the moment betrays the label.

    Windows drawn at random into parts let nearest neighbors recognize the moment. Split by blocks longer than the
    stretches, the same data must give chance, within the band of as many coin flips as there are test stretches.
    """
    rng = np.random.default_rng(0)
    n, stretch = 12000, 30
    drift = np.cumsum(rng.normal(size=(n, 6)), axis=0)
    recording = xr.DataArray(drift, dims=("time", "channel"), attrs={"sampling_rate": 1.0})
    coins = rng.integers(0, 2, n // stretch + 1)
    onsets = np.arange(10, n - 10, 3.0)
    windows = windows_around(
        recording, trials(onsets, coins[(onsets // stretch).astype(int)]), label="kind", before=2, length=6
    )
    X, y = windows.arrays()
    assert y is not None
    order = rng.permutation(len(y))
    assert nearest_neighbor_accuracy(X, y, order[: len(y) // 2], order[len(y) // 2 :]) > 0.8
    split = split_by_time(windows, gap=2 * stretch, seed=0)
    accuracy = nearest_neighbor_accuracy(X, y, split.train, split.test)
    n_stretches = len(np.unique(windows.times[split.test] // stretch))
    # False alarm 1e-3: two-sided band of n_stretches fair coins, each weighted by its windows (about alike).
    low, high = np.asarray(scipy.stats.binom.ppf([5e-4, 1 - 5e-4], n_stretches, 0.5)) / n_stretches
    assert low <= accuracy <= high
