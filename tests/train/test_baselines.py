"""Baselines: they reach the optimum where it is known, and chance where there is nothing."""

import numpy as np
import pytest
import scipy.stats

from sciml.errors import DataError
from sciml.train import baselines, metrics
from sciml.train.baselines.features import principal_components, tangent_features
from sciml.train.baselines.forecasting import ridge_path
from sciml.train.baselines.ridge import RidgePath


def split(X, y, fractions=(0.6, 0.2)):
    a, b = int(fractions[0] * len(X)), int(sum(fractions) * len(X))
    return (X[:a], y[:a]), (X[a:b], y[a:b]), (X[b:], y[b:])


def waveforms(n, *, rho, seed=0, n_channels=3, n_times=30):
    """One of two templates in white noise: distance over sigma is rho, so the best accuracy is Phi(rho/2)."""
    rng = np.random.default_rng(seed)
    templates = rng.normal(size=(2, n_channels, n_times))
    templates *= rho / np.linalg.norm(templates[0] - templates[1])
    y = rng.integers(0, 2, n)
    return rng.normal(size=(n, n_channels, n_times)) + templates[y], y


@pytest.mark.parametrize("scale", [1.0, 1e-21])
def test_linear_classifier_nears_the_optimum_and_does_not_exceed_it(scale):
    X, y = waveforms(5000, rho=3.0)
    result = baselines.linear_classifier(*split(X * scale, y), n_classes=2)
    best = scipy.stats.norm.cdf(1.5)
    assert best - 0.03 < result.metrics["accuracy"] < best + 3 * np.sqrt(best * (1 - best) / 1000)
    assert result.settings["bins"] > 1
    assert result.predicted.shape == (1000,)


def test_linear_classifier_stays_in_the_chance_band_without_signal():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(500, 4, 20)), rng.integers(0, 4, 500)
    scores = baselines.linear_classifier(*split(X, y), n_classes=4).metrics
    # Two-sided at 1e-4.
    low, high = scipy.stats.binom.ppf([5e-5, 1 - 5e-5], scores["n"], 0.25) / scores["n"]
    assert low <= scores["accuracy"] <= high


def test_covariance_classifier_sees_power_that_the_linear_one_cannot():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    X = rng.normal(size=(400, 60, 40))  # more channels than the limit
    X[:, 0] *= np.where(y == 1, 3.0, 1.0)[:, None]
    parts = split(X * 1e-21, y)
    assert baselines.covariance_classifier(*parts, n_classes=2).metrics["accuracy"] > 0.95
    scores = baselines.linear_classifier(*parts, n_classes=2).metrics
    assert scores["accuracy"] <= scores["chance"]["high"] + 0.1


def test_majority_names_the_class_most_frequent_in_training():
    X = np.zeros((10, 1, 4))
    result = baselines.majority((X, np.array([1] * 6 + [0] * 4)), (X, np.arange(10) % 2), n_classes=2)
    assert result.predicted.tolist() == [1] * 10
    assert result.metrics["accuracy"] == 0.5


def autoregression(n, *, phi, channels=2, seed=0, length=20, horizon=3):
    """Independent windows of stationary AR(1) processes with innovations of variance one."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, channels)) / np.sqrt(1 - phi**2)
    samples = [x]
    for _ in range(length + horizon - 1):
        samples.append(phi * samples[-1] + rng.normal(size=(n, channels)))
    both = np.stack(samples, axis=2)
    return both[:, :, :length], both[:, :, length:]


@pytest.mark.parametrize("phi", [0.3, 0.9])
@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_ridge_reaches_the_innovation_variance_of_an_autoregression(phi, scale):
    """The best forecast h steps ahead errs by (1 - phi^2h)/(1 - phi^2) times the innovation variance."""
    X, y = autoregression(6000, phi=phi)
    parts = split(X * scale, y * scale)
    result = baselines.ridge_forecaster(*parts)
    errors = np.mean((result.predicted / scale - parts[2][1] / scale) ** 2, axis=(0, 1))
    best = (1 - phi ** (2 * np.arange(1, 4))) / (1 - phi**2)
    # Mean of 2 * 1200 squared normal errors: relative standard error sqrt(2/2400); estimation adds below 1 %.
    margin = 4 * np.sqrt(2 / 2400)
    assert np.all(errors > best * (1 - margin))
    assert np.all(errors < best * (1.01 + margin))
    assert np.all(np.array(result.metrics["skill"]) > 0)


def test_ridge_gives_persistence_for_a_random_walk():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(300, 5, 12)), axis=2)
    result = baselines.ridge_forecaster(*split(walk[:, :, :10], walk[:, :, 10:]))
    assert abs(np.mean(result.metrics["skill"])) < 0.05


def test_ridge_with_more_features_than_windows_is_the_same_problem():
    """Primal and dual solutions agree: 40 windows of 30 and of 60 features, penalty fixed by hand."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3, 20)), rng.normal(size=(60, 3, 2))
    train, validation, test = split(X, y, (0.5, 0.25))
    for lags in (5, 20):
        flat = X[:, :, 20 - lags :].reshape(60, -1)
        d = (y - X[:, :, -1:]).reshape(60, -1)
        mean, drift = flat[:30].mean(axis=0), d[:30].mean(axis=0)
        centered = flat[:30] - mean
        for candidate in ridge_path(train, validation, test, lags):
            values = np.linalg.eigvalsh(
                centered.T @ centered if centered.shape[1] <= 30 else centered @ centered.T
            ).mean()
            penalty = candidate.settings["alpha"] * values
            W = np.linalg.solve(centered.T @ centered + penalty * np.eye(flat.shape[1]), centered.T @ (d[:30] - drift))
            wanted = X[45:, :, -1:] + ((flat[45:] - mean) @ W + drift).reshape(15, 3, 2)
            np.testing.assert_allclose(candidate.predicted, wanted, atol=1e-6)


