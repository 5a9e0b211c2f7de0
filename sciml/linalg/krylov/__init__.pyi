from .block import Krylov
from .certificates import error_bounds, missed_chance
from .eigenpairs import Eigenpairs, Wanted, eigenpairs
from .quadrature import Tridiagonal, tridiagonals
from .trace import (
    Estimate,
    diagonal,
    hutch_plus_plus,
    hutchinson,
    xtrace,
)
from .vectors import Operator

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
