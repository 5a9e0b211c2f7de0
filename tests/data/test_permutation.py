"""A verdict above chance is one at the unit of independence: fingerprints do not pass, too few units are not tested."""

import itertools
from dataclasses import replace
from math import comb

import numpy as np
import pytest
import scipy.stats

from sciml.data import folds_by, split_by, split_by_time
from sciml.data.permutation import Exchange, exchangeable, permutation_test
from sciml.errors import ScimlWarning
from sciml.train.baselines import covariance_classifier


def verdict(windows, splits, *, seed=0):
    """The permutation test of the covariance baseline."""
    labels, predicted = [], []
    for split in splits:
        parts = [windows.arrays(indices) for indices in split.parts.values()]
        predicted.append(covariance_classifier(*parts, n_classes=2).predicted)
        labels.append(parts[2][1])
    exchange = exchangeable(windows, splits)
    return permutation_test(
        np.concatenate(labels), np.concatenate(predicted), exchange, rng=np.random.default_rng(seed)
    )


def exchange_of(cell, atom, n_folds=1):
    return Exchange(np.asarray(cell), np.asarray(atom), n_folds, "windows")


def test_the_p_value_is_that_of_all_exchanges():
    """Five atoms of unequal size in one cell: every order of their labels counted, against draws of them."""
    atom = np.repeat(np.arange(7), [1, 4, 2, 3, 5, 2, 3])
    classes = np.array([0, 0, 1, 1, 0, 1, 0])
    rng = np.random.default_rng(3)
    z = np.where(rng.random(len(atom)) < 0.8, classes[atom], 1 - classes[atom])
    told = [[np.mean(z[atom == a] == c) for c in (0, 1)] for a in range(7)]
    orders = set(itertools.permutations(classes.tolist()))
    assert len(orders) == comb(7, 3)
    totals = np.array([sum(told[a][c] for a, c in enumerate(order)) for order in orders])
    exact = np.mean(totals >= sum(told[a][c] for a, c in enumerate(classes)) - 1e-9)
    n = 20_000
    found = permutation_test(classes[atom], z, exchange_of(np.zeros(len(atom), int), atom), rng=rng, n_permutations=n)
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / n) + 1 / n)


