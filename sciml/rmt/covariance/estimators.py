"""Estimators of a covariance with the contract of `sklearn.covariance`: shrunk eigenvalues on sample eigenvectors."""

from abc import abstractmethod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.covariance import OAS, EmpiricalCovariance, LedoitWolf
from sklearn.utils.validation import validate_data

from sciml._typing import BoolArray, FloatArray
from sciml.errors import ConfigError
from sciml.rmt.covariance.effective import estimate_effective_samples
from sciml.rmt.covariance.nonlinear import analytic, qis, rie
from sciml.rmt.covariance.spiked import spiked
from sciml.rmt.spectrum import Spectrum

__all__ = [
    "OAS",
    "AnalyticNonlinearShrinkage",
    "LedoitWolf",
    "QuadraticInverseShrinkage",
    "RotationallyInvariant",
    "SpikedCovariance",
]

Effective = float | Literal["auto"] | None


class _SpectralCovariance(EmpiricalCovariance):  # type: ignore[misc]  # scikit-learn has no types
    """Sample eigenvectors, shrunk eigenvalues: `fit` for all estimators here.

    Attributes are those of `sklearn.covariance.EmpiricalCovariance` and `eigenvalues_`, `shrunk_eigenvalues_` (both
    descending, one a feature), `n_effective_`.
    """

    def __init__(
        self, *, store_precision: bool = True, assume_centered: bool = False, n_effective: Effective = None
    ) -> None:
        super().__init__(store_precision=store_precision, assume_centered=assume_centered)
        self.n_effective = n_effective

    @abstractmethod
    def _shrink(self, spectrum: Spectrum) -> FloatArray:
        """Return n_features shrunk eigenvalues, in descending order of the ones given."""

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Fit to data of shape (n_samples, n_features), n_samples at least 2; `y` is ignored."""
        data: FloatArray = validate_data(self, X, ensure_min_samples=2, dtype=np.float64)
        self.location_ = np.zeros(data.shape[1]) if self.assume_centered else data.mean(axis=0)
        dof = len(data) - (not self.assume_centered)
        self.n_effective_ = self._effective(data, dof)
        # A column that does not vary has variance zero, not one to be estimated. The test is exact where the mean,
        # which has a rounding error, would leave a trace of the constant.
        vary: BoolArray = np.asarray(data.any(axis=0) if self.assume_centered else np.ptp(data, axis=0) > 0)
        values, vectors = _decompose(data[:, vary] - self.location_[vary], dof)
        p = int(vary.sum())
        limit = min(p, dof)
        # Fewer directions than both sides allow: features that depend on each other exactly.
        dimension = p if values.size >= limit else values.size
        shrunk = np.zeros(p)
        if dimension:
            shrunk[:dimension] = self._shrink(Spectrum(values, dimension, dof))
        self._assemble(vary, values, vectors, shrunk)
        return self

    def _effective(self, data: FloatArray, dof: int) -> float:
        if self.n_effective is None:
            return float(dof)
        if isinstance(self.n_effective, str):
            if self.n_effective != "auto":
                raise ConfigError(f'expected n_effective as a number, "auto" or None, got {self.n_effective!r}')
            return estimate_effective_samples(data, assume_centered=self.assume_centered)
        if not 1 <= self.n_effective <= len(data):
            raise ConfigError(f"expected n_effective from 1 to {len(data)} samples, got {self.n_effective!r}")
        return min(float(self.n_effective), float(dof))

    def _assemble(self, vary: BoolArray, values: FloatArray, vectors: FloatArray, shrunk: FloatArray) -> None:
        """Put eigenvalues on eigenvectors; the features that are constant keep rows and columns of zeros."""
        rank, n_features = values.size, vary.size
        rest = shrunk[rank] if rank < shrunk.size else 0.0
        inverse = np.divide(1.0, shrunk, out=np.zeros_like(shrunk), where=shrunk > 0)
        inverse_rest = inverse[rank] if rank < shrunk.size else 0.0
        self.eigenvalues_ = np.concatenate([values, np.zeros(n_features - rank)])
        self.shrunk_eigenvalues_ = np.concatenate([shrunk, np.zeros(n_features - shrunk.size)])
        self.covariance_ = _embed(_spread(vectors, shrunk[:rank], rest), vary)
        self.precision_ = _embed(_spread(vectors, inverse[:rank], inverse_rest), vary) if self.store_precision else None


def _decompose(centered: FloatArray, dof: int) -> tuple[FloatArray, FloatArray]:
    """Return the eigenvalues above zero of X^T X / dof, descending, and their eigenvectors, as columns.

    The matrix decomposed is that of the short side. In units of the largest entry nothing over- or underflows.
    """
    size = float(np.abs(centered).max(initial=0.0))
    if size == 0:
        return np.zeros(0), np.zeros((centered.shape[1], 0))
    X = centered / size
    n, p = X.shape
    values, vectors = np.linalg.eigh(X.T @ X if p <= n else X @ X.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = min(int(np.count_nonzero(values > np.finfo(float).eps * max(n, p) * values[0])), dof)
    values, vectors = values[:rank], vectors[:, :rank]
    if p > n:
        vectors = X.T @ (vectors / np.sqrt(values))
    return values / dof * size**2, vectors


def _spread(vectors: FloatArray, values: FloatArray, rest: float) -> FloatArray:
    """Return the matrix with these eigenvalues on these vectors, and `rest` on all other directions."""
    matrix = (vectors * (values - rest)) @ vectors.T
    matrix[np.diag_indices_from(matrix)] += rest
    return np.asarray((matrix + matrix.T) / 2)


def _embed(block: FloatArray, vary: BoolArray) -> FloatArray:
    if vary.all():
        return block
    matrix = np.zeros((vary.size, vary.size))
    matrix[np.ix_(vary, vary)] = block
    return matrix


class QuadraticInverseShrinkage(_SpectralCovariance):
    """Covariance by quadratic-inverse shrinkage (`qis`), for any spectrum and any ratio of features to samples.

    Parameters
    ----------
    store_precision
        Keep the precision matrix.
    assume_centered
        Do not remove the mean of each feature.
    n_effective
        Number of independent samples that the rows are worth, "auto" to estimate it
        (`estimate_effective_samples`), None for independent rows. Not more than the degrees of freedom count.

    Attributes
    ----------
    covariance_, precision_, location_, n_features_in_, feature_names_in_
        As in `sklearn.covariance.EmpiricalCovariance`. With more features than samples the precision is the inverse
        all the same; features that are constant or depend on each other exactly have the pseudo-inverse.
    eigenvalues_, shrunk_eigenvalues_
        One a feature, descending order of the sample.
    n_effective_
        Number of samples used.

    References
    ----------
    Ledoit and Wolf (2022), doi:10.3150/20-BEJ1315.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 100))  # true covariance: 1
    >>> estimate = QuadraticInverseShrinkage().fit(X)
    >>> bool(np.linalg.norm(estimate.covariance_ - np.eye(100)) < 0.2 * np.linalg.norm(np.cov(X.T) - np.eye(100)))
    True
    """

    def _shrink(self, spectrum: Spectrum) -> FloatArray:
        return qis(spectrum, n_effective=self.n_effective_)


class AnalyticNonlinearShrinkage(_SpectralCovariance):
    """Covariance by analytic nonlinear shrinkage (`analytic`).

    Parameters and attributes as for `QuadraticInverseShrinkage`.

    References
    ----------
    Ledoit and Wolf (2020), doi:10.1214/19-AOS1921.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 100))
    >>> found = AnalyticNonlinearShrinkage().fit(X)
    >>> found.eigenvalues_[[0, -1]].round(1).tolist(), found.shrunk_eigenvalues_[[0, -1]].round(1).tolist()
    ([5.5, 0.0], [1.6, 0.8])
    """

    def _shrink(self, spectrum: Spectrum) -> FloatArray:
        return analytic(spectrum, n_effective=self.n_effective_)


class RotationallyInvariant(_SpectralCovariance):
    """Covariance by the rotationally invariant estimator of Ledoit-Péché and Bun-Bouchaud-Potters (`rie`).

    Parameters
    ----------
    regularize
        Correct the smallest eigenvalues (Gamma) where there are more samples than features.
    store_precision, assume_centered, n_effective
        As for `QuadraticInverseShrinkage`, and so are the attributes.

    References
    ----------
    Bun, Bouchaud and Potters (2017), doi:10.1016/j.physrep.2016.10.005.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 100))
    >>> found = RotationallyInvariant().fit(X)
    >>> found.eigenvalues_[[0, -1]].round(1).tolist(), found.shrunk_eigenvalues_[[0, -1]].round(1).tolist()
    ([5.5, 0.0], [0.9, 0.7])
    """

    def __init__(
        self,
        *,
        regularize: bool = True,
        store_precision: bool = True,
        assume_centered: bool = False,
        n_effective: Effective = None,
    ) -> None:
        super().__init__(store_precision=store_precision, assume_centered=assume_centered, n_effective=n_effective)
        self.regularize = regularize

    def _shrink(self, spectrum: Spectrum) -> FloatArray:
        return rie(spectrum, n_effective=self.n_effective_, regularize=self.regularize)


class SpikedCovariance(_SpectralCovariance):
    """Covariance of few directions in noise of one level, by the shrinker that is best for a loss (`spiked`).

    Parameters
    ----------
    loss
        One of `LOSSES`: "frobenius", "operator", "nuclear", "stein", "inverse_frobenius", "entropy", "divergence",
        "frechet".
    sigma, rank, alpha
        As for `spiked`.
    store_precision, assume_centered, n_effective
        As for `QuadraticInverseShrinkage`, and so are the attributes.

    References
    ----------
    Donoho, Gavish and Johnstone (2018), doi:10.1214/17-AOS1601.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 50)) + np.outer(rng.normal(size=200), np.ones(50))
    >>> SpikedCovariance(loss="operator").fit(X).shrunk_eigenvalues_[:3].round(1).tolist()
    [51.9, 1.0, 1.0]
    """

    def __init__(
        self,
        *,
        loss: str = "frobenius",
        sigma: float | None = None,
        rank: int | None = None,
        alpha: float = 0.05,
        store_precision: bool = True,
        assume_centered: bool = False,
        n_effective: Effective = None,
    ) -> None:
        super().__init__(store_precision=store_precision, assume_centered=assume_centered, n_effective=n_effective)
        self.loss = loss
        self.sigma = sigma
        self.rank = rank
        self.alpha = alpha

    def _shrink(self, spectrum: Spectrum) -> FloatArray:
        options: dict[str, Any] = {"loss": self.loss, "sigma": self.sigma, "rank": self.rank, "alpha": self.alpha}
        return spiked(spectrum, n_effective=self.n_effective_, **options)
