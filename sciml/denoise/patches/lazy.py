"""Denoise a chunked (dask) recording: one task a tile, computed when asked."""

from dataclasses import replace
from itertools import accumulate, pairwise, product
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.denoise.patches.engine import MAPS
from sciml.denoise.patches.plan import Plan, Region, check_untouched, voxels_that_fit
from sciml.denoise.patches.tile import Masks, run_part

__all__ = ["lazy_results"]


def lazy_results(recording: xr.DataArray, plan: Plan, chosen: Masks, memory: str | float | None) -> dict[str, Any]:
    """Return denoised values and maps as dask arrays, a chunk a tile: its own chunks, or what fits in memory."""
    regions = _own_tiles(recording, plan) if memory is None else _fitting_tiles(recording, plan, memory)
    others = tuple(recording.sizes[dim] for dim in recording.dims if dim not in plan.dims)
    plan = replace(plan, settings=replace(plan.settings, workers=1))  # here dask's workers are the parallel ones
    blocks: dict[str, Any] = {name: np.empty(regions.shape, object) for name in ("denoised", *MAPS)}
    for index in np.ndindex(regions.shape):
        region = regions[index]
        result = _task(recording, plan, chosen, region)
        shape = tuple(part.stop - part.start for part in region)
        for name, grid in blocks.items():
            form = ((*shape, *others), plan.dtype) if name == "denoised" else (shape, np.float64)
            grid[index] = da.from_delayed(result[name], *form)  # type: ignore[no-untyped-call]
    # `block` concatenates along the last axes, and the denoised values have their samples there
    found = {name: _blocks(grid, len(others) if name == "denoised" else 0) for name, grid in blocks.items()}
    counted = delayed(check_untouched, pure=False)((found["coverage"] == 0).sum(), plan)
    return {**found, "n_untouched": da.from_delayed(counted, (), np.int64)}  # type: ignore[no-untyped-call]


def _blocks(grid: NDArray[np.object_], n_others: int) -> Any:
    return da.block(grid.reshape(*grid.shape, *(1,) * n_others).tolist())  # type: ignore[no-untyped-call]


def _own_tiles(recording: xr.DataArray, plan: Plan) -> Any:
    chunks = dict(zip(recording.dims, recording.chunks or (), strict=True))
    cuts = [[slice(a, b) for a, b in pairwise(accumulate(chunks[dim], initial=0))] for dim in plan.dims]
    return _grid_of([*product(*cuts)], tuple(map(len, cuts)))


def _fitting_tiles(recording: xr.DataArray, plan: Plan, memory: str | float) -> Any:
    n_samples = recording.size // int(np.prod(plan.space))
    regions = plan.tiles(voxels_that_fit(plan, n_samples, memory))
    shape = tuple(len({region[axis].start for region in regions}) for axis in range(len(plan.dims)))
    return _grid_of(regions, shape)


def _grid_of(regions: list[Region], shape: tuple[int, ...]) -> NDArray[np.object_]:
    grid = np.empty(shape, object)
    for index, region in zip(np.ndindex(shape), regions, strict=True):
        grid[index] = region
    return grid


def _task(recording: xr.DataArray, plan: Plan, chosen: Masks, region: Region) -> Any:
    part = recording.isel(dict(zip(plan.dims, plan.halo(region), strict=True)))
    mask = part["mask"].load() if "mask" in part.coords else None
    return delayed(_run, pure=False)(part.data, part.dims, mask, plan, chosen, region)


def _run(
    data: AnyArray, dims: tuple[str, ...], mask: xr.DataArray | None, plan: Plan, chosen: Masks, region: Region
) -> dict[str, AnyArray]:
    coords = {} if mask is None else {"mask": mask.variable}
    return run_part(xr.DataArray(data, dims=dims, coords=coords), plan, chosen, region)
