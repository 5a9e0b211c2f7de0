"""Lanczos iterations: the ends of a spectrum by products with a matrix alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from sciml.errors import NumericalError

__all__ = ["largest_singular_value"]


def largest_singular_value(matrix: NDArray[Any], *, tolerance: float | None = None, max_steps: int = 500) -> float:
    r"""Return the largest singular value of a matrix.

    Lanczos on the Gram matrix of the shorter side, every vector made orthogonal to all before it, from a fixed start.
    With residual r of the largest Ritz value, at distance d from the next, the error of the eigenvalue is about r²/d,
    and at most r.

    Parameters
    ----------
    matrix
        (n, p), real; products are formed in its own precision.
    tolerance
        Error at which the iteration stops, relative to the eigenvalue; default 10 times the rounding of the dtype.
    max_steps
        Most products with the matrix and its transpose.

    Raises
    ------
    NumericalError
        The error is still above the tolerance, and above 1e-4, after `max_steps`.

    References
    ----------
    Golub, Van Loan (2013), Matrix Computations, section 10.1 and 10.4.

    Examples
    --------
    >>> round(largest_singular_value(np.diag([3.0, 1.0, -5.0])), 12)
    5.0
    """
    a = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    n = a.shape[1]
    scale = float(np.max(np.abs(a), initial=0.0))
    if scale == 0.0:
        return 0.0
    tolerance = 10.0 * float(np.finfo(a.dtype).eps) if tolerance is None else tolerance
    steps = min(n, max_steps)
    basis = np.zeros((steps, n))
    v: NDArray[Any] = np.random.default_rng(0).standard_normal((n,))
    v = np.asarray(v / np.linalg.norm(v))
    alpha: list[float] = []
    beta: list[float] = []
    top, error = 0.0, float("inf")
    for step in range(steps):
        basis[step] = v
        w = np.asarray(((a @ v.astype(a.dtype)) / scale) @ a, dtype=np.float64) / scale
        alpha.append(float(w @ v))
        for _ in range(2):  # twice is enough
            w -= basis[: step + 1].T @ (basis[: step + 1] @ w)
        beta.append(float(np.linalg.norm(w)))
        if step % 5 == 4 or step + 1 == steps or beta[-1] <= tolerance * alpha[0]:
            top, error = _ritz(alpha, beta)
            if error <= tolerance * top:
                break
        v = w / beta[-1]
    if error > max(tolerance, 1e-4) * top and steps < n:
        raise NumericalError(f"the largest singular value is not found after {max_steps} steps; raise max_steps")
    return scale * float(np.sqrt(max(top, 0.0)))


def _ritz(alpha: list[float], beta: list[float]) -> tuple[float, float]:
    """Return the largest eigenvalue of the projected matrix, and its error."""
    k = len(alpha)
    values, vectors = linalg.eigh_tridiagonal(alpha, beta[:-1], select="i", select_range=(max(0, k - 2), k - 1))
    residual = beta[-1] * abs(float(vectors[-1, -1]))
    apart = float(values[-1] - values[0])
    return float(values[-1]), min(residual, residual**2 / apart) if apart > 0.0 else residual
