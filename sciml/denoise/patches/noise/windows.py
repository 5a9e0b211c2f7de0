"""Windows all over a recording: where they are, their samples, and the covariance of their voxels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise, product
from typing import Literal

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, BoolArray, FloatArray, IntArray
from sciml.denoise.patches.plan import READ_BYTES, Plan, Region
from sciml.denoise.patches.tile import Masks, known_values, read_values
from sciml.noise.spatial.pooled import Window
from sciml.rmt.rank import count_above
from sciml.rmt.sigma import median_edge_refit
from sciml.rmt.spectrum import Spectra

__all__ = ["window_shape", "windows"]

VOXELS = 81  # of a window
LEAST_WINDOWS, MOST_WINDOWS = 4, 36
VALUES_PER_WINDOW = 2**19  # so that looking for the correlation takes a small part of the time
MOST_SAMPLES = 512
MOST_VALUES = 2**28  # that are read
N_SEGMENTS = 8  # of neighboring samples, spread over all
N_FILLS = 10  # of missing values
ALPHA = 0.01
LEAST_FILLED = 0.5  # of a window by voxels that are used, and of their samples


def windows(recording: xr.DataArray, plan: Plan, chosen: Masks) -> list[Window]:
    """Return windows spread over the space, of samples spread over the recording, whose voxels change.

    At most 512 samples are read, in eight segments, and kept of the windows alone.
    """
    segments = _segments(recording, plan)
    first = next(segments)
    regions = _regions(plan, recording.size, _changing(first, plan, chosen))
    parts: list[list[_Part]] = [[] for _ in regions]
    for segment in chain([first], segments):
        for region, found in zip(regions, parts, strict=True):
            found.append(_Part.read(segment, plan, region))
    measured = [_window(each, region, chosen) for each, region in zip(parts, regions, strict=True)]
    return [window for window in measured if window is not None]


def _regions(plan: Plan, n_values: int, used: BoolArray) -> list[Region]:
    """Return windows spread evenly over the space, none of which overlap: moved where less than half of one is used."""
    n_dims = max(1, sum(size > 1 for size in plan.space))
    wanted = min(MOST_WINDOWS, max(LEAST_WINDOWS, n_values // VALUES_PER_WINDOW))
    along = math.ceil(wanted ** (1 / n_dims))
    widths = window_shape(plan)
    starts = [
        np.linspace(0, size - width, min(along, size // width)).astype(int).tolist()
        for size, width in zip(plan.space, widths, strict=True)
    ]
    even = np.array(list(product(*starts)))
    filled = _filled(used, widths)
    kept = even[filled[tuple(even.T)] >= LEAST_FILLED]
    if len(kept) < len(even):
        kept = _moved(kept, len(even), filled, np.array(widths))
    return [tuple(slice(a, a + width) for a, width in zip(corner, widths, strict=True)) for corner in kept.tolist()]


def window_shape(plan: Plan) -> tuple[int, ...]:
    """Return the shape of windows, which the dims share evenly; a short dim of several is taken whole."""
    n_dims = max(1, sum(size > 1 for size in plan.space))
    side = round(VOXELS ** (1 / n_dims))
    return tuple(size if size < 2 * side and n_dims > 1 else min(size, side) for size in plan.space)


def _filled(used: BoolArray, widths: tuple[int, ...]) -> FloatArray:
    """Return the fraction of voxels that are used of the window that starts at each place."""
    count = used.astype(np.float64)
    for axis, width in enumerate(widths):
        sums = np.insert(np.cumsum(count, axis=axis), 0, 0, axis=axis)
        n = sums.shape[axis]
        count = np.take(sums, np.arange(width, n), axis=axis) - np.take(sums, np.arange(n - width), axis=axis)
    return np.asarray(count / math.prod(widths))


def _moved(kept: IntArray, wanted: int, filled: FloatArray, widths: IntArray) -> IntArray:
    """Return corners of windows, more of them where most voxels are used, far from the others; none overlap."""
    steps = np.maximum(widths // 2, 1)
    places = np.stack(
        np.meshgrid(*(np.arange(0, n, step) for n, step in zip(filled.shape, steps, strict=True)), indexing="ij"), -1
    ).reshape(-1, len(widths))
    fill = filled[tuple(places.T)]
    places, fill = places[fill >= LEAST_FILLED], fill[fill >= LEAST_FILLED]
    apart = np.full(len(places), np.inf)
    chosen = list(kept)
    for corner in kept:
        apart = np.minimum(apart, _apart(places, corner, widths))
    while len(chosen) < wanted and (apart >= 1).any():
        free = np.flatnonzero(apart >= 1)
        fullest = free[fill[free] >= fill[free].max()]
        best = int(fullest[np.argmax(apart[fullest])])
        chosen.append(places[best])
        apart = np.minimum(apart, _apart(places, places[best], widths))
    return np.array(chosen, int).reshape(-1, len(widths))


def _apart(places: IntArray, corner: IntArray, widths: IntArray) -> FloatArray:
    """Return how far windows are from one, in widths: they overlap below 1."""
    return np.asarray((np.abs(places - corner) / widths).max(axis=1))


def _changing(segment: xr.DataArray, plan: Plan, chosen: Masks) -> BoolArray:
    """Return which voxels (*space) are to be used and change in a segment; all of them where none does."""
    known = segment.where(~segment["mask"]) if "mask" in segment.coords else segment
    samples = known.transpose(*segment.dims).values.reshape(-1, *plan.space)
    found = np.zeros(plan.space, bool)
    for before, after in pairwise(samples):
        found |= (before != after) & np.isfinite(before) & np.isfinite(after)
    mask = chosen[0]
    if mask is not None:
        found &= mask.values.astype(bool)
    return found if found.any() else np.ones(plan.space, bool)


def _segments(recording: xr.DataArray, plan: Plan) -> Iterator[xr.DataArray]:
    """Yield segments of the samples, in memory, each few enough of them to be read at once."""
    other = [dim for dim in recording.dims if dim not in plan.dims]
    ordered = recording.transpose(*other, *plan.dims)
    n, rest = ordered.sizes[other[0]], math.prod(ordered.sizes[dim] for dim in other[1:])
    most = max(4, min(MOST_SAMPLES, MOST_VALUES // math.prod(plan.space)) // rest)
    count = 1 if n <= most else min(N_SEGMENTS, most)
    length = min(n, most // count)
    rows = max(1, READ_BYTES // (math.prod(plan.space) * rest * recording.dtype.itemsize))
    for start in np.linspace(0, n - length, count).astype(int).tolist():
        for first in range(start, start + length, rows):
            yield _loaded(ordered.isel({other[0]: slice(first, min(first + rows, start + length))}))


def _loaded(part: xr.DataArray) -> xr.DataArray:
    """Return a recording in memory; one that is, as it is."""
    if part.chunks is None:
        return part.copy(data=part.values)
    return part.copy(data=part.data.compute(scheduler="synchronous"))


@dataclass(frozen=True)
class _Part:
    """Some samples of a window, (*space, sample), and where they were measured."""

    values: AnyArray
    known: BoolArray | None

    @classmethod
    def read(cls, segment: xr.DataArray, plan: Plan, region: Region) -> "_Part":
        part = segment.isel(dict(zip(plan.dims, region, strict=True)))
        wide = replace(plan, dtype=np.dtype(np.complex128 if plan.dtype.kind == "c" else np.float64))
        values, _ = read_values(part, wide)
        return cls(values, known_values(part, plan, values))

    def __len__(self) -> int:
        return int(self.values.shape[-1])

    @property
    def there(self) -> BoolArray:
        return np.ones(self.values.shape, bool) if self.known is None else self.known


def _window(parts: list[_Part], region: Region, chosen: Masks) -> Window | None:
    """Return the covariance of the voxels of a window that change; None where these are few."""
    values = np.concatenate([part.values for part in parts], axis=-1)
    there = np.concatenate([part.there for part in parts], axis=-1)
    shape, n = values.shape[:-1], values.shape[-1]
    mask, scale = (None if each is None else each.values[region] for each in chosen)
    if scale is not None:
        values = values / np.where(scale > 0, scale, 1)[..., None]
    used = np.ones(shape, bool) if mask is None else mask.astype(bool)
    X, known = values.reshape(-1, n), there.reshape(-1, n)
    count = known.sum(axis=1)
    centered = np.where(known, X - (np.where(known, X, 0).sum(axis=1) / np.maximum(count, 1))[:, None], 0)
    used &= ((count > LEAST_FILLED * n) & (np.abs(centered).max(axis=1) > 0)).reshape(shape)
    if used.sum() < LEAST_FILLED * used.size:
        return None
    centered, known = centered[used.ravel()], known[used.ravel()]
    covariance, dof = _covariance(centered, known)
    return Window(covariance, dof, np.argwhere(used), shape, _following(centered, [len(part) for part in parts]))


def _following(centered: AnyArray, lengths: list[int]) -> AnyArray:
    """Return the covariance of samples (voxel, sample) with the next ones, in segments of so many."""
    ends = np.cumsum(lengths)
    pairs = np.delete(np.arange(centered.shape[1]), ends - 1)
    return np.asarray(centered[:, pairs] @ centered[:, pairs + 1].conj().T / (len(pairs) or 1))


def _covariance(centered: AnyArray, known: BoolArray) -> tuple[AnyArray, float]:
    """Return the covariance of voxels (voxel, sample), 0 where they are not known, and its degrees of freedom.

    Where values are missing it is that of the components of the window, and of what these leave of samples that both
    voxels have: components in pairs of voxels that miss each other's samples would swamp the noise.
    """
    dof = centered.shape[1] - 1
    if known.all():
        return centered.conj() @ centered.T / dof, dof
    model = _components(centered, known)
    rest, there = known * (centered - model), known.astype(np.float64)
    both = np.maximum(there @ there.T - 1, 1)
    return model.conj() @ model.T / dof + rest.conj() @ rest.T / both, max(float(np.median(both)), 1.0)


def _components(centered: AnyArray, known: BoolArray) -> AnyArray:
    """Return the components above white noise, the missing values filled by them (voxel, sample)."""
    field: Literal["real", "complex"] = "complex" if np.iscomplexobj(centered) else "real"
    filled, model = centered, np.zeros_like(centered)
    for _ in range(N_FILLS):
        U, s, Vh = np.linalg.svd(filled, full_matrices=False)
        n, dof = len(centered), centered.shape[1] - 1
        spectra = Spectra(s[None, : min(n, dof)] ** 2, n, dof, field)
        rank = int(count_above(spectra, median_edge_refit(spectra).sigma, alpha=ALPHA)[0])
        model = (U[:, :rank] * s[:rank]) @ Vh[:rank]
        filled = np.where(known, centered, model)
    return model
