"""Ridge regressions of all penalties from one eigendecomposition, and their errors when each item is left out."""

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray

__all__ = ["ALPHAS", "KERNEL_ALPHAS", "RidgePath"]

# penalties in units of the mean eigenvalue; thousands of features want less than few
ALPHAS = tuple(np.logspace(-3, 6, 19).tolist())
KERNEL_ALPHAS = tuple(np.logspace(-5, 3, 25).tolist())


class RidgePath:
    r"""Ridge regression with an intercept for any penalty, with the errors of leaving each item out.

    .. math:: \hat y = \bar y + Z (Z^\top Z + \alpha \bar\lambda I)^{-1} Z_\text{train}^\top (y - \bar y), \qquad
              e_{-i} = \frac{y_i - \hat y_i}{1 - h_{ii}}

    with Z the features less their mean over the training items, rotated to the principal axes, the penalty
    in units of the mean eigenvalue of Z^T Z, and h the diagonal of the matrix that maps y to its fit.

    Parameters
    ----------
    features, targets
        Training items, shape (n, p) and (n, k).
    weights
        Of the items, shape (n,); None for equal ones.

    References
    ----------
    Hoerl and Kennard (1970), doi:10.1080/00401706.1970.10488634; leaving out: Golub, Heath and Wahba (1979),
    doi:10.1080/00401706.1979.10489751, eq. 1.5.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> path = RidgePath(X, X @ np.array([[1.0], [2.0], [3.0]]))
    >>> np.abs(path.predict(path.rotate(np.eye(3)), 1e-9) - [[1.0], [2.0], [3.0]]).max().item() < 1e-6
    True
    """

    def __init__(self, features: AnyArray, targets: AnyArray, weights: AnyArray | None = None) -> None:
        weight = np.ones(len(features)) if weights is None else np.asarray(weights, dtype=np.float64)
        self.root = np.sqrt(weight / weight.mean())[:, None]
        self.mean = _mean(features, weight)
        self.offset = _mean(targets, weight)
        X = (features - self.mean) * self.root.astype(features.dtype)
        self.residual = (targets - self.offset) * self.root
        primal = X.shape[1] <= len(X)
        values, vectors = np.linalg.eigh(np.asarray(X.T @ X if primal else X @ X.T, dtype=np.float64))
        keep = values > max(values[-1], np.finfo(float).tiny) * 1e-10
        self.values = values[keep]
        self.axes = vectors[:, keep] if primal else X.T @ (vectors[:, keep] / np.sqrt(self.values))
        self.scores = X @ self.axes
        self.right = self.scores.T @ self.residual
        self.unit = values.sum() / len(values) if len(values) else 1.0

    def rotate(self, features: AnyArray) -> NDArray[np.float64]:
        """Return features of other items along the principal axes, for `predict`."""
        return np.asarray((features - self.mean) @ self.axes, dtype=np.float64)

    def predict(self, rotated: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
        """Return the predictions of one penalty, shape (n, k)."""
        return np.asarray(rotated @ self._inner(alpha) + self.offset, dtype=np.float64)

    def left_out(self, alpha: float) -> NDArray[np.float64]:
        """Return what the fit to all other items predicts of each training item, shape (n, k)."""
        error = self.residual - self.scores @ self._inner(alpha)
        intercept = self.root**2 / np.sum(self.root**2)
        leverage = intercept + np.square(self.scores) @ (1 / self._penalized(alpha))[:, None]
        of_others = error / np.maximum(1 - leverage, 1e-12)
        return np.asarray(self.residual / self.root + self.offset - of_others / self.root, dtype=np.float64)

    def _penalized(self, alpha: float) -> NDArray[np.float64]:
        return np.asarray(self.values + alpha * self.unit)

    def _inner(self, alpha: float) -> NDArray[np.float64]:
        return np.asarray(self.right / self._penalized(alpha)[:, None])


def _mean(values: AnyArray, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(weight @ values / weight.sum(), dtype=np.float64).astype(values.dtype)
