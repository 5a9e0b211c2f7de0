"""Level statistics of the bulk of a curvature matrix: whether its eigenvalues repel each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch  # noqa: F401 (for the example)
from numpy.typing import ArrayLike

from sciml._typing import FloatArray
from sciml.errors import DataError
from sciml.rmt.spacing import MEAN_RATIO, NAMES, r_ratio
from sciml.spectra.curvature.operators.operator import CurvatureOperator
from sciml.wording import count

__all__ = ["BulkLevels", "bulk_levels"]

LEAST = 20  # levels on one side that are a statistic
SURE = 3.0  # standard errors


@dataclass(frozen=True)
class BulkLevels:
    """Mean ratio of neighboring spacings of the bulk, beside independent levels (Poisson) and random matrices (GOE).

    Attributes
    ----------
    mean_ratio, standard_error
        .5307 in the Gaussian orthogonal ensemble and for sample covariances, .3863 for independent levels.
    n_levels, n_null, n_outliers
        Levels that count; those of the null space, and outliers, that were removed.
    z
        Distance from each reference in standard errors, by name.
    """

    kind: str
    mean_ratio: float
    standard_error: float
    n_levels: int
    n_null: int
    n_outliers: int
    z: dict[str, float]

    @property
    def verdict(self) -> str:
        """What the ratio says: levels repel as in a random matrix, are independent, neither, or undetermined."""
        near = {name: abs(self.z[name]) < SURE for name in ("GOE", "Poisson")}
        if near["GOE"] and near["Poisson"]:
            return "undetermined"
        if near["GOE"]:
            return "levels repel as in a random matrix"
        return "levels are independent" if near["Poisson"] else "neither"

    def summary(self) -> str:
        """Return the ratio beside the references."""
        return (
            f"{count(self.n_levels, 'level')} of the bulk of the {self.kind} ({self.n_null:,} of the null space "
            f"removed): mean ratio of spacings {self.mean_ratio:.3f} ± {self.standard_error:.3f} (GOE .531, "
            f"independent .386): {self.verdict}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "verdict": self.verdict}

    def variables(self) -> dict[str, tuple[tuple[str, ...], Any, dict[str, Any]]]:
        """Return arrays by name with dims and attributes."""
        return {"spacing_ratio": ((), self.mean_ratio, {"long_name": "Mean ratio of spacings", "units": "1"})}


def bulk_levels(matrix: CurvatureOperator | ArrayLike, *, null: float = 1e-6, n_outliers: int = 0) -> BulkLevels:
    """Return the level statistics of the bulk of a matrix, its null space and its outliers removed.

    Ratios of neighboring spacings need no unfolding. Positive and negative levels are two sequences: the null space
    that is removed lies between them. Levels that agree to rounding are no spacing, and are left out.

    Parameters
    ----------
    matrix
        A curvature operator of up to a few thousand parameters (name a subset of a larger one), or all eigenvalues.
    null
        Levels within this part of the largest magnitude of zero are null.
    n_outliers
        How many of the largest magnitude are not of the bulk.

    Raises
    ------
    DataError
        Fewer than 20 levels of the bulk on either side of zero.

    References
    ----------
    Atas, Bogomolny, Giraud, Roux (2013), doi:10.1103/PhysRevLett.110.084101; Hessians: Baskerville, Granziol,
    Keating (2022), arXiv:2102.06740.

    Examples
    --------
    >>> W = np.random.default_rng(0).standard_normal((400, 800))
    >>> bulk_levels(np.linalg.eigvalsh(W @ W.T)).verdict
    'levels repel as in a random matrix'
    """
    if isinstance(matrix, CurvatureOperator):
        kind, values = matrix.kind, np.linalg.eigvalsh(matrix.to_dense().double().cpu().numpy())
    else:
        kind, values = "matrix", np.sort(np.asarray(matrix, np.float64).ravel())
    size = np.abs(values)
    zero = size <= null * size.max(initial=0.0)
    outliers = np.zeros(len(values), bool)
    outliers[np.argsort(-size)[:n_outliers]] = True
    bulk = values[~zero & ~outliers]
    sides = [side for side in (bulk[bulk > 0], bulk[bulk < 0]) if len(side) >= LEAST]
    if not sides:
        raise DataError(
            f"expected at least {LEAST} levels of the bulk on one side of zero, got {len(bulk)} in all; take more "
            "samples or parameters, so that the matrix has a larger rank"
        )
    return _of_sides(kind, sides, int(zero.sum()), n_outliers)


def _of_sides(kind: str, sides: list[FloatArray], n_null: int, n_outliers: int) -> BulkLevels:
    found = [r_ratio(side) for side in sides]
    n = np.array([each.n_ratios for each in found])
    mean = float(np.average([each.mean for each in found], weights=n))
    error = float(np.sqrt(((n * [each.standard_error for each in found]) ** 2).sum()) / n.sum())
    z = {NAMES[beta]: (mean - reference) / error for beta, reference in MEAN_RATIO.items()}
    return BulkLevels(kind, mean, error, sum(len(side) for side in sides), n_null, n_outliers, z)
