"""Baselines that name a value: the mean, and ridge regressions on means over time, covariances, random kernels.

Targets have shape (n, output). Each takes `weights` of the training windows, shape (n,).
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.train.baselines.base import BaselineResult, Candidate, Part
from sciml.train.baselines.features import (
    binned,
    bins_to_try,
    kernel_features,
    principal_components,
    tangent_features,
)
from sciml.train.baselines.ridge import ALPHAS, KERNEL_ALPHAS, RidgePath
from sciml.train.metrics import regression_scores

__all__ = ["covariance_regressor", "kernel_regressor", "linear_regressor", "mean_predictor"]


def mean_predictor(train: Part, test: Part, *, weights: AnyArray | None = None) -> BaselineResult:
    """Return the scores of always naming the mean of training: R2 is 0 at most.

    Examples
    --------
    >>> X, y = np.zeros((4, 1, 2)), np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> mean_predictor((X, y), (X, y)).metrics["r2"]
    [0.0]
    """
    start = time.perf_counter()
    mean = np.average(train[1], axis=0, weights=weights)
    predicted = np.tile(mean, (len(test[1]), 1))
    return _regressed("mean", "always the mean of training", Candidate(0.0, predicted, {}), test[1], start)


def linear_regressor(train: Part, validation: Part, test: Part, *, weights: AnyArray | None = None) -> BaselineResult:
    """Return the scores of a ridge regression on the samples of a window, averaged in time bins.

    The number of bins and the penalty are those of the smallest validation error.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2, 8))
    >>> y = X.mean(axis=2) + 0.01 * rng.normal(size=(300, 2))
    >>> linear_regressor(*((X[k::3], y[k::3]) for k in range(3))).metrics["mean_r2"] > 0.98
    True
    """
    start = time.perf_counter()
    candidates = [
        candidate
        for bins in bins_to_try(train[0].shape[2])
        for candidate in _ridges(
            principal_components(*(binned(part[0], bins) for part in (train, validation, test))),
            train[1],
            validation[1],
            {"bins": bins},
            weights,
        )
    ]
    text = "ridge regression on time-averaged, standardized samples and their principal components"
    return _regressed("linear", text, _smallest(candidates), test[1], start)


def covariance_regressor(
    train: Part, validation: Part, test: Part, *, weights: AnyArray | None = None
) -> BaselineResult:
    """Return the scores of a ridge regression on the covariances of windows, in the tangent space of their mean.

    Features as in `covariance_classifier`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.uniform(0, 2, size=(300, 1))
    >>> X = rng.normal(size=(300, 2, 200)) * np.exp(y)[:, :, None]
    >>> covariance_regressor(*((X[k::3], y[k::3]) for k in range(3))).metrics["mean_r2"] > 0.95
    True
    """
    start = time.perf_counter()
    features = principal_components(*tangent_features(*(part[0] for part in (train, validation, test))))
    best = _smallest(_ridges(features, train[1], validation[1], {}, weights))
    text = "ridge regression on the covariance of each window in the tangent space of their mean"
    return _regressed("covariance", text, best, test[1], start)


def kernel_regressor(
    train: Part, validation: Part | None, test: Part, *, weights: AnyArray | None = None, seed: int = 0
) -> BaselineResult:
    """Return the scores of a ridge regression on features of random convolution kernels (MiniRocket).

    The penalty is that of the smallest error on the validation part or, without one (None), of each training window
    when it is left out. Features as in `kernel_classifier`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.uniform(0.5, 1.5, size=(300, 1))
    >>> X = np.sin(y[:, :, None] * np.arange(60)) + 0.1 * rng.normal(size=(300, 1, 60))
    >>> kernel_regressor(*((X[k::3], y[k::3]) for k in range(3))).metrics["mean_r2"] > 0.9
    True
    """
    start = time.perf_counter()
    parts = (train, test) if validation is None else (train, validation, test)
    features = kernel_features(*(part[0] for part in parts), seed=seed)
    wanted = None if validation is None else validation[1]
    best = _smallest(_ridges(features, train[1], wanted, {}, weights, alphas=KERNEL_ALPHAS))
    text = "ridge regression on features of random convolution kernels (MiniRocket)"
    return _regressed("kernels", text, best, test[1], start)


def _ridges(
    features: Sequence[AnyArray],
    train: NDArray[Any],
    validation: NDArray[Any] | None,
    settings: dict[str, Any],
    weights: AnyArray | None,
    *,
    alphas: Sequence[float] = ALPHAS,
) -> Iterator[Candidate]:
    """Yield the regressions of all penalties; errors are in units of each output's standard deviation."""
    path = RidgePath(features[0], np.asarray(train, dtype=np.float64), weights)
    rotated = [path.rotate(part) for part in features[1:]]
    spread = np.where(np.std(train, axis=0) > 0, np.std(train, axis=0), 1.0)
    wanted, by = (train, "left_out_mse") if validation is None else (validation, "validation_mse")
    for alpha in alphas:
        found = path.left_out(alpha) if validation is None else path.predict(rotated[0], alpha)
        loss = float(np.mean(np.square((found - wanted) / spread)))
        chosen = {**settings, "alpha": alpha, "n_features": features[0].shape[1], by: loss}
        yield Candidate(loss, path.predict(rotated[-1], alpha), chosen)


def _smallest(candidates: Iterator[Candidate] | Sequence[Candidate]) -> Candidate:
    return min(candidates, key=lambda candidate: candidate.loss)


def _regressed(name: str, text: str, best: Candidate, target: NDArray[Any], start: float) -> BaselineResult:
    scores = regression_scores(target, best.predicted).to_dict()
    return BaselineResult(name, text, scores, best.settings, time.perf_counter() - start, best.predicted)
