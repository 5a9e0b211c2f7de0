"""Population spectra from samples: known truth, the law that goes back, invariances, and naive moments."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from scipy.stats import wasserstein_distance

from sciml.errors import ConfigError, DataError, NumericalError
from sciml.rmt.covariance import population_moments, population_spectrum
from sciml.rmt.spectrum import Spectrum

TRUTHS = {"one": np.ones(200), "two": np.repeat([1.0, 10.0], 100), "uniform": np.linspace(1, 5, 200)}
METHODS = ("least_squares", "linear_program")


def sample(truth, n_samples, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_samples, truth.size)) * np.sqrt(truth)
    return np.linalg.eigvalsh(X.T @ X / n_samples)


def distance(found, truth):
    return wasserstein_distance(truth, found.values, None, found.weights) / truth.mean()


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("n_samples", [800, 250, 100])
def test_estimate_is_nearer_to_the_truth_than_the_sample(name, n_samples):
    truth = TRUTHS[name]
    lam = sample(truth, n_samples)
    found = population_spectrum(Spectrum(lam, len(lam), n_samples))
    # Measured: .03 (gamma = .25) to .49 (gamma = 2) of the sample's own distance.
    assert distance(found, truth) < 0.6 * wasserstein_distance(truth, lam) / truth.mean()
    assert found.mean() == pytest.approx(lam.mean(), rel=0.01)
    assert found.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS)
def test_either_method_finds_two_separate_values(method):
    found = population_spectrum(Spectrum(sample(TRUTHS["two"], 800), 200, 800), method=method)
    assert found.weights[found.values < 4].sum() == pytest.approx(0.5, abs=0.05)
    assert distance(found, TRUTHS["two"]) < 0.1


def test_law_of_the_estimate_is_the_law_of_the_sample():
    lam = sample(TRUTHS["uniform"], 400)
    found = population_spectrum(Spectrum(lam, len(lam), 400))
    empirical = (np.arange(200) + 0.5) / 200
    # Rigid to O(log p / p), as eigenvalues are about any law that explains them.
    assert abs(found.law.cdf(lam) - empirical).max() < 2 * np.log(200) / 200


@pytest.mark.parametrize("scale", [1e-21, 1e21])
@pytest.mark.parametrize("method", METHODS)
def test_estimate_scales_and_ignores_order(scale, method):
    lam = sample(TRUTHS["two"], 400)
    found = population_spectrum(Spectrum(lam, len(lam), 400), method=method)
    other = population_spectrum(Spectrum(scale * lam[::-1], len(scale * lam[::-1]), 400), method=method)
    assert wasserstein_distance(found.values, other.values / scale, found.weights, other.weights) < 1e-6


def test_zeros_that_were_left_out_are_put_back():
    lam = sample(TRUTHS["two"], 100)
    whole = population_spectrum(Spectrum(np.maximum(lam, 0) * (lam > 1e-9), 200, 100))
    part = population_spectrum(Spectrum(lam[lam > 1e-9], 200, 100))
    assert distance(whole, TRUTHS["two"]) == pytest.approx(distance(part, TRUTHS["two"]), abs=1e-9)


@pytest.mark.parametrize("complex_data", [False, True])
def test_moments_are_the_mean_over_increasing_cycles(complex_data):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(6, 4)) + (1j * rng.normal(size=(6, 4)) if complex_data else 0)
    A = X @ X.conj().T
    for k, moment in enumerate(population_moments(X, 4), start=1):
        cycles = [
            np.prod([A[i[j], i[(j + 1) % k]] for j in range(k)]).real / 4 for i in itertools.combinations(range(6), k)
        ]
        assert moment == pytest.approx(np.mean(cycles), rel=1e-10)


def test_moments_are_unbiased_with_more_features_than_samples():
    truth = np.repeat([1.0, 3.0], 50)
    rng = np.random.default_rng(2)
    draws = np.array([population_moments(rng.normal(size=(40, 100)) * np.sqrt(truth), 3) for _ in range(300)])
    error = draws.std(axis=0, ddof=1) / np.sqrt(300)
    assert (abs(draws.mean(axis=0) - [np.mean(truth**k) for k in (1, 2, 3)]) < 4 * error).all()


@pytest.mark.parametrize("scale", [1e-11, 1e11])
def test_moments_scale(scale):
    X = np.random.default_rng(3).normal(size=(30, 50))
    powers = scale ** (2.0 * np.arange(1, 4))
    np.testing.assert_allclose(population_moments(scale * X, 3) / powers, population_moments(X, 3), rtol=1e-9)


def test_wrong_arguments_are_refused():
    with pytest.raises(DataError, match="finite"):
        population_spectrum(Spectrum([1.0, np.nan], len([1.0, np.nan]), 10))
    with pytest.raises(DataError, match="only zeros"):
        population_spectrum(Spectrum([0.0, 0.0], len([0.0, 0.0]), 10))
    with pytest.raises(ConfigError, match="at least 3 features"):
        population_spectrum(Spectrum([1.0, 2.0, 3.0], 2, 10))
    with pytest.raises(ConfigError, match="one of least_squares"):
        population_spectrum(Spectrum([1.0, 2.0], len([1.0, 2.0]), 10), method="moments")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="matrix of finite numbers"):
        population_moments([[1.0, np.nan]], 1)
    with pytest.raises(ConfigError, match="1 to 1 moments"):
        population_moments([[1.0, 2.0]], 2)


@pytest.mark.parametrize("method", ["least_squares", "linear_program"])
def test_a_fit_that_does_not_converge_is_an_error(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(*_: object, **__: object) -> object:
        if method == "least_squares":
            raise RuntimeError("Maximum number of iterations reached.")
        return SimpleNamespace(x=np.ones(11), success=False, message="Iteration limit reached.")

    monkeypatch.setattr(scipy.optimize, "nnls" if method == "least_squares" else "linprog", gives_up)
    with pytest.raises(NumericalError, match="did not converge"):
        population_spectrum(Spectrum(np.linspace(0.5, 2, 20), 20, 60), method=method, n_values=10, n_points=6)
