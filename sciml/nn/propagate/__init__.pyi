from .law import jacobian_law
from .propagation import propagation
from .result import Propagation, PropagationPoint
from .trial import InitComparison, InitTrial, RateTrial

__all__ = [
    "InitComparison",
    "InitTrial",
    "Propagation",
    "PropagationPoint",
    "RateTrial",
    "jacobian_law",
    "propagation",
]
