r"""Weights that are stored as several tensors, as the one matrix that they form.

Weight norm: :math:`w = g\, v / \lVert v \rVert` over the dims in which g has size one (Salimans, Kingma 2016,
arXiv:1602.07868, eq. 2). Spectral norm: :math:`w = v / (u^T V z)` with the stored directions u and z (Miyato and others
2018, arXiv:1802.05957, eq. 8). Pruning: the weight times its mask.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from sciml.spectra.matrices.entries import Pool

__all__ = ["form", "formed"]

UNKNOWN = "a parametrization that its names do not tell; give the module, which knows the weight that it forms"

Parts = Sequence[torch.Tensor]


def _weight_norm(parts: Parts) -> torch.Tensor:
    gain, direction = parts
    dims: Any = [i for i, size in enumerate(gain.shape) if size == 1] if gain.ndim == direction.ndim else None
    norms = torch.linalg.vector_norm(direction, dim=dims, keepdim=dims is not None)
    return direction * (gain / torch.where(norms > 0.0, norms, torch.ones_like(norms)))


def _spectral_norm(parts: Parts) -> torch.Tensor:
    weight, u, z = parts
    dim = 0 if weight.shape[0] == u.numel() else 1  # torch normalizes a transposed convolution along its second dim
    matrix = weight.movedim(dim, 0).flatten(1)
    return weight / torch.dot(u, matrix @ z)


def _masked(parts: Parts) -> torch.Tensor:
    return parts[0] * parts[1]


@dataclass(frozen=True)
class Form:
    """How tensors of a common name and these endings form a weight.

    `n_stored` of them, the first, are parameters, the others what a layer keeps for itself; the one at `whole` has the
    shape of the weight.
    """

    endings: tuple[str, ...]
    n_stored: int
    whole: int
    function: Callable[[Parts], torch.Tensor]
    words: str


_GAIN, _LARGEST = "weight norm: gain times direction", "spectral norm: divided by its largest singular value"
FORMS = (
    Form(("_g", "_v"), 2, 1, _weight_norm, _GAIN),
    Form((".original0", ".original1"), 2, 1, _weight_norm, _GAIN),
    Form(("_orig", "_u", "_v"), 1, 0, _spectral_norm, _LARGEST),
    Form((".original", ".0._u", ".0._v"), 1, 0, _spectral_norm, _LARGEST),
    Form(("_orig", "_mask"), 1, 0, _masked, "pruned: times its mask"),
)


def form(parts: Mapping[str, torch.Tensor], name: str) -> torch.Tensor | None:
    """Return the weight that tensors of the names `name` + ending form, or None."""
    for each in FORMS:
        if all(name + ending in parts for ending in each.endings):
            return each.function([parts[name + ending].detach() for ending in each.endings])
    return None


def formed(pool: Pool) -> None:
    """Put into a pool, for tensors that form one weight, that weight in their place."""
    for key in list(pool.open):
        for each in FORMS:
            stem = key.removesuffix(each.endings[0])
            if stem != key and all(stem + ending in pool.open for ending in each.endings):
                _put(pool, stem, each)
    for key in [key for key in pool.open if ".parametrizations." in f".{key}"]:
        pool.put(replace(pool.open[key], problem=UNKNOWN), key)


def _put(pool: Pool, stem: str, how: Form) -> None:
    parts = [pool.open[stem + ending] for ending in how.endings]
    whole = parts[how.whole]
    weight = replace(
        whole,
        key=re.sub(r"(^|\.)parametrizations\.", r"\1", stem),
        read=lambda: how.function([_precise(each.read()) for each in parts]),
        n_parameters=sum(each.n_parameters for each in parts[: how.n_stored]),
        note=how.words,
        problem=next((each.problem for each in parts[: how.n_stored] if each.problem), ""),
    )
    pool.put(weight, *(each.key for each in parts))


def _precise(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor
