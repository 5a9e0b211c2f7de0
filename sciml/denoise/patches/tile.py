"""Read one tile of a recording with its halo, and denoise it."""

import math
from typing import Any

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, BoolArray
from sciml.denoise.patches.engine import MAPS, Values
from sciml.denoise.patches.frames import Frames, frames
from sciml.denoise.patches.plan import READ_BYTES, Plan, Region
from sciml.errors import ConfigError, DataError

__all__ = ["Masks", "known_values", "masks", "read_values", "run_part", "run_tile"]

Masks = tuple[xr.DataArray | None, xr.DataArray | None]  # voxels to denoise; noise level of each voxel


def masks(plan: Plan, mask: xr.DataArray | None, sigma: float | xr.DataArray | None) -> Masks:
    """Return mask and sigma map in the order of the plan's dims, checked."""
    scale = sigma if isinstance(sigma, xr.DataArray) else None
    inside, level = _ordered("mask", mask, plan), _ordered("sigma", scale, plan)
    _check_scale(level, inside)
    return inside, level


def _ordered(name: str, given: xr.DataArray | None, plan: Plan) -> xr.DataArray | None:
    if given is None:
        return None
    dims = getattr(given, "dims", (type(given).__name__,))
    if set(dims) != set(plan.dims):
        raise ConfigError(f"expected {name} as a DataArray over the dims of the patches, {plan.dims}, got {dims}")
    found = given.transpose(*plan.dims)
    if found.shape != plan.space:
        raise DataError(f"expected {name} of sizes {plan.space} along {plan.dims}, got {found.shape}")
    return found


def _check_scale(scale: xr.DataArray | None, mask: xr.DataArray | None) -> None:
    if scale is None:
        return
    inside = np.ones(scale.shape, bool) if mask is None else mask.values.astype(bool)
    good = np.isfinite(scale.values) & (scale.values > 0)
    if not good[inside].all():
        raise DataError(
            f"expected a positive sigma at every voxel, got {np.count_nonzero(~good & inside)} that are not; "
            "leave those voxels out with mask"
        )


def run_tile(recording: xr.DataArray, plan: Plan, chosen: Masks, region: Region) -> dict[str, Any]:
    """Return the denoised values of a region, (*space, *other dims), and its maps, (*space)."""
    return run_part(recording.isel(dict(zip(plan.dims, plan.halo(region), strict=True))), plan, chosen, region)


def run_part(part: xr.DataArray, plan: Plan, chosen: Masks, region: Region) -> dict[str, Any]:
    """Return the same, given the region and its halo alone; and `frames`, what is odd about the order of samples."""
    halo = plan.halo(region)
    values, others = read_values(part, plan)
    known = known_values(part, plan, values)
    mask, scale = (None if each is None else each.values[halo] for each in chosen)
    inside = np.ones(values.shape[:-1], bool) if mask is None else mask.astype(bool)
    still = _constant(values, known)
    valid = np.asarray(inside & ~still)
    if known is not None:
        valid &= known.any(axis=-1)
        known = None if bool(known[valid].all()) else known & valid[..., None]
    results: dict[str, Any] = plan.run(
        Values(values, valid, known), None if scale is None else scale.astype(np.float64), region
    )
    inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(region, halo, strict=True))
    results["frames"] = _frames(part, plan, (values[inner], results["denoised"]), known, valid, inner)
    results |= {name: _outside(results[name], inside[inner], still[inner]) for name in MAPS if name != "coverage"}
    results["denoised"] = results["denoised"].reshape(*results["denoised"].shape[:-1], *others)
    return results


def _frames(
    part: xr.DataArray,
    plan: Plan,
    both: tuple[AnyArray, AnyArray],
    known: BoolArray | None,
    valid: BoolArray,
    inner: Region,
) -> Frames | None:
    """Return what a region, by its values before and after, says of frames, where the samples are frames."""
    if [dim for dim in part.dims if dim not in plan.dims] not in [["time"], ["frame"]]:
        return None
    before, after = both
    return frames(before, after, None if known is None else known[inner], valid[inner], part.dtype)


def _outside(found: AnyArray, inside: BoolArray, still: BoolArray) -> AnyArray:
    """Return a map that says nothing outside the mask, and zero where nothing changes: there is no noise."""
    return np.where(inside, np.where(still, 0.0, found), np.nan)


def known_values(part: xr.DataArray, plan: Plan, values: AnyArray) -> BoolArray | None:
    """Return where values are finite and not masked by the recording itself, (*space, sample); None: everywhere."""
    known = np.isfinite(values)
    if "mask" in part.coords:
        other = [dim for dim in part.dims if dim not in plan.dims]
        masked: Any = part["mask"].variable
        whole = masked.set_dims({dim: part.sizes[dim] for dim in (*plan.dims, *other)})
        known &= ~np.asarray(whole.values, bool).reshape(values.shape)
    return None if known.all() else known


def _constant(values: AnyArray, known: BoolArray | None) -> BoolArray:
    """Return which voxels never change: blanked background and dead pixels, (*space)."""
    if known is None:
        return np.asarray((values == values[..., :1]).all(axis=-1))
    first = np.take_along_axis(values, known.argmax(axis=-1)[..., None], axis=-1)
    return np.asarray(((values == first) | ~known).all(axis=-1) & known.any(axis=-1))


def read_values(part: xr.DataArray, plan: Plan) -> tuple[AnyArray, tuple[int, ...]]:
    """Return values of shape (*space, samples), read a few samples at a time, and the shape of the other dims."""
    other = [dim for dim in part.dims if dim not in plan.dims]
    ordered = part.transpose(*other, *plan.dims)
    others = tuple(ordered.sizes[dim] for dim in other)
    space = tuple(ordered.sizes[dim] for dim in plan.dims)
    values = np.empty((*space, others[0], math.prod(others[1:])), plan.dtype)
    rows = max(1, READ_BYTES // max(1, math.prod(space) * math.prod(others[1:]) * part.dtype.itemsize))
    for start in range(0, others[0], rows):
        block = _load(ordered[start : start + rows])
        block = block.reshape(len(block), math.prod(others[1:]), *space)
        values[..., start : start + rows, :] = np.moveaxis(block, (0, 1), (-2, -1))
    return values.reshape(*space, -1), others


def _load(part: xr.DataArray) -> AnyArray:
    """Return the values; those of a chunked recording without asking a cluster that may be waiting for them."""
    if part.chunks is None:
        return np.asarray(part.values)
    return np.asarray(part.data.compute(scheduler="synchronous"))
