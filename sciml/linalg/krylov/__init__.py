"""Spectra of symmetric operators that are known by their products alone: ends, densities, traces, diagonals.

An operator is anything with `shape` (n, n) and `operator @ V` for V of shape (n, k): a NumPy array, a torch tensor, a
SciPy `LinearOperator`, a curvature operator of `sciml.spectra`. Long vectors stay what the operator's products are (in
memory or on a GPU); what is projected is small and in double precision.
"""

from sciml.linalg.krylov.block import Krylov
from sciml.linalg.krylov.certificates import error_bounds, missed_chance
from sciml.linalg.krylov.eigenpairs import Eigenpairs, Wanted, eigenpairs
from sciml.linalg.krylov.quadrature import Tridiagonal, tridiagonals
from sciml.linalg.krylov.trace import Estimate, diagonal, hutch_plus_plus, hutchinson, xtrace
from sciml.linalg.krylov.vectors import Operator

__all__ = [
    "Eigenpairs",
    "Estimate",
    "Krylov",
    "Operator",
    "Tridiagonal",
    "Wanted",
    "diagonal",
    "eigenpairs",
    "error_bounds",
    "hutch_plus_plus",
    "hutchinson",
    "missed_chance",
    "tridiagonals",
    "xtrace",
]