def test_persistence_repeats_the_last_sample():
    X, y = autoregression(200, phi=0.9)
    result = baselines.persistence((X, y))
    np.testing.assert_array_equal(result.predicted[:, :, 2], X[:, :, -1])
    assert result.metrics["skill"] == [0.0, 0.0, 0.0]


def test_principal_components_are_those_of_either_side():
    rng = np.random.default_rng(0)
    train, other = rng.normal(size=(30, 50)), rng.normal(size=(7, 50))
    a, b = principal_components(train, other)
    z = (train - train.mean(axis=0)) / train.std(axis=0)
    w = (other - train.mean(axis=0)) / train.std(axis=0)
    factor = np.sqrt(30 / np.linalg.eigvalsh(z @ z.T).sum())
    np.testing.assert_allclose(a @ a.T, z @ z.T * factor**2, atol=1e-9)
    np.testing.assert_allclose(b @ a.T, w @ z.T * factor**2, atol=1e-9)


def test_a_class_missing_from_training_is_refused():
    X = np.random.default_rng(0).normal(size=(20, 1, 4))
    part = X, np.arange(20) % 2
    with pytest.raises(DataError, match="expected 3 classes in the training part, got 2"):
        baselines.linear_classifier(part, part, part, n_classes=3)


def test_tangent_features_are_those_of_pyriemann():
    peer = pytest.importorskip("pyriemann.utils.tangentspace", reason="pyriemann is not installed: no oracle")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4, 50)) * rng.uniform(0.5, 2, size=(30, 4, 1))
    C = np.stack([np.cov(x, bias=True) for x in X / X.std(axis=(0, 2))[:, None]])
    shrunk = 0.9 * C + 0.1 * np.trace(C, axis1=1, axis2=2)[:, None, None] / 4 * np.eye(4)
    expected = peer.tangent_space(shrunk, shrunk.mean(axis=0), metric="riemann")
    np.testing.assert_allclose(tangent_features(X)[0], expected, atol=1e-10)


