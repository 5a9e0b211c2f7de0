"""Windows all over a recording: where they are, their samples, and the covariance of their voxels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, BoolArray
from sciml.denoise.patches.plan import READ_BYTES, Plan, Region
from sciml.denoise.patches.tile import Masks, known_values, read_values
from sciml.noise.spatial.pooled import Window
from sciml.rmt.rank import count_above
from sciml.rmt.sigma import median_edge_refit
from sciml.rmt.spectrum import Spectra

__all__ = ["windows"]

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
    regions = list(_regions(plan, recording.size))
    parts: list[list[_Part]] = [[] for _ in regions]
    for segment in _segments(recording, plan):
        for region, found in zip(regions, parts, strict=True):
            found.append(_Part.read(segment, plan, region))
    measured = [_window(each, region, chosen) for each, region in zip(parts, regions, strict=True)]
    return [window for window in measured if window is not None]


def _regions(plan: Plan, n_values: int) -> Iterator[Region]:
    """Yield windows spread evenly over the space, none of which overlap."""
    n_dims = max(1, sum(size > 1 for size in plan.space))
    side = round(VOXELS ** (1 / n_dims))
    wanted = min(MOST_WINDOWS, max(LEAST_WINDOWS, n_values // VALUES_PER_WINDOW))
    along = math.ceil(wanted ** (1 / n_dims))
    widths = [size if size < 2 * side and n_dims > 1 else min(size, side) for size in plan.space]
    starts = [
        np.linspace(0, size - width, min(along, size // width)).astype(int).tolist()
        for size, width in zip(plan.space, widths, strict=True)
    ]
    for corner in product(*starts):
        yield tuple(slice(start, start + width) for start, width in zip(corner, widths, strict=True))


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
