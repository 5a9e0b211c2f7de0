"""What is measured on a recording and its denoised form for their report."""

from collections.abc import Mapping

import numpy as np
import scipy.signal
import xarray as xr

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.recording import TIME, sampling_rate
from sciml.report.measures import SIDE, DenoisingMeasures, ResidualSpectra, middle

__all__ = ["measure_denoising", "parts_of"]

HELD = 2**22  # values that are looked at, from the middle
SEGMENT = 256  # samples of a segment of the spectrum


def parts_of(after: xr.DataArray | xr.Dataset) -> tuple[xr.DataArray, Mapping[str, xr.DataArray]]:
    """Return the denoised recording, and the maps that come with it."""
    if isinstance(after, xr.DataArray):
        return after, {}
    if "denoised" not in after:
        raise ConfigError(f"expected a Dataset with a variable 'denoised', got {', '.join(map(str, after.data_vars))}")
    return after["denoised"], {str(name): after[name] for name in after.data_vars if name != "denoised"}


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
    removed = np.asarray(before.values - after.values)
    return DenoisingMeasures(
        before=before,
        after=after,
        removed_fraction=_removed_fraction(before, removed),
        removed_sd=float(np.nanstd(removed)),
        neighbor_correlations=_neighbor_correlations(removed, tuple(map(str, before.dims))),
        spectra=_spectra(before, after, removed),
        medians={f"median_{name}": float(each.median()) for name, each in maps.items()},
        mean_rank=float(maps["rank"].mean()) if "rank" in maps else None,
    )


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


def _removed_fraction(before: xr.DataArray, removed: FloatArray) -> float:
    power = np.nanmean((before - before.mean(str(before.dims[0]))).values ** 2)
    return float(np.nanmean(removed**2) / power) if power > 0 else 0.0


def _neighbor_correlations(removed: FloatArray, dims: tuple[str, ...]) -> dict[str, float]:
    """Return the correlation of what was removed between neighbors along each dim, 0 for white noise."""
    residual = removed - np.nanmean(removed, axis=0)
    power = np.nanmean(residual**2)
    found = {}
    for axis, dim in enumerate(dims):
        n = residual.shape[axis]
        if n > 1 and power > 0:
            low, high = (np.take(residual, range(*ends), axis) for ends in ((0, n - 1), (1, n)))
            # Noise less its mean over n samples has correlation -1/n.
            found[dim] = float(np.nanmean(low * high) / power) + (1 / n if axis == 0 else 0)
    return found


def _spectra(before: xr.DataArray, after: xr.DataArray, removed: FloatArray) -> ResidualSpectra:
    """Return mean densities before, after and of the difference."""
    try:
        rate, unit = sampling_rate(before), "Hz"
    except (DataError, KeyError):
        rate, unit = 1.0, f"cycle per {before.dims[0]}"
    power, frequency = {}, np.zeros(0)
    for name, values in {"recorded": before.values, "denoised": after.values, "removed": removed}.items():
        flat = values.reshape(len(values), -1)
        flat = flat[:, np.isfinite(flat).all(axis=0)]
        frequency, density = scipy.signal.welch(flat, rate, nperseg=min(SEGMENT, len(flat)), axis=0)
        power[name] = density.mean(axis=1)
    return ResidualSpectra(frequency, power, unit)
