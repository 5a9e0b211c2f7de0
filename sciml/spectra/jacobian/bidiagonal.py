"""Largest singular values of many matrices at once, known by products alone."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

__all__ = ["Largest", "largest_singular_values"]

Product = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Largest:
    """The k largest singular values of each matrix, (batch, k) descending, and bounds of their errors."""

    values: torch.Tensor
    errors: torch.Tensor
    n_steps: int


def largest_singular_values(
    times: Product, transposed: Product, start: torch.Tensor, k: int, *, tolerance: float, most: int
) -> Largest:
    r"""Golub-Kahan bidiagonalization with full reorthogonalization, of each matrix of a batch.

    A V_m = U_m B_m and A^T U_m = V_m B_m^T + β_m v_{m+1} e_m^T: a singular value θ of the bidiagonal B_m with left
    vector p is one of A to within the residual r = β_m |p_m|, and to within r² / gap where the others are farther than
    r, each by its own residual nearer than it seems. Where a space is complete a new direction is drawn, so that equal
    values are found as often as they occur.

    Parameters
    ----------
    times, transposed
        (batch, n) -> (batch, m) and back.
    start
        (batch, n), not zero; its generator draws the new directions.
    tolerance
        Error at which all k values are done, relative to the largest.
    most
        Largest number of steps.

    References
    ----------
    Golub, Kahan (1965), doi:10.1137/0702016; Parlett (1998), The Symmetric Eigenvalue Problem, theorem 11.7.1.
    """
    right, left = _Basis(start.dtype), _Basis(start.dtype)
    v, _ = right.extend(start.double())
    alphas: list[torch.Tensor] = []
    betas: list[torch.Tensor] = []
    for step in range(1, most + 1):
        u, alpha = left.extend(times(v.to(start.dtype)).double())
        alphas.append(alpha)
        v, beta = right.extend(transposed(u.to(start.dtype)).double())
        betas.append(beta)
        if step >= k and (step % 4 == 0 or step == most):
            found = _ritz(alphas, betas, k)
            if bool((found.errors <= tolerance * found.values[:, :1]).all()):
                return found
    return _ritz(alphas, betas, min(k, most))


class _Basis:
    """Orthonormal vectors of each member of a batch."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.vectors: list[torch.Tensor] = []
        self.rounding = 30.0 * torch.finfo(dtype).eps
        self.generator = torch.Generator().manual_seed(0)
        self.scale: torch.Tensor | None = None

    def extend(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return x less what the basis holds of it, as a unit vector that joins the basis, and its length.

        Where next to nothing is left of x its length is zero, and the vector a new direction, or zero if there is none.
        """
        size = x.norm(dim=1)
        self.scale = size if self.scale is None else torch.maximum(size, self.scale)
        rest = self._orthogonal(x)
        length = rest.norm(dim=1)
        nothing = length <= self.rounding * self.scale
        if bool(nothing.any()):
            fresh = self._orthogonal(torch.randn(x.shape, generator=self.generator, dtype=torch.float64).to(x.device))
            room = fresh.norm(dim=1) > 1e-6 * x.shape[1] ** 0.5
            rest = torch.where(nothing[:, None], torch.where(room[:, None], fresh, 0.0), rest)
        norm = rest.norm(dim=1, keepdim=True)
        unit = rest / torch.where(norm > 0, norm, 1.0)
        self.vectors.append(unit)
        return unit, torch.where(nothing, 0.0, length)

    def _orthogonal(self, x: torch.Tensor) -> torch.Tensor:
        if not self.vectors:
            return x
        q = torch.stack(self.vectors, dim=1)
        for _ in range(2):  # twice is enough
            x = x - torch.einsum("bkn,bk->bn", q, torch.einsum("bkn,bn->bk", q, x))
        return x


def _ritz(alphas: list[torch.Tensor], betas: list[torch.Tensor], k: int) -> Largest:
    a, b = torch.stack(alphas, dim=1), torch.stack(betas, dim=1)
    matrix = torch.diag_embed(a) + torch.diag_embed(b[:, :-1], offset=1)
    p, values, _ = torch.linalg.svd(matrix)
    residual = b[:, -1:] * p[:, -1, :].abs()
    apart = (values[:, :, None] - values[:, None, :]).abs() - residual[:, None, :]
    apart = apart + torch.diag_embed(torch.full_like(values, float("inf")))
    gap = apart.amin(dim=2)
    errors = torch.where(gap > residual, residual.square() / gap.clamp(min=1e-300), residual)
    return Largest(values[:, :k], errors[:, :k], len(alphas))
