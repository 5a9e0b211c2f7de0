r"""The part of a weight matrix above its noise floor.

.. math:: \hat W = D_r^{-1} \Big(\sum_{i \le k} \eta(s_i)\, u_i v_i^T\Big) D_c^{-1},

s, u, v of the matrix with rows and columns equalized by :math:`D_r, D_c` (one where they are alike), k the number of
directions that noise does not explain, and η the identity ("hard") or the shrinkage that is best for white noise.

References
----------
Gavish, Donoho (2017), doi:10.1109/TIT.2017.2653801; equalized: Nadakuditi (2014), doi:10.1109/TIT.2014.2311661.
"""

import math
from dataclasses import dataclass

import torch

from sciml.rmt import shrink
from sciml.spectra.weights import LayerSpectrum
from sciml.spectra.weights.equalize import equalize, inequality

__all__ = ["Part", "part_above_noise"]


@dataclass(frozen=True)
class Part:
    """A matrix of low rank as two factors: left (n_out, rank) and right (rank, n_in)."""

    left: torch.Tensor
    right: torch.Tensor

    @property
    def rank(self) -> int:
        """Number of directions."""
        return self.left.shape[1]

    @property
    def dense(self) -> torch.Tensor:
        """The matrix (n_out, n_in)."""
        return self.left @ self.right


def part_above_noise(matrix: torch.Tensor, spectrum: LayerSpectrum, shrinkage: shrink.Shrinkage) -> Part:
    """Return what of a matrix (n_out, n_in) is above the noise floor of its spectrum; rank 0 where nothing is."""
    scaled, rows, columns = _equalized(matrix, spectrum)
    u, s, vh = torch.linalg.svd(scaled, full_matrices=False)
    k = spectrum.rank or 0
    values = _shrunk(s[:k], _sigma(s[k:], scaled.shape), scaled.shape, shrinkage)
    k = int((values > 0.0).sum())
    root = values[:k].sqrt()  # both factors alike in size
    return Part(_reciprocal(rows)[:, None] * u[:, :k] * root, root[:, None] * vh[:k] * _reciprocal(columns))


def _equalized(matrix: torch.Tensor, spectrum: LayerSpectrum) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = matrix.double()
    rows, columns = (torch.ones(size, dtype=x.dtype) for size in x.shape)
    if spectrum.test.unequal:
        why = inequality(x)
        found = equalize(x.square(), rows=why.rows or not why.sides, columns=why.columns or not why.sides)
        rows, columns = found.rows, found.columns
    return x * rows[:, None] * columns, rows, columns


def _sigma(bulk: torch.Tensor, shape: torch.Size) -> float:
    """Return the standard deviation of the entries that singular values of the bulk belong to."""
    k = min(shape) - len(bulk)
    return math.sqrt(float(bulk.square().sum()) / max((shape[0] - k) * (shape[1] - k), 1))


def _reciprocal(factors: torch.Tensor) -> torch.Tensor:
    return torch.where(factors > 0.0, 1.0 / factors, 0.0)  # a row of zeros stays one


def _shrunk(values: torch.Tensor, sigma: float, shape: torch.Size, shrinkage: shrink.Shrinkage) -> torch.Tensor:
    short, long = sorted(shape)
    scale = sigma * math.sqrt(long)
    if scale == 0.0:
        return values
    found = shrink.SHRINKERS[shrinkage](values.numpy() / scale, short / long) * scale
    return torch.as_tensor(found, dtype=values.dtype)
