"""Read one tile of a recording with its halo, and denoise it."""

import math

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, BoolArray
from sciml.denoise.patches.plan import READ_BYTES, Plan, Region
from sciml.errors import ConfigError, DataError

__all__ = ["Masks", "masks", "run_part", "run_tile"]

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


def run_tile(recording: xr.DataArray, plan: Plan, chosen: Masks, region: Region) -> dict[str, AnyArray]:
    """Return the denoised values of a region, (*space, *other dims), and its maps, (*space)."""
    return run_part(recording.isel(dict(zip(plan.dims, plan.halo(region), strict=True))), plan, chosen, region)


def run_part(part: xr.DataArray, plan: Plan, chosen: Masks, region: Region) -> dict[str, AnyArray]:
    """Return the same, given the region and its halo alone."""
    halo = plan.halo(region)
    values, others = _read(part, plan)
    valid = np.isfinite(values).all(axis=-1) & _unmasked(part, plan)
    mask, scale = (None if each is None else each.values[halo] for each in chosen)
    if mask is not None:
        valid &= mask.astype(bool)
    results = plan.run(values, valid, None if scale is None else scale.astype(np.float64), region)
    if mask is not None:
        inner = chosen[0].values[region].astype(bool)  # type: ignore[union-attr]
        results |= {name: np.where(inner, results[name], np.nan) for name in ("sigma", "rank", "variance", "removed")}
    results["denoised"] = results["denoised"].reshape(*results["denoised"].shape[:-1], *others)
    return results


def _read(part: xr.DataArray, plan: Plan) -> tuple[AnyArray, tuple[int, ...]]:
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


def _unmasked(part: xr.DataArray, plan: Plan) -> BoolArray:
    """Return which voxels the recording's own mask leaves in: those with no masked sample."""
    if "mask" not in part.coords:
        return np.ones([part.sizes[dim] for dim in plan.dims], bool)
    masked = part["mask"]
    out = masked.any([dim for dim in masked.dims if dim not in plan.dims])
    full = out.broadcast_like(part.isel({dim: 0 for dim in part.dims if dim not in plan.dims}, drop=True))
    return ~np.asarray(full.transpose(*plan.dims).values, dtype=bool)
