r"""Gaussian processes of many samples by inducing points: the kernel's Nystroem approximation.

m inducing points Z are drawn by a randomly pivoted Cholesky factorization; with φ(x) = R^{-1} k(Z, x), R R^T = K_ZZ,
the kernel is nearly φ(x)·φ(x'), and with Φ scaled by the noise A = 1 + a Φ^T diag(1/s) Φ,

.. math::
    \bar f_* = a \varphi_*^\top A^{-1} \Phi^\top s^{-1} y, \qquad
    \mathrm{var} f_* = a (k_{**} - \varphi_*^\top \varphi_*) + a \varphi_*^\top A^{-1} \varphi_* .

The first term of the variance is what the inducing points do not see: far from them the process varies as before
it saw any sample.

References
----------
Quinonero-Candela and Rasmussen (2005), JMLR 6, section 5 (projected process); Titsias (2009), AISTATS, Eq. 9 (the bound
on the marginal likelihood); pivots: Chen, Epperly, Tropp, Webber (2022), arXiv:2207.06503, algorithm 2.1, with
rejection within a round: Epperly, Tropp, Webber (2024), arXiv:2410.03969.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import linalg

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.train.gaussian.exact import LeftOut

__all__ = ["InducingPosterior", "random_pivots"]

Kernel = Callable[[AnyArray, AnyArray], FloatArray]
AT_ONCE = 64  # pivots of a round
ROWS = 4096  # samples whose features are made at a time
JITTER = 1e-10


def random_pivots(X: AnyArray, diagonal: FloatArray, kernel: Kernel, n: int, *, rng: np.random.Generator) -> IntArray:
    """Return n samples drawn by what is left of the kernel's diagonal after those drawn before, ascending.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> chosen = random_pivots(X, np.ones(3), lambda A, B: A @ B.T, 2, rng=np.random.default_rng(0))
    >>> 2 in chosen.tolist(), len(chosen)
    (True, 2)
    """
    left, chosen = diagonal.copy(), np.empty(0, dtype=np.int64)
    factor = np.empty((len(X), 0))
    while len(chosen) < n and left.sum() > 1e-12 * diagonal.sum():
        asked = min(AT_ONCE, n - len(chosen))
        drawn = np.unique(rng.choice(len(X), size=asked, p=left / left.sum()))
        core = kernel(X[drawn], X[drawn]) - factor[drawn] @ factor[drawn].T
        kept = rng.permutation(len(drawn))
        kept = kept[_accepted(core[np.ix_(kept, kept)], rng)]
        drawn, core = drawn[kept], core[np.ix_(kept, kept)]
        block = kernel(X, X[drawn]) - factor @ factor[drawn].T
        core[np.diag_indices_from(core)] += JITTER * diagonal.max()
        block = linalg.solve_triangular(np.linalg.cholesky(core), block.T, lower=True, check_finite=False).T
        factor = np.concatenate([factor, block], axis=1)
        left = np.maximum(left - np.square(block).sum(axis=1), 0.0)
        left[drawn] = 0.0
        chosen = np.concatenate([chosen, drawn])
    return np.sort(chosen)


def _accepted(core: FloatArray, rng: np.random.Generator) -> list[int]:
    """Return which of the drawn samples are kept, as if each had been drawn after those before it were removed."""
    left, before, kept = core.copy(), np.diagonal(core).copy(), []
    for i in range(len(core)):
        if rng.random() * before[i] < left[i, i]:
            kept.append(i)
            left -= np.outer(left[:, i], left[i]) / left[i, i]
    return kept


class InducingPosterior:
    """The posterior of a Gaussian process that m inducing points stand for.

    Parameters
    ----------
    X
        Samples, whatever the kernel takes.
    targets, noise, amplitude
        As in `ExactPosterior`.
    kernel
        k(A, B) -> (len(A), len(B)).
    diagonal
        k(x, x) of each sample, shape (sample,).
    inducing
        Which samples are inducing points.
    """

    def __init__(
        self,
        X: AnyArray,
        targets: FloatArray,
        *,
        noise: FloatArray,
        amplitude: float,
        kernel: Kernel,
        diagonal: FloatArray,
        inducing: IntArray,
    ) -> None:
        self.amplitude, self.targets, self.noise, self.kernel = amplitude, targets, noise, kernel
        self.points = X[inducing]
        core = kernel(self.points, self.points)
        core[np.diag_indices_from(core)] += JITTER * np.diagonal(core).max()
        self.root = np.linalg.cholesky(core)
        self.features = np.concatenate([self.feature(X[start : start + ROWS]) for start in range(0, len(X), ROWS)])
        scaled = self.features * np.sqrt(amplitude / noise)[:, None]
        gram = scaled.T @ scaled
        gram[np.diag_indices_from(gram)] += 1.0
        self.factor = linalg.cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
        self.right = self.features.T @ (targets / noise[:, None])
        self.weights = linalg.cho_solve((self.factor, True), self.right, check_finite=False)
        self.unseen = np.maximum(diagonal - np.square(self.features).sum(axis=1), 0.0)

    def feature(self, X: AnyArray) -> FloatArray:
        """Return the features of samples, shape (sample, inducing)."""
        found = linalg.solve_triangular(self.root, self.kernel(self.points, X), lower=True, check_finite=False)
        return np.ascontiguousarray(found.T)

    def log_marginal_likelihood(self) -> float:
        """Return Titsias's lower bound of log p(y), summed over outputs."""
        n, k = len(self.targets), self.targets.shape[1]
        misfit = float(np.sum(np.square(self.targets) / self.noise[:, None]))
        explained = float(self.amplitude * np.sum(self.right * self.weights))
        log_det = 2.0 * float(np.sum(np.log(np.diagonal(self.factor)))) + float(np.sum(np.log(self.noise)))
        unseen = float(self.amplitude * np.sum(self.unseen / self.noise))
        return float(-0.5 * (misfit - explained + k * (log_det + unseen + n * math.log(2.0 * math.pi))))

    def mean(self, X: AnyArray) -> FloatArray:
        """Return the posterior means at new samples, shape (new, output)."""
        return np.asarray(self.amplitude * (self.feature(X) @ self.weights))

    def variance(self, X: AnyArray, diagonal: FloatArray) -> FloatArray:
        """Return the posterior variance of the function, shape (new,)."""
        feature = self.feature(X)
        half = linalg.solve_triangular(self.factor, feature.T, lower=True, check_finite=False)
        unseen = np.maximum(diagonal - np.square(feature).sum(axis=1), 0.0)
        return np.asarray(self.amplitude * (unseen + np.square(half).sum(axis=0)))

    def leave_one_out(self) -> LeftOut:
        """Return what the other samples say of each, the inducing points kept."""
        half = linalg.solve_triangular(self.factor, self.features.T, lower=True, check_finite=False)
        variance = self.amplitude * np.square(half).sum(axis=0)
        left = np.maximum(1.0 - variance / self.noise, 1e-12)
        error = self.targets - self.amplitude * (self.features @ self.weights)
        return LeftOut(self.targets - error / left[:, None], self.noise / left + self.amplitude * self.unseen)
