"""Regression with the Gaussian process of a wide net."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from sciml._typing import FloatArray
from sciml.train.gaussian.base import GaussianEstimator
from sciml.train.gaussian.exact import LeftOut

__all__ = ["NNGPRegressor"]


class NNGPRegressor(RegressorMixin, GaussianEstimator):  # type: ignore[misc]  # scikit-learn has no types
    r"""Gaussian-process regression with the kernel of a wide net, or with any kernel of scikit-learn.

    Targets are centered. Noise and amplitude (and, with `optimize`, the kernel's own parameters) are those of the
    largest marginal likelihood on at most `n_tuning` samples; then all samples are conditioned on: exactly up to
    `max_exact` of them, by `n_inducing` inducing points beyond. Inputs are best standardized.

    Parameters
    ----------
    kernel
        Default `NetKernel()`: two hidden layers of ReLU.
    noise, amplitude
        Variance of the noise of a sample of weight one, and factor of the kernel, in the square of the target's unit;
        None for those of the largest likelihood.
    optimize
        Fit the kernel's parameters too.
    n_tuning
        Samples that these are chosen by.
    max_exact, n_inducing
        Samples up to which the posterior is exact (memory 8 n² bytes), and inducing points beyond.
    random_state
        Draws the samples of tuning and the inducing points.

    Attributes
    ----------
    kernel_, noise_, amplitude_
        What was used.
    log_marginal_likelihood_value_
        Of all samples; a lower bound of it where there are inducing points.
    exact_
        Whether the posterior is exact.

    References
    ----------
    Lee et al. (2018), arXiv:1711.00165; Rasmussen and Williams (2006), algorithm 2.1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = np.abs(X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=200)
    >>> model = NNGPRegressor().fit(X, y)
    >>> model.score(X, y) > 0.95, 0.03 < model.noise_**0.5 < 0.2
    (True, True)
    """

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: there may be several outputs."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Condition the process on samples X (sample, feature) and targets y (sample,) or (sample, output).

        A sample of weight w has the noise of one, divided by w: as if it were there w times. Noise, amplitude and
        kernel are chosen by all samples of a weight above zero alike.

        Raises
        ------
        ConfigError, DataError
            Settings or data that cannot be.
        NumericalError
            A kernel matrix that is not positive definite with its noise.
        """
        X, y = self._checked(X, y, multi_output=True, y_numeric=True)
        self.shape_ = y.shape[1:]
        columns = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        self.target_center_ = np.average(columns, axis=0, weights=self._weights(sample_weight, X))
        return self._condition(X, columns - self.target_center_, sample_weight)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the posterior means as the targets, and the standard deviation of the function, shape (sample,).

        A new measurement varies by sqrt(std² + noise_).
        """
        X = self._checked(X)
        mean = self._restored(self._mean(X))
        return (mean, np.sqrt(self._variance(X))) if return_std else mean

    def leave_one_out(self) -> LeftOut:
        """Return what the other samples say of each training sample, with a variance that includes the noise."""
        found = self._left_out()
        return LeftOut(self._restored(found.mean), found.variance)

    def _restored(self, outputs: FloatArray) -> FloatArray:
        return np.asarray((outputs + self.target_center_).reshape(len(outputs), *self.shape_))
