"""Scores against exact values, other libraries, and their nominal error rates."""

import json

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

from sciml.errors import DataError
from sciml.train.metrics import (
    METRICS,
    bootstrap_interval,
    chance_band,
    classification_scores,
    forecast_scores,
    regression_scores,
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


# ---- metrics by name


def outputs(n=300, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    return rng.normal(size=(n, n_classes)) + np.eye(n_classes)[y], y, rng.integers(0, 4, n)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_classes_are_those_of_scikit_learn(n_classes, weighted):
    z, y, w = outputs(n_classes=n_classes)
    weights = w if weighted else None
    p, named = scipy.special.softmax(z, axis=1), z.argmax(axis=1)
    kept = np.ones(len(y), bool) if weights is None else w > 0
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(y, named, sample_weight=weights),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(y, named, sample_weight=weights),
        "log_loss": sklearn.metrics.log_loss(y, p, sample_weight=weights),
        "brier": np.average(np.square(p - np.eye(n_classes)[y]).sum(axis=1), weights=weights),
    }
    if n_classes == 2:
        expected["auc"] = sklearn.metrics.roc_auc_score(y, p[:, 1], sample_weight=weights)
    else:
        each = [sklearn.metrics.roc_auc_score(y == k, p[:, k], sample_weight=weights) for k in range(n_classes)]
        expected["auc"] = np.mean(each)
    assert kept.any()
    for name, value in expected.items():
        assert METRICS[name](z, y, weights) == pytest.approx(value, rel=1e-9), name


def test_ties_count_by_half_and_one_class_alone_has_no_area():
    z = np.repeat([[0.0, 1.0]], 6, axis=0)
    assert METRICS["auc"](z, [0, 1, 0, 1, 1, 0]) == 0.5
    assert np.isnan(METRICS["auc"](z, [1] * 6))


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_values_are_those_of_scikit_learn(weighted):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2)) * [1.0, 1e-9]
    z = y + 0.5 * rng.normal(size=(200, 2)) * [1.0, 1e-9]
    w = rng.uniform(0.1, 2, 200) if weighted else None
    r2 = sklearn.metrics.r2_score(y, z, sample_weight=w, multioutput="raw_values")
    assert METRICS["r2"](z, y, w) == pytest.approx(r2.mean())
    assert METRICS["absolute_error"](z, y, w) == pytest.approx(
        sklearn.metrics.mean_absolute_error(y, z, sample_weight=w)
    )
    if not weighted:
        scores = regression_scores(y, z)
        np.testing.assert_allclose(scores.r2, r2)
        np.testing.assert_allclose(
            scores.correlation, [scipy.stats.pearsonr(a, b)[0] for a, b in zip(y.T, z.T, strict=True)]
        )
    constant = regression_scores(np.ones((5, 1)), np.ones((5, 1)))
    assert np.isnan(constant.r2[0])
    assert np.isnan(constant.mean_r2)


def test_metrics_refuse_what_does_not_fit():
    with pytest.raises(DataError, match="same items for auc"):
        METRICS["auc"](np.zeros((4, 2)), np.zeros(5))
    with pytest.raises(DataError, match="shape \\(n, output\\)"):
        regression_scores(np.zeros((4, 2)), np.zeros((4, 1)))


# ---- intervals by units


def clustered(rng, *, n_units, per_unit, level=0.7, spread=2.0):
    """Right or wrong in units whose own level differs: logit normal; returns right, units and the level of all."""
    logit = scipy.special.logit(level) + spread * rng.normal(size=n_units)
    right = rng.random((n_units, per_unit)) < scipy.special.expit(logit)[:, None]
    return right.ravel().astype(int), np.repeat(np.arange(n_units), per_unit)


def mean_level(level=0.7, spread=2.0):
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(weights @ scipy.special.expit(scipy.special.logit(level) + spread * nodes) / weights.sum())


def test_intervals_by_units_cover_where_windows_cluster_and_wilsons_do_not():
    """100 simulations, 95 % within three standard errors; benchmarks/RESULTS.md has 300 of other numbers of units."""
    rng = np.random.default_rng(0)
    truth = mean_level()
    covered = {"units": 0, "wilson": 0}
    for _ in range(100):
        right, units = clustered(rng, n_units=15, per_unit=40)
        statistic = METRICS["accuracy"].prepare(np.eye(2)[right], np.ones_like(right))
        first, last = bootstrap_interval(statistic, units, rng=rng, n_resamples=500)
        low, high = wilson_interval(int(right.sum()), len(right))
        covered["units"] += first <= truth <= last
        covered["wilson"] += low <= truth <= high
    assert covered["units"] >= 95 - 3 * np.sqrt(100 * 0.05 * 0.95)
    assert covered["wilson"] < 60


def test_bootstrap_of_a_mean_is_students_interval():
    """Units of one item each, a mean: the expanded percentile interval is Student's to second order."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    low, high = bootstrap_interval(lambda w: float(w @ x / w.sum()), np.arange(40), rng=rng, n_resamples=20000)
    expected = scipy.stats.t.interval(0.95, 39, x.mean(), scipy.stats.sem(x))
    np.testing.assert_allclose([low, high], expected, atol=0.05 * (expected[1] - expected[0]))


def test_units_without_difference_and_single_ones():
    y = np.ones(40, int)
    units = np.arange(40) // 10
    all_right = classification_scores(y, y, n_classes=2, units=units)
    assert all_right.interval == wilson_interval(4, 4)  # of four items, not of forty
    single = classification_scores(y, y, n_classes=2, units=np.zeros(40))
    assert single.n_units == 1
    assert np.isnan(single.intervals["accuracy"]).all()
    assert np.isnan(single.interval).all()
    assert classification_scores(y, y, n_classes=2).interval == wilson_interval(40, 40)


def test_scores_of_logits_have_intervals_each():
    z, y, _ = outputs()
    scores = classification_scores(y, z.argmax(axis=1), n_classes=3, logits=z, units=np.arange(300) // 15)
    content = json.loads(json.dumps(scores.to_dict()))
    for name in ("accuracy", "balanced_accuracy", "auc", "log_loss", "brier"):
        low, high = content["intervals"][name]
        assert low < content[name] < high
    values = regression_scores(z, z + 0.1, units=np.arange(300) // 15)
    assert {name: ends.shape for name, ends in values.intervals.items()} == dict.fromkeys(values.intervals, (3, 2))


@pytest.mark.parametrize("n_units", [2, 3, 5])
def test_intervals_of_few_units_cover(n_units):
    """Two units draw three samples that differ: a bootstrap of them would cover in 60 % of cases."""
    rng = np.random.default_rng(n_units)
    covered, draws = 0, 300
    units = np.repeat(np.arange(n_units), 30)
    for _ in range(draws):
        values = (0.6 + 0.1 * rng.normal(size=(n_units, 1)) + 0.5 * rng.normal(size=(n_units, 30))).ravel()
        statistic = METRICS["absolute_error"].prepare(np.zeros((len(units), 1)), values[:, None] + 5)
        low, high = bootstrap_interval(statistic, units, rng=rng)[0] - 5
        assert low <= values.mean() <= high
        covered += low <= 0.6 <= high
    assert covered / draws > 0.95 - 3 * np.sqrt(0.95 * 0.05 / draws)
