r"""Noise that neighboring voxels share: patches whose noise was made white, and directions that are colored again.

Noise of correlation R between the voxels of a patch is whitened by the Cholesky factor of R: with
:math:`R = L L^H` the noise of :math:`L^{-1} X` is white, so that the laws of white noise hold for its singular values.
A singular vector u of it is the map L u in the units of the data. R is that of the patch's voxels alone, however many
there are and wherever they lie: no border needs a correction.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciml._typing import IntArray
from sciml.linalg import batched

if TYPE_CHECKING:
    from sciml.linalg.batched import Tensor

__all__ = ["Coloring"]

LEAST = 1e-6  # white noise added to the correlation: what single precision can still whiten
N_STEPS = 4  # of conjugate gradients
TINY = 1e-30


@dataclass(frozen=True)
class Coloring:
    """The noise of patches: `color` L and `whiten` its inverse, (voxel, voxel) or one of each patch (patch, ...)."""

    color: "Tensor"
    whiten: "Tensor"

    @classmethod
    def of_correlation(cls, correlation: "Tensor") -> "Coloring":
        """Return the coloring of noise of a correlation, (voxel, voxel) or (patch, voxel, voxel)."""
        exact = batched.double(correlation)
        eye = exact.new_ones(exact.shape[-1]).diag()
        color = batched.cholesky((exact + LEAST * eye) / (1 + LEAST))
        whiten = batched.inverse_lower(color)
        return cls(color.to(correlation.dtype), whiten.to(correlation.dtype))

    @classmethod
    def of_voxels(cls, correlation: "Tensor", there: "Tensor", count: IntArray) -> "Coloring":
        """Return the coloring of the voxels that are there of each patch, (patch, voxel) of 1 and 0.

        `count` (patch,) of them are. The others are zero before and after: they stand by themselves.
        """
        if bool((count == there.shape[1]).all()):
            return cls.of_correlation(correlation)
        both = there[:, :, None] * there[:, None, :]
        return cls.of_correlation(correlation * both + (1 - there).diag_embed())

    def of(self, rows: "Tensor") -> "Coloring":
        """Return that of some of the patches."""
        return self if self.color.ndim == 2 else Coloring(self.color[rows], self.whiten[rows])

    def project(self, patches: "Tensor") -> "Tensor":
        """Return patches (patch, voxel, sample) with white noise."""
        return self.whiten.to(patches.dtype) @ patches

    def reconstruct(self, vectors: "Tensor") -> "Tensor":
        """Return directions of whitened patches (patch, voxel, k) as maps in the units of the data."""
        return self.color.to(vectors.dtype) @ vectors

    def level(self, there: "Tensor") -> "Tensor":
        """Return the variance of the best estimate of the level of voxels that are there, 1 / (1^T R^-1 1): (patch, 1).

        In units of the variance of a voxel; of p voxels of white noise it is 1 / p.
        """
        return 1 / (self.project(there[..., None]) ** 2).sum(1).clamp(min=TINY)

    def noise_along(self, directions: "Tensor") -> "Tensor":
        """Return the variance of the noise along directions (voxel, k), in units of a voxel's: (k,) or (patch, k)."""
        projected = self.color.mH @ directions
        return (projected**2).sum(-2)

    def interpolated(self, noise: "Tensor", missing: "Tensor") -> "Tensor":
        """Return noise (patch, voxel, sample) whose missing values are nearer to what the others tell of them.

        A few steps of conjugate gradients, preconditioned by the diagonal, towards the least e^H P e, P the inverse of
        the correlation: values that are missing alone take one, and the caller comes again.
        """
        inverse = self.whiten.mH @ self.whiten
        scale = missing / inverse.diagonal(dim1=-2, dim2=-1)[..., None]
        residual = -missing * (inverse.to(noise.dtype) @ noise)
        step = scale * residual
        found, size = noise, _inner(residual, step)
        for _ in range(N_STEPS):
            moved = missing * (inverse.to(noise.dtype) @ step)
            length = size / _inner(step, moved).clamp(min=TINY)
            found, residual = found + length * step, residual - length * moved
            before, size = size, _inner(residual, scale * residual)
            step = scale * residual + size / before.clamp(min=TINY) * step
        return found


def _inner(a: "Tensor", b: "Tensor") -> "Tensor":
    """Return the real inner products of the samples of patches, (patch, 1, sample)."""
    return (a.conj() * b).real.sum(1, keepdim=True) if a.is_complex() else (a * b).sum(1, keepdim=True)
