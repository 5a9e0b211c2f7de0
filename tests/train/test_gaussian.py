"""Gaussian processes of wide nets against scikit-learn, naive leaving out, and the exact posterior."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from sciml.errors import ConfigError, DataError, NumericalError
from sciml.train import NetKernel, NNGPClassifier, NNGPRegressor
from sciml.train.gaussian.inducing import random_pivots
from sciml.train.gaussian.tuning import tune


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def curve(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(n, 3))
    return X, np.sin(X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=n)


KERNELS = [
    NetKernel(),
    NetKernel(3, "gelu", kind="ntk"),
    NetKernel(5, "erf", architecture="residual"),
    NetKernel(2, "relu", architecture="convolutional", options={"channels": 2}),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_regression_is_that_of_scikit_learn(kernel: NetKernel, rng: np.random.Generator) -> None:
    X, y = curve(rng, 60)
    X, new = np.tile(X, 2), rng.normal(size=(20, 6))
    ours = NNGPRegressor(kernel, noise=0.02, amplitude=1.0, optimize=False).fit(X, y)
    theirs = GaussianProcessRegressor(kernel, alpha=0.02, optimizer=None).fit(X, y - y.mean())
    mean, std = ours.predict(new, return_std=True)
    known, known_std = theirs.predict(new, return_std=True)
    np.testing.assert_allclose(mean, known + y.mean(), atol=1e-8)
    np.testing.assert_allclose(std, known_std, atol=1e-8)
    assert ours.log_marginal_likelihood_value_ == pytest.approx(theirs.log_marginal_likelihood_value_, abs=1e-8)


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_kernel_gradients_are_those_of_differences(kernel: NetKernel, rng: np.random.Generator) -> None:
    X = rng.normal(size=(12, 4))
    X[3] = X[2]
    K, gradient = kernel(X, eval_gradient=True)
    np.testing.assert_allclose(kernel.diag(X), np.diag(K), rtol=1e-13)
    for i, step in enumerate(1e-5 * np.eye(2)):
        high, low = (kernel.clone_with_theta(kernel.theta + side * step)(X) for side in (1, -1))
        np.testing.assert_allclose(gradient[..., i], (high - low) / 2e-5, atol=1e-8)


def test_kernels_without_biases_have_one_parameter_and_are_cloned() -> None:
    kernel = NetKernel(sigma_b2=0.0)
    assert kernel.n_dims == 1
    assert clone(kernel).get_params() == kernel.get_params()
    with pytest.raises(ConfigError, match="architecture among"):
        NetKernel(architecture="tree")(np.ones((2, 2)))
    with pytest.raises(ConfigError, match="nngp"):
        NetKernel(kind="rbf")(np.ones((2, 2)))
    with pytest.raises(DataError, match="divide"):
        NetKernel(architecture="convolutional", options={"channels": 2})(np.ones((2, 3)))


@pytest.mark.parametrize("max_exact", [1000, 10])
def test_leaving_out_is_that_of_fits_to_the_others(max_exact: int, rng: np.random.Generator) -> None:
    X, y = curve(rng, 40)
    settings: dict[str, Any] = {
        "noise": 0.05,
        "amplitude": 2.0,
        "optimize": False,
        "max_exact": max_exact,
        "n_inducing": 40,
    }
    found = NNGPRegressor(**settings).fit(X, y).leave_one_out()
    K, targets = 2.0 * NetKernel()(X), y - y.mean()  # both take away the mean of all
    for i in (0, 7, 39):
        others = np.arange(40) != i
        weights = np.linalg.solve(K[np.ix_(others, others)] + 0.05 * np.eye(39), K[others, i])
        assert found.mean[i] == pytest.approx(y.mean() + weights @ targets[others], abs=1e-6)
        assert found.variance[i] == pytest.approx(K[i, i] - weights @ K[others, i] + 0.05, rel=1e-5)


def test_all_samples_as_inducing_points_are_the_exact_posterior(rng: np.random.Generator) -> None:
    X, y = curve(rng, 80)
    settings: dict[str, Any] = {"noise": 0.05, "amplitude": 2.0, "optimize": False}
    exact = NNGPRegressor(**settings).fit(X, y)
    inducing = NNGPRegressor(**settings, max_exact=10, n_inducing=80).fit(X, y)
    assert (exact.exact_, inducing.exact_) == (True, False)
    new = rng.normal(size=(20, 3))
    for one, other in zip(exact.predict(new, return_std=True), inducing.predict(new, return_std=True), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)  # the jitter of 1e-10, beside the noise
    assert inducing.log_marginal_likelihood_value_ == pytest.approx(exact.log_marginal_likelihood_value_, abs=1e-3)


def test_few_inducing_points_bound_the_likelihood_and_more_come_nearer(rng: np.random.Generator) -> None:
    X, y = curve(rng, 400)
    settings: dict[str, Any] = {"noise": 0.05, "amplitude": 2.0, "optimize": False}
    exact = NNGPRegressor(**settings).fit(X, y)
    few = NNGPRegressor(**settings, max_exact=10, n_inducing=40).fit(X, y)
    assert few.log_marginal_likelihood_value_ < exact.log_marginal_likelihood_value_
    new = 2.0 * rng.normal(size=(50, 3))
    many = NNGPRegressor(**settings, max_exact=10, n_inducing=200).fit(X, y)
    errors = [np.abs(each.predict(new) - exact.predict(new)).mean() for each in (few, many)]
    assert errors[1] < 0.5 * errors[0]


def test_pivots_are_no_duplicates(rng: np.random.Generator) -> None:
    X = np.repeat(rng.normal(size=(20, 4)), 10, axis=0)
    kernel = RBF(1.0)
    chosen = random_pivots(X, np.ones(200), kernel, 20, rng=rng)
    assert len(np.unique(X[chosen], axis=0)) == len(chosen) == 20


def test_noise_and_amplitude_are_those_of_the_largest_likelihood(rng: np.random.Generator) -> None:
    X, y = curve(rng, 150)
    kernel, targets = NetKernel(), (y - y.mean())[:, None]
    found = tune(kernel, X, targets, noise=None, amplitude=None, fit_kernel=False)

    def likelihood(noise: float, amplitude: float) -> float:
        C = amplitude * kernel(X) + noise * np.eye(150)
        fit = (targets.T @ np.linalg.solve(C, targets)).item()
        return -0.5 * fit - 0.5 * np.linalg.slogdet(C)[1] - 75 * np.log(2 * np.pi)

    best = likelihood(found.noise, found.amplitude)
    assert best == pytest.approx(found.log_likelihood, rel=1e-9)
    for factor in (0.9, 1.1):
        assert likelihood(found.noise * factor, found.amplitude) < best
        assert likelihood(found.noise, found.amplitude * factor) < best
    fitted = tune(kernel, X, targets, noise=None, amplitude=None, fit_kernel=True)
    assert fitted.log_likelihood > found.log_likelihood


def test_a_weight_of_two_is_a_sample_twice(rng: np.random.Generator) -> None:
    X, y = curve(rng, 30)
    weights = np.where(np.arange(30) < 15, 2.0, 1.0)
    twice = np.concatenate([X, X[:15]]), np.concatenate([y, y[:15]])
    settings: dict[str, Any] = {"amplitude": 1.0, "optimize": False}
    weighted = NNGPRegressor(noise=0.1, **settings).fit(X, y, sample_weight=weights)
    repeated = NNGPRegressor(noise=0.1, **settings).fit(*twice)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-8)
    dropped = NNGPRegressor(noise=0.1, **settings).fit(X, y, sample_weight=np.where(np.arange(30) < 20, 1.0, 0.0))
    kept = NNGPRegressor(noise=0.1, **settings).fit(X[:20], y[:20])
    np.testing.assert_allclose(dropped.predict(X), kept.predict(X), atol=1e-10)


def test_several_outputs_share_a_kernel(rng: np.random.Generator) -> None:
    X, y = curve(rng, 50)
    both = NNGPRegressor(noise=0.1, amplitude=1.0, optimize=False).fit(X, np.stack([y, -y], axis=1))
    one = NNGPRegressor(noise=0.1, amplitude=1.0, optimize=False).fit(X, y)
    np.testing.assert_allclose(both.predict(X), np.stack([one.predict(X), -one.predict(X)], axis=1), atol=1e-12)


def test_classes_are_named_with_probabilities_that_mean_something(rng: np.random.Generator) -> None:
    X = rng.normal(size=(400, 4))
    names = np.array(["in", "out", "up"])
    labels = np.where(np.linalg.norm(X[:, :2], axis=1) < 1, 0, np.where(X[:, 2] > 0, 2, 1))
    model = NNGPClassifier(n_tuning=200, optimize=False).fit(X[:300], names[labels[:300]])
    probability = model.predict_proba(X[300:])
    assert model.score(X[300:], names[labels[300:]]) > 0.8
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    assert -np.log(probability[np.arange(100), labels[300:]]).mean() < 0.7 < np.log(3)
    assert model.leave_one_out().mean.shape == (300, 3)
    far = model.predict_std(np.array([[30.0, 0, 0, 0], [0.1, 0, 0, 0]]))
    assert far[0] > 5 * far[1]
    weighted = NNGPClassifier(optimize=False).fit(X[:300], labels[:300], sample_weight=(labels[:300] > 0).astype(float))
    assert set(weighted.predict(X[300:])) <= {1, 2}


@pytest.mark.parametrize("estimator", [NNGPRegressor, NNGPClassifier])
def test_settings_that_cannot_be_are_refused(estimator: type, rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(10, 2)), np.arange(10) % 2
    with pytest.raises(ConfigError, match="noise > 0"):
        estimator(noise=-1.0).fit(X, y)
    with pytest.raises(ConfigError, match="n_inducing"):
        estimator(n_inducing=1).fit(X, y)
    with pytest.raises(NumericalError, match="raise the noise"):
        estimator(RBF(1.0), noise=1e-30, amplitude=1.0, optimize=False).fit(np.zeros((10, 2)), y)


def test_weights_of_zero_alone_are_refused(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(10, 2)), np.arange(10) % 2
    for estimator in (NNGPRegressor, NNGPClassifier):
        with pytest.raises(DataError, match="sample_weight"):
            estimator().fit(X, y, sample_weight=np.zeros(10))
    with pytest.raises(DataError, match="two classes"):
        NNGPClassifier().fit(X, y, sample_weight=y)


def test_one_class_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="two classes"):
        NNGPClassifier().fit(rng.normal(size=(10, 2)), np.zeros(10))
