"""Arrays with a sampling rate as recordings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from sciml.errors import DataError
from sciml.recording import TIME

__all__ = ["from_numpy"]

DIMS = {1: (), 2: ("channel",), 3: ("y", "x"), 4: ("z", "y", "x")}  # beside time, by the number of axes


def from_numpy(
    values: ArrayLike,
    rate: float | None = None,
    units: str = "",
    channels: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    *,
    dims: Sequence[str] | None = None,
    start: float = 0.0,
    name: str = "array",
) -> xr.DataArray:
    """Return an array as a recording: time first, then channels, or the rows and columns of a movie.

    Parameters
    ----------
    values
        Numbers of shape (time,), (time, channel), (time, y, x) or (time, z, y, x). Memory maps and dask arrays stay
        what they are; masked values of `numpy.ma` become a mask.
    rate
        Samples per second; None: the recording has no clock.
    units
        Unit of the values.
    channels
        Names of the channels, or a table of columns: `{"channel": names, "rel_x": ..., "rel_y": ...}`.
    dims
        Names of the axes, where they are others.
    start
        Time of the first sample in seconds.
    name
        What the signal is called in results.

    Raises
    ------
    DataError
        Values that are not numbers, more axes than have names, a rate that is not positive, or names that do not fit.

    Examples
    --------
    >>> recording = from_numpy([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 10.0, "uV", ["left", "right"])
    >>> recording.sel(channel="right").values.tolist(), recording.time.values.tolist()
    ([2.0, 4.0, 6.0], [0.0, 0.1, 0.2])
    """
    data = _array(values)
    names = _dims(data, dims)
    if rate is not None and not 0 < rate < np.inf:
        raise DataError(f"expected a positive rate in Hz, got {rate}; leave it out if the samples have no clock")
    attrs: dict[str, Any] = {"units": units, "signal": name}
    coords: dict[str, Any] = {}
    if rate is not None:
        attrs["sampling_rate"] = float(rate)
        coords[TIME] = (TIME, start + np.arange(data.shape[names.index(TIME)]) / rate, {"units": "s"})
    mask = np.ma.getmaskarray(data) if isinstance(data, np.ma.MaskedArray) else None
    recording = xr.DataArray(data if mask is None else np.asarray(data.data), coords, names, name, attrs)
    recording = recording if mask is None else recording.assign_coords(mask=(names, mask))
    return recording if channels is None else _named(recording, channels)


def _array(values: ArrayLike) -> Any:
    """Return values as an array of numbers; lazy ones unread."""
    data: Any = values if hasattr(values, "__array_function__") else np.asarray(values)
    if data.dtype.kind not in "iufcb":
        raise DataError(f"expected an array of numbers, got dtype {data.dtype}; convert it first")
    return data


def _dims(data: Any, dims: Sequence[str] | None) -> tuple[str, ...]:
    if dims is None and data.ndim not in DIMS:
        raise DataError(f"expected an array of one to four axes, time first, got shape {data.shape}; name them: dims=")
    names = (TIME, *DIMS[data.ndim]) if dims is None else tuple(dims)
    if len(names) != data.ndim or TIME not in names:
        raise DataError(f"expected dims with 'time', one for each axis of shape {data.shape}, got {names}")
    return names


def _named(recording: xr.DataArray, channels: Sequence[Any] | Mapping[str, Sequence[Any]]) -> xr.DataArray:
    """Return a recording with names, or a table, of its channels."""
    table = channels if isinstance(channels, Mapping) else {"channel": channels}
    if recording.ndim != 2:
        raise DataError(f"expected channels of an array of two axes, got {recording.dims}")
    along = next(str(dim) for dim in recording.dims if dim != TIME)
    columns = {along if name == "channel" else name: np.asarray(column) for name, column in table.items()}
    for name, column in columns.items():
        if column.shape != (recording.sizes[along],):
            raise DataError(
                f"expected {recording.sizes[along]} values of {name!r}, one for each {along}, got shape {column.shape}"
            )
    return recording.assign_coords({name: (along, column) for name, column in columns.items()})
