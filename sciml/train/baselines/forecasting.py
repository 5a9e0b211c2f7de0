"""Baselines that forecast: the last sample, a ridge regression."""

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.train.baselines.base import BaselineResult, Candidate, Part
from sciml.train.metrics import forecast_scores

__all__ = ["persistence", "ridge_forecaster", "ridge_path"]

ALPHAS = tuple(np.logspace(-3, 6, 19).tolist())  # penalties of the ridge, in units of the mean eigenvalue
MAX_FEATURES = 4000


def persistence(test: Part) -> BaselineResult:
    """Return the scores of repeating the last sample.

    Examples
    --------
    >>> walk = np.cumsum(np.random.default_rng(0).normal(size=(500, 1, 6)), axis=2)
    >>> persistence((walk[:, :, :5], walk[:, :, 5:])).metrics["skill"]
    [0.0]
    """
    start = time.perf_counter()
    X, y = test
    predicted = np.repeat(X[:, :, -1:], y.shape[2], axis=2)
    scores = forecast_scores(y, predicted, last=X[:, :, -1]).to_dict()
    return BaselineResult(
        "persistence", "the last sample, repeated", scores, {}, time.perf_counter() - start, predicted
    )


def ridge_forecaster(train: Part, validation: Part, test: Part) -> BaselineResult:
    r"""Return the scores of a ridge regression from the last samples of all channels.

    .. math:: \hat y = x_T + \bar d + W (x - \bar x), \qquad W = D^\top X (X^\top X + \alpha I)^{-1}

    with x the last `lags` samples of all standardized channels and d = y - x_T the increments: a large penalty gives
    persistence, a small one a vector autoregression fitted for each step ahead. The number of lags and the penalty
    are those of the smallest validation error.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 2, 5))
    >>> y = 0.5 * X[:, :, -1:] + 0.1 * rng.normal(size=(600, 2, 1))
    >>> parts = [(X[k::3], y[k::3]) for k in range(3)]
    >>> ridge_forecaster(*parts).metrics["mean_r2"] > 0.9
    True
    """
    start = time.perf_counter()
    center = train[0].mean(axis=(0, 2), dtype=np.float64)[:, None]
    scale = train[0].std(axis=(0, 2), dtype=np.float64)[:, None]
    scale = np.where(scale > 0, scale, 1.0)
    scaled = [((X - center) / scale, (y - center) / scale) for X, y in (train, validation, test)]
    best = min(_ridges(*scaled), key=lambda candidate: candidate.loss)
    predicted = np.asarray(best.predicted * scale + center)
    scores = forecast_scores(test[1], predicted, last=test[0][:, :, -1]).to_dict()
    text = "ridge regression from the last samples of all channels to the increments of each step ahead"
    return BaselineResult("ridge", text, scores, best.settings, time.perf_counter() - start, predicted)


def _ridges(train: Part, validation: Part, test: Part) -> Iterator[Candidate]:
    """Yield the ridge regressions of all numbers of lags and penalties, in standardized units."""
    n_channels, n_times = train[0].shape[1:]
    most = max(1, min(n_times, MAX_FEATURES // n_channels))
    for lags in sorted({min(lags, most) for lags in (1, 2, 4, 8, 16, 32, most)}):
        yield from ridge_path(train, validation, test, lags)


def ridge_path(train: Part, validation: Part, test: Part, lags: int) -> Iterator[Candidate]:
    """Yield the regressions of all penalties for one number of lags, from one eigendecomposition."""
    X, d = _lagged(train[0], lags), _increments(train)
    mean, drift = X.mean(axis=0), d.mean(axis=0)
    X, d = X - mean, d - drift
    primal = X.shape[1] <= len(X)
    values, vectors = np.linalg.eigh(X.T @ X if primal else X @ X.T)
    right = vectors.T @ (X.T @ d if primal else d)
    left = [(_lagged(part[0], lags) - mean) @ (vectors if primal else X.T @ vectors) for part in (validation, test)]
    wanted = _increments(validation)
    for alpha in ALPHAS:
        inner = right / (values.clip(0) + alpha * max(values.mean(), np.finfo(float).tiny))[:, None]
        loss = float(np.mean((left[0] @ inner + drift - wanted) ** 2))
        increments = (left[1] @ inner + drift).reshape(test[1].shape)
        settings = {"lags": lags, "alpha": alpha, "validation_mse": loss}
        yield Candidate(loss, test[0][:, :, -1:] + increments, settings)


def _lagged(X: AnyArray, lags: int) -> NDArray[np.float64]:
    return X[:, :, X.shape[2] - lags :].reshape(len(X), -1).astype(np.float64)


def _increments(part: Part) -> NDArray[np.float64]:
    X, y = part
    return np.asarray(y - X[:, :, -1:], dtype=np.float64).reshape(len(y), -1)
