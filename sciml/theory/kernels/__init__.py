"""Gaussian-process and tangent kernels of wide nets: what a net of infinite width is before and during training."""

from sciml.theory.kernels.evaluate import KernelMatrices, kernel_diagonal, kernel_matrices, nngp, ntk
from sciml.theory.kernels.finite import finite_kernels
from sciml.theory.kernels.nets import (
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
