"""The correlation of a recording's noise between neighboring voxels, from windows all over it."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import xarray as xr

from sciml._typing import FloatArray
from sciml.denoise.patches.noise.windows import windows
from sciml.denoise.patches.plan import Plan
from sciml.denoise.patches.tile import Masks
from sciml.errors import ConfigError
from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.noise.spatial.pooled import pooled_correlation

__all__ = ["Noise", "correlation_attrs", "described", "estimate_correlation", "shared_noise"]

Noise = Literal["auto", "independent"] | LatticeCorrelation
NOISES = ("auto", "independent")


def shared_noise(recording: xr.DataArray, plan: Plan, chosen: Masks, noise: Noise) -> Plan:
    """Return the plan with what the noise of neighboring voxels shares, as it is given or found.

    Raises
    ------
    ConfigError
        A noise of another kind, or a correlation of another number of dims.
    """
    if isinstance(noise, str):
        if noise not in NOISES:
            raise ConfigError(f"expected noise as {', '.join(NOISES)} or a LatticeCorrelation, got {noise!r}")
        found = estimate_correlation(recording, plan, chosen) if noise == "auto" else None
        return plan if found is None else plan.with_correlation(found)
    if len(noise.shape) != len(plan.dims):
        raise ConfigError(f"expected a noise correlation along {plan.dims}, got one of {len(noise.shape)} dims")
    return plan.with_correlation(noise)


def estimate_correlation(recording: xr.DataArray, plan: Plan, chosen: Masks) -> LatticeCorrelation | None:
    """Return the correlation of the noise; None where it is white, or no window has enough voxels that change."""
    found = windows(recording, plan, chosen)
    return pooled_correlation(found, recording.size // math.prod(plan.space)) if found else None


def described(correlation: LatticeCorrelation, dims: tuple[str, ...]) -> str:
    """Return in words how much of their noise neighbors share along each dim."""
    table = correlation.table
    first = [float(correlation.along(axis)[1]) if table.shape[axis] > 1 else 0.0 for axis in range(table.ndim)]
    along = " and ".join(f"{value:.2f} along {dim}" for value, dim in zip(first, dims, strict=True))
    return f"noise of neighboring voxels correlates by {along}, which was taken out and put back"


def correlation_attrs(correlation: LatticeCorrelation | None, dims: tuple[str, ...]) -> Mapping[str, Any]:
    """Return attributes that hold the correlation by lag along each dim."""
    if correlation is None:
        return {}
    return {f"noise_correlation_{dim}": _column(correlation.along(axis)) for axis, dim in enumerate(dims)}


def _column(values: FloatArray) -> list[float]:
    return [round(float(value), 4) for value in values]
