from .bound import affordable_bound, norm_bound, quick_bound
from .circular import circular_singular_values, operator_norm
from .grids import grids
from .layer import layer_norms, layer_singular_values
from .operator import LayerOperator

__all__ = [
    "LayerOperator",
    "affordable_bound",
    "circular_singular_values",
    "grids",
    "layer_norms",
    "layer_singular_values",
    "norm_bound",
    "operator_norm",
    "quick_bound",
]
