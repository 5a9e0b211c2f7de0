"""Arrays with a sampling rate as recordings."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sciml.errors import DataError, MissingDependencyError
from sciml.io.arrays import LazyArray, lazy
from sciml.recording import TIME, feature_dims, seconds

__all__ = ["Sliced", "channel_names", "demand", "from_numpy", "start_of", "timed", "to_volts"]

Names = Sequence[Any] | NDArray[Any] | Mapping[str, Sequence[Any] | NDArray[Any]]
DIMS = {1: (), 2: ("channel",), 3: ("y", "x"), 4: ("z", "y", "x")}  # beside time, by the number of axes


def from_numpy(
    values: ArrayLike | LazyArray,
    rate: float | None = None,
    units: str = "",
    channels: Names | None = None,
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


def _array(values: Any) -> Any:
    """Return values as an array of numbers; lazy ones unread."""
    data: Any = lazy(values) if isinstance(values, LazyArray) else values
    data = data if isinstance(values, LazyArray) or hasattr(data, "__array_function__") else np.asarray(data)
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


def _named(recording: xr.DataArray, channels: Names) -> xr.DataArray:
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


class Sliced(LazyArray):
    """Samples (time, channel) that another package reads: `read_rows(start, stop)`; nothing is read before."""

    def __init__(self, read_rows: Callable[[int, int], NDArray[Any]], shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.read_rows = read_rows
        self.shape, self.dtype = shape, np.dtype(dtype)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values that a key selects."""
        rows = np.arange(self.shape[0])[key[0]]
        first, last = (int(rows.min()), int(rows.max()) + 1) if rows.size else (0, 1)
        values: NDArray[Any] = np.asarray(self.read_rows(first, last))[rows - first]
        for axis in reversed(range(len(key) - 1)):
            values = values[(slice(None),) * (axis + rows.ndim) + (key[axis + 1],)]
        return values.astype(self.dtype, copy=False)


def demand(package: str) -> Any:
    """Return an optional package, or say how it is installed."""
    try:
        return import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise MissingDependencyError(
            f"expected the package {name}, which is not installed: pip install {name}"
        ) from error


def channel_names(recording: xr.DataArray) -> list[str]:
    """Return the names of the channels as text; those of an array without names are their numbers."""
    if recording.ndim == 1:
        return [str(recording.attrs.get("signal", recording.name))]
    if len(feature_dims(recording)) != 1:
        raise DataError(f"expected dims time and one of channels, got {recording.dims}; stack the others first")
    dim = feature_dims(recording)[0]
    return [str(each) for each in (recording[dim].values if dim in recording.coords else range(recording.sizes[dim]))]


def start_of(recording: xr.DataArray) -> float:
    """Return the time of the first sample in seconds; zero where there is no clock but a rate."""
    first = seconds(recording.isel({TIME: slice(0, 1)}))
    return 0.0 if first is None else float(first[0])


def timed(recording: xr.DataArray, times: NDArray[Any]) -> xr.DataArray:
    """Return a recording with times in seconds, and its rate where they are regular."""
    times = np.asarray(times, np.float64)
    steps = np.diff(times)
    regular = (
        len(steps) > 0 and steps.min() > 0 and bool(np.ptp(steps) <= 1e-6 * steps.mean() + 4 * np.spacing(times[-1]))
    )
    attrs = {"sampling_rate": float(1 / steps.mean())} if regular else {}
    return recording.assign_coords({TIME: (TIME, times, {"units": "s"})}).assign_attrs(attrs)


PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "milli": 1e-3, "micro": 1e-6, "nano": 1e-9}


def to_volts(units: str) -> float | None:
    """Return what a unit is in volts; None where it is none of voltage.

    Examples
    --------
    >>> to_volts("uV"), to_volts("volts"), to_volts("counts")
    (1e-06, 1.0, None)
    """
    for ending in ("volts", "volt", "V"):
        if units.endswith(ending):
            return PREFIXES.get(units.removesuffix(ending))
    return None
