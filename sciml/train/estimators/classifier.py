"""The classifier of signals."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError
from sciml.train.calibration import calibrate
from sciml.train.estimators.base import SignalEstimator

__all__ = ["SignalClassifier"]


class SignalClassifier(ClassifierMixin, SignalEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A net that names the class of a signal, with the contract of scikit-learn.

    Input is X (sample, channel, time), or (sample, time) as one channel. NaN at the end of a window, in all channels,
    is padding; elsewhere it is a missing value: zero after standardization, and the mask of what is there is an input
    of the net. Labels may be strings. A part of the samples is held out of training: it stops training, chooses the
    weights that are kept, and sets the temperature of `predict_proba`.

    Parameters
    ----------
    model
        Name of a net in `sciml.nn.models`.
    random_state
        Seed, generator, or None for another seed each time. It decides all that is drawn.
    model_options
        Options of the net.
    steps
        Steps of training at most; default 800, or 50 passes where these are more.
    batch_size
        Windows in a step; default a sixteenth of them, from 16 to 64.
    lr
        Largest step size.
    validation_fraction
        Of the samples, held out of training; 0 (and fewer than 8 samples) trains and validates on all.
    device
        "auto", "cpu", "cuda".
    train_options
        Further settings of `sciml.train.TrainConfig`, such as `{"class_weights": "balanced", "monitor": "auc"}`.

    Attributes
    ----------
    classes_
        Labels, sorted.
    net_
        The trained net, in float64 on the CPU.
    history_
        What was measured in each epoch; `best_epoch_` is the one whose weights were kept, by `monitor_`.
    calibration_
        Temperature from the held-out part (`sciml.train.Calibration`).
    n_features_in_
        Channels, or samples in time where X has two dims.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.array(["slow", "fast"])[np.arange(60) % 2]
    >>> X = np.sin(np.where(y == "fast", 1.0, 0.5)[:, None] * np.arange(30)) + 0.3 * rng.normal(size=(60, 30))
    >>> classifier = SignalClassifier(random_state=0, steps=100, model_options={"width": 16}).fit(X, y)
    >>> classifier.score(X, y) > 0.9, classifier.predict_proba(X).shape
    (True, (60, 2))
    """

    _loss = "cross_entropy"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train a net.

        Parameters
        ----------
        X, y
            Windows (sample, channel, time) or (sample, time), and their labels (sample,).
        sample_weight
            Shape (sample,): in the loss and the scores of the held-out part.
        groups
            Shape (sample,): samples of a group are held out together.

        Raises
        ------
        DataError
            Data of another shape, a single class, groups that leave nothing.
        ConfigError
            Settings that cannot be.
        DivergedError
            Training that does not stay finite.
        """
        X, y = self._checked(X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"expected at least two classes, got one class, {self.classes_[0]!r}")
        outputs, held_out = self._train(X, labels, labels, sample_weight, groups, len(self.classes_))
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)[held_out]
        counted = slice(None) if weights is None or not weights.any() else weights > 0
        self.calibration_ = calibrate(
            outputs[counted],
            labels[held_out][counted],
            weights=None if weights is None or not weights.any() else weights[counted],
        )
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Return logits in float64, shape (sample, class); of two classes their difference, shape (sample,)."""
        logits = self._outputs(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each class, shape (sample, class), calibrated on the held-out part."""
        logits = self._outputs(X)
        return self.calibration_.apply(logits)

    def predict(self, X: Any) -> AnyArray:
        """Return the most probable label of each window, shape (sample,)."""
        named = self._outputs(X).argmax(axis=1)
        return np.asarray(self.classes_[named])
