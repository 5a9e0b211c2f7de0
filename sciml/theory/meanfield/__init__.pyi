from .activations import (
    ACTIVATIONS,
    Activation,
    AnyActivation,
    activation,
    leaky_relu,
)
from .critical import CriticalPoint, critical_line, critical_point
from .fixed import FixedPoint, correlation_map, fixed_points
from .gaussian import (
    Moments,
    PairMoments,
    gaussian_moments,
    pair_moments,
)
from .maps import LengthMap, depth_scale, propagate

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "AnyActivation",
    "CriticalPoint",
    "FixedPoint",
    "LengthMap",
    "Moments",
    "PairMoments",
    "activation",
    "correlation_map",
    "critical_line",
    "critical_point",
    "depth_scale",
    "fixed_points",
    "gaussian_moments",
    "leaky_relu",
    "pair_moments",
    "propagate",
]
