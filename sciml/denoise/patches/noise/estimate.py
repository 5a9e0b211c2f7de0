"""The correlation of a recording's noise between neighboring voxels, from windows all over it."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import xarray as xr

from sciml._typing import FloatArray
from sciml.denoise.patches.decision import Rules
from sciml.denoise.patches.noise.windows import window_shape, windows
from sciml.denoise.patches.plan import Plan, make_plan
from sciml.denoise.patches.tile import Masks
from sciml.errors import ConfigError
from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.noise.spatial.pooled import Pooled, pooled_correlation

__all__ = ["Noise", "by_lag", "correlation_attrs", "described", "estimate_correlation", "noise_reach", "shared_noise"]

Noise = Literal["auto", "independent"] | LatticeCorrelation
NOISES = ("auto", "independent")
EXPECTED = f"expected noise as {', '.join(NOISES)} or a LatticeCorrelation"
DIGITS = 4
SHARED = 0.05  # of the noise


def shared_noise(recording: xr.DataArray, plan: Plan, chosen: Masks, noise: Noise) -> Plan:
    """Return the plan with what the noise of neighboring voxels shares, as it is given or found.

    Raises
    ------
    ConfigError
        A noise of another kind, or a correlation of another number of dims.
    """
    if isinstance(noise, str):
        if noise not in NOISES:
            raise ConfigError(f"{EXPECTED}, got {noise!r}")
        if noise == "independent":
            return plan
        found = estimate_correlation(recording, plan, chosen)
        doubted = replace(plan, doubt=found.doubt)
        return doubted if found.correlation is None else plan.with_correlation(found.correlation)
    if not isinstance(noise, LatticeCorrelation):
        raise ConfigError(f"{EXPECTED}, got {noise if noise is None else type(noise).__name__}")
    if len(noise.shape) != len(plan.dims):
        raise ConfigError(f"expected a noise correlation along {plan.dims}, got one of {len(noise.shape)} dims")
    return plan.with_correlation(noise)


def estimate_correlation(recording: xr.DataArray, plan: Plan, chosen: Masks) -> Pooled:
    """Return the correlation of the noise; none where it is white, or no window has enough voxels that change."""
    found = windows(recording, plan, chosen)
    if not found:
        shape = " x ".join(map(str, window_shape(plan)))
        return Pooled(doubt=f"whether neighbors share noise could not be tested: no {shape} voxels of which half vary")
    return pooled_correlation(found, recording.size // math.prod(plan.space))


def noise_reach(recording: xr.DataArray, patch: Mapping[str, int]) -> tuple[int, ...] | None:
    """Return how far neighbors share more than a twentieth of their noise along each dim but the first; None: nowhere.

    Parameters
    ----------
    recording
        Samples along the first dim.
    patch
        Size of patches along all the others that may share noise.
    """
    plan = make_plan(recording, patch, None, Rules(), "uniform", None, None)
    correlation = estimate_correlation(recording, plan, (None, None)).correlation
    if correlation is None:
        return None
    far = {dim: _last(correlation.along(axis)) for axis, dim in enumerate(plan.dims)}
    return tuple(far.get(str(dim), 0) for dim in recording.dims[1:])


def _last(values: FloatArray) -> int:
    return int(np.flatnonzero(np.abs(values) > SHARED)[-1])


def described(correlation: LatticeCorrelation, dims: tuple[str, ...]) -> str:
    """Return in words how much of their noise neighbors share along each dim."""
    table = correlation.table
    first = [float(correlation.along(axis)[1]) if table.shape[axis] > 1 else 0.0 for axis in range(table.ndim)]
    along = " and ".join(f"{value:.2f} along {dim}" for value, dim in zip(first, dims, strict=True))
    return f"noise of neighboring voxels correlates by {along}, which was taken out and put back"


def by_lag(correlation: LatticeCorrelation | None, dims: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
    """Return the correlation by lag along each dim; nothing where there is none."""
    if correlation is None:
        return {}
    return {dim: tuple(correlation.along(axis).round(DIGITS).tolist()) for axis, dim in enumerate(dims)}


def correlation_attrs(correlation: LatticeCorrelation | None, dims: tuple[str, ...]) -> dict[str, Any]:
    """Return attributes that hold the correlation by lag along each dim."""
    return {f"noise_correlation_{dim}": list(values) for dim, values in by_lag(correlation, dims).items()}
