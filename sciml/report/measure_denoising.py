"""What is measured on a recording and its denoised form for their report."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from sciml.denoise.evaluate.residual import neighbor_correlation, removed_fraction, residual_spectrum
from sciml.errors import ConfigError, DataError
from sciml.recording import TIME, sampling_rate
from sciml.report.measures import SIDE, DenoisingMeasures, ResidualSpectra, middle

__all__ = ["measure_denoising", "parts_of"]

HELD = 2**22  # values that are looked at, from the middle


def parts_of(after: xr.DataArray | xr.Dataset) -> tuple[xr.DataArray, Mapping[str, xr.DataArray]]:
    """Return the denoised recording, and the maps that come with it."""
    if isinstance(after, xr.DataArray):
        return after, {}
    if "denoised" not in after:
        raise ConfigError(f"expected a Dataset with a variable 'denoised', got {', '.join(map(str, after.data_vars))}")
    maps = {str(name): each for name, each in after.data_vars.items() if name != "denoised" and each.ndim}
    return after["denoised"], maps


def measure_denoising(
    recording: xr.DataArray, denoised: xr.DataArray, maps: Mapping[str, xr.DataArray]
) -> DenoisingMeasures:
    """Measure what was removed, on the middle of both: 4 million values at most.

    Raises
    ------
    DataError
        The two are not of the same dims and sizes, or have no dim beside the samples.
    """
    _check_pair(recording, denoised)
    before, after = _middle(recording, denoised)
    removed = before.copy(data=before.values - after.values)
    return DenoisingMeasures(
        before=before,
        after=after,
        removed_fraction=removed_fraction(before, removed),
        removed_sd=float(np.nanstd(removed.values)),
        neighbor_correlations=neighbor_correlation(removed),
        spectra=_spectra(before, after, removed),
        medians={f"median_{name}": float(each.median()) for name, each in maps.items()},
        mean_rank=float(maps["rank"].mean()) if "rank" in maps else None,
        noise_correlations=_noise_correlations(denoised),
    )


def _noise_correlations(denoised: xr.DataArray) -> dict[str, float]:
    """Return how far neighbors share noise along each dim, as patches found it; nothing where they share none."""
    lags = {str(dim): np.atleast_1d(denoised.attrs.get(f"noise_correlation_{dim}", ())) for dim in denoised.dims}
    return {dim: float(each[1]) if each.size > 1 else 0.0 for dim, each in lags.items() if each.size}


def _check_pair(before: xr.DataArray, denoised: xr.DataArray) -> None:
    if dict(before.sizes) != dict(denoised.sizes):
        raise DataError(
            f"expected the recording that was denoised, of sizes {dict(denoised.sizes)}, got {dict(before.sizes)}"
        )
    if before.ndim < 2:
        raise DataError(f"expected samples of one or more channels or voxels, got dims {before.dims}")


def _middle(before: xr.DataArray, after: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the middle of both as (sample, feature dims...), real."""
    samples = TIME if TIME in before.dims else before.dims[0]
    order = (samples, *(dim for dim in before.dims if dim != samples))
    sizes = {dim: min(before.sizes[dim], SIDE) for dim in order[-2:]}
    sizes |= dict.fromkeys(order[1:-2], 1)
    sizes[samples] = min(before.sizes[samples], max(SIDE, HELD // int(np.prod([sizes[d] for d in order[1:]]))))
    cut = {dim: middle(before.sizes[dim], size) for dim, size in sizes.items()}
    first, second = (_real(each.isel(cut).transpose(*order)) for each in (before, after))
    return first, second


def _real(part: xr.DataArray) -> xr.DataArray:
    values = np.asarray(part.values)
    return part.copy(data=(values.real if np.iscomplexobj(values) else values).astype(np.float64))


def _spectra(before: xr.DataArray, after: xr.DataArray, removed: xr.DataArray) -> ResidualSpectra:
    """Return mean densities before, after and of the difference."""
    try:
        rate, unit = sampling_rate(before), "Hz"
    except (DataError, KeyError):
        rate, unit = 1.0, f"cycle per {before.dims[0]}"
    three = {"recorded": before, "denoised": after, "removed": removed}
    found = {name: residual_spectrum(each, rate) for name, each in three.items()}
    return ResidualSpectra(found["removed"][0], {name: power for name, (_, power) in found.items()}, unit)
