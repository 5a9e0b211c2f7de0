from .channels import traces
from .layout import layout
from .moments import loudest_moment, time_frequency, whitened_trace
from .movies import movie_map, movie_maps

__all__ = [
    "layout",
    "loudest_moment",
    "movie_map",
    "movie_maps",
    "time_frequency",
    "traces",
    "whitened_trace",
]
