"""The largest singular value of a weight, without a full decomposition."""

import torch

from sciml.linalg.lanczos import largest_singular_value as by_lanczos

__all__ = ["largest_singular_value"]

_EXACT = 96  # shorter sides up to here: the Gram matrix is as fast
_SINGLE = 300_000  # entries from which float32 weights are multiplied in float32


def largest_singular_value(blocks: torch.Tensor) -> float:
    """Return the largest singular value of the matrices (groups, n_out, n_in) of one layer."""
    groups, rows, columns = blocks.shape
    if min(rows, columns) <= _EXACT:
        blocks = blocks.to("cpu", torch.float64)
        gram = blocks @ blocks.mT if rows <= columns else blocks.mT @ blocks
        return float(torch.linalg.eigvalsh(gram).max().clamp(min=0.0).sqrt())
    rounded = blocks.dtype != torch.float64
    single = rounded and rows * columns >= _SINGLE
    matrices = blocks.detach().to("cpu", torch.float32 if single else torch.float64).numpy()
    # The value errs by about a hundredth of the tolerance: 1e-6 relative where products are in single precision.
    tolerance = 1e-4 if single else 1e-8 if rounded else None
    return max(by_lanczos(matrices[i], tolerance=tolerance) for i in range(groups))
