"""What is known of an eigenvalue that products found: how far the exact one can be, and whether one was missed."""

import numpy as np
from scipy import special

from sciml._typing import FloatArray, IntArray

__all__ = ["error_bounds", "missed_chance"]


def error_bounds(values: FloatArray, residuals: FloatArray, wanted: IntArray) -> tuple[FloatArray, FloatArray]:
    r"""Return how far each wanted Ritz value is from an eigenvalue at most, and the gap that says so.

    For any group of Ritz values that contains the wanted one, with R the residuals of the group's Ritz vectors, and
    \eta the distance of the group to all other values,

    .. math:: |\lambda - \theta| \le \frac{2 \|R\|^2}{\eta + \sqrt{\eta^2 + 4 \|R\|^2}}
              \le \min(\|R\|, \|R\|^2 / \eta)

    and the group that bounds best is taken, so that two values close to each other vouch for one another. The bound
    holds with \eta the distance to the other *eigenvalues*; Ritz values stand in for those, moved toward the group by
    their own residual where that is smaller than the half of the distance.

    Parameters
    ----------
    values
        Ritz values, ascending, (m,).
    residuals
        Coefficients (r, m) of the residual vectors in an orthonormal basis.
    wanted
        Which of the values, (k,).

    References
    ----------
    Li, Li (2005), doi:10.1016/j.laa.2004.08.026, theorem 2; Mathias (1998), doi:10.1137/S0895479896310536.

    Examples
    --------
    >>> bounds, gaps = error_bounds(np.array([0.0, 1.0]), np.array([[0.0, 0.01]]), np.array([1]))
    >>> bounds.round(6).tolist(), gaps.tolist()
    ([0.0001], [1.0])
    """
    m = len(values)
    lengths = np.linalg.norm(residuals, axis=0)
    found = lengths[wanted]
    gaps = np.zeros(len(wanted))
    widest = min(m - 1, len(wanted) + 1)
    for start in range(m):
        for stop in range(start + 1, min(m, start + widest) + 1):
            inside = (wanted >= start) & (wanted < stop)
            if not inside.any():
                continue
            gap = _distance(values, lengths, start, stop)
            length = float(np.linalg.norm(residuals[:, start:stop], 2)) if len(residuals) else 0.0
            if gap <= 0:
                continue
            bound = 2 * length**2 / (gap + np.sqrt(gap**2 + 4 * length**2))
            better = inside & (bound <= found)
            found[better], gaps[better] = bound, gap
    return found, gaps


def _distance(values: FloatArray, lengths: FloatArray, start: int, stop: int) -> float:
    """Return the distance of values[start:stop] to the others, each moved by its residual up to half its distance."""
    below = values[start] - values[:start]
    above = values[stop:] - values[stop - 1]
    near = np.concatenate([below, above])
    off = np.concatenate([lengths[:start], lengths[stop:]])
    return float((near - np.minimum(off, near / 2)).min()) if near.size else 0.0


def missed_chance(alpha: FloatArray, beta: FloatArray, levels: FloatArray, weight: float) -> float:
    r"""Return the chance that a random start has hidden an eigenvalue at or beyond a level from Lanczos.

    After j steps from a start of n independent normal values the tridiagonal matrix fixes what weight the measure of
    the start can have at a point \lambda at most: the Christoffel function

    .. math:: \rho_j(\lambda) = \Big(\sum_{i < j} p_i(\lambda)^2\Big)^{-1}

    with p_i the orthonormal polynomials of the recurrence. An eigenvector of eigenvalue \lambda has weight
    w \chi^2_1 in the start (w = 1/n, n large), so that the chance of one that the run does not show is at most
    P(\chi^2_1 \le \rho_j(\lambda) / w), which falls further out. The largest over the levels' sum is returned.

    Parameters
    ----------
    alpha, beta
        Diagonal (j,) and off-diagonal (j,) of the recurrence; the last of beta leads out of it.
    levels
        Values at which an eigenvalue would have been missed.
    weight
        Expected weight of an eigenvector in the start: 1 / n for one of n independent normal values.

    References
    ----------
    Chebyshev, Markov, Stieltjes: Szego (1975), Orthogonal Polynomials, section 3.41; of random starts: Kuczynski,
    Wozniakowski (1992), doi:10.1137/0613066.

    Examples
    --------
    >>> missed_chance(np.zeros(12), np.ones(12), np.array([4.0]), 1 / 1000) < 0.001
    True
    """
    total = 0.0
    for level in levels:
        found = _largest_weight(alpha, beta, float(level))
        total += float(special.chdtr(1, found / weight))
    return min(1.0, total)


def _largest_weight(alpha: FloatArray, beta: FloatArray, level: float) -> float:
    """Return the Christoffel function at a level; where the recurrence ended, no other point has weight."""
    before, now, total = 0.0, 1.0, 0.0
    for i in range(len(alpha)):
        total += now**2
        if beta[i] <= 0 or total > 1e100:
            return 0.0
        before, now = now, ((level - alpha[i]) * now - (beta[i - 1] * before if i else 0.0)) / beta[i]
    return 1.0 / total
