"""Baselines that name a class: the most frequent one, a linear classifier, covariances, random kernels.

Each takes `weights` of the training windows, shape (n,), where classes or windows are to count otherwise than alike.
"""

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.errors import DataError
from sciml.train.baselines.base import BaselineResult, Candidate, Part
from sciml.train.baselines.features import (
    binned,
    bins_to_try,
    kernel_features,
    principal_components,
    tangent_features,
)
from sciml.train.baselines.ridge import KERNEL_ALPHAS, RidgePath
from sciml.train.calibration import calibrate
from sciml.train.metrics import classification_scores

__all__ = ["covariance_classifier", "kernel_classifier", "linear_classifier", "majority"]

STRENGTHS = tuple(np.logspace(-3, 5, 9).tolist())  # C of the logistic regressions, for features of total variance one


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
    counts = np.bincount(train[1], minlength=n_classes)
    frequent = int(np.argmax(counts))
    fractions = (counts + 1) / (counts.sum() + n_classes)  # a class that training does not have may still occur
    logits = np.tile(np.log(fractions), (len(test[1]), 1))
    text = "always the class that is most frequent in training"
    return _classified("majority", text, Candidate(0.0, logits, {"class": frequent}), test[1], n_classes, start)


def linear_classifier(
    train: Part, validation: Part, test: Part, *, n_classes: int, weights: AnyArray | None = None
) -> BaselineResult:
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
    candidates = []
    for bins in bins_to_try(train[0].shape[2]):
        features = principal_components(*(binned(part[0], bins) for part in (train, validation, test)))
        candidates.append(_best_logistic(features, train[1], validation[1], n_classes, {"bins": bins}, weights))
    best = min(candidates, key=lambda candidate: candidate.loss)
    text = "logistic regression on time-averaged, standardized samples and their principal components (L2)"
    return _classified("linear", text, best, test[1], n_classes, start)


def covariance_classifier(
    train: Part, validation: Part, test: Part, *, n_classes: int, weights: AnyArray | None = None
) -> BaselineResult:
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
    features = principal_components(*tangent_features(*(part[0] for part in (train, validation, test))))
    best = _best_logistic(features, train[1], validation[1], n_classes, {}, weights)
    text = "logistic regression on the covariance of each window in the tangent space of their mean (L2)"
    return _classified("covariance", text, best, test[1], n_classes, start)


def kernel_classifier(
    train: Part,
    validation: Part | None,
    test: Part,
    *,
    n_classes: int,
    weights: AnyArray | None = None,
    seed: int = 0,
) -> BaselineResult:
    """Return the scores of a ridge regression to the classes on features of random convolution kernels (MiniRocket).

    The features are those of `RandomKernels`; the targets are 1 for a window's class and -1 for the others. The penalty
    is that of the smallest square error on the validation part or, without one (None), of each training window when
    it is left out. The logits are the outputs at the temperature that fits these same windows best.

    Parameters
    ----------
    seed
        Draws kernels' channels and the windows that their levels are taken from.

    Raises
    ------
    DataError
        A class that the training part does not have.

    References
    ----------
    Dempster, Schmidt and Webb (2021), arXiv:2012.08791.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 2
    >>> X = np.sin((0.5 + y[:, None, None]) * np.arange(60)) + rng.normal(size=(120, 1, 60))
    >>> parts = [(X[k::3], y[k::3]) for k in range(3)]
    >>> kernel_classifier(*parts, n_classes=2).metrics["accuracy"] > 0.9
    True
    """
    start = time.perf_counter()
    _check_classes(train[1], n_classes)
    parts = (train, test) if validation is None else (train, validation, test)
    features = kernel_features(*(part[0] for part in parts), seed=seed)
    path = RidgePath(features[0], _signs(train[1], n_classes), weights)
    chosen_by = train if validation is None else validation
    rotated = [path.rotate(part) for part in features[1:]]
    outputs = [path.left_out(a) if validation is None else path.predict(rotated[0], a) for a in KERNEL_ALPHAS]
    losses = [float(np.mean(np.square(each - _signs(chosen_by[1], n_classes)))) for each in outputs]
    best = int(np.argmin(losses))
    temperature = calibrate(outputs[best], chosen_by[1]).temperature
    logits = path.predict(rotated[-1], KERNEL_ALPHAS[best]) / temperature
    by = "left_out_mse" if validation is None else "validation_mse"
    settings = {"alpha": KERNEL_ALPHAS[best], "n_features": features[0].shape[1], by: losses[best]}
    text = "ridge regression to the classes on features of random convolution kernels (MiniRocket)"
    return _classified("kernels", text, Candidate(losses[best], logits, settings), test[1], n_classes, start)


def _classified(
    name: str, text: str, best: Candidate, labels: NDArray[Any], n_classes: int, start: float
) -> BaselineResult:
    logits = best.predicted
    predicted = logits.argmax(axis=1)
    scores = classification_scores(labels, predicted, n_classes=n_classes, logits=logits).to_dict()
    return BaselineResult(name, text, scores, best.settings, time.perf_counter() - start, predicted, logits)


def _best_logistic(
    features: Sequence[NDArray[np.float64]],
    train: NDArray[Any],
    validation: NDArray[Any],
    n_classes: int,
    settings: dict[str, Any],
    weights: AnyArray | None,
) -> Candidate:
    """Return the logistic regression of the smallest validation log loss over the strengths of the penalty."""
    # Imported here: scikit-learn takes as long to load as the rest of this package, and training does not need it.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    _check_classes(train, n_classes)
    candidates = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=500)
        with warnings.catch_warnings():
            # An optimum not quite reached is still a baseline, and validation evaluates it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[0], train, sample_weight=weights)
        loss = float(log_loss(validation, model.predict_proba(features[1]), labels=np.arange(n_classes)))
        chosen = {**settings, "C": strength, "n_features": features[0].shape[1], "validation_log_loss": loss}
        candidates.append(Candidate(loss, _logits(model.decision_function(features[2])), chosen))
    return min(candidates, key=lambda candidate: candidate.loss)


def _logits(decision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one logit a class; of two classes scikit-learn gives their difference alone."""
    return np.stack([-decision / 2, decision / 2], axis=1) if decision.ndim == 1 else decision


def _check_classes(labels: NDArray[Any], n_classes: int) -> None:
    present = len(np.unique(labels))
    if present < n_classes:
        raise DataError(f"expected {n_classes} classes in the training part, got {present}; split anew")


def _signs(labels: NDArray[Any], n_classes: int) -> NDArray[np.float64]:
    return np.asarray(2.0 * np.eye(n_classes)[labels] - 1.0)