def test_covariances_do_not_mind_missing_samples():
    """Half of one channel is missing at random: variance and the other channels' covariance stay what they are."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3, 2000)) * np.array([1.0, 2.0, 3.0])[:, None]
    holed = X.copy()
    holed[:, 0, rng.random(2000) < 0.5] = np.nan
    whole, missing = (tangent_features(each)[0] for each in (X, holed))
    assert np.isfinite(missing).all()
    # a variance of 1000 instead of 2000 samples: relative standard error sqrt(2/1000)
    assert np.abs(whole - missing).max() < 5 * np.sqrt(2 / 1000)


REGRESSORS = {
    "linear": baselines.linear_regressor,
    "covariance": baselines.covariance_regressor,
    "kernels": baselines.kernel_regressor,
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_find_what_they_see_and_nothing_in_noise(name):
    """Amplitude of a sine whose phase is random sets the power; its mean is the offset: each sees one of the two."""
    rng = np.random.default_rng(0)
    offset, amplitude = rng.normal(size=(2, 450))
    phase = rng.uniform(0, 2 * np.pi, size=(450, 1))
    wave = np.exp(0.5 * amplitude)[:, None] * np.sin(np.arange(60) * 0.7 + phase)
    X = (wave + offset[:, None] + 0.3 * rng.normal(size=(450, 60)))[:, None]
    y = np.stack([offset, amplitude, rng.normal(size=450)], axis=1)
    result = REGRESSORS[name](*split(X, y))
    r2 = np.array(result.metrics["r2"])
    found = {"linear": [0], "covariance": [1], "kernels": [0, 1]}[name]
    assert (r2[found] > 0.7).all()
    assert (np.delete(r2, found) < 0.2).all()
    assert result.predicted.shape == (90, 3)


def test_wide_nets_find_what_is_linear_and_what_is_not_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(450, 1, 8))
    y = np.stack([X[:, 0, :2].sum(axis=1), np.abs(X[:, 0, 4:].sum(axis=1)), rng.normal(size=450)], axis=1)
    result = baselines.gaussian_regressor(*split(X, y))
    r2 = result.metrics["r2"]
    assert r2[0] > 0.7
    assert r2[1] > 0.4
    assert r2[2] < 0.1
    labels = (y[:, 1] > np.median(y[:, 1])).astype(int)
    named = baselines.gaussian_classifier(*split(X, labels), n_classes=2)
    linear = baselines.linear_classifier(*split(X, labels), n_classes=2)
    assert named.metrics["accuracy"] > 0.75 > linear.metrics["accuracy"]
    assert named.metrics["log_loss"] < np.log(2)
    absent = baselines.gaussian_classifier(*split(X, labels), n_classes=3)  # a class that training does not have
    assert np.isfinite(absent.metrics["log_loss"])


def test_weights_of_baselines_count_as_repeated_windows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2, 12)), np.arange(60) % 2
    X += 0.5 * y[:, None, None]
    w = rng.integers(1, 4, 60)
    test = (rng.normal(size=(40, 2, 12)), np.arange(40) % 2)
    features = X.reshape(60, -1)
    a = RidgePath(features, y[:, None].astype(float), w)
    b = RidgePath(np.repeat(features, w, axis=0), np.repeat(y, w)[:, None].astype(float))
    unit = a.unit * w.sum() / 60 / b.unit  # eigenvalues are sums over windows
    np.testing.assert_allclose(
        a.predict(a.rotate(features), 0.1), b.predict(b.rotate(features), 0.1 * unit), rtol=1e-6, atol=1e-9
    )
    plain = baselines.linear_classifier((X, y), test, test, n_classes=2, weights=w).logits
    assert plain is not None
    assert np.isfinite(plain).all()


def test_a_baselines_logits_name_its_labels():
    X, y = waveforms(400, rho=3.0)
    for classifier in (baselines.linear_classifier, baselines.covariance_classifier, baselines.kernel_classifier):
        result = classifier(*split(X, y), n_classes=2)
        assert result.logits is not None
        np.testing.assert_array_equal(result.logits.argmax(axis=1), result.predicted)
        assert result.metrics["log_loss"] < np.log(2) + 0.05


def test_forecasts_are_scored_by_the_values_that_are_there():
    rng = np.random.default_rng(0)
    y, predicted, last = rng.normal(size=(50, 3, 4)), rng.normal(size=(50, 3, 4)), rng.normal(size=(50, 3))
    y[rng.random(y.shape) < 0.2] = np.nan
    y[:25, 1] = np.nan
    last[rng.random(last.shape) < 0.1] = np.nan
    scores = metrics.forecast_scores(y, predicted, last=last)
    variance = np.array([np.nanvar(y[:, c]) for c in range(3)])
    ratio = [
        np.mean([np.nanmean((predicted[:, c, h] - y[:, c, h]) ** 2) / variance[c] for c in range(3)]) for h in range(4)
    ]
    reference = [
        np.mean([np.nanmean((last[:, c] - y[:, c, h]) ** 2) / variance[c] for c in range(3)]) for h in range(4)
    ]
    np.testing.assert_allclose(scores.nrmse**2, ratio)
    np.testing.assert_allclose(scores.skill, 1 - np.array(ratio) / reference)


def test_a_forecast_loses_no_channel_to_one_that_is_missing_half_the_time():
    """Half the windows of one target of two: its coefficients are known to sqrt(2) of what they were."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 2, 6))
    y = 0.8 * X[:, :, -1:] + 0.3 * rng.normal(size=(900, 2, 1))
    whole = baselines.ridge_forecaster(*[(X[k::3], y[k::3]) for k in range(3)])
    gone = rng.random(900) < 0.5
    X[gone, 1, 2:4], y[gone, 1] = np.nan, np.nan
    parts = [(X[k::3], y[k::3]) for k in range(3)]
    found = baselines.ridge_forecaster(*parts)
    # 1 - r2 is .123 with the true coefficients, and rises by features / windows, a few parts in a hundred
    assert 1 - found.metrics["mean_r2"] < 1.15 * (1 - whole.metrics["mean_r2"])
    assert np.isfinite(baselines.persistence(parts[2]).metrics["mean_r2"])
