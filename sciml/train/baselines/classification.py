"""Baselines that name a class: the most frequent one, a linear classifier, covariances."""

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.errors import DataError
from sciml.train.baselines.base import BaselineResult, Candidate, Part
from sciml.train.metrics import classification_scores

__all__ = ["covariance_classifier", "linear_classifier", "majority", "principal_components"]

STRENGTHS = tuple(np.logspace(-3, 5, 9).tolist())  # C of the logistic regressions, for features of total variance one
BINS = (1, 4, 16)  # bins that the time of a window is averaged in, beside all its samples
MAX_COMPONENTS = 256
MAX_CHANNELS = 48  # of the covariances: their number of features grows with the square


def majority(train: Part, test: Part, *, n_classes: int) -> BaselineResult:
    """Return the scores of always naming the class that is most frequent in training.

    `metrics["chance"]` holds the level of chance and its 95 % binomial band.

    Examples
    --------
    >>> X, y = np.zeros((20, 1, 4)), np.arange(20) % 2
    >>> majority((X, y), (X, y), n_classes=2).metrics["chance"]["high"]
    0.7
    """
    start = time.perf_counter()
    frequent = int(np.argmax(np.bincount(train[1], minlength=n_classes)))
    predicted = np.full(len(test[1]), frequent)
    scores = classification_scores(test[1], predicted, n_classes=n_classes).to_dict()
    text = "always the class that is most frequent in training"
    return BaselineResult("majority", text, scores, {"class": frequent}, time.perf_counter() - start, predicted)


def linear_classifier(train: Part, validation: Part, test: Part, *, n_classes: int) -> BaselineResult:
    """Return the scores of a logistic regression on the samples of a window.

    Each window is averaged in time bins, flattened, standardized, and rotated to its principal components (at most
    256). The number of bins and the strength of the L2 penalty are those of the smallest validation log loss.

    Raises
    ------
    DataError
        A class that the training part does not have.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 2
    >>> X = rng.normal(size=(120, 3, 8)) + y[:, None, None]
    >>> parts = [(X[k::3], y[k::3]) for k in range(3)]
    >>> linear_classifier(*parts, n_classes=2).metrics["accuracy"] > 0.9
    True
    """
    start = time.perf_counter()
    n_times = train[0].shape[2]
    candidates = []
    for bins in sorted({min(count, n_times) for count in (*BINS, n_times)}):
        features = principal_components(*(_binned(part[0], bins) for part in (train, validation, test)))
        candidates.append(_best_logistic(features, train[1], validation[1], n_classes, {"bins": bins}))
    best = min(candidates, key=lambda candidate: candidate.loss)
    text = "logistic regression on time-averaged, standardized samples and their principal components (L2)"
    return _classified("linear", text, best, test[1], n_classes, start)


def covariance_classifier(train: Part, validation: Part, test: Part, *, n_classes: int) -> BaselineResult:
    r"""Return the scores of a logistic regression on the covariances of windows, in the tangent space of their mean.

    .. math:: S_i = \log\left(C^{-1/2} C_i C^{-1/2}\right)

    with C the mean covariance of the training windows; each C_i is shrunk toward a multiple of one. Sees power and
    correlation where the linear classifier sees the waveform. More than 48 channels are first reduced to their 48
    principal ones.

    References
    ----------
    Barachant, Bonnet, Congedo and Jutten (2012), doi:10.1109/TBME.2011.2172210, with the mean taken arithmetically.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 2
    >>> X = rng.normal(size=(120, 2, 64)) * (1 + y[:, None, None])
    >>> parts = [(X[k::3], y[k::3]) for k in range(3)]
    >>> covariance_classifier(*parts, n_classes=2).metrics["accuracy"] > 0.9
    True
    """
    start = time.perf_counter()
    covariances = _covariances(*(part[0] for part in (train, validation, test)))
    values, vectors = np.linalg.eigh(covariances[0].mean(axis=0))
    whitener = (vectors / np.sqrt(np.maximum(values, values[-1] * 1e-12))) @ vectors.T
    features = principal_components(*(_tangent(whitener @ C @ whitener) for C in covariances))
    best = _best_logistic(features, train[1], validation[1], n_classes, {})
    text = "logistic regression on the covariance of each window in the tangent space of their mean (L2)"
    return _classified("covariance", text, best, test[1], n_classes, start)


