"""What the regressor and the classifier share: they check, tune on a part, and condition on all."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.train.gaussian.exact import ExactPosterior, LeftOut
from sciml.train.gaussian.inducing import InducingPosterior, random_pivots
from sciml.train.gaussian.kernel import NetKernel
from sciml.train.gaussian.tuning import tune

__all__ = ["GaussianEstimator"]

ROWS = 1024  # samples that are predicted at a time


class GaussianEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The common part of `NNGPRegressor` and `NNGPClassifier`."""

    def __init__(
        self,
        kernel: Any = None,
        *,
        noise: float | None = None,
        amplitude: float | None = None,
        optimize: bool = True,
        n_tuning: int = 512,
        max_exact: int = 10_000,
        n_inducing: int = 1500,
        random_state: Any = 0,
    ) -> None:
        self.kernel = kernel
        self.noise = noise
        self.amplitude = amplitude
        self.optimize = optimize
        self.n_tuning = n_tuning
        self.max_exact = max_exact
        self.n_inducing = n_inducing
        self.random_state = random_state

    def _condition(self, X: AnyArray, targets: FloatArray, sample_weight: Any) -> Self:
        """Learn kernel, noise and amplitude from a part of the samples, and the posterior from all."""
        self._check_settings()
        weights = self._weights(sample_weight, X)
        used = weights > 0
        X, targets, weights = X[used], targets[used], weights[used]
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        kernel = NetKernel() if self.kernel is None else clone(self.kernel)
        part = np.sort(rng.permutation(len(X))[: self.n_tuning])
        tuned = tune(
            kernel, X[part], targets[part], noise=self.noise, amplitude=self.amplitude, fit_kernel=self.optimize
        )
        self.kernel_, self.noise_, self.amplitude_ = tuned.kernel, tuned.noise, tuned.amplitude
        self.exact_ = len(X) <= self.max_exact
        self.posterior_ = self._posterior(X, targets, self.noise_ / weights, rng)
        self.log_marginal_likelihood_value_ = self.posterior_.log_marginal_likelihood()
        return self

    def _posterior(
        self, X: AnyArray, targets: FloatArray, noise: FloatArray, rng: np.random.Generator
    ) -> ExactPosterior | InducingPosterior:
        if self.exact_:
            self.X_train_ = X
            return ExactPosterior(self.kernel_(X), targets, noise=noise, amplitude=self.amplitude_)
        diagonal = self.kernel_.diag(X)
        inducing = random_pivots(X, diagonal, self.kernel_, self.n_inducing, rng=rng)
        self.X_train_ = X[inducing]
        return InducingPosterior(
            X,
            targets,
            noise=noise,
            amplitude=self.amplitude_,
            kernel=self.kernel_,
            diagonal=diagonal,
            inducing=inducing,
        )

    @staticmethod
    def _weights(sample_weight: Any, X: AnyArray) -> FloatArray:
        if sample_weight is not None and not np.asarray(sample_weight).any():
            raise DataError("expected a sample_weight above zero, got zeros alone: there is nothing to learn from")
        return np.asarray(_check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True))

    def _check_settings(self) -> None:
        for name in ("noise", "amplitude"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ConfigError(f"expected {name} > 0, or None for that of the largest likelihood, got {value}")
        if min(self.n_tuning, self.n_inducing) < 2:
            raise ConfigError(f"expected n_tuning and n_inducing >= 2, got {self.n_tuning} and {self.n_inducing}")

    def _mean(self, X: AnyArray) -> FloatArray:
        """Return the posterior means (new, output)."""
        parts = (X[start : start + ROWS] for start in range(0, len(X), ROWS))
        return np.concatenate([self._part_mean(part) for part in parts])

    def _part_mean(self, X: AnyArray) -> FloatArray:
        if isinstance(self.posterior_, InducingPosterior):
            return self.posterior_.mean(X)
        posterior: ExactPosterior = self.posterior_
        return posterior.mean(self.kernel_(X, self.X_train_))

    def _variance(self, X: AnyArray) -> FloatArray:
        """Return the posterior variance of the function (new,)."""
        parts = (X[start : start + ROWS] for start in range(0, len(X), ROWS))
        return np.concatenate([self._part_variance(part) for part in parts])

    def _part_variance(self, X: AnyArray) -> FloatArray:
        diagonal = self.kernel_.diag(X)
        if isinstance(self.posterior_, InducingPosterior):
            return self.posterior_.variance(X, diagonal)
        posterior: ExactPosterior = self.posterior_
        return posterior.variance(self.kernel_(X, self.X_train_), diagonal)

    def _left_out(self) -> LeftOut:
        check_is_fitted(self, "posterior_")
        found: LeftOut = self.posterior_.leave_one_out()
        return found

    def _checked(self, X: Any, y: Any = "no_validation", **options: Any) -> Any:
        new = isinstance(y, str) and y == "no_validation"
        if new:
            check_is_fitted(self, "posterior_")
        return validate_data(self, X, y, reset=not new, dtype=np.float64, ensure_min_samples=1 if new else 2, **options)
