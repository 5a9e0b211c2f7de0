"""The estimators keep scikit-learn's contract, and take what signals are: channels, gaps, unequal lengths."""

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sciml.errors import ConfigError, DataError
from sciml.train import SignalClassifier, SignalRegressor
from sciml.train.estimators.inner_split import inner_split
from sciml.train.metrics import METRICS

torch.set_num_threads(1)

QUICK: dict[str, Any] = {"model_options": {"width": 8}, "steps": 120, "lr": 1e-2, "device": "cpu"}

EXCEPTIONS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a weight scales an item's part of the loss; repeating it changes which items meet in a batch, and what batch "
        "norms and the held-out part are made of, so that the weights of the net differ"
    ),
}


def exceptions(_estimator):
    return EXCEPTIONS


# A net of one layer, for the contract is that of the estimator: the default net keeps it too, in minutes.
LINEAR: dict[str, Any] = {"model": "linear", "steps": 100, "lr": 3e-2, "device": "cpu"}


@parametrize_with_checks([SignalClassifier(**LINEAR), SignalRegressor(**LINEAR)], expected_failed_checks=exceptions)
def test_scikit_learns_contract_is_kept(estimator, check):
    check(estimator)


def waves(n, *, seed=0, n_channels=2, n_times=40):
    """Two classes that differ in frequency, of unequal groups."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    phase = rng.uniform(0, 2 * np.pi, size=(n, n_channels, 1))
    X = np.sin(np.where(y, 0.9, 0.5)[:, None, None] * np.arange(n_times) + phase)
    return X + 0.3 * rng.normal(size=X.shape), np.array(["slow", "fast"])[y]


def test_labels_are_text_and_probabilities_add_up():
    X, y = waves(80)
    fitted = SignalClassifier(random_state=0, **QUICK).fit(X, y)
    other, truth = waves(60, seed=1)
    assert fitted.classes_.tolist() == ["fast", "slow"]
    assert fitted.score(other, truth) > 0.9
    p = fitted.predict_proba(other)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    difference = fitted.decision_function(other)
    assert difference.dtype == np.float64
    np.testing.assert_array_equal(difference > 0, p[:, 1] > 0.5)
    np.testing.assert_array_equal(fitted.classes_[(difference > 0).astype(int)], fitted.predict(other))
    assert fitted.history_[-1]["step"] <= 120
    assert fitted.monitor_ == "loss"


def test_the_seed_decides():
    X, y = waves(40)
    a, b, c = (SignalClassifier(random_state=seed, **QUICK).fit(X, y).decision_function(X) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_copy_by_pickle_says_the_same():
    X, y = waves(40)
    fitted = SignalClassifier(random_state=0, **QUICK).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301 (our own bytes)
    np.testing.assert_array_equal(again.decision_function(X), fitted.decision_function(X))
    assert clone(fitted).get_params() == fitted.get_params()


def test_search_and_cross_validation_with_groups_run():
    X, y = waves(48)
    groups = np.arange(48) // 8
    scores = cross_val_score(SignalClassifier(random_state=0, **QUICK), X, y, groups=groups, cv=GroupKFold(3))
    assert scores.mean() > 0.8
    flat = X[:, 0]
    pipeline = Pipeline([("scale", StandardScaler()), ("net", SignalClassifier(random_state=0, **QUICK))])
    search = GridSearchCV(pipeline, {"net__lr": [1e-5, 1e-2]}, cv=2).fit(flat, y)
    assert search.best_params_["net__lr"] == 1e-2


def test_the_held_out_part_keeps_groups_together_and_classes_even():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 5)
    labels = rng.integers(0, 2, 20)[groups]
    for seed in range(5):
        train, held = inner_split(labels, groups, n=100, fraction=0.2, rng=np.random.default_rng(seed))
        assert not set(groups[train]) & set(groups[held])
        assert 10 <= len(held) <= 30
        assert set(labels[held]) == {0, 1} == set(labels[train])
    with pytest.raises(DataError, match="expected at least two groups"):
        inner_split(labels, np.zeros(100), n=100, fraction=0.2, rng=rng)


def test_groups_given_to_fit_are_held_out_whole():
    X, _ = waves(70)
    y = X.mean(axis=(1, 2))
    fitted = SignalRegressor(random_state=0, **QUICK).fit(X, y, groups=np.arange(70) // 7)
    assert len(fitted.residuals_) == 14
    assert len(SignalRegressor(random_state=0, **(QUICK | {"validation_fraction": 0.3})).fit(X, y).residuals_) == 21


def test_padding_is_no_matter_and_missing_samples_are_a_mask():
    X, y = waves(80)
    padded = np.pad(X, ((0, 0), (0, 0), (0, 15)), constant_values=np.nan)
    fitted = SignalClassifier(random_state=0, **QUICK).fit(padded, y)
    assert fitted.score(padded, y) > 0.9
    assert not fitted.net_.gives_mask
    holed = X.copy()
    holed[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    holed[:, 1, :] = np.nan  # a channel that never has a value
    masked = SignalClassifier(random_state=0, **QUICK).fit(holed, y)
    assert masked.net_.gives_mask
    assert masked.score(holed, y) > 0.85
    assert np.isfinite(masked.predict_proba(np.full((2, 2, 40), np.nan))).all()


def test_weights_of_zero_take_items_out_of_the_loss():
    """Half of the labels are wrong and weigh nothing."""
    X, y = waves(160)
    wrong = np.arange(160) % 4 < 2
    spoiled = np.where(wrong, np.where(y == "slow", "fast", "slow"), y)
    fitted = SignalClassifier(random_state=0, **QUICK).fit(X, spoiled, sample_weight=np.where(wrong, 0.0, 1.0))
    assert fitted.score(X, y) > 0.9


def test_the_regressor_tells_several_values_in_their_units():
    rng = np.random.default_rng(0)
    frequency, level = rng.uniform(0.3, 1.0, size=150), rng.normal(size=150)
    X = np.sin(frequency[:, None] * np.arange(40)) + level[:, None] + 0.1 * rng.normal(size=(150, 40))
    y = np.stack([1e6 * frequency, 1e-9 * level], axis=1)
    fitted = SignalRegressor(random_state=0, **(QUICK | {"steps": 300})).fit(X[:110], y[:110])
    assert fitted.predict(X).shape == (150, 2)
    assert fitted.score(X[110:], y[110:]) > 0.7
    assert fitted.residuals_.shape == (22, 2)
    assert SignalRegressor(random_state=0, **QUICK).fit(X, y[:, 0]).predict(X).shape == (150,)


def test_what_does_not_fit_is_refused():
    X, y = waves(40)
    with pytest.raises(ConfigError, match="expected model to be one of"):
        SignalClassifier(model="perceptron").fit(X, y)
    with pytest.raises(ConfigError, match=r"expected train_options among .*, got learning_rate"):
        SignalClassifier(train_options={"learning_rate": 1}).fit(X, y)
    with pytest.raises(ConfigError, match="validation_fraction in"):
        SignalClassifier(validation_fraction=1.0).fit(X, y)
    with pytest.raises(DataError, match="at least two classes, got one class"):
        SignalClassifier().fit(X, np.zeros(40))
    with pytest.raises(DataError, match="one group for each of 40 samples"):
        SignalClassifier().fit(X, y, groups=[1, 2])
    fitted = SignalClassifier(random_state=0, **QUICK).fit(X, y)
    with pytest.raises(ValueError, match="features"):
        fitted.predict(X[:, :1])
    with pytest.raises(DataError, match="X of 3 dims"):
        fitted.predict(X[:, 0, :2])


def test_no_estimator_is_loaded_before_it_is_asked_for():
    import subprocess
    import sys

    code = "import sys, sciml.train; assert 'sklearn' not in sys.modules; sciml.train.SignalClassifier"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("name", "least"), [("ItalyPowerDemand", 0.94), ("UnitTest", 0.85)])
def test_published_sets_are_told_apart_by_defaults(archive, name, least):
    """Published, FCN: ItalyPowerDemand .963; benchmarks/RESULTS.md has five seeds of more sets."""
    (X, y), test = archive(name)
    assert SignalClassifier(random_state=0).fit(X, y).score(*test) >= least


def waveform(n, *, rho, seed, n_times=48):
    """White noise, in half of the windows with a known waveform of norm rho."""
    rng = np.random.default_rng(seed)
    shape = np.sin(np.linspace(0, 4 * np.pi, n_times)) * np.hanning(n_times)
    y = rng.integers(0, 2, n)
    return rng.normal(size=(n, 1, n_times)) + y[:, None, None] * rho * shape / np.linalg.norm(shape), y


@pytest.mark.parametrize("rho", [2.0, 3.0])
def test_a_known_waveform_is_detected_as_well_as_by_its_matched_filter_and_not_better(rho):
    """The optimal area is Phi(rho / sqrt 2). More by three standard errors would be leakage.

    The net is linear: the default one sees 14 samples at a time and averages over the rest (benchmarks/RESULTS.md).
    """
    X, y = waveform(3000, rho=rho, seed=0)
    X_test, y_test = waveform(6000, rho=rho, seed=1)
    z = SignalClassifier(model="linear", random_state=0, device="cpu").fit(X, y).decision_function(X_test)
    area = METRICS["auc"](np.stack([-z, z], axis=1), y_test)
    best = scipy.stats.norm.cdf(rho / np.sqrt(2))
    # Hanley and McNeil (1982), doi:10.1148/radiology.143.1.7063747, for 3000 windows of each kind
    q1, q2 = best / (2 - best), 2 * best**2 / (1 + best)
    error = np.sqrt((best * (1 - best) + 2999 * (q1 + q2 - 2 * best**2)) / 3000**2)
    assert best - 0.02 < area < best + 3 * error


def test_items_of_weight_zero_set_no_temperature():
    """Copies with the wrong label that weigh nothing would else make every probability one half."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.normal(size=(60, 2, 12)) + y[:, None, None]
    weights = np.repeat([1.0, 0.0], 60)
    found = SignalClassifier("linear", random_state=0, steps=50, device="cpu").fit(
        np.concatenate([X, -X]), np.concatenate([y, 1 - y]), sample_weight=weights
    )
    assert found.calibration_.n < 24
    assert found.calibration_.temperature < 5


def test_windows_of_another_length_are_refused_where_a_net_takes_none():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2, 12)), np.arange(40) % 2
    net = SignalClassifier("linear", random_state=0, steps=5, device="cpu").fit(X, y)
    with pytest.raises(DataError, match="expected windows of 12 samples, as in training, got 8"):
        net.predict(X[:, :, :8])
    averaging = SignalClassifier("fcn", random_state=0, steps=2, device="cpu", model_options={"width": 4}).fit(X, y)
    assert averaging.predict(X[:, :, :8]).shape == (40,)
