from .channels import traces
from .components import components
from .floors import eigenvalues, scree, shared_noise
from .frequencies import power_spectrum, spectral_floor
from .scores import before_after, confusion, learning_curve, reliability

__all__ = [
    "before_after",
    "components",
    "confusion",
    "eigenvalues",
    "learning_curve",
    "power_spectrum",
    "reliability",
    "scree",
    "shared_noise",
    "spectral_floor",
    "traces",
]
