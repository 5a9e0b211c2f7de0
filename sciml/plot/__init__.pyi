from .channels import traces
from .components import components
from .floors import eigenvalues, scree, shared_noise
from .frequencies import power_spectrum, spectral_floor
from .layout import layout
from .moments import loudest_moment, time_frequency, whitened_trace
from .movies import movie_map, movie_maps
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
    "layout",
    "learning_curve",
    "loudest_moment",
    "movie_map",
    "movie_maps",
    "power_spectrum",
    "propagation",
    "reliability",
    "scree",
    "shared_noise",
    "spectral_floor",
    "time_frequency",
    "traces",
    "whitened_trace",
]
