r"""Noise, amplitude and kernel of a Gaussian process by its marginal likelihood, on a part of the samples.

With noise r in units of the amplitude a, the best a is known: a = y^T (K + r)^{-1} y / n, so that one number is
searched for a given kernel, and its eigenvalues are decomposed once.

References
----------
Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, Eq. 5.8-5.9.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize
from sklearn.base import clone

from sciml._typing import AnyArray, FloatArray

__all__ = ["Tuned", "tune"]

RATIOS = np.log(np.geomspace(1e-6, 1e4, 41))  # noise over amplitude that are tried
MOST_STEPS = 20


@dataclass(frozen=True, eq=False)
class Tuned:
    """A kernel, the variance of the noise, the amplitude of the kernel, and their log marginal likelihood."""

    kernel: Any
    noise: float
    amplitude: float
    log_likelihood: float


def tune(
    kernel: Any,
    X: AnyArray,
    targets: FloatArray,
    *,
    noise: float | None,
    amplitude: float | None,
    fit_kernel: bool,
) -> Tuned:
    """Return the kernel, noise and amplitude of the largest marginal likelihood; what is given stays.

    Examples
    --------
    >>> from sklearn.gaussian_process.kernels import RBF
    >>> X = np.linspace(0, 1, 50)[:, None]
    >>> y = np.sin(6 * X) + 0.1 * np.random.default_rng(0).normal(size=(50, 1))
    >>> 0.05 < tune(RBF(0.3), X, y, noise=None, amplitude=None, fit_kernel=False).noise ** 0.5 < 0.2
    True
    """
    if not fit_kernel or not kernel.n_dims:
        return _levels(kernel, kernel(X), targets, noise, amplitude)

    def objective(theta: FloatArray) -> tuple[float, FloatArray]:
        trial = kernel.clone_with_theta(theta)
        K, gradient = trial(X, eval_gradient=True)
        found = _levels(trial, K, targets, noise, amplitude)
        # At the best noise and amplitude their own derivatives are zero.
        C = found.amplitude * K
        C[np.diag_indices_from(C)] += found.noise
        inverse = np.linalg.inv(C)
        weights = inverse @ targets
        outer = weights @ weights.T - targets.shape[1] * inverse
        return -found.log_likelihood, -0.5 * found.amplitude * np.einsum("ij,ijk->k", outer, gradient)

    bounds = np.asarray(kernel.bounds, dtype=np.float64)
    start = np.clip(np.asarray(kernel.theta, dtype=np.float64), bounds[:, 0], bounds[:, 1])
    best, _, _ = optimize.fmin_l_bfgs_b(objective, start, bounds=bounds.tolist(), maxiter=MOST_STEPS)
    fitted = clone(kernel).clone_with_theta(best)
    return _levels(fitted, fitted(X), targets, noise, amplitude)


def _levels(kernel: Any, K: FloatArray, targets: FloatArray, noise: float | None, amplitude: float | None) -> Tuned:
    """Return the best noise and amplitude of one kernel matrix, by its eigenvalues."""
    values, vectors = np.linalg.eigh(K)
    power = np.square(vectors.T @ targets).sum(axis=1)
    values, k = np.maximum(values, 0.0), targets.shape[1]

    def likelihood(s: float, a: float) -> float:
        variance = a * values + s
        return -0.5 * float(np.sum(power / variance + k * np.log(2.0 * math.pi * variance)))

    def levels(log_ratio: float) -> tuple[float, float]:
        ratio = math.exp(log_ratio)
        if noise is not None:
            return noise, noise / ratio if amplitude is None else amplitude
        a = float(np.mean(power / (values + ratio))) / k if amplitude is None else amplitude
        return ratio * a, a

    if noise is not None and amplitude is not None:
        return Tuned(kernel, noise, amplitude, likelihood(noise, amplitude))
    spread = RATIOS + math.log(max(float(values.mean()), 1e-300))
    scores = [likelihood(*levels(each)) for each in spread.tolist()]
    best = int(np.argmax(scores))
    ends = spread[max(best - 1, 0)], spread[min(best + 1, len(spread) - 1)]
    fine = optimize.minimize_scalar(lambda x: -likelihood(*levels(x)), bounds=ends, method="bounded").x
    log_ratio = max((float(spread[best]), float(fine)), key=lambda x: likelihood(*levels(x)))
    found = levels(log_ratio)
    return Tuned(kernel, *found, likelihood(*found))
