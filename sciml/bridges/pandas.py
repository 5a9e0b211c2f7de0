"""From and to pandas: a row a sample, a column a channel."""

from typing import Any

import numpy as np
import xarray as xr

from sciml.bridges.arrays import channel_names, demand, from_numpy, timed
from sciml.errors import DataError
from sciml.recording import TIME, seconds

__all__ = ["from_pandas", "to_pandas"]


def from_pandas(frame: Any, units: str = "", rate: float | None = None) -> xr.DataArray:
    """Return a DataFrame, or Series, as a recording: its index is time in seconds, or dates; columns are channels.

    Parameters
    ----------
    frame
        Numbers. Dates count from the first, which `attrs["start"]` keeps; durations are seconds.
    units
        Unit of the values.
    rate
        Samples per second, where the index only numbers the rows.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"left": [1.0, 2.0], "right": [3.0, 4.0]}, index=[0.0, 0.5])
    >>> from_pandas(frame, "mV").sampling_rate
    2.0
    """
    held = frame.to_frame() if frame.ndim == 1 else frame
    if held.index.nlevels > 1 or held.columns.nlevels > 1:
        raise DataError("expected an index and columns of one level, got several; reset_index or droplevel first")
    recording = from_numpy(held.to_numpy(), rate, units, [str(name) for name in held.columns], name="frame")
    if rate is not None:
        return recording
    kind = held.index.dtype.kind
    if kind in "iuf":
        return timed(recording, held.index.to_numpy())
    if kind not in "mM":
        raise DataError(f"expected an index of seconds, dates or durations, got {held.index.dtype}; give rate=")
    origin = held.index[0] if kind == "M" else np.timedelta64(0)
    times = np.asarray((held.index - origin) / np.timedelta64(1, "s"), np.float64)
    return timed(recording, times).assign_attrs({"start": held.index[0].isoformat()} if kind == "M" else {})


def to_pandas(recording: xr.DataArray) -> Any:
    """Return a recording (time, channel) as a DataFrame: index `time` in seconds, a column a channel; values are read.

    Examples
    --------
    >>> from sciml.bridges.arrays import from_numpy
    >>> to_pandas(from_numpy([[1.0, 2.0], [3.0, 4.0]], 10.0, "mV", ["a", "b"])).loc[0.1, "b"].item()
    4.0
    """
    pd = demand("pandas")
    values = recording.transpose(TIME, ...).values.reshape(recording.sizes[TIME], -1)
    frame = pd.DataFrame(
        values, pd.Index(_index(recording), name=TIME), pd.Index(channel_names(recording), name="channel")
    )
    frame.attrs["units"] = str(recording.attrs.get("units", ""))
    return frame


def _index(recording: xr.DataArray) -> Any:
    times = seconds(recording)
    return np.arange(recording.sizes[TIME]) if times is None else times
