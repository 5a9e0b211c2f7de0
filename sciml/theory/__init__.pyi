from . import (
    chain,
    fisher,
    kernels,
    landscape,
    meanfield,
    products,
    scan,
)

__all__ = [
    "chain",
    "fisher",
    "kernels",
    "landscape",
    "meanfield",
    "products",
    "scan",
]
