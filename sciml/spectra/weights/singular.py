"""Singular values and leading singular vectors of a weight matrix, through its smaller Gram matrix."""

from dataclasses import dataclass

import numpy as np
import torch

from sciml._typing import FloatArray

__all__ = ["Triplets", "leading", "product_values", "singular_values"]

CONDITIONED = 1e-8  # of the Gram matrix: its rounding errors, 1e-16 of the largest, are then 1e-8 of the smallest


@dataclass(frozen=True)
class Triplets:
    """The k largest singular values, descending, with left (n_out, k) and right (n_in, k) vectors."""

    values: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor

    def product(self) -> torch.Tensor:
        """Return the matrix that they make up."""
        return (self.left * self.values) @ self.right.mT

    def leverages(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which fraction of each row and each column lies in the vectors."""
        return self.left.square().sum(dim=1), self.right.square().sum(dim=1)


def singular_values(matrix: torch.Tensor) -> FloatArray:
    """Return all singular values, descending, as float64.

    From the Gram matrix of the short side, which takes a third of the time; where that is too ill-conditioned for it,
    from the matrix itself.
    """
    eigenvalues = torch.linalg.eigvalsh(_gram(matrix)).flip(0)
    if float(eigenvalues[-1]) > CONDITIONED * float(eigenvalues[0]):
        return np.asarray(eigenvalues.double().sqrt().numpy(), dtype=np.float64)
    return np.asarray(torch.linalg.svdvals(matrix.double()).numpy(), dtype=np.float64)


def leading(matrix: torch.Tensor, k: int) -> Triplets:
    """Return the k largest singular values, none of them zero, with their vectors."""
    eigenvalues, vectors = torch.linalg.eigh(_gram(matrix))
    values = eigenvalues[-k:].flip(0).clamp(min=0.0).sqrt()
    short = vectors[:, -k:].flip(1)
    if matrix.shape[0] <= matrix.shape[1]:
        return Triplets(values, short, matrix.mT @ short / values)
    return Triplets(values, matrix @ short / values, short)


def _gram(matrix: torch.Tensor) -> torch.Tensor:
    return matrix @ matrix.mT if matrix.shape[0] <= matrix.shape[1] else matrix.mT @ matrix


def product_values(left: torch.Tensor, right: torch.Tensor) -> FloatArray:
    """Return the singular values of left @ right, as many as the inner dim has, without forming the product."""
    small = torch.linalg.qr(left.double(), mode="r").R @ torch.linalg.qr(right.double().mT, mode="r").R.mT
    return np.asarray(torch.linalg.svdvals(small).numpy(), dtype=np.float64)
