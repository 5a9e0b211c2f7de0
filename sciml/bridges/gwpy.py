"""From and to GWpy: `TimeSeries` and `TimeSeriesDict`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from sciml.bridges.arrays import channel_names, demand, from_numpy, start_of
from sciml.errors import DataError
from sciml.recording import TIME, sampling_rate, segments

__all__ = ["from_gwpy", "to_gwpy"]


def from_gwpy(series: Any) -> xr.DataArray:
    """Return a `TimeSeries`, or a `TimeSeriesDict` of one clock, as a recording (time, channel); time is GPS time.

    Raises
    ------
    DataError
        Series of other clocks or units.
    """
    parts = series if isinstance(series, Mapping) else {str(series.name or "strain"): series}
    first = next(iter(parts.values()))
    clocks = {
        (len(each), float(each.sample_rate.value), float(each.t0.value), str(each.unit)) for each in parts.values()
    }
    if len(clocks) != 1:
        raise DataError(f"expected series of one length, rate, start and unit, got {sorted(clocks)}; crop and resample")
    values = np.stack([np.asarray(each.value) for each in parts.values()], axis=1)
    rate, start = float(first.sample_rate.value), float(first.t0.value)
    return from_numpy(values, rate, str(first.unit), list(map(str, parts)), start=start, name="strain")


def to_gwpy(recording: xr.DataArray) -> Any:
    """Return a recording as `TimeSeries`, of several channels as `TimeSeriesDict`; values are read.

    Raises
    ------
    DataError
        The clock has gaps: convert the parts between them.
    """
    module = demand("gwpy.timeseries")
    if len(segments(recording)) > 1:
        raise DataError(
            "expected a recording without gaps, got several segments; convert each: recording.isel(time=part)"
        )
    values = recording.transpose(TIME, ...).values.reshape(recording.sizes[TIME], -1)
    clock = {"sample_rate": sampling_rate(recording), "t0": start_of(recording)}
    unit = str(recording.attrs.get("units", "")) or None
    made = {
        name: module.TimeSeries(column, unit=unit, name=name, **clock)
        for name, column in zip(channel_names(recording), values.T, strict=True)
    }
    return next(iter(made.values())) if len(made) == 1 else module.TimeSeriesDict(made)
