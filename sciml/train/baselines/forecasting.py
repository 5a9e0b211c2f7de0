"""Baselines that forecast: the mean, the last sample, a ridge regression."""

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.train.baselines.base import BaselineResult, Candidate, Part
from sciml.train.metrics import forecast_scores

__all__ = ["last_values", "mean_forecaster", "persistence", "ridge_forecaster", "ridge_path"]

ALPHAS = tuple(np.logspace(-3, 6, 19).tolist())  # penalties of the ridge, in units of the mean eigenvalue
MAX_FEATURES = 4000


def mean_forecaster(train: Part, test: Part) -> BaselineResult:
    """Return the scores of always naming the mean of each channel in training: what is left where nothing is foretold.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(500, 1, 8))
    >>> part = noise[:, :, :4], noise[:, :, 4:]
    >>> mean_forecaster(part, part).metrics["mean_nrmse"].__round__(1)
    1.0
    """
    start = time.perf_counter()
    X, y = test
    predicted = np.broadcast_to(_moments(train[0])[0], y.shape)
    scores = forecast_scores(y, predicted, last=last_values(X)).to_dict()
    return BaselineResult("mean", "the mean of training", scores, {}, time.perf_counter() - start, predicted)


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
    last = last_values(X)
    predicted = np.repeat(last[:, :, None], y.shape[2], axis=2)
    scores = forecast_scores(y, predicted, last=last).to_dict()
    return BaselineResult(
        "persistence", "the last sample, repeated", scores, {}, time.perf_counter() - start, predicted
    )


def last_values(X: AnyArray) -> AnyArray:
    """Return the last sample of windows (n, channel, time): of a channel the last that is there, else its mean in X.

    Examples
    --------
    >>> last_values(np.array([[[1.0, 2.0, np.nan]], [[3.0, 4.0, 5.0]]])).tolist()
    [[2.0], [5.0]]
    """
    there = ~np.isnan(X)
    if there[:, :, -1].all():
        return np.asarray(X[:, :, -1])
    place = (there * np.arange(X.shape[2])).max(axis=2)
    last = np.take_along_axis(X, place[:, :, None], axis=2)[:, :, 0]
    mean = np.where(there, X, 0.0).sum(axis=(0, 2)) / np.maximum(there.sum(axis=(0, 2)), 1)
    return np.asarray(np.where(np.isnan(last), mean, last), dtype=X.dtype)


def ridge_forecaster(train: Part, validation: Part, test: Part) -> BaselineResult:
    r"""Return the scores of a ridge regression from the last samples of all channels.

    .. math:: \hat y = b + \bar d + W (x - \bar x), \qquad W = D^\top X (X^\top X + \alpha I)^{-1}

    with x the last `lags` samples of all standardized channels and d = y - b what is to be told beyond b, the last
    sample or the mean: a large penalty gives persistence, or the mean; a small one a vector autoregression fitted for
    each step ahead. The number of lags, the penalty and b are those of the smallest validation error.

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
    center, scale = _moments(train[0])
    scaled = [((X - center) / scale, (y - center) / scale) for X, y in (train, validation, test)]
    best = min(_ridges(*scaled), key=lambda candidate: candidate.loss)
    predicted = np.asarray(best.predicted * scale + center)
    scores = forecast_scores(test[1], predicted, last=last_values(test[0])).to_dict()
    text = (
        "ridge regression from the last samples of all channels to each step ahead, beyond the last sample or the mean"
    )
    return BaselineResult("ridge", text, scores, best.settings, time.perf_counter() - start, predicted)


def _ridges(train: Part, validation: Part, test: Part) -> Iterator[Candidate]:
    """Yield the ridge regressions of all numbers of lags and penalties, in standardized units."""
    n_channels, n_times = train[0].shape[1:]
    most = max(1, min(n_times, MAX_FEATURES // n_channels))
    for lags in sorted({min(lags, most) for lags in (1, 2, 4, 8, 16, 32, most)}):
        for beyond in BASES:
            yield from ridge_path(train, validation, test, lags, beyond=beyond)


def ridge_path(train: Part, validation: Part, test: Part, lags: int, *, beyond: str = "last") -> Iterator[Candidate]:
    """Yield the regressions of all penalties for one number of lags, from one eigendecomposition.

    What is told lies `beyond` the "last" sample, or the "mean", which is 0.
    """
    base = BASES[beyond]
    X, d = _lagged(train[0], lags), _beyond(train, base)
    there = ~np.isnan(d)
    # what is missing of a target now and then leaves its products with the samples to the windows that have it
    more = 1.0 if there.all() else len(d) / np.maximum(there.sum(axis=0), 1)
    mean = X.mean(axis=0)
    drift = d.mean(axis=0) if there.all() else np.where(there, d, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    X, d = X - mean, np.where(there, d - drift, 0.0) * more
    primal = X.shape[1] <= len(X)
    values, vectors = np.linalg.eigh(X.T @ X if primal else X @ X.T)
    right = vectors.T @ (X.T @ d if primal else d)
    left = [(_lagged(part[0], lags) - mean) @ (vectors if primal else X.T @ vectors) for part in (validation, test)]
    wanted = _beyond(validation, base)
    for alpha in ALPHAS:
        inner = right / (values.clip(0) + alpha * max(values.mean(), np.finfo(float).tiny))[:, None]
        loss = float(np.nanmean((left[0] @ inner + drift - wanted) ** 2))
        told = (left[1] @ inner + drift).reshape(test[1].shape)
        settings = {"lags": lags, "alpha": alpha, "beyond": beyond, "validation_mse": loss}
        yield Candidate(loss, base(test[0])[:, :, None] + told, settings)


def _lagged(X: AnyArray, lags: int) -> NDArray[np.float64]:
    return np.nan_to_num(X[:, :, X.shape[2] - lags :].reshape(len(X), -1).astype(np.float64))  # in units, about zero


def _zeros(X: AnyArray) -> AnyArray:
    return np.zeros(X.shape[:2], dtype=X.dtype)


BASES: dict[str, Callable[[AnyArray], AnyArray]] = {"last": last_values, "mean": _zeros}


def _beyond(part: Part, base: Callable[[AnyArray], AnyArray]) -> NDArray[np.float64]:
    X, y = part
    return np.asarray(y - base(X)[:, :, None], dtype=np.float64).reshape(len(y), -1)


def _moments(X: AnyArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of the samples that are there of each channel, shape (channel, 1)."""
    if np.isnan(X).any():
        values = np.ma.masked_invalid(X.astype(np.float64))
        center, scale = (np.ma.filled(each, 0.0) for each in (values.mean(axis=(0, 2)), values.std(axis=(0, 2))))
    else:
        center, scale = X.mean(axis=(0, 2), dtype=np.float64), X.std(axis=(0, 2), dtype=np.float64)
    return center[:, None], np.where(scale > 0, scale, 1.0)[:, None]
