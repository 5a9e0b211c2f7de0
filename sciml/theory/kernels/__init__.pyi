from .evaluate import (
    KernelMatrices,
    kernel_diagonal,
    kernel_matrices,
    nngp,
    ntk,
)
from .finite import finite_kernels
from .nets import (
    ARCHITECTURES,
    Conv,
    Dense,
    Flatten,
    MeanPool,
    Net,
    Nonlinear,
    Residual,
    convolutional,
    fully_connected,
    residual,
)

__all__ = [
    "ARCHITECTURES",
    "Conv",
    "Dense",
    "Flatten",
    "KernelMatrices",
    "MeanPool",
    "Net",
    "Nonlinear",
    "Residual",
    "convolutional",
    "finite_kernels",
    "fully_connected",
    "kernel_diagonal",
    "kernel_matrices",
    "nngp",
    "ntk",
    "residual",
]