def test_p_values_are_uniform_under_the_null():
    """400 data sets without signal: false alarms at 5 % within three binomial standard errors."""
    rng = np.random.default_rng(0)
    exchange = exchange_of(np.arange(60) // 10, np.arange(60))
    alarms = 0
    for _ in range(400):
        y, z = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
        alarms += permutation_test(y, z, exchange, rng=rng, n_permutations=99).p_value <= 0.05
    assert alarms <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_whole_units_are_exchanged_where_each_has_one_class():
    unit = np.arange(120) // 10
    y = unit % 2
    found = permutation_test(y, y, exchange_of(unit * 0, unit), rng=np.random.default_rng(0), n_permutations=4000)
    # Of the 924 ways to give six of twelve units a label, one reproduces all.
    assert found.p_value == pytest.approx(1 / 924, abs=4 * np.sqrt(1 / 924 / 4000))
    assert found.n_units == 12


def test_to_name_one_class_always_is_no_evidence_whatever_the_sizes():
    """Long sessions of class 0, short ones of class 1: always 0 is right nine times in ten, and p is 1."""
    atom = np.repeat(np.arange(20), np.tile([27, 3], 10))
    y = np.tile(np.repeat([0, 1], [27, 3]), 10)
    found = permutation_test(y, np.zeros_like(y), exchange_of(y * 0, atom), rng=np.random.default_rng(0))
    assert found.p_value == 1.0


@pytest.mark.parametrize(("n", "testable"), [(6, False), (7, True)])
def test_fewer_exchanges_than_reach_p_below_05_are_not_tested(n, testable):
    y = np.arange(n) % 2
    found = permutation_test(y, y, exchange_of(y * 0, np.arange(n)), rng=np.random.default_rng(0))
    assert (found.above_chance is not None) == testable
    assert np.isfinite(found.p_value) == testable
    if not testable:
        assert found.note.startswith("not testable: 6 windows allow 20 exchanges of labels, and p < 0.05 needs")


def test_six_pure_sessions_are_not_testable_however_they_are_split(sessions):
    windows = sessions(0)
    assert verdict(windows, [split_by(windows, seed=0)]).above_chance is None
    assert verdict(windows, folds_by(windows, n_folds=3, seed=0)).above_chance is None
    with pytest.warns(ScimlWarning, match="more than one part"):
        split = split_by(windows, "time", seed=0)
    found = verdict(windows, [split])
    assert found.above_chance is None
    assert "belong to units of one class that were trained on too" in found.note


def test_pure_sessions_in_blocks_of_time_are_no_evidence_however_many_they_are(sessions):
    """24 sessions, each recognized by its fingerprint: labels of sessions exchanged would give p < .001."""
    windows = sessions(0, n=24, per_session=30)
    with pytest.warns(ScimlWarning):
        split = split_by(windows, "time", seed=0)
    y = windows.labels[split.test]
    exchange = exchangeable(windows, [split])
    known = np.isin(windows.units["session"][split.test], windows.units["session"][split.train])
    assert known.mean() > 0.9
    assert np.all(exchange.atom[known] == -1)
    assert permutation_test(y, y, exchange, rng=np.random.default_rng(0)).above_chance is None


@pytest.mark.parametrize(("design", "settings", "words"), [
    ("mixed", {}, "windows"), ("halves", {"n_folds": 6}, "runs of windows of one class"),
    ("pure", {"n_folds": 5}, "sessions"),
])  # fmt: skip
def test_a_true_signal_next_to_the_fingerprint_is_above_chance(sessions, design, settings, words):
    n = 24 if design == "pure" else 6
    yes = 0
    for seed in range(4):
        windows = sessions(seed, design, n=n, signal=1.0, per_session=10 if design == "pure" else 20)
        splits = folds_by(windows, seed=seed, **settings) if settings else [split_by(windows, seed=seed)]
        found = verdict(windows, splits)
        assert words in found.note
        yes += found.above_chance is True
    assert yes >= 3


@pytest.mark.parametrize(("design", "n", "settings"), [
    ("mixed", 6, {}), ("mixed", 6, {"n_folds": 3}), ("halves", 6, {"n_folds": 3}), ("pure", 16, {"n_folds": 4}),
])  # fmt: skip
def test_without_a_signal_the_verdict_is_seldom_yes(sessions, design, n, settings):
    """12 draws: more than 3 of them by chance, at 5 % each, have probability 2e-3; the long form is a benchmark."""
    yes = 0
    for seed in range(12):
        windows = sessions(seed, design, n=n, per_session=8, length=20)
        splits = folds_by(windows, seed=seed, **settings) if settings else [split_by(windows, seed=seed)]
        yes += verdict(windows, splits, seed=seed).above_chance is True
    assert scipy.stats.binom.sf(3, 12, 0.05) < 3e-3
    assert yes <= 3


def test_labels_in_runs_of_one_session_are_exchanged_by_runs_and_those_trained_on_are_left_out(sessions):
    """One session, labels constant for 40 windows at a time: its time blocks share runs with training."""
    windows = sessions(0, "mixed", n=1, per_session=200)
    runs = np.repeat([0, 1, 0, 1, 0], 40)
    clustered = replace(windows, labels=runs, units={})
    split = split_by_time(clustered, seed=0)
    found = permutation_test(
        runs[split.test], runs[split.test], exchangeable(clustered, [split]), rng=np.random.default_rng(0)
    )
    assert found.above_chance is None
    random = replace(windows, units={})
    split = split_by_time(random, seed=0)
    exchange = exchangeable(random, [split])
    assert exchange.words == "windows"
    y = random.labels[split.test]
    assert permutation_test(y, y, exchange, rng=np.random.default_rng(0)).p_value < 0.001


def test_labels_are_exchanged_within_blocks_of_time_where_their_order_is_random(sessions):
    """What drifts from block to block does not pass for recognition: predictions of the block give p = 1."""
    windows = replace(sessions(1, "mixed", n=1, per_session=200), units={})
    split = split_by_time(windows, seed=0)
    block = split.block[split.test]
    y = windows.labels[split.test]
    by_block = np.array([np.bincount(y[block == b], minlength=2).argmax() for b in block])
    found = permutation_test(y, by_block, exchangeable(windows, [split]), rng=np.random.default_rng(0))
    assert found.p_value == 1.0
