"""Random-matrix laws of a one-dimensional spectrum and a shape: bulk, edge, noise level, shrinkage.

Conventions: X has `n_samples` rows and `n_features` columns, eigenvalues are those of X^H X / n_samples,
gamma = n_features / n_samples may be any positive number. A matrix seen by its singular values has
beta = short side / long side, in (0, 1]. Only `scaling`, `surrogates` and `parallel`
take matrices: they look at the data themselves.
"""

from importlib import import_module
from types import ModuleType

from sciml.rmt import (
    coherence,
    edges,
    free,
    laws,
    parallel,
    population,
    profile,
    rank,
    scaling,
    shrink,
    sigma,
    spacing,
    surrogates,
    thresholds,
)

__all__ = [
    "coherence",
    "covariance",
    "edges",
    "free",
    "laws",
    "parallel",
    "population",
    "profile",
    "rank",
    "scaling",
    "shrink",
    "sigma",
    "spacing",
    "surrogates",
    "thresholds",
]


def __getattr__(name: str) -> ModuleType:
    """Import `covariance` when it is first asked for: scikit-learn takes longer to load than all the laws."""
    if name == "covariance":
        return import_module("sciml.rmt.covariance")
    raise AttributeError(f"module 'sciml.rmt' has no attribute {name!r}")
