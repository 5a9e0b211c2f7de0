"""What a patch denoising is to do: dims, patches and settings, checked once; and how one tile of it is done."""

import math
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike

from sciml._typing import AnyArray
from sciml.denoise.patches.decision import MIN_SIDE, Rules
from sciml.denoise.patches.engine import MAPS, POWERS, Values, denoise_array
from sciml.denoise.patches.grid import Grid
from sciml.denoise.patches.model import Settings
from sciml.errors import ConfigError, DataError
from sciml.linalg.batched import check_device
from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.rmt.shrink import check_shrinkage

__all__ = ["Plan", "Region", "check_untouched", "make_plan", "n_bytes", "said_of", "voxels_that_fit"]

Region = tuple[slice, ...]
Sizes = Mapping[Hashable, int]
WEIGHTS = ("gaussian", "uniform", "rank")
WIDTH = 0.8  # full width at half maximum of Gaussian weights over the size of the patch
READ_BYTES = 2**26  # read at a time
BASE_BYTES = 450e6  # Python, NumPy and torch themselves
COPIES = 4.5  # of the values of a tile that are held at once: read, centered, sum, and the results
UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class Plan:
    """One denoising by patches: which dims the patches span, the shape of the space, the grid, the settings.

    `correlation`: of the noise between neighboring voxels; None: it is independent. `doubt`: why it is taken to be.
    """

    dims: tuple[str, ...]
    space: tuple[int, ...]
    grid: Grid
    settings: Settings
    dtype: np.dtype[Any]
    correlation: LatticeCorrelation | None = None
    doubt: str = ""

    def with_correlation(self, correlation: LatticeCorrelation) -> "Plan":
        """Return the plan for noise of a correlation between neighboring voxels."""
        places = np.indices(self.grid.patch).reshape(len(self.dims), -1).T
        shared = replace(correlation, shape=self.grid.patch)
        return replace(self, correlation=shared, settings=replace(self.settings, correlation=shared.between(places)))

    def tiles(self, n_voxels: int) -> list[Region]:
        """Cut the space into regions whose data, halo included, have at most about `n_voxels` voxels."""
        sizes = list(self.space)
        halo = [2 * (p - 1) for p in self.grid.patch]
        while math.prod(map(sum, zip(sizes, halo, strict=True))) > n_voxels:
            axis = int(np.argmax([s if s > 1 else 0 for s in sizes]))
            if sizes[axis] == 1:
                break
            sizes[axis] = math.ceil(sizes[axis] / 2)
        return list(_regions(self.space, tuple(sizes)))

    def halo(self, region: Region) -> Region:
        """Return what must be read to denoise a region: all voxels of all patches that touch it."""
        return self.grid.touching(region).region

    def run(self, data: Values, scale: AnyArray | None, region: Region) -> dict[str, AnyArray]:
        """Denoise a region, given its halo, and the noise level of each voxel (*space) if it is known."""
        local = self.grid.touching(region)
        if scale is not None:
            data = replace(data, unit=np.where(data.valid, scale, 1)[..., None].astype(data.values.real.dtype))
        denoised, maps = denoise_array(data, local.shifted(), self.settings)
        if scale is not None:
            maps = {name: each * scale ** POWERS.get(name, 0) for name, each in maps.items()}
        inner = tuple(
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(region, local.region, strict=True)
        )
        return {"denoised": denoised[inner], **{name: maps[name][inner] for name in MAPS}}


def _regions(space: tuple[int, ...], sizes: tuple[int, ...]) -> list[Region]:
    cuts = [[slice(i, min(i + step, n)) for i in range(0, n, step)] for n, step in zip(space, sizes, strict=True)]
    grids = np.meshgrid(*[np.arange(len(cut)) for cut in cuts], indexing="ij")
    return [
        tuple(cut[i] for cut, i in zip(cuts, index, strict=True))
        for index in zip(*(grid.ravel() for grid in grids), strict=True)
    ]


def make_plan(
    recording: xr.DataArray,
    patch: Mapping[str, int],
    stride: Mapping[str, int] | int | None,
    rules: Rules,
    weights: str,
    device: str | None,
    dtype: DTypeLike | None,
) -> Plan:
    """Check everything that a user can get wrong, before anything is read."""
    dims = tuple(str(dim) for dim in recording.dims if dim in patch)
    _check_recording(recording, patch)
    space = tuple(recording.sizes[dim] for dim in dims)
    shape = tuple(_patch_size(recording, dim, patch[dim]) for dim in dims)
    steps = _strides(dims, shape, stride)
    _check_choices(rules, weights)
    if math.prod(shape) < MIN_SIDE:
        raise ConfigError(f"expected patches of at least {MIN_SIDE} voxels, got {dict(zip(dims, shape, strict=True))}")
    settings = Settings(
        rules=rules,
        offset_weights=_gaussian(shape) if weights == "gaussian" else None,
        by_rank=weights == "rank",
        device=check_device(device),
    )
    return Plan(dims, space, Grid.cover(space, shape, steps), settings, _dtype(recording, dtype))


def _check_recording(recording: xr.DataArray, patch: Mapping[str, int]) -> None:
    if recording.dtype.kind not in "iufcb":
        raise DataError(f"expected numbers, got values of dtype {recording.dtype}; choose another signal")
    unknown = [dim for dim in patch if dim not in recording.dims]
    if unknown or not patch:
        raise ConfigError(
            f"expected the sizes of patches along some dims of {tuple(recording.dims)}, as patch={{'y': 7, 'x': 7}}, "
            f"got {dict(patch)}"
        )
    samples = math.prod(size for dim, size in recording.sizes.items() if dim not in patch)
    if recording.size == 0 or samples <= MIN_SIDE:
        others = tuple(dim for dim in recording.dims if dim not in patch)
        raise DataError(
            f"expected more than {MIN_SIDE} samples along the dims that patch leaves out, got {samples} along "
            f"{others}; "
            "patches are compared over those dims: leave out time, frames or energy from patch"
        )


