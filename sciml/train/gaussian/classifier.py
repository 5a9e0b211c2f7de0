"""Classification with the Gaussian process of a wide net."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError
from sciml.train.calibration import calibrate, probabilities
from sciml.train.gaussian.base import GaussianEstimator
from sciml.train.gaussian.exact import LeftOut

__all__ = ["NNGPClassifier"]


class NNGPClassifier(ClassifierMixin, GaussianEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classification by Gaussian-process regression to the classes, with the kernel of a wide net.

    The target of a class is 1 less its frequency for its own samples, and minus its frequency for the others. Outputs
    become probabilities by the temperature that fits what the other samples say of each training sample. Parameters and
    attributes as in `NNGPRegressor`.

    Attributes
    ----------
    classes_
        Labels, sorted.
    temperature_
        What outputs are divided by before the softmax.

    References
    ----------
    Lee et al. (2018), arXiv:1711.00165, section 3 (classes as regression targets); Rifkin and Klautau (2004), JMLR 5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = np.where(np.abs(X[:, 0]) > 0.7, "far", "near")
    >>> model = NNGPClassifier().fit(X, y)
    >>> model.score(X, y) > 0.9, model.predict_proba(X[:4]).shape
    (True, (4, 2))
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Condition the process on samples X (sample, feature) and their labels y (sample,).

        Raises
        ------
        ConfigError, DataError, NumericalError
            As in `NNGPRegressor.fit`; a single class.
        """
        X, y = self._checked(X, y)
        check_classification_targets(y)
        weights = self._weights(sample_weight, X)
        X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"expected at least two classes of weight above zero, got one class, {self.classes_[0]!r}")
        targets = np.eye(len(self.classes_))[labels]
        self.target_center_ = np.average(targets, axis=0, weights=weights)
        self._condition(X, targets - self.target_center_, weights)
        left_out = self._left_out().mean + self.target_center_
        self.temperature_ = calibrate(left_out, labels, weights=weights).temperature
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Return logits (sample, class): outputs over the temperature; of two classes their difference (sample,)."""
        logits = (self._mean(self._checked(X)) + self.target_center_) / self.temperature_
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probability of each class, shape (sample, class)."""
        return probabilities((self._mean(self._checked(X)) + self.target_center_) / self.temperature_)

    def predict(self, X: Any) -> AnyArray:
        """Return the most probable label of each sample, shape (sample,)."""
        outputs = self._mean(self._checked(X)) + self.target_center_
        return np.asarray(self.classes_[outputs.argmax(axis=1)])

    def predict_std(self, X: Any) -> FloatArray:
        """Return the standard deviation of the outputs, shape (sample,): how far a sample is from those of training."""
        return np.sqrt(self._variance(self._checked(X)))

    def leave_one_out(self) -> LeftOut:
        """Return the outputs that the other samples give each training sample."""
        found = self._left_out()
        return LeftOut(found.mean + self.target_center_, found.variance)
