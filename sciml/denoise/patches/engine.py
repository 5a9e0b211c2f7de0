"""Denoise an array in memory by its patches: gather, decompose, shrink, put back where they overlap."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sciml._typing import AnyArray, BoolArray, FloatArray, IntArray
from sciml.denoise.patches.coloring import Coloring
from sciml.denoise.patches.decision import Decision, Sizes
from sciml.denoise.patches.directions import shrink_means
from sciml.denoise.patches.grid import Box, Grid
from sciml.denoise.patches.missing import completed
from sciml.denoise.patches.model import Batch, Settings, put, reconstruct, square
from sciml.linalg import batched

if TYPE_CHECKING:
    from sciml.linalg.batched import Tensor

__all__ = ["MAPS", "Values", "denoise_array"]

MAPS = ("sigma", "rank", "variance", "removed", "coverage")
CERTAIN = 4e-6  # of the energy: what float32 sums of squares are worth
SLAB = 2**20  # values that are handled in double precision at a time
MIN_BOXES = 8  # so that all cores have work
COLUMNS = ("present", "used", "weight", "error", "energy", "undetected", "sigma2", "rank", "samples")


@dataclass(frozen=True)
class Values:
    """What is denoised: values (*space, sample), in the precision to compute in; voxels to denoise (*space).

    `known` (*space, sample): where values of these voxels were measured; None: everywhere. `unit` (*space, 1): what
    the values are to be divided by, and the result multiplied with.
    """

    values: AnyArray
    valid: BoolArray
    known: BoolArray | None = None
    unit: AnyArray | None = None

    def there(self, part: slice) -> BoolArray:
        """Return where values of a slab are to be computed with, (*slab, sample or 1)."""
        return self.valid[part][..., None] if self.known is None else self.known[part]

    def scaled(self, part: slice) -> AnyArray:
        """Return the values of a slab in their unit."""
        return self.values[part] if self.unit is None else self.values[part] / self.unit[part]


def denoise_array(data: Values, grid: Grid, settings: Settings) -> tuple[AnyArray, dict[str, FloatArray]]:
    """Return the denoised array and the maps.

    Parameters
    ----------
    data
        Voxels and samples that are left out come back as they are.
    grid
        The patches, by their first voxels.
    """
    space, n_samples = data.values.shape[:-1], data.values.shape[-1]
    centered, mean, scale = _centered(data, settings.workers)
    tensors = _tensors(data, centered, mean, scale, settings)
    sums = _Sums.zeros(tensors, space)
    one = partial(_one_box, data=tensors, space=space, settings=settings.in_units_of(scale))
    per_box = settings.n_bytes // (math.prod(grid.patch) * n_samples * data.values.dtype.itemsize)
    boxes = grid.boxes(min(per_box, math.ceil(grid.n_patches / MIN_BOXES)))
    for box, parts in batched.ordered_map(one, boxes, device=settings.device, workers=settings.workers):
        sums.add(box, *parts)
    table = dict(zip(COLUMNS, np.moveaxis(batched.to_numpy(sums.columns).astype(np.float64), -1, 0), strict=True))
    weights = None if sums.weights is None else batched.to_numpy(sums.weights)
    total = batched.to_numpy(sums.total)
    maps, given = _assemble(data, centered, total, weights, table, settings)
    maps = {name: each * scale ** POWERS.get(name, 0) for name, each in maps.items()}
    return _restored(data, centered, mean, scale, given, settings.workers), maps


POWERS = {"sigma": 1, "variance": 2, "removed": 2}


@dataclass(frozen=True)
class _Tensors:
    """Values, means and which are there, as tensors with a row a voxel; and the correlation of the noise of a patch."""

    X: "Tensor"
    means: "Tensor"
    present: "Tensor"
    known: "Tensor | None"
    correlation: "Tensor | None"

    def noise(self, there: "Tensor", count: IntArray) -> Coloring | None:
        """Return what the noise shares of the voxels of patches that are there, so many of each."""
        return None if self.correlation is None else Coloring.of_voxels(self.correlation, there, count)


def _tensors(data: Values, centered: AnyArray, mean: AnyArray, scale: float, settings: Settings) -> _Tensors:
    n_samples, device = centered.shape[-1], settings.device
    X = batched.to_tensor(centered.reshape(-1, n_samples), device)
    near = (mean - mean.mean()).ravel() / scale  # only differences between neighbors matter
    known = None if data.known is None else batched.to_tensor(data.known.reshape(-1, n_samples), device)
    present = batched.to_tensor(data.valid.ravel(), device).to(X.real.dtype)
    shared = None if settings.correlation is None else batched.to_tensor(settings.correlation, device).to(present.dtype)
    return _Tensors(X, batched.to_tensor(near, device).to(X.dtype), present, known, shared)


@dataclass(frozen=True)
class _Sums:
    """Sums over patches at each voxel: weighted values, columns of the maps, and weights where they differ."""

    total: "Tensor"
    columns: "Tensor"
    weights: "Tensor | None"

    @classmethod
    def zeros(cls, data: _Tensors, space: tuple[int, ...]) -> "_Sums":
        real = data.present.dtype
        values = (*space, data.X.shape[-1])
        weights = None if data.known is None else data.X.new_zeros(values, dtype=real)
        columns = data.X.new_zeros((*space, len(COLUMNS)), dtype=real)
        return cls(data.X.new_zeros(values), columns, weights)

    def add(self, box: Box, total: "Tensor", columns: "Tensor", weights: "Tensor | None") -> None:
        """Add the sums over the patches of a box."""
        shape = tuple(where.stop - where.start for where in box.region)
        self.total[box.region] += total.reshape(*shape, -1)
        self.columns[box.region] += columns.reshape(*shape, -1)
        if self.weights is not None:
            each = columns[:, COLUMNS.index("weight"), None] if weights is None else weights
            self.weights[box.region] += each.reshape(*shape, -1)


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    rows = max(1, SLAB // max(1, math.prod(shape[1:])))
    return (slice(start, start + rows) for start in range(0, shape[0], rows))


def _by_slabs(function: Callable[[slice], float], shape: tuple[int, ...], workers: int | None) -> list[float]:
    """Call a function with slices of the first axis, on all cores, each of few values: a copy in double is nothing."""
    return list(batched.ordered_map(function, _slabs(shape), workers=workers))


def _centered(data: Values, workers: int | None) -> tuple[AnyArray, AnyArray, float]:
    """Return voxels without their mean over the samples, in units of a power of two that brings them near 1."""
    values = data.values
    mean = np.zeros((*values.shape[:-1], 1), np.complex128 if values.dtype.kind == "c" else np.float64)
    centered = np.empty_like(values)

    def center(part: slice) -> float:
        there, filled = data.there(part), data.scaled(part)
        filled = filled if there.all() else np.where(there, filled, 0)
        mean[part] = filled.mean(axis=-1, keepdims=True, dtype=mean.dtype)
        if data.known is not None:
            mean[part] *= values.shape[-1] / np.maximum(there.sum(axis=-1, keepdims=True), 1)
        # Subtracted in the wider type: an offset of many sigma must not cost the digits of the noise.
        np.subtract(filled, mean[part], out=centered[part], casting="same_kind")
        if data.known is not None:
            centered[part] *= there
        return float(np.abs(centered[part]).max(initial=0.0))

    largest = max(_by_slabs(center, values.shape, workers), default=0.0)
    scale = 2.0 ** math.frexp(largest)[1] if largest > 0 else 1.0
    centered /= centered.dtype.type(scale)
    return centered, mean, scale


def _restored(
    data: Values, kept: AnyArray, mean: AnyArray, scale: float, given: BoolArray, workers: int | None
) -> AnyArray:
    """Return values in the units of the data, in the memory of `kept`; what no patch used as it came."""

    def restore(part: slice) -> float:
        kept[part] = kept[part] * np.float64(scale) + mean[part]
        if data.unit is not None:
            kept[part] *= data.unit[part]
        if not given[part].all():
            kept[part] = np.where(given[part], kept[part], data.values[part])
        return 0.0

    _by_slabs(restore, kept.shape, workers)
    return kept


def _one_box(
    box: Box, *, data: _Tensors, space: tuple[int, ...], settings: Settings
) -> tuple[Box, tuple["Tensor", "Tensor", "Tensor | None"]]:
    """Return the weighted sums, over the patches of a box, of denoised values and columns of the maps, and weights."""
    index = batched.to_tensor(box.voxels(space), settings.device)
    batch, means, samples = _gathered(data, index, box.patch, settings)
    like = partial(put, like=batch.there)
    kept = reconstruct(batch, box.patch, settings)
    decision, denoised, sizes = kept.decision, kept.denoised, batch.sizes
    n_samples = like(sizes.n_samples)[:, None]
    noise = like(decision.sigma**2 / np.maximum(sizes.n_samples, 1))[:, None]
    near = batched.take_rows(data.means, index)
    added, mean_error = shrink_means(near if means is None else near + means, batch.there, noise, batch.noise)
    denoised += added[..., None] if means is None else (added + means)[..., None]
    weight = batch.there * _patch_weight(decision, settings, batch.there)
    error = (kept.squares - like(decision.offset)[:, None]).clamp(min=0) @ (kept.change * like(decision.slope))[
        ..., None
    ]
    error = error[..., 0] + (kept.change * like(decision.constant)).sum(-1)[:, None] + n_samples * mean_error
    energy = (square(kept.shrunk) @ like(decision.power)[..., None])[..., 0]
    energy = energy + n_samples * square(added if means is None else added + means)
    columns = _columns(decision, sizes, error, energy, batch, weight, like)
    source, first = (batched.to_tensor(each, settings.device) for each in box.gathering())
    each = batched.take_rows(weight.reshape(-1), source)
    add = partial(batched.sum_rows, source=source, first=first)
    if samples is not None:
        denoised = denoised * samples[:, None]
        samples = add(samples[:, None].expand(denoised.shape).reshape(-1, denoised.shape[-1]), weights=each)
    values = add(denoised.reshape(-1, denoised.shape[-1]), weights=each)
    return box, (values, add(columns.reshape(-1, len(COLUMNS))), samples)


def _gathered(
    data: _Tensors, index: "Tensor", patch: tuple[int, ...], settings: Settings
) -> tuple[Batch, "Tensor | None", "Tensor | None"]:
    """Return the patches of a box; their means and the samples that they use, where something is missing."""
    values, there = batched.take_rows(data.X, index), batched.take_rows(data.present, index)
    if data.known is not None:
        known = batched.take_rows(data.known, index)
        if not bool((known.all(-1) | (there == 0)).all()):
            return completed(values, there, known.to(there.dtype), patch, settings, data.noise)
    count = np.rint(batched.to_numpy(there.sum(-1))).astype(np.int64)
    sizes = Sizes(count, np.full(len(count), values.shape[-1]), np.ones(len(count)))
    return Batch(values, there, sizes, data.noise(there, count)), None, None


def _patch_weight(decision: Decision, settings: Settings, like: "Tensor") -> "Tensor":
    """Return the weight of each voxel of each patch, (patch, voxel or 1)."""
    weight = decision.usable / (1.0 + decision.rank) if settings.by_rank else decision.usable.astype(np.float64)
    column = put(weight[:, None], like=like)
    if settings.offset_weights is None:
        return column
    return column * put(np.asarray(settings.offset_weights), like=like)


def _columns(
    decision: Decision,
    sizes: Sizes,
    error: "Tensor",
    energy: "Tensor",
    batch: Batch,
    weight: "Tensor",
    put: Callable[[AnyArray], "Tensor"],
) -> "Tensor":
    """Return what each voxel of each patch adds to the maps: (patch, voxel, column)."""
    usable, there = put(decision.usable.astype(np.float64))[:, None], batch.there
    undetected = put(decision.undetected)[:, None]
    if batch.noise is not None:  # the limit of detection of what varies slowly, as most signal does, is higher
        undetected = undetected * put(sizes.n_voxels)[:, None] * batch.noise.level(there)
    each = there.new_ones(there.shape)
    columns = {
        "present": usable * each,
        "used": usable * there,
        "weight": weight,
        "error": weight * error,
        "energy": weight * energy,
        "undetected": weight * undetected,
        "sigma2": put(decision.sigma**2 * sizes.known)[:, None] * each,
        "rank": put(decision.rank.astype(np.float64))[:, None] * each,
        "samples": weight * put(sizes.n_samples)[:, None],
    }
    return batched.stack([columns[name] for name in COLUMNS])


def _assemble(
    data: Values,
    centered: AnyArray,
    total: AnyArray,
    weights: AnyArray | None,
    table: dict[str, FloatArray],
    settings: Settings,
) -> tuple[dict[str, FloatArray], BoolArray]:
    r"""Return the maps from the sums over all patches, and where values are new, left in the place of `centered`.

    The error of an average of estimates is the average of their errors less the spread between them,

    .. math:: (\bar x - x)^2 = \overline{(\hat x_p - x)^2} - \overline{(\hat x_p - \bar x)^2}

    exactly (Krogh and Vedelsby 1995), and the spread is seen: so overlap needs no model of how the patches' errors
    correlate.
    """
    n_samples = centered.shape[-1]
    covered = data.valid & (table["used"] > 0)
    per_weight = np.where(covered, 1 / np.where(covered, table["weight"], 1.0), 0.0)
    if weights is None:
        own, power, removed = _averaged(centered, total, per_weight, covered, settings.workers)
        given = covered[..., None]
    else:
        own, power, removed, given = _averaged_known(data, centered, total, weights, settings)
        per_weight = np.where(covered, n_samples / np.where(covered, table["samples"], 1.0), 0.0)
    located = table["present"] > 0
    present = np.where(located, table["present"], 1.0)
    # A voxel that no usable patch reaches speaks for itself; one outside the mask does not speak.
    sigma2 = np.where(located, table["sigma2"] / present, np.where(data.valid, own, np.nan))
    error, energy, undetected = (table[name] * per_weight / n_samples for name in ("error", "energy", "undetected"))
    spread = np.clip(energy * (1 - CERTAIN) - power, 0.0, None)
    least = error / np.maximum(table["used"], 1.0)  # of as many independent estimates
    variance = np.where(covered, np.maximum(error - spread, least) + undetected, sigma2)
    rank = np.where(located, table["rank"] / present, 0.0)
    maps = {"sigma": np.sqrt(sigma2), "rank": rank, "variance": variance, "removed": removed}
    return {**maps, "coverage": table["used"]}, given


def _averaged(
    centered: AnyArray, total: AnyArray, per_weight: FloatArray, covered: BoolArray, workers: int | None
) -> FloatArray:
    """Put weighted means over patches in the place of `centered`; return mean squares before, after, and between."""
    squares = np.zeros((3, *covered.shape))

    def average(part: slice) -> float:
        squares[0][part] = _power(centered[part])
        kept = total[part] * per_weight[part][..., None].astype(total.real.dtype)
        if not covered[part].all():
            kept = np.where(covered[part][..., None], kept, centered[part])
        squares[1][part], squares[2][part] = _power(kept), _power(centered[part] - kept)
        centered[part] = kept
        return 0.0

    _by_slabs(average, centered.shape, workers)
    return squares


def _averaged_known(
    data: Values, centered: AnyArray, total: AnyArray, weights: AnyArray, settings: Settings
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Do the same where values are missing, each voxel over the samples that it has; return where values are new."""
    squares = np.zeros((3, *data.valid.shape))
    given = data.valid[..., None] & (weights > 0)

    def average(part: slice) -> float:
        known = data.known[part]  # type: ignore[index]
        inside = given[part]
        new = np.where(inside, total[part] / np.where(inside, weights[part], 1), centered[part])
        used = known & inside
        squares[0][part] = _power(centered[part], known)
        squares[1][part] = _power(np.where(inside, new, 0), inside)
        squares[2][part] = _power(np.where(used, centered[part] - new, 0), used)
        centered[part] = new
        if not settings.fill:
            given[part] &= known
        return 0.0

    _by_slabs(average, centered.shape, settings.workers)
    return squares[0], squares[1], squares[2], given


def _power(values: AnyArray, among: BoolArray | None = None) -> FloatArray:
    """Return the mean square over the samples (those `among`; others are 0), summed in double precision."""
    parts = values.view(values.real.dtype)
    total = np.einsum("...t,...t->...", parts, parts, dtype=np.float64)
    return np.asarray(total / (values.shape[-1] if among is None else np.maximum(among.sum(axis=-1), 1)))
