from .chain import (
    Factor,
    Gaussian,
    Isometry,
    ProductLaw,
    Slopes,
    slopes_of,
)
from .fluctuation import Fluctuation, jacobian_fluctuation
from .fuss_catalan import FussCatalan
from .jacobian import JacobianLaw

__all__ = [
    "Factor",
    "Fluctuation",
    "FussCatalan",
    "Gaussian",
    "Isometry",
    "JacobianLaw",
    "ProductLaw",
    "Slopes",
    "jacobian_fluctuation",
    "slopes_of",
]
