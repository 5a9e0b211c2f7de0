r"""Low-rank adapters against the weights that they are added to: how strong, in old directions or in new ones.

.. math:: s\,B A = \sum_i d_i\, p_i q_i^T, \qquad
   a_i = \lVert U_k^T p_i \rVert^2, \quad b_i = \lVert V_k^T q_i \rVert^2,

with U_k, V_k the leading singular vectors of the base weight, k the rank of the adapter. Of random directions the
mean of a_i is k / n_out and that of b_i is k / n_in.

References
----------
Hu and others (2021), arXiv:2106.09685, section 7.3; directions that the base does not have: Shuttleworth and others
(2024), arXiv:2410.21228.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sciml.errors import ConfigError
from sciml.spectra.matrices.matrix import Matrices, Matrix
from sciml.spectra.matrices.read import Source, matrices

__all__ = ["AdapterSpectrum", "adapter_spectra"]

_ENERGY = 1e-12  # of the largest singular value: what lies below is rounding
Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class AdapterSpectrum:
    """One adapter against the weight of its layer.

    Attributes
    ----------
    name, layer, matrix_shape, note
        As in `Matrix`.
    singular_values
        (rank,) of s B A, descending, without the zeros of factors that are of lower rank still.
    relative_norm
        Largest of them over the largest singular value of the base weight; None where the base is not in the source.
    relative_energy
        Sum of their squares over that of the base weight; None likewise.
    left, right
        (rank,) squared norm of each direction within as many leading directions of the base weight; None likewise.
    """

    name: str
    layer: str
    matrix_shape: tuple[int, int]
    note: str
    singular_values: Array
    relative_norm: float | None = None
    relative_energy: float | None = None
    left: Array | None = None
    right: Array | None = None

    @property
    def rank(self) -> int:
        """Number of directions."""
        return len(self.singular_values)

    @property
    def by_chance(self) -> tuple[float, float]:
        """Mean of `left` and `right` for random directions."""
        return self.rank / self.matrix_shape[0], self.rank / self.matrix_shape[1]

    def summary(self) -> str:
        """Return strength and alignment in one line."""
        if self.rank == 0:
            return f"{self.name}: zero, as an adapter starts"
        if self.relative_norm is None or self.left is None or self.right is None:
            return f"{self.name}: rank {self.rank}, norm {self.singular_values[0]:.4g}; its base weight is not here"
        return (
            f"{self.name}: rank {self.rank}, norm {self.relative_norm:.3g} of that of its base; its first direction "
            f"lies to {100 * self.left[0]:.0f} % (out) and {100 * self.right[0]:.0f} % (in) in the {self.rank} leading "
            f"ones of the base (by chance at most {100 * max(self.by_chance):.1f} %)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        plain = {key: each.tolist() if isinstance(each, np.ndarray) else each for key, each in vars(self).items()}
        return {**plain, "matrix_shape": list(self.matrix_shape), "rank": self.rank, "by_chance": list(self.by_chance)}

    def __repr__(self) -> str:
        return f"AdapterSpectrum({self.summary()})"


def adapter_spectra(source: Source | Matrices) -> tuple[AdapterSpectrum, ...]:
    """Return every low-rank adapter of a net against the weight that it is added to.

    Parameters
    ----------
    source
        As of `matrices`, or what that returned.

    Raises
    ------
    ConfigError
        A source without adapters.

    Examples
    --------
    >>> state = {"m.weight": torch.eye(4), "m.lora_A": torch.eye(4)[:1], "m.lora_B": 0.5 * torch.eye(4)[:, :1]}
    >>> (found,) = adapter_spectra(state)
    >>> found.rank, found.relative_norm, found.by_chance
    (1, 0.5, (0.25, 0.25))
    """
    found = source if isinstance(source, Matrices) else matrices(source)
    adapters = [each for each in found if each.role == "adapter"]
    if not adapters:
        raise ConfigError("expected a net with low-rank adapters (lora_A, lora_B), got none; see matrices(source)")
    return tuple(_against_base(each) for each in adapters)


def _against_base(adapter: Matrix) -> AdapterSpectrum:
    p, d, q = _triplets(adapter)
    plain = AdapterSpectrum(adapter.name, adapter.layer, adapter.matrix_shape, adapter.note, d.numpy())
    if adapter.base is None:
        return plain
    u, s, vh = torch.linalg.svd(adapter.base().double(), full_matrices=False)
    largest, energy, k = float(s[0]), float(s.square().sum()), len(d)
    return AdapterSpectrum(
        adapter.name, adapter.layer, adapter.matrix_shape, adapter.note, d.numpy(),
        relative_norm=float(d[0]) / largest if k and largest else 0.0,
        relative_energy=float(d.square().sum()) / energy if energy else 0.0,
        left=(u[:, :k].mT @ p).square().sum(0).numpy(),
        right=(vh[:k] @ q).square().sum(0).numpy(),
    )  # fmt: skip


def _triplets(adapter: Matrix) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return left vectors, singular values and right vectors of a product of thin factors, without the zeros."""
    if adapter.factors is None:
        raise ConfigError(f"expected the factors of {adapter.name}, got a single matrix")
    b, a = adapter.factors()
    left, right = torch.linalg.qr(b), torch.linalg.qr(a.mT)
    u, s, vh = torch.linalg.svd(left.R @ right.R.mT)
    k = int((s > _ENERGY * s.max()).sum()) if len(s) else 0
    return left.Q @ u[:, :k], s[:k], right.Q @ vh[:k].mT
