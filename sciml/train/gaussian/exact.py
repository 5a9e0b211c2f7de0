r"""Gaussian-process regression by one Cholesky factor.

With C = a K + diag(s), K the kernel matrix, a its amplitude and s the noise variances,

.. math::
    \bar f_* = a k_*^\top C^{-1} y, \qquad
    \mathrm{var} f_* = a k_{**} - a^2 k_*^\top C^{-1} k_*, \qquad
    \log p(y) = -\tfrac12 y^\top C^{-1} y - \tfrac12 \log |C| - \tfrac n2 \log 2\pi .

Leaving sample i out: y_i - [C^{-1} y]_i / [C^{-1}]_ii, with variance 1 / [C^{-1}]_ii.

References
----------
Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, Eq. 2.25-2.30, 5.8, 5.12.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from sciml._typing import FloatArray
from sciml.errors import NumericalError

__all__ = ["ExactPosterior", "LeftOut"]


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What the other samples say of each: mean as the targets (sample, output), and variance (sample,) with noise."""

    mean: FloatArray
    variance: FloatArray


class ExactPosterior:
    """The posterior of a Gaussian process at n samples, in memory of 8 n² bytes.

    Parameters
    ----------
    kernel
        Kernel matrix (sample, sample); it is overwritten by the factor.
    targets
        Shape (sample, output); outputs share kernel and noise.
    noise
        Variance of each sample's noise, shape (sample,).
    amplitude
        Factor of the kernel.

    Examples
    --------
    >>> posterior = ExactPosterior(np.eye(2), np.ones((2, 1)), noise=np.ones(2))
    >>> posterior.mean(np.eye(2)).ravel().round(12).tolist()
    [0.5, 0.5]
    """

    def __init__(self, kernel: FloatArray, targets: FloatArray, *, noise: FloatArray, amplitude: float = 1.0) -> None:
        self.amplitude, self.targets, self.noise = amplitude, targets, noise
        kernel *= amplitude
        kernel[np.diag_indices_from(kernel)] += noise
        try:
            self.factor = linalg.cholesky(kernel, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError as problem:
            raise NumericalError(
                f"expected a kernel matrix that is positive definite with its noise of {noise.min():.3g}, got one that "
                "is not to rounding: raise the noise, or drop duplicates"
            ) from problem
        self.weights = linalg.cho_solve((self.factor, True), targets, check_finite=False)

    def log_marginal_likelihood(self) -> float:
        """Return log p(y), summed over outputs."""
        n, k = len(self.targets), self.targets.shape[1]
        fit = float(np.sum(self.targets * self.weights))
        log_det = 2.0 * float(np.sum(np.log(np.diagonal(self.factor))))
        return float(-0.5 * (fit + k * (log_det + n * math.log(2.0 * math.pi))))

    def mean(self, cross: FloatArray) -> FloatArray:
        """Return the posterior means at new samples of kernel (new, sample): shape (new, output)."""
        return np.asarray(self.amplitude * (cross @ self.weights))

    def variance(self, cross: FloatArray, diagonal: FloatArray) -> FloatArray:
        """Return the posterior variance of the function, shape (new,)."""
        half = linalg.solve_triangular(self.factor, self.amplitude * cross.T, lower=True, check_finite=False)
        return np.asarray(np.maximum(self.amplitude * diagonal - np.square(half).sum(axis=0), 0.0))

    def covariance(self, cross: FloatArray, kernel: FloatArray) -> FloatArray:
        """Return the posterior covariance of the function, shape (new, new)."""
        half = linalg.solve_triangular(self.factor, self.amplitude * cross.T, lower=True, check_finite=False)
        return np.asarray(self.amplitude * kernel - half.T @ half)

    def leave_one_out(self) -> LeftOut:
        """Return what the other samples say of each, by the inverse's diagonal: as long again as the fit."""
        inverse, _ = linalg.lapack.dtrtri(self.factor, lower=1)
        precision = np.einsum("ij,ij->j", inverse, inverse)
        return LeftOut(self.targets - self.weights / precision[:, None], 1.0 / precision)