def _classified(
    name: str, text: str, best: Candidate, labels: NDArray[Any], n_classes: int, start: float
) -> BaselineResult:
    scores = classification_scores(labels, best.predicted, n_classes=n_classes).to_dict()
    return BaselineResult(name, text, scores, best.settings, time.perf_counter() - start, best.predicted)


def _best_logistic(
    features: Sequence[NDArray[np.float64]],
    train: NDArray[Any],
    validation: NDArray[Any],
    n_classes: int,
    settings: dict[str, Any],
) -> Candidate:
    """Return the logistic regression of the smallest validation log loss over the strengths of the penalty."""
    # Imported here: scikit-learn takes as long to load as the rest of this package, and training does not need it.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    present = np.unique(train)
    if len(present) < n_classes:
        raise DataError(f"expected {n_classes} classes in the training part, got {len(present)}; split anew")
    candidates = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=500)
        with warnings.catch_warnings():
            # An optimum not quite reached is still a baseline, and validation evaluates it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[0], train)
        loss = float(log_loss(validation, model.predict_proba(features[1]), labels=present))
        chosen = {**settings, "C": strength, "n_features": features[0].shape[1], "validation_log_loss": loss}
        candidates.append(Candidate(loss, model.predict(features[2]), chosen))
    return min(candidates, key=lambda candidate: candidate.loss)


def _binned(X: AnyArray, bins: int) -> NDArray[np.float64]:
    """Return means over time bins of nearly equal length, flattened: (n, channel * bins)."""
    edges = np.arange(bins) * X.shape[2] // bins
    width = np.diff(np.append(edges, X.shape[2]))
    means = np.add.reduceat(X.astype(np.float64), edges, axis=2) / width
    return np.asarray(means).reshape(len(X), -1)


def principal_components(train: NDArray[np.float64], *others: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return features standardized and rotated to the principal components of the training part."""
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(mean).clip(np.finfo(float).tiny), scale, np.inf)
    parts = [(part - mean) / scale for part in (train, *others)]
    n, d = train.shape
    small = parts[0].T @ parts[0] if d <= n else parts[0] @ parts[0].T
    values, vectors = np.linalg.eigh(small)
    keep = values > values[-1] * 1e-10
    values, vectors = values[keep][::-1][:MAX_COMPONENTS], vectors[:, keep][:, ::-1][:, :MAX_COMPONENTS]
    axes = vectors if d <= n else parts[0].T @ (vectors / np.sqrt(values))
    # One common factor keeps the ratios of the components and makes C comparable over numbers of features.
    return [part @ axes * np.sqrt(n / values.sum()) for part in parts]


def _covariances(*parts: AnyArray) -> list[NDArray[np.float64]]:
    """Return the covariance of each window, shape (n, channel, channel), shrunk by a tenth."""
    train = parts[0].astype(np.float64)
    scale = train.std(axis=(0, 2))
    scale = np.where(scale > 0, scale, 1.0)
    axes = np.eye(len(scale))
    if len(scale) > MAX_CHANNELS:
        scaled = (train / scale[:, None]).transpose(1, 0, 2).reshape(len(scale), -1)
        axes = np.linalg.eigh(np.cov(scaled))[1][:, -MAX_CHANNELS:]
    covariances = []
    for part in parts:
        X = np.einsum("ck,nct->nkt", axes, part / scale[:, None])
        X -= X.mean(axis=2, keepdims=True)
        C = np.einsum("nct,ndt->ncd", X, X) / X.shape[2]
        power = np.trace(C, axis1=1, axis2=2) / C.shape[1]
        covariances.append(0.9 * C + 0.1 * (power + np.finfo(float).tiny)[:, None, None] * np.eye(C.shape[1]))
    return covariances


def _tangent(C: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix logarithms as vectors: the diagonal, and the rest times the root of two."""
    values, vectors = np.linalg.eigh(C)
    logarithm = np.einsum("nij,nj,nkj->nik", vectors, np.log(values), vectors)
    rows, columns = np.triu_indices(C.shape[1])
    weights = np.where(rows == columns, 1.0, np.sqrt(2.0))
    return np.asarray(logarithm[:, rows, columns] * weights, dtype=np.float64)
