"""Calibration and conformal sets: what theory promises, and what scikit-learn and crepes compute."""

import json

import numpy as np
import pytest
import scipy.stats

from sciml.errors import DataError
from sciml.train import Calibration, calibrate, conformal_intervals, conformal_sets, probabilities, reliability_table


def sharpened(n, *, factor, seed=0, n_classes=3):
    """Logits that are `factor` times too large, and labels."""
    rng = np.random.default_rng(seed)
    z = 1.5 * rng.normal(size=(n, n_classes))
    y = (probabilities(z).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return factor * z, y


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_is_found_and_mends_the_scores_of_other_items(factor):
    found = calibrate(*sharpened(5000, factor=factor))
    # relative standard error of a temperature: about 1/sqrt(n) over the spread of the logits
    assert found.temperature == pytest.approx(factor, rel=0.1)
    z, y = sharpened(5000, factor=factor, seed=1)
    p = found.apply(z)
    log_loss = -np.log(p[np.arange(5000), y]).mean()
    assert log_loss == pytest.approx(found.log_loss[1], abs=0.05)
    assert found.log_loss[1] <= found.log_loss[0]
    assert found.brier[1] <= found.brier[0] + 1e-3
    np.testing.assert_array_equal(p.argmax(axis=1), z.argmax(axis=1))
    assert reliability_table(p, y).error < 0.03
    if factor == 4.0:
        assert reliability_table(probabilities(z), y).error > 0.1


def test_temperature_agrees_with_scikit_learn():
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Logits(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Hands its input on as logits."""

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def decision_function(self, X):
            return X

        def predict(self, X):
            return self.classes_[X.argmax(axis=1)]

    z, y = sharpened(800, factor=3.0)
    peer = CalibratedClassifierCV(FrozenEstimator(Logits().fit(z, y)), method="temperature").fit(z, y)
    ours = calibrate(z, y)
    np.testing.assert_allclose(ours.apply(z), peer.predict_proba(z), atol=2e-4)


def test_weights_count_as_repeated_items():
    z, y = sharpened(200, factor=2.0)
    w = np.random.default_rng(3).integers(1, 4, 200)
    a, b = calibrate(z, y, weights=w), calibrate(np.repeat(z, w, axis=0), np.repeat(y, w))
    assert a.temperature == pytest.approx(b.temperature, rel=1e-4)
    assert a.log_loss == pytest.approx(b.log_loss)


def test_right_beyond_doubt_stays_finite_and_plain():
    found = calibrate(np.eye(3)[[0, 1, 2, 0]] * 50, [0, 1, 2, 0])
    assert found.temperature == 1.0  # nothing speaks for a number
    assert np.isfinite(found.apply(np.eye(3) * 1e4)).all()
    again = Calibration.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    with pytest.raises(DataError, match="expected finite logits"):
        calibrate([[np.nan, 1.0]], [0])


@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_conformal_sets_cover_as_promised_whatever_the_calibration(factor):
    """2000 items calibrate, 4000 test: standard error of the coverage .008; at 90 % within 88-92 %."""
    z, y = sharpened(6000, factor=factor)
    rule = conformal_sets(probabilities(z[:2000]), y[:2000], confidence=0.9)
    assert 0.88 <= rule.coverage(probabilities(z[2000:]), y[2000:]) <= 0.92


def test_conformal_coverage_is_exact_on_average():
    """Mean over draws of the calibration items: ceil((n + 1) c) / (n + 1), beta distributed for each."""
    rng = np.random.default_rng(0)
    n, draws = 19, 4000
    covered = []
    for _ in range(draws):
        error = rng.normal(size=n + 1)
        rule = conformal_intervals(np.zeros(n), error[:n], confidence=0.9)
        covered.append(abs(error[n]) <= rule.half_width[0])
    assert np.mean(covered) == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / draws))


def test_too_few_items_promise_everything():
    assert conformal_sets([[0.9, 0.1]] * 5, [0] * 5, confidence=0.9).sets([[1.0, 0.0]]).all()
    assert np.isinf(conformal_intervals(np.zeros(5), np.ones(5), confidence=0.9).half_width).all()
    with pytest.raises(DataError, match="confidence between 0 and 1"):
        conformal_sets([[0.9, 0.1]], [0], confidence=1.0)


def test_intervals_are_those_of_crepes():
    crepes = pytest.importorskip("crepes", reason="crepes is not installed: nothing to compare with")
    rng = np.random.default_rng(0)
    y, z = rng.normal(size=(2, 300, 1))
    rule = conformal_intervals(z, y, confidence=0.9)
    peer = crepes.ConformalRegressor().fit(residuals=(y - z).ravel()).predict_int(z.ravel(), confidence=0.9)
    np.testing.assert_allclose(np.hstack(rule.intervals(z)), peer)


def test_sets_are_those_of_crepes():
    crepes = pytest.importorskip("crepes", reason="crepes is not installed: nothing to compare with")
    z, y = sharpened(400, factor=2.0)
    p = probabilities(z)
    rule = conformal_sets(p[:300], y[:300], confidence=0.9)
    peer = crepes.ConformalClassifier().fit(1 - p[np.arange(300), y[:300]])
    sets = peer.predict_set(1 - p[300:], confidence=0.9, smoothing=False)
    np.testing.assert_array_equal(rule.sets(p[300:]), sets.astype(bool))


def test_reliability_bins_hold_equal_numbers_and_the_mean():
    z, y = sharpened(1000, factor=2.0)
    table = reliability_table(probabilities(z), y, n_bins=10)
    assert table.count.tolist() == [100] * 10
    assert table.count @ table.accuracy == pytest.approx((z.argmax(axis=1) == y).sum())
    ends = scipy.stats.binom.interval(0.999, 100, table.confidence)
    assert np.mean((ends[0] <= 100 * table.accuracy) & (100 * table.accuracy <= ends[1])) < 1.0  # it is too sure
