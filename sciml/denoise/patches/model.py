"""What is signal in the patches of a batch: their singular vectors above the noise edge, shrunk."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.denoise.patches.coloring import Coloring
from sciml.denoise.patches.decision import Decision, Rules, Sizes, decide
from sciml.denoise.patches.directions import Groups, directions, shrink_vectors
from sciml.linalg import batched

if TYPE_CHECKING:
    from sciml.linalg.batched import Tensor

__all__ = ["Batch", "Kept", "Settings", "put", "reconstruct", "square"]

BATCH_BYTES = {"cpu": 2**24, "cuda": 2**29}  # patches gathered at once: what the cache or the card holds well
PROBE = 16  # one patch in so many tells whether most are noise
VECTORS_PAY = 0.5  # fraction of patches with signal above which vectors come with the eigenvalues, not after them
EXTREME = 1e4  # largest over median eigenvalue beyond which float32 cannot hold both: eps * EXTREME is 1e-3
TINY = 1e-30
SINGLE = 8  # bytes of the largest single-precision number, the complex one


@dataclass(frozen=True)
class Settings:
    """What the patches are subjected to, and where.

    `correlation` (voxel, voxel): what the noise of the voxels of a patch shares; None: it is independent.
    """

    rules: Rules = field(default_factory=Rules)
    offset_weights: tuple[float, ...] | None = None
    by_rank: bool = False
    device: str = "cpu"
    workers: int | None = None
    batch_bytes: int | None = None
    fill: bool = False
    correlation: FloatArray | None = None

    def in_units_of(self, scale: float) -> "Settings":
        """Return the settings for data that were divided by `scale`."""
        if self.rules.sigma is None:
            return self
        return replace(self, rules=replace(self.rules, sigma=self.rules.sigma / scale))

    @property
    def n_bytes(self) -> int:
        """Bytes of patches gathered at once."""
        return self.batch_bytes or BATCH_BYTES["cpu" if self.device == "cpu" else "cuda"]


@dataclass(frozen=True)
class Batch:
    """Patches of one size.

    `values` (patch, voxel, sample): voxels without their means, 0 where a voxel or sample is left out; `there`
    (patch, voxel): 1 for the voxels that are used. `noise`: what their noise shares; None: it is white.
    """

    values: "Tensor"
    there: "Tensor"
    sizes: Sizes
    noise: Coloring | None = None


@dataclass(frozen=True)
class Kept:
    """What is signal in each patch: spatial maps (patch, voxel, k), as measured and shrunk, and its values.

    `squares` are those of the maps as measured; `change`: by how much shrinking a vector's directions changed its
    error, (patch, k).
    """

    decision: Decision
    squares: "Tensor"
    shrunk: "Tensor"
    change: "Tensor"
    denoised: "Tensor"


def reconstruct(batch: Batch, patch: tuple[int, ...], settings: Settings) -> Kept:
    """Return what is signal in patches of a shape."""
    white = batch.values if batch.noise is None else batch.noise.project(batch.values)
    decision, vectors, by_voxel = _decompose(white, batch.sizes, settings)
    like = partial(put, like=batch.there)
    U, right = _both_sides(white, vectors, by_voxel=by_voxel)
    if batch.noise is not None:
        U = batch.noise.reconstruct(U)
    squares, change = square(U), batch.there.new_ones(decision.gain.shape)
    shrunk = U
    if settings.rules.shrinkage == "frobenius":
        full = (batch.there.sum(1, keepdim=True) == batch.there.shape[1]).to(batch.there.dtype)
        offset, cos_u, cos_v = (like(each) for each in (decision.offset, decision.cos_u, decision.cos_v))
        groups = Groups.of_directions(like(directions(patch)), batch.noise)
        shrunk, change = shrink_vectors(U, groups, offset, cos_u, cos_v, full)
    denoised = (shrunk * like(decision.gain)[:, None, :]) @ right
    return Kept(decision, squares, shrunk, change, denoised)


def put(values: AnyArray, *, like: "Tensor") -> "Tensor":
    """Return an array as a tensor of the kind of another."""
    return batched.to_tensor(values, str(like.device)).to(like.dtype)


def square(values: "Tensor") -> "Tensor":
    """Return the squared absolute values."""
    return values.real**2 + values.imag**2 if values.is_complex() else values**2


def _both_sides(patches: "Tensor", vectors: "Tensor", *, by_voxel: bool) -> tuple["Tensor", "Tensor"]:
    """Return left singular vectors (patch, voxel, k), and right ones times their singular values (patch, k, sample)."""
    if by_voxel:
        return vectors, vectors.mH @ patches
    left = patches @ vectors
    size = square(left).sum(1, keepdim=True).sqrt()
    return left / size.clamp(min=TINY), vectors.mH * size.mT


def _decompose(patches: "Tensor", sizes: Sizes, settings: Settings) -> tuple[Decision, "Tensor", bool]:
    """Return what to do with each patch, its strongest singular vectors on the short side, and whether that is voxels.

    Vectors cost as much again as eigenvalues. Where most patches are noise, only the others get theirs.
    """
    n_voxels, n_samples = patches.shape[1:]
    by_voxel = n_voxels <= n_samples
    G = batched.scatter_matrix(patches, rows=by_voxel)
    choose = partial(decide, rules=settings.rules)
    eigen = partial(_eigen, patches=patches, by_voxel=by_voxel)
    rows = np.arange(len(G))
    probe = choose(eigen(G, rows[::PROBE])[0], sizes.of(slice(None, None, PROBE)))
    if (probe.rank > 0).mean() > VECTORS_PAY:
        values, vectors = eigen(G, rows, vectors=True)
        decision = choose(values, sizes)
        return decision, vectors[..., : decision.gain.shape[1]], by_voxel
    decision = choose(eigen(G, rows)[0], sizes)
    found = np.flatnonzero(decision.rank)
    vectors = G.new_zeros((*G.shape[:2], decision.gain.shape[1]))
    if found.size:
        vectors[found] = eigen(G, found, vectors=True)[1][..., : vectors.shape[-1]]
    return decision, vectors, by_voxel


def _eigen(
    G: "Tensor", rows: IntArray, *, patches: "Tensor", by_voxel: bool, vectors: bool = False
) -> tuple[FloatArray, "Tensor"]:
    """Return eigenvalues (and vectors if asked) of some scatter matrices; in double where single cannot hold them."""
    chosen = G if len(rows) == len(G) else G[rows]
    values, basis = batched.eigh(chosen) if vectors else (batched.eigvalsh(chosen), chosen)
    found = batched.to_numpy(values).astype(np.float64)
    if values.element_size() > SINGLE:
        return found, basis
    extreme = np.flatnonzero(found[:, 0] > EXTREME * np.maximum(np.median(found, axis=1), 0.0))
    if extreme.size:
        exact = batched.scatter_matrix(batched.double(patches[rows[extreme]]), rows=by_voxel)
        better, exact_vectors = batched.eigh(exact)
        found[extreme] = batched.to_numpy(better)
        if vectors:
            basis[extreme] = exact_vectors.to(basis.dtype)
    return found, basis
