"""The regressor of signals."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from sciml._typing import FloatArray
from sciml.train.estimators.base import SignalEstimator

__all__ = ["SignalRegressor"]


class SignalRegressor(RegressorMixin, SignalEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A net that tells one or more numbers of a signal, with the contract of scikit-learn.

    Input and parameters as in `SignalClassifier`; targets are y (sample,) or (sample, output), standardized inside.

    Attributes
    ----------
    net_
        The trained net, in float64 on the CPU.
    history_
        What was measured in each epoch, with targets standardized.
    residuals_
        Targets less predictions of the held-out part, shape as y. The weights were chosen by that part, so conformal
        intervals from it are somewhat too short: keep a part of your own for them.
    n_features_in_
        Channels, or samples in time where X has two dims.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.uniform(0.3, 1.0, size=120)
    >>> X = np.sin(y[:, None] * np.arange(40)) + 0.1 * rng.normal(size=(120, 40))
    >>> regressor = SignalRegressor(random_state=0, steps=200, model_options={"width": 16}).fit(X, y)
    >>> regressor.score(X, y) > 0.8
    True
    """

    _loss = "mse"

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: there may be several outputs."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train a net; see `SignalClassifier.fit`.

        Raises
        ------
        DataError, ConfigError, DivergedError
            As there.
        """
        X, y = self._checked(X, y, multi_output=True, y_numeric=True)
        self.shape_ = y.shape[1:]
        columns = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        spread = columns.std(axis=0)
        self.target_center_, self.target_scale_ = columns.mean(axis=0), np.where(spread > 0, spread, 1.0)
        scaled = ((columns - self.target_center_) / self.target_scale_).astype(np.float32)
        outputs, held_out = self._train(X, scaled, None, sample_weight, groups, columns.shape[1])
        self.residuals_ = y[held_out] - self._restored(outputs)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return the values of each window, shape (sample,) or (sample, output) as in training."""
        return self._restored(self._outputs(X))

    def _restored(self, outputs: FloatArray) -> FloatArray:
        values = outputs * self.target_scale_ + self.target_center_
        return np.asarray(values.reshape(len(values), *self.shape_), dtype=np.float64)
