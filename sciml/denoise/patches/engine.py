"""Denoise an array in memory by its patches: gather, decompose, shrink, put back where they overlap."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sciml._typing import AnyArray, BoolArray, FloatArray, IntArray
from sciml.denoise.patches.decision import Decision, Rules, decide
from sciml.denoise.patches.directions import directions, shrink_means, shrink_vectors
from sciml.denoise.patches.grid import Box, Grid
from sciml.linalg import batched

if TYPE_CHECKING:
    from sciml.linalg.batched import Tensor

__all__ = ["MAPS", "Settings", "denoise_array"]

MAPS = ("sigma", "rank", "variance", "removed", "coverage")
BATCH_BYTES = {"cpu": 2**24, "cuda": 2**29}  # patches gathered at once: what the cache or the card holds well
PROBE = 16  # one patch in so many tells whether most are noise
VECTORS_PAY = 0.5  # fraction of patches with signal above which vectors come with the eigenvalues, not after them
EXTREME = 1e4  # largest over median eigenvalue beyond which float32 cannot hold both: eps * EXTREME is 1e-3
CERTAIN = 4e-6  # of the energy: what float32 sums of squares are worth
TINY = 1e-30
SLAB = 2**20  # values that are handled in double precision at a time
MIN_BOXES = 8  # so that all cores have work
SINGLE = 8  # bytes of the largest single-precision number, the complex one
COLUMNS = ("present", "used", "weight", "error", "energy", "undetected", "sigma2", "rank")


@dataclass(frozen=True)
class Settings:
    """What the patches are subjected to, and where."""

    rules: Rules = field(default_factory=Rules)
    offset_weights: tuple[float, ...] | None = None
    by_rank: bool = False
    device: str = "cpu"
    workers: int | None = None
    batch_bytes: int | None = None

    def in_units_of(self, scale: float) -> "Settings":
        """Return the settings for data that were divided by `scale`."""
        if self.rules.sigma is None:
            return self
        return replace(self, rules=replace(self.rules, sigma=self.rules.sigma / scale))

    @property
    def n_bytes(self) -> int:
        """Bytes of patches gathered at once."""
        return self.batch_bytes or BATCH_BYTES["cpu" if self.device == "cpu" else "cuda"]


def denoise_array(
    values: AnyArray, valid: BoolArray, grid: Grid, settings: Settings
) -> tuple[AnyArray, dict[str, FloatArray]]:
    """Return the denoised array and the maps.

    Parameters
    ----------
    values
        Shape (*space, sample), float or complex, computed with in its own precision.
    valid
        Voxels that hold data, (*space); the others come back as they are.
    grid
        The patches, by their first voxels.
    """
    space, n_samples = values.shape[:-1], values.shape[-1]
    centered, mean, scale = _centered(values, valid, settings.workers)
    X = batched.to_tensor(centered.reshape(-1, n_samples), settings.device)
    total = X.new_zeros((*space, n_samples))
    sums = X.new_zeros((*space, len(COLUMNS)), dtype=X.real.dtype)
    near = (mean - mean.mean()).ravel() / scale  # only differences between neighbors matter
    means = batched.to_tensor(near, settings.device).to(X.dtype)
    present = batched.to_tensor(valid.ravel(), settings.device).to(X.real.dtype)
    one = partial(_one_box, X=X, means=means, present=present, space=space, settings=settings.in_units_of(scale))
    per_box = settings.n_bytes // (math.prod(grid.patch) * n_samples * values.dtype.itemsize)
    boxes = grid.boxes(min(per_box, math.ceil(grid.n_patches / MIN_BOXES)))
    for box, (part, columns) in batched.ordered_map(one, boxes, device=settings.device, workers=settings.workers):
        shape = tuple(where.stop - where.start for where in box.region)
        total[box.region] += part.reshape(*shape, -1)
        sums[box.region] += columns.reshape(*shape, -1)
    table = dict(zip(COLUMNS, np.moveaxis(batched.to_numpy(sums).astype(np.float64), -1, 0), strict=True))
    maps = _assemble(centered, batched.to_numpy(total), scale, valid, table, settings.workers)
    return _restored(values, centered, mean, scale, valid & (maps["coverage"] > 0), settings.workers), maps


def _by_slabs(function: Callable[[slice], float], shape: tuple[int, ...], workers: int | None) -> list[float]:
    """Call a function with slices of the first axis, on all cores, each of few values: a copy in double is nothing."""
    rows = max(1, SLAB // max(1, math.prod(shape[1:])))
    slabs = (slice(start, start + rows) for start in range(0, shape[0], rows))
    return list(batched.ordered_map(function, slabs, workers=workers))


def _centered(values: AnyArray, valid: BoolArray, workers: int | None) -> tuple[AnyArray, AnyArray, float]:
    """Return voxels without their mean over the samples, in units of a power of two that brings them near 1."""
    mean = np.zeros((*values.shape[:-1], 1), np.complex128 if values.dtype.kind == "c" else np.float64)
    centered = np.empty_like(values)

    def center(part: slice) -> float:
        there = valid[part]
        filled = values[part] if there.all() else np.where(there[..., None], values[part], 0)
        mean[part] = filled.mean(axis=-1, keepdims=True, dtype=mean.dtype)
        # Subtracted in the wider type: an offset of many sigma must not cost the digits of the noise.
        np.subtract(filled, mean[part], out=centered[part], casting="same_kind")
        return float(np.abs(centered[part]).max(initial=0.0))

    largest = max(_by_slabs(center, values.shape, workers), default=0.0)
    scale = 2.0 ** math.frexp(largest)[1] if largest > 0 else 1.0
    centered /= centered.dtype.type(scale)
    return centered, mean, scale


def _restored(
    values: AnyArray,
    kept: AnyArray,
    mean: AnyArray,
    scale: float,
    covered: BoolArray,
    workers: int | None,
) -> AnyArray:
    """Return values in the units of the data, in the memory of `kept`; voxels that no patch used as they came."""

    def restore(part: slice) -> float:
        kept[part] = kept[part] * np.float64(scale) + mean[part]
        if not covered[part].all():
            kept[part] = np.where(covered[part][..., None], kept[part], values[part])
        return 0.0

    _by_slabs(restore, values.shape, workers)
    return kept


def _one_box(
    box: Box, *, X: "Tensor", means: "Tensor", present: "Tensor", space: tuple[int, ...], settings: Settings
) -> tuple[Box, tuple["Tensor", "Tensor"]]:
    """Return the weighted sums, over the patches of a box, of denoised values and of the columns of the maps."""
    index = batched.to_tensor(box.voxels(space), settings.device)
    patches = batched.take_rows(X, index)
    there = batched.take_rows(present, index)
    decision, vectors, by_voxel = _decompose(patches, there, settings)
    put = partial(_put, like=there)
    U, right = _both_sides(patches, vectors, by_voxel=by_voxel)
    squares, change = _square(U), there.new_ones(decision.gain.shape)
    shrunk = U
    if settings.rules.shrinkage == "frobenius":
        full = (there.sum(1, keepdim=True) == there.shape[1]).to(there.dtype)
        offset, cos_u, cos_v = (put(each) for each in (decision.offset, decision.cos_u, decision.cos_v))
        shrunk, change = shrink_vectors(U, put(directions(box.patch)), offset, cos_u, cos_v, full)
    denoised = (shrunk * put(decision.gain)[:, None, :]) @ right
    noise = put(decision.sigma**2 / X.shape[-1])[:, None]
    added, mean_error = shrink_means(batched.take_rows(means, index), there, noise)
    denoised += added[..., None]
    weight = there * _patch_weight(decision, settings, there)
    error = (squares - put(decision.offset)[:, None]).clamp(min=0) @ (change * put(decision.slope))[..., None]
    error = error[..., 0] + (change * put(decision.constant)).sum(-1)[:, None] + X.shape[-1] * mean_error
    energy = (_square(shrunk) @ put(decision.power)[..., None])[..., 0] + X.shape[-1] * _square(added)
    columns = _columns(decision, error, energy, there, weight, put)
    source, first = (batched.to_tensor(each, settings.device) for each in box.gathering())
    return box, (
        batched.sum_rows(
            denoised.reshape(-1, X.shape[-1]), source, first, batched.take_rows(weight.reshape(-1), source)
        ),
        batched.sum_rows(columns.reshape(-1, len(COLUMNS)), source, first),
    )


def _both_sides(patches: "Tensor", vectors: "Tensor", *, by_voxel: bool) -> tuple["Tensor", "Tensor"]:
    """Return left singular vectors (patch, voxel, k), and right ones times their singular values (patch, k, sample)."""
    if by_voxel:
        return vectors, vectors.mH @ patches
    left = patches @ vectors
    size = _square(left).sum(1, keepdim=True).sqrt()
    return left / size.clamp(min=TINY), vectors.mH * size.mT


def _put(values: AnyArray, *, like: "Tensor") -> "Tensor":
    return batched.to_tensor(values, str(like.device)).to(like.dtype)


def _square(values: "Tensor") -> "Tensor":
    return values.real**2 + values.imag**2 if values.is_complex() else values**2


def _decompose(patches: "Tensor", there: "Tensor", settings: Settings) -> tuple[Decision, "Tensor", bool]:
    """Return what to do with each patch, its strongest singular vectors on the short side, and whether that is voxels.

    Vectors cost as much again as eigenvalues. Where most patches are noise, only the others get theirs.
    """
    n_voxels, n_samples = patches.shape[1:]
    by_voxel = n_voxels <= n_samples
    count = np.rint(batched.to_numpy(there.sum(-1))).astype(np.int64)
    G = batched.scatter_matrix(patches, rows=by_voxel)
    choose = partial(decide, n_samples=n_samples - 1, rules=settings.rules)
    eigen = partial(_eigen, patches=patches, by_voxel=by_voxel)
    rows = np.arange(len(G))
    probe = choose(eigen(G, rows[::PROBE])[0], count[::PROBE])
    if (probe.rank > 0).mean() > VECTORS_PAY:
        values, vectors = eigen(G, rows, vectors=True)
        decision = choose(values, count)
        return decision, vectors[..., : decision.gain.shape[1]], by_voxel
    decision = choose(eigen(G, rows)[0], count)
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


def _patch_weight(decision: Decision, settings: Settings, like: "Tensor") -> "Tensor":
    """Return the weight of each voxel of each patch, (patch, voxel or 1)."""
    weight = decision.usable / (1.0 + decision.rank) if settings.by_rank else decision.usable.astype(np.float64)
    column = _put(weight[:, None], like=like)
    if settings.offset_weights is None:
        return column
    return column * _put(np.asarray(settings.offset_weights), like=like)


def _columns(
    decision: Decision,
    error: "Tensor",
    energy: "Tensor",
    there: "Tensor",
    weight: "Tensor",
    put: Callable[[AnyArray], "Tensor"],
) -> "Tensor":
    """Return what each voxel of each patch adds to the maps: (patch, voxel, column)."""
    usable = put(decision.usable.astype(np.float64))[:, None]
    each = there.new_ones(there.shape)
    columns = {
        "present": usable * each,
        "used": usable * there,
        "weight": weight,
        "error": weight * error,
        "energy": weight * energy,
        "undetected": weight * put(decision.undetected)[:, None],
        "sigma2": put(decision.sigma**2)[:, None] * each,
        "rank": put(decision.rank.astype(np.float64))[:, None] * each,
    }
    return batched.stack([columns[name] for name in COLUMNS])


def _assemble(
    centered: AnyArray,
    total: AnyArray,
    scale: float,
    valid: BoolArray,
    table: dict[str, FloatArray],
    workers: int | None,
) -> dict[str, FloatArray]:
    r"""Return the maps from the sums over all patches, and leave the denoised values in the place of `centered`.

    The error of an average of estimates is the average of their errors less the spread between them,

    .. math:: (\bar x - x)^2 = \overline{(\hat x_p - x)^2} - \overline{(\hat x_p - \bar x)^2}

    exactly (Krogh and Vedelsby 1995), and the spread is seen: so overlap needs no model of how the patches' errors
    correlate.
    """
    n_samples = centered.shape[-1]
    covered = valid & (table["used"] > 0)
    per_weight = np.where(covered, 1 / np.where(covered, table["weight"], 1.0), 0.0)
    own, power, removed = np.zeros((3, *valid.shape))

    def average(part: slice) -> float:
        own[part] = _power(centered[part])
        kept = total[part] * per_weight[part][..., None].astype(total.real.dtype)
        if not covered[part].all():
            kept = np.where(covered[part][..., None], kept, centered[part])
        power[part], removed[part] = _power(kept), _power(centered[part] - kept)
        centered[part] = kept
        return 0.0

    _by_slabs(average, centered.shape, workers)
    located = table["present"] > 0
    present = np.where(located, table["present"], 1.0)
    # A voxel that no usable patch reaches speaks for itself; one outside the mask does not speak.
    sigma2 = np.where(located, table["sigma2"] / present, np.where(valid, own, np.nan))
    error, energy, undetected = (table[name] * per_weight / n_samples for name in ("error", "energy", "undetected"))
    spread = np.clip(energy * (1 - CERTAIN) - power, 0.0, None)
    least = error / np.maximum(table["used"], 1.0)  # of as many independent estimates
    variance = np.where(covered, np.maximum(error - spread, least) + undetected, sigma2)
    return {
        "sigma": np.sqrt(sigma2) * scale,
        "rank": np.where(located, table["rank"] / present, 0.0),
        "variance": variance * scale**2,
        "removed": removed * scale**2,
        "coverage": table["used"],
    }


def _power(values: AnyArray) -> FloatArray:
    """Return the mean square over the samples, summed in double precision."""
    parts = values.view(values.real.dtype)
    return np.asarray(np.einsum("...t,...t->...", parts, parts, dtype=np.float64) / values.shape[-1])
