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
