"""From and to neo: `neo.AnalogSignal`."""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.bridges.arrays import Sliced, channel_names, demand, from_numpy, start_of
from sciml.recording import TIME, sampling_rate

__all__ = ["from_neo", "to_neo"]

NAMES = ("channel_names", "channel_ids")  # annotations of a signal that name its channels


def from_neo(signal: Any) -> xr.DataArray:
    """Return a `neo.AnalogSignal` as a recording (time, channel), with unit, rate, names and start.

    A proxy of one, which `read_block(lazy=True)` gives, stays unread.
    """
    rate, start = float(signal.sampling_rate.rescale("Hz").magnitude), float(signal.t_start.rescale("s").magnitude)
    noted = signal.array_annotations or {}
    names = next((list(noted[name]) for name in NAMES if name in noted), None)
    unread = not hasattr(signal, "magnitude")
    values = Sliced(partial(_read, signal), signal.shape, np.float64) if unread else np.asarray(signal.magnitude)
    unit = str(signal.units.dimensionality)
    return from_numpy(values, rate, unit, names, start=start, name=signal.name or "signal")


def _read(proxy: Any, start: int, stop: int) -> NDArray[Any]:
    span = proxy.t_start + start / proxy.sampling_rate, proxy.t_start + stop / proxy.sampling_rate
    return np.asarray(proxy.load(time_slice=span, strict_slicing=False).magnitude)


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
