from .channels import traces
from .components import components
from .floors import eigenvalues, scree, shared_noise
from .frequencies import power_spectrum, spectral_floor
from .nets import hessian_density, layer_spectra, layer_spectrum, propagation
from .scores import before_after, confusion, learning_curve, reliability

__all__ = [
    "before_after",
    "components",
    "confusion",
    "eigenvalues",
    "hessian_density",
    "layer_spectra",
    "layer_spectrum",
    "learning_curve",
    "power_spectrum",
    "propagation",
    "reliability",
    "scree",
    "shared_noise",
    "spectral_floor",
    "traces",
]
