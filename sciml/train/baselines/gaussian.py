"""Baselines that are Gaussian processes: the wide nets that a trained net is a narrow one of."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray, FloatArray
from sciml.train.baselines.base import BaselineResult, Part
from sciml.train.baselines.features import binned, bins_to_try, principal_components
from sciml.train.metrics import classification_scores, regression_scores

__all__ = ["gaussian_classifier", "gaussian_regressor"]

DEPTHS = (1, 3)  # hidden layers that are tried
N_TUNING = 512  # windows that features and depth are chosen by
MAX_EXACT, N_INDUCING = 4000, 1000
TEXT = "Gaussian process with the kernel of a wide ReLU net (NNGP) on time-averaged, standardized samples"


def gaussian_classifier(
    train: Part,
    validation: Part,  # noqa: ARG001 (one signature for all baselines)
    test: Part,
    *,
    n_classes: int,
    weights: AnyArray | None = None,
    seed: int = 0,
) -> BaselineResult:
    """Return the scores of `NNGPClassifier` on the samples of a window: a Gaussian process of a wide net.

    Features as those of `linear_classifier`. The number of time bins, the depth of the net, noise and amplitude are
    those of the largest marginal likelihood on at most 512 training windows; the validation part is not needed. More
    than 4000 windows are stood for by 1000 inducing points. `seed` draws both.

    References
    ----------
    Lee et al. (2018), arXiv:1711.00165.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 2
    >>> X = rng.normal(size=(120, 3, 8)) + y[:, None, None]
    >>> parts = [(X[k::3], y[k::3]) for k in range(3)]
    >>> gaussian_classifier(*parts, n_classes=2).metrics["accuracy"] > 0.9
    True
    """
    # Imported here: scikit-learn takes as long to load as the rest of this package, and training does not need it.
    from sciml.train.gaussian import NNGPClassifier

    start = time.perf_counter()
    chosen = _chosen(train[0], test[0], np.eye(n_classes)[train[1]], seed)
    model = NNGPClassifier(**chosen.options).fit(chosen.train, train[1], sample_weight=_of_mean_one(weights))
    probability = np.full((len(test[1]), n_classes), 1e-6)  # a class that training does not have may still occur
    probability[:, model.classes_] = np.maximum(model.predict_proba(chosen.test), 1e-12)
    logits = np.log(probability / probability.sum(axis=1, keepdims=True))
    predicted = logits.argmax(axis=1)
    scores = classification_scores(test[1], predicted, n_classes=n_classes, logits=logits).to_dict()
    settings = chosen.settings | _learned(model) | {"temperature": model.temperature_}
    return BaselineResult("gaussian", TEXT, scores, settings, time.perf_counter() - start, predicted, logits)


def gaussian_regressor(
    train: Part,
    validation: Part,  # noqa: ARG001 (one signature for all baselines)
    test: Part,
    *,
    weights: AnyArray | None = None,
    seed: int = 0,
) -> BaselineResult:
    """Return the scores of `NNGPRegressor` on the samples of a window; as `gaussian_classifier`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2, 8))
    >>> y = X.mean(axis=2) ** 2 + 0.01 * rng.normal(size=(300, 2))
    >>> gaussian_regressor(*((X[k::3], y[k::3]) for k in range(3))).metrics["mean_r2"] > 0.9
    True
    """
    from sciml.train.gaussian import NNGPRegressor

    start = time.perf_counter()
    spread = train[1].std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    chosen = _chosen(train[0], test[0], train[1] / spread, seed)
    model = NNGPRegressor(**chosen.options).fit(chosen.train, train[1] / spread, sample_weight=_of_mean_one(weights))
    predicted = model.predict(chosen.test) * spread
    scores = regression_scores(test[1], predicted).to_dict()
    settings = chosen.settings | _learned(model)
    return BaselineResult("gaussian", TEXT, scores, settings, time.perf_counter() - start, predicted)


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Features of the training and the test part, what they are, and the settings of the estimator."""

    train: FloatArray
    test: FloatArray
    settings: dict[str, Any]
    options: dict[str, Any]


def _chosen(train: AnyArray, test: AnyArray, targets: NDArray[Any], seed: int) -> _Chosen:
    """Return the features and the depth of the largest marginal likelihood on a part of the windows."""
    from sciml.train.gaussian import NetKernel
    from sciml.train.gaussian.tuning import tune

    part = np.sort(np.random.default_rng(seed).permutation(len(train))[:N_TUNING])
    centered = targets[part] - targets[part].mean(axis=0)
    found = []
    for bins in bins_to_try(train.shape[2]):
        features = principal_components(binned(train, bins), binned(test, bins))
        # Mean square one in training: the biases of the kernel then weigh as they should.
        size = float(np.sqrt(np.mean(np.square(features[0])))) if features[0].size else 1.0
        one, other = (each / (size or 1.0) for each in features)
        for depth in DEPTHS:
            kernel = NetKernel(depth)
            tuned = tune(kernel, one[part], centered, noise=None, amplitude=None, fit_kernel=False)
            settings = {"bins": bins, "depth": depth, "n_features": one.shape[1]}
            options = {"kernel": kernel, "optimize": False, "max_exact": MAX_EXACT, "n_inducing": N_INDUCING}
            found.append((tuned.log_likelihood, _Chosen(one, other, settings, options | {"random_state": seed})))
    return max(found, key=lambda each: each[0])[1]


def _of_mean_one(weights: AnyArray | None) -> AnyArray | None:
    return None if weights is None else np.asarray(weights / np.mean(weights))


def _learned(model: Any) -> dict[str, Any]:
    return {"noise": model.noise_, "amplitude": model.amplitude_, "exact": model.exact_}
