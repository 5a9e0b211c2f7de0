"""The largest singular value among many matrices, most of which need not be decomposed.

Block Lanczos iteration in single precision gives each matrix an upper estimate, Ritz value plus residual; the exact
values are computed from the largest estimate down, until no estimate left reaches the largest value found.
"""

import torch

__all__ = ["largest_value", "upper_estimates"]

SMALL = 64  # sides up to which a decomposition takes no longer than an estimate
_WIDTH = 4  # columns: a product with four takes the time of one with a single one
_SLACK = 1e-4  # relative, of single precision


def largest_value(blocks: torch.Tensor) -> float:
    """Return the largest singular value of any of the matrices (..., rows, columns).

    Examples
    --------
    >>> largest_value(torch.diag_embed(torch.tensor([[1.0, 2.0], [3.0, 0.0]])))
    3.0
    """
    if not blocks.is_complex():  # a single matrix, where there is one tap
        gram = blocks @ blocks.mT if blocks.shape[-2] <= blocks.shape[-1] else blocks.mT @ blocks
        return float(torch.linalg.eigvalsh(gram).max().clamp(min=0.0).sqrt())
    return float(torch.linalg.svdvals(blocks).max())


def upper_estimates(blocks: torch.Tensor) -> torch.Tensor:
    """Return what the largest singular value of each matrix (n, group, rows, columns) is below, over its groups.

    Infinite where the matrices are so small that an estimate is of no use.

    References
    ----------
    Golub, Underwood (1977), doi:10.1016/B978-0-12-587260-7.50018-2, for block Lanczos iteration.
    """
    if min(blocks.shape[-2:]) <= SMALL:
        return torch.full(blocks.shape[:1], torch.inf, dtype=torch.float64)
    scale = blocks.abs().amax().clamp(min=torch.finfo(torch.float64).tiny)  # squares of single precision end at 1e-38
    a = (blocks / scale).flatten(0, 1).to(torch.complex64)
    steps = 8 + 2 * sum(min(a.shape[1:]) > size for size in (128, 256))
    top, residual = _ritz(*_tridiagonal(a if a.shape[1] >= a.shape[2] else a.mT.contiguous(), steps))
    upper = (top + residual).clamp(min=0.0).sqrt() * (1.0 + _SLACK) * scale
    found = torch.where(torch.isfinite(upper), upper, torch.inf)
    return found.reshape(blocks.shape[:2]).amax(1)


def _tridiagonal(a: torch.Tensor, steps: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the diagonal and lower blocks of the Gram matrices projected on a Krylov space."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(a.shape[2], _WIDTH, generator=generator, dtype=a.dtype)
    v, before = torch.linalg.qr(start).Q.expand(len(a), -1, -1), None
    diagonal: list[torch.Tensor] = []
    lower: list[torch.Tensor] = []
    for _ in range(steps):
        w = (a.mT @ (a @ v).conj()).conj()
        if before is not None:
            w = w - before @ lower[-1].mH
        diagonal.append(v.mH @ w)
        w = w - v @ diagonal[-1]
        root = _root(w.mH @ w, diagonal[-1])
        lower.append(root.mH)
        before, v = v, torch.linalg.solve_triangular(root.mH, w, upper=True, left=False)
    return diagonal, lower


def _root(gram: torch.Tensor, diagonal: torch.Tensor) -> torch.Tensor:
    """Return the Cholesky factor, made positive where the Krylov space is exhausted."""
    scale = 1e-6 * gram.diagonal(dim1=1, dim2=2).real.mean(1) + 1e-12 * diagonal.abs().amax((1, 2)).square()
    factor: torch.Tensor = torch.linalg.cholesky_ex(gram + scale[:, None, None] * torch.eye(_WIDTH, dtype=gram.dtype)).L
    return factor


def _ritz(diagonal: list[torch.Tensor], lower: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest eigenvalue of each projected matrix, and the residual of its vector."""
    size = _WIDTH * len(diagonal)
    whole = torch.zeros(len(diagonal[0]), size, size, dtype=diagonal[0].dtype)
    for i, block in enumerate(diagonal):
        own = slice(i * _WIDTH, (i + 1) * _WIDTH)
        whole[:, own, own] = block
        if i:
            whole[:, own, (i - 1) * _WIDTH : i * _WIDTH] = lower[i - 1]
    finite = torch.isfinite(torch.view_as_real(whole)).all(-1).all(-1).all(-1)
    values, vectors = torch.linalg.eigh(torch.where(finite[:, None, None], whole, 0.0))  # reads the lower half
    residual = torch.linalg.vector_norm((lower[-1] @ vectors[:, -_WIDTH:, -1:]).squeeze(-1), dim=1)
    return torch.where(finite, values[:, -1], torch.inf).double(), residual.double()
