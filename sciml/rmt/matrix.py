"""Matrices at the public doors of `sciml.rmt`: checked, in double precision, and their singular values."""

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError

__all__ = ["gram_eigenvalues", "matrix"]


def matrix(name: str, values: ArrayLike) -> AnyArray:
    """Return a two-dimensional array of finite numbers as float64 or complex128."""
    given: AnyArray = np.asarray(values)
    if given.ndim != 2 or given.size == 0 or given.dtype.kind not in "fiubc":
        raise DataError(
            f"expected {name} as a matrix of numbers, got shape {given.shape} of type {given.dtype}; "
            "stack trials and pixels into two dimensions"
        )
    wide = given.astype(np.complex128 if given.dtype.kind == "c" else np.float64)
    if not np.isfinite(wide).all():
        raise DataError(
            f"expected finite {name}, got {np.count_nonzero(~np.isfinite(wide))} of {wide.size} values that are not; "
            "leave out missing samples or channels"
        )
    return wide


def gram_eigenvalues(X: AnyArray) -> FloatArray:
    """Return the squared singular values in descending order."""
    return np.asarray(scipy.linalg.svdvals(X, check_finite=False), dtype=np.float64) ** 2
