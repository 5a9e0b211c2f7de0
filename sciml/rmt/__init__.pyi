from . import (
    coherence,
    covariance,
    edges,
    f_matrix,
    laws,
    rank,
    scaling,
    shrink,
    sigma,
    spacing,
    variance_profile,
)
from .spectrum import Spectrum

__all__ = [
    "Spectrum",
    "coherence",
    "covariance",
    "edges",
    "f_matrix",
    "laws",
    "rank",
    "scaling",
    "shrink",
    "sigma",
    "spacing",
    "variance_profile",
]