def _patch_size(recording: xr.DataArray, dim: str, size: int) -> int:
    if int(size) != size or size < 1:
        raise ConfigError(f"expected a patch of one voxel or more along {dim}, got {size!r}")
    return min(int(size), recording.sizes[dim])


def _strides(dims: tuple[str, ...], shape: tuple[int, ...], stride: Mapping[str, int] | int | None) -> tuple[int, ...]:
    if stride is None:
        return tuple((size + 1) // 2 for size in shape)
    given = dict(stride) if isinstance(stride, Mapping) else dict.fromkeys(dims, stride)
    steps = tuple(given.get(dim, (size + 1) // 2) for dim, size in zip(dims, shape, strict=True))
    if set(given) - set(dims) or any(int(step) != step or step < 1 for step in steps):
        raise ConfigError(f"expected strides of one or more along {dims}, got {stride!r}")
    if any(step > size for step, size in zip(steps, shape, strict=True)):
        raise ConfigError(
            f"expected strides of at most the patch, {dict(zip(dims, shape, strict=True))}, so that every voxel is "
            f"covered, got {dict(zip(dims, steps, strict=True))}"
        )
    return tuple(map(int, steps))


def _check_choices(rules: Rules, weights: str) -> None:
    check_shrinkage(rules.shrinkage)
    if weights not in WEIGHTS:
        raise ConfigError(f"expected weights of {', '.join(WEIGHTS)}, got {weights!r}")
    if rules.rank is not None and rules.rank < 0:
        raise ConfigError(f"expected a rank of zero or more, got {rules.rank}")
    if not 0 < rules.alpha < 1:
        raise ConfigError(f"expected alpha between 0 and 1, got {rules.alpha}")
    if rules.sigma is not None and not 0 < rules.sigma < math.inf:
        raise ConfigError(f"expected a positive finite sigma, got {rules.sigma}")


def _gaussian(shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return the weight of each voxel of a patch by its distance from the center, in sizes of the patch."""
    axes = [(np.arange(size) - (size - 1) / 2) / (WIDTH * size) for size in shape]
    squares = sum(np.meshgrid(*[axis**2 for axis in axes], indexing="ij"), np.zeros(shape))
    return tuple(np.exp(-4 * math.log(2) * squares).ravel().tolist())


def _dtype(recording: xr.DataArray, dtype: DTypeLike | None) -> np.dtype[Any]:
    is_complex = recording.dtype.kind == "c"
    # Integers of 32 bits and more need not fit into the 24 bits of single precision.
    widest = 16 if is_complex else 4 if recording.dtype.kind in "iu" else 8
    wide = recording.dtype.itemsize >= widest
    chosen = np.dtype(("float64" if wide else "float32") if dtype is None else dtype)
    if chosen.kind not in "fc" or chosen.itemsize not in (4, 8, 16):
        raise ConfigError(f"expected a dtype of float32 or float64, got {chosen}")
    double = chosen.itemsize == (16 if chosen.kind == "c" else 8)
    if is_complex:
        return np.dtype(np.complex128 if double else np.complex64)
    return np.dtype(np.float64 if double else np.float32)


def said_of(n_untouched: int, plan: Plan) -> str:
    """Return how many voxels came back as they were, in words."""
    return f"{n_untouched} of {math.prod(plan.space)} voxels left as they were"


def check_untouched(n_untouched: int, plan: Plan) -> int:
    """Return the number of voxels that came back as they were, unless these are all.

    Raises
    ------
    DataError
        Nothing was denoised.
    """
    if n_untouched < math.prod(plan.space):
        return n_untouched
    shape = dict(zip(plan.dims, plan.grid.patch, strict=True))
    raise DataError(
        f"expected patches of {shape} with at least {MIN_SIDE} voxels that change and {MIN_SIDE + 1} samples that half "
        f"of them have, found none: all {n_untouched} voxels are constant, masked or missing; check the mask and the "
        "values (sciml info --findings), or choose larger patches"
    )


def n_bytes(memory: str | float) -> float:
    """Return a number of bytes from 2e9, "2GB", "1.5 GiB".

    Examples
    --------
    >>> n_bytes("2GB"), n_bytes("1.5 GiB")
    (2000000000.0, 1610612736.0)
    """
    match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?)\s*([a-z]*)", str(memory).strip(), re.IGNORECASE)
    if match is None or match[2].upper() not in UNITS:
        raise ConfigError(f"expected an amount of memory as '2GB' or '500 MiB', got {memory!r}")
    return float(match[1]) * UNITS[match[2].upper()]


def voxels_that_fit(plan: Plan, n_samples: int, memory: str | float) -> int:
    """Return how many voxels, halo included, a tile may have so that all fits in `memory`."""
    work = 8 * plan.settings.n_bytes + 2 * READ_BYTES
    voxel = n_samples * plan.dtype.itemsize
    least = math.prod(2 * p - 1 for p in plan.grid.patch)
    room = int((n_bytes(memory) - BASE_BYTES - work) / (COPIES * voxel))
    if room < least:
        needed = (COPIES * voxel * least + BASE_BYTES + work) / 1e6
        raise ConfigError(f"expected at least {needed:.0f}MB of memory for patches of this size, got {memory}")
    return room
