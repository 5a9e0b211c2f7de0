"""From and to neo: `neo.AnalogSignal`."""

from typing import Any

import numpy as np
import xarray as xr

from sciml.bridges.arrays import channel_names, demand, from_numpy, start_of
from sciml.recording import TIME, sampling_rate

__all__ = ["from_neo", "to_neo"]

NAMES = ("channel_names", "channel_ids")  # annotations of a signal that name its channels


def from_neo(signal: Any) -> xr.DataArray:
    """Return a `neo.AnalogSignal`, or the proxy of one, as a recording (time, channel), with unit, rate and start."""
    held = signal.load() if hasattr(signal, "load") and not hasattr(signal, "magnitude") else signal
    noted = getattr(held, "array_annotations", None) or {}
    names = next((np.asarray(noted[name]) for name in NAMES if name in noted), None)
    return from_numpy(
        np.asarray(held.magnitude),
        float(held.sampling_rate.rescale("Hz").magnitude),
        str(held.units.dimensionality),
        names,
        start=float(held.t_start.rescale("s").magnitude),
        name=held.name or "signal",
    )


def to_neo(recording: xr.DataArray) -> Any:
    """Return a recording (time, channel) as `neo.AnalogSignal`; values are read, units unknown to neo dropped."""
    neo, quantities = demand("neo"), demand("quantities")
    unit = str(recording.attrs.get("units_symbol", recording.attrs.get("units", ""))) or "dimensionless"
    try:
        quantities.unit_registry[unit]
    except (LookupError, SyntaxError):
        unit = "dimensionless"
    return neo.AnalogSignal(
        recording.transpose(TIME, ...).values.reshape(recording.sizes[TIME], -1),
        units=unit,
        sampling_rate=sampling_rate(recording) * quantities.Hz,
        t_start=start_of(recording) * quantities.s,
        name=str(recording.attrs.get("signal", recording.name)),
        array_annotations={"channel_names": np.array(channel_names(recording))},
    )
