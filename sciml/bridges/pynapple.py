"""From and to pynapple: `Tsd`, `TsdFrame`, `TsdTensor`."""

from typing import Any

import numpy as np
import xarray as xr

from sciml.bridges.arrays import Sliced, channel_names, demand, from_numpy, timed
from sciml.errors import DataError
from sciml.recording import TIME, feature_dims, seconds

__all__ = ["from_pynapple", "to_pynapple"]


def from_pynapple(series: Any, units: str = "") -> xr.DataArray:
    """Return a `Tsd`, `TsdFrame` or `TsdTensor` as a recording; values that lie in an HDF5 file stay there.

    The ends of the time support are gaps of the clock where they are gaps between samples.
    """
    held = series.d
    values = held if isinstance(held, np.ndarray) else Sliced(lambda a, b: held[a:b], held.shape, held.dtype)
    names = getattr(series, "columns", None)
    recording = from_numpy(
        values, None, units, None if names is None else np.asarray(names), name=type(series).__name__
    )
    return timed(recording, series.t)


def to_pynapple(recording: xr.DataArray) -> Any:
    """Return a recording as `Tsd` (time), `TsdFrame` (time, channel) or `TsdTensor`; values are read.

    Raises
    ------
    DataError
        The recording has no times.
    """
    pynapple, times = demand("pynapple"), seconds(recording)
    if times is None:
        raise DataError("expected times, got a recording without a clock; sciml.from_numpy(values, rate) makes one")
    values = recording.transpose(TIME, ...).values
    n_dims = len(feature_dims(recording))
    if n_dims == 1:
        return pynapple.TsdFrame(t=times, d=values, columns=channel_names(recording))
    return (pynapple.TsdTensor if n_dims else pynapple.Tsd)(t=times, d=values)
