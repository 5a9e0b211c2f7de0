"""Scores against exact values, other libraries, and their nominal error rates."""

import json

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from sciml.errors import DataError
from sciml.train.metrics import (
    chance_band,
    classification_scores,
    forecast_scores,
    permutation_test,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("n_classes", "n", "upper"),
    [
        *[(2, 20, 0.70), (2, 40, 0.625), (2, 80, 0.588), (2, 160, 0.562), (2, 500, 0.536)],
        *[(4, 20, 0.40), (4, 40, 0.375), (4, 80, 0.325), (4, 160, 0.306), (4, 500, 0.282)],
    ],
)
def test_chance_band_has_the_values_of_the_reference(n_classes, n, upper):
    """The table of Combrisson and Jerbi is one-sided at p = .05: the upper end of a two-sided band at .10."""
    band = chance_band(np.arange(n) % n_classes, n_classes=n_classes, alpha=0.1)
    assert band.high == pytest.approx(upper, abs=6e-4)
    assert band.level == 1 / n_classes


def test_guessing_leaves_the_band_on_either_side_at_most_half_as_often_as_it_says():
    band = chance_band(np.arange(80) % 4, n_classes=4)
    guesses = scipy.stats.binom(80, 0.25)
    assert guesses.sf(round(band.high * 80)) <= 0.025 < guesses.sf(round(band.high * 80) - 1)
    assert guesses.cdf(round(band.low * 80) - 1) <= 0.025 < guesses.cdf(round(band.low * 80))


def test_unequal_classes_raise_the_level_of_chance():
    assert chance_band([0] * 90 + [1] * 10, n_classes=2).level == 0.9


@pytest.mark.parametrize(("k", "n"), [(0, 7), (37, 50), (50, 50)])
def test_wilson_interval_agrees_with_scipy(k, n):
    expected = scipy.stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(k, n) == (expected.low, expected.high)


@pytest.mark.parametrize(("n", "level"), [(13, 0.5), (200, 0.31), (999, 0.9)])
def test_the_band_ends_at_scipys_quantiles(n, level):
    band = chance_band(np.arange(n) >= round(level * n), n_classes=2)
    assert (band.low * n, band.high * n) == pytest.approx(scipy.stats.binom.interval(0.95, n, band.level))


def test_classification_scores_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    scores = classification_scores(y, z, n_classes=3)
    assert scores.accuracy == sklearn.metrics.accuracy_score(y, z)
    assert scores.balanced_accuracy == pytest.approx(sklearn.metrics.balanced_accuracy_score(y, z))
    np.testing.assert_array_equal(scores.confusion, sklearn.metrics.confusion_matrix(y, z))
    assert json.loads(json.dumps(scores.to_dict()))["n"] == 200
    assert not scores.above_chance
    assert classification_scores(y, y, n_classes=3).above_chance


def test_a_class_that_does_not_occur_does_not_spoil_the_balance():
    assert classification_scores([0, 0, 2], [0, 1, 2], n_classes=4).balanced_accuracy == 0.75


def test_forecast_scores_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(300, 3, 1)) * np.array([1.0, 10.0, 1e-9])[:, None]
    predicted = y + 0.3 * rng.normal(size=y.shape) * y.std(axis=(0, 2))[:, None]
    scores = forecast_scores(y, predicted, last=np.zeros((300, 3)))
    assert scores.r2[0] == pytest.approx(sklearn.metrics.r2_score(y[:, :, 0], predicted[:, :, 0]))
    assert scores.nrmse[0] == pytest.approx(np.sqrt(1 - scores.r2[0]))
    zeros = np.mean(y[:, :, 0] ** 2, axis=0) / y[:, :, 0].var(axis=0)
    assert scores.skill[0] == pytest.approx(1 - scores.nrmse[0] ** 2 / zeros.mean())


def test_forecast_scores_do_not_depend_on_units():
    rng = np.random.default_rng(2)
    y, predicted, last = rng.normal(size=(50, 2, 4)), rng.normal(size=(50, 2, 4)), rng.normal(size=(50, 2))
    unit = np.array([1e-21, 7.0])
    a = forecast_scores(y, predicted, last=last)
    b = forecast_scores(
        y * unit[:, None] + 3 * unit[:, None],
        predicted * unit[:, None] + 3 * unit[:, None],
        last=last * unit + 3 * unit,
    )
    np.testing.assert_allclose(a.r2, b.r2, rtol=1e-9)
    np.testing.assert_allclose(a.skill, b.skill, rtol=1e-9)


def test_constant_channels_are_left_out_and_counted():
    y = np.random.default_rng(0).normal(size=(50, 3, 2))
    y[:, 1] = 4.0
    scores = forecast_scores(y, y, last=y[:, :, 0])
    assert scores.n_channels == 2
    assert scores.r2.tolist() == [1.0, 1.0]
    with pytest.raises(DataError, match="got 3 constant ones"):
        forecast_scores(np.ones((5, 3, 2)), np.ones((5, 3, 2)), last=np.ones((5, 3)))
    with pytest.raises(DataError, match="got \\(5, 3, 2\\), \\(5, 3, 1\\)"):
        forecast_scores(np.ones((5, 3, 2)), np.ones((5, 3, 1)), last=np.ones((5, 3)))


def test_permutation_p_values_are_uniform_under_the_null():
    """400 data sets without signal: false alarms at 5 % within three binomial standard errors."""
    rng = np.random.default_rng(0)
    blocks = np.arange(60) // 10
    alarms = 0
    for _ in range(400):
        y, z = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
        alarms += permutation_test(y, z, blocks=blocks, rng=rng, n_permutations=99).p_value <= 0.05
    assert alarms <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_permutation_within_blocks_sees_through_drift():
    """A classifier that names the majority of its block scores well and has recognized nothing."""
    rng = np.random.default_rng(0)
    blocks = np.arange(200) // 20
    y = (rng.random(200) < np.where(blocks % 2, 0.9, 0.1)).astype(int)
    drift = blocks % 2
    assert np.mean(drift == y) > 0.8
    assert permutation_test(y, drift, blocks=blocks, rng=rng, n_permutations=199).p_value == 1.0


def test_whole_blocks_are_exchanged_where_each_has_one_class():
    rng = np.random.default_rng(0)
    blocks = np.arange(120) // 10
    y = blocks % 2
    tested = permutation_test(y, y, blocks=blocks, rng=rng, n_permutations=4000)
    # Of the 924 ways to give six of twelve blocks a label, one reproduces all.
    assert tested.p_value == pytest.approx(1 / 924, abs=4 * np.sqrt(1 / 924 / 4000))
    assert tested.n_units == 12


def test_what_cannot_be_exchanged_is_not_testable():
    tested = permutation_test([0, 0, 1, 1], [0, 0, 1, 1], blocks=[0, 0, 1, 1], rng=np.random.default_rng(0))
    assert np.isnan(tested.p_value)
    assert tested.note.startswith("not testable: 2 blocks")
