"""What a recording is: an `xarray.DataArray` with a `time` dim, units, a clock, and perhaps a mask.

The functions here read that contract; they know no file format and no method.

- dims: `time` and any of `channel`, `roi`, `unit`, `y`, `x`, `trial`, `frequency`, ...
- `time` coordinate in seconds (dates and durations are turned into seconds since the first, or zero);
  `attrs["sampling_rate"]` in Hz where the clock is regular
- `attrs["units"]`: the unit of the values, as the file states it
- `attrs["units_symbol"]` (optional): its symbol, where the file spells it out ("volts": "V")
- coordinate `mask` (optional, bool, along any of the dims): True marks samples to leave out; `attrs["flags"]` of it
  names the reasons
- coordinate `uncertainty` (optional, along the same dims): the standard deviation of each value, in its unit
- bins: coordinates `<dim>_left` and `<dim>_right` hold the edges, `<dim>` the centers
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError, ScimlWarning

__all__ = [
    "GAP",
    "TIME",
    "blocks",
    "check",
    "clock_blocks",
    "feature_dims",
    "feature_shape",
    "n_features",
    "sampling_rate",
    "seconds",
    "segments",
    "unread_clock",
]

TIME = "time"
UNREAD = 2**22  # samples beyond which a clock that lies in a file is read in parts
CLOCK_BLOCK, PLACES = 2**20, 64  # samples of a clock that are read at a time; places that its rate is read off
GAP = 1.5  # a step longer than this many median steps is a gap in the clock


def check(recording: xr.DataArray, *, minimum: int = 2, needs_clock: bool = False) -> xr.DataArray:
    """Return the recording if it is one that can be analysed, else say why it is not.

    Values in extended precision come back in double.

    Parameters
    ----------
    recording
        Array with a `time` dim and numeric (real, complex, integer or bool) values.
    minimum
        Smallest number of time samples that the caller can work with.
    needs_clock
        The caller cannot do without, and complains itself of a clock that runs backward.

    Raises
    ------
    DataError
        No `time` dim, values that are not numbers, a time that is none, or too few samples.

    Warns
    -----
    ScimlWarning
        The clock runs backward; the recording is taken to have none.

    Examples
    --------
    >>> check(xr.DataArray(np.zeros((4, 2)), dims=("time", "channel"))).sizes["time"]
    4
    """
    name = recording.attrs.get("signal", "the recording")
    if TIME not in recording.dims:
        raise DataError(
            f"{name}: expected a dim named 'time', got dims {tuple(recording.dims)}; "
            "name the dim that is time: recording.rename(...) in Python, sciml convert FILE --dims time,... in a shell"
        )
    if recording.dtype.kind not in "iufcb":
        raise DataError(f"{name}: expected numbers, got values of dtype {recording.dtype}; choose another signal")
    if recording.sizes[TIME] < minimum or recording.size == 0:
        raise DataError(
            f"{name}: expected at least {minimum} time samples of at least one channel, got shape {recording.shape}"
        )
    if "sampling_rate" not in recording.attrs and not needs_clock:
        _check_clock(recording, name)
    wide = recording.dtype.kind in "fc" and recording.dtype.itemsize > (16 if recording.dtype.kind == "c" else 8)
    return recording.astype(np.complex128 if recording.dtype.kind == "c" else np.float64) if wide else recording


def _check_clock(recording: xr.DataArray, name: str) -> None:
    if unread_clock(recording):
        back = sum(int((np.diff(times) < 0).sum()) for _, times in clock_blocks(recording, overlap=1))
    else:
        times = seconds(recording)
        back = 0 if times is None else int((np.diff(times) < 0).sum())
    if back:
        n = recording.sizes[TIME]
        warnings.warn(
            f"{name}: time runs backward at {back} of {n} samples; the recording is taken to have no clock, "
            "so that neither rates nor gaps are known: sort it by time (recording.sortby('time')), or cut it there",
            ScimlWarning,
            stacklevel=4,
        )


def unread_clock(recording: xr.DataArray) -> bool:
    """Return whether the clock is long and lies in a file still: whoever needs little of it reads that alone.

    Examples
    --------
    >>> unread_clock(xr.DataArray(np.zeros(3), dims="time", coords={"time": [0.0, 0.5, 1.0]}))
    False
    """
    if TIME not in recording.coords or TIME in recording.indexes or recording[TIME].dims != (TIME,):
        return False
    return bool(recording[TIME].dtype.kind in "iuf" and recording.sizes[TIME] > UNREAD)


def clock_blocks(recording: xr.DataArray, *, overlap: int = 0) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the first sample and the times of one part of a clock after the other, each with a few of the next."""
    n = recording.sizes[TIME]
    for start in range(0, n, CLOCK_BLOCK):
        part = recording[TIME].isel({TIME: slice(start, min(start + CLOCK_BLOCK + overlap, n))})
        yield start, np.asarray(part.values, np.float64)


def seconds(recording: xr.DataArray) -> NDArray[np.float64] | None:
    """Return the time of each sample in seconds; None where there is no coordinate.

    Dates count from the first of them, durations from zero.

    Raises
    ------
    DataError
        The coordinate is text, a table of several levels, or whatever else is no time.

    Examples
    --------
    >>> dates = np.array(["2020-01-01T00:00:00", "2020-01-01T00:00:00.5"], "datetime64[ns]")
    >>> seconds(xr.DataArray(np.zeros(2), dims="time", coords={"time": dates})).tolist()
    [0.0, 0.5]
    """
    if TIME not in recording.coords or recording[TIME].dims != (TIME,):
        return None
    kind = recording[TIME].dtype.kind
    if kind in "iuf":
        return np.asarray(recording[TIME].values, np.float64)
    values = _dates(recording)
    if kind in "mM":
        return np.asarray((values - (values[:1] if kind == "M" else np.timedelta64(0))) / np.timedelta64(1, "s"))
    try:  # dates of a calendar, Python's or cftime's
        return np.array([(each - values[0]).total_seconds() for each in values], np.float64)
    except (TypeError, AttributeError) as error:
        several = type(values[0]).__name__ == "tuple"
        what = "an index of several levels" if several else f"{type(values[0]).__name__}, as {str(values[0])!r}"
        remedy = "reset it (recording.reset_index('time'))" if several else "give numbers or dates"
        raise DataError(
            f"expected the coordinate time in seconds, or dates, got {what}; {remedy}, or drop it "
            "(recording.drop_vars('time')) and set recording.attrs['sampling_rate']"
        ) from error


def _dates(recording: xr.DataArray) -> NDArray[Any]:
    """Return times that are no numbers; of those in a time zone, the ones of UTC."""
    zone = getattr(recording[TIME].dtype, "tz", None)
    if zone is None:
        return np.asarray(recording[TIME].values)
    index: Any = recording.indexes[TIME]
    return np.asarray(index.tz_convert("UTC").tz_localize(None))


def feature_dims(recording: xr.DataArray) -> tuple[str, ...]:
    """Return the dims other than time, in order: the channels, ROIs or pixels of the recording."""
    return tuple(str(dim) for dim in recording.dims if dim != TIME)


def feature_shape(recording: xr.DataArray) -> tuple[int, ...]:
    """Return the sizes of `feature_dims`."""
    return tuple(recording.sizes[dim] for dim in feature_dims(recording))


def n_features(recording: xr.DataArray) -> int:
    """Return the number of channels (pixels, ROIs): the product of the sizes other than time."""
    return int(np.prod(feature_shape(recording), dtype=np.int64))


def sampling_rate(recording: xr.DataArray) -> float:
    """Return the sampling rate in Hz, from `attrs["sampling_rate"]` or the median step of the clock.

    Raises
    ------
    DataError
        The recording has neither, or its clock does not advance.

    Examples
    --------
    >>> sampling_rate(xr.DataArray(np.zeros(3), dims="time", coords={"time": [0.0, 0.5, 1.0]}))
    2.0
    """
    rate = recording.attrs.get("sampling_rate")
    if rate is not None:
        return float(rate)
    if unread_clock(recording):
        return _rate(_some_steps(recording))
    times = seconds(recording)
    if times is None or recording.sizes[TIME] < 2:
        raise DataError(
            "expected a time coordinate in seconds or attrs['sampling_rate'] in Hz, got neither; "
            "set recording.attrs['sampling_rate'] in Python, or state it with sciml convert FILE --rate HZ"
        )
    return _rate(np.diff(times))


def _some_steps(recording: xr.DataArray) -> NDArray[np.float64]:
    """Return steps of a long clock from places spread evenly over it."""
    n = recording.sizes[TIME]
    length = min(n, CLOCK_BLOCK // PLACES)
    places = np.linspace(0, n - length, PLACES).astype(np.int64).tolist()
    parts = (recording[TIME].isel({TIME: slice(start, start + length)}).values for start in places)
    return np.concatenate([np.diff(np.asarray(part, np.float64)) for part in parts])


def _rate(steps: NDArray[np.float64]) -> float:
    """Return one over the median step of a clock that advances."""
    step = float(np.median(steps))
    if step > 0 and (steps < 0).any():
        raise DataError(
            "expected a clock that advances, got one that runs backward (a step back); sort the recording by time"
        )
    if not step > 0:
        raise DataError(f"expected a clock that advances, got a median step of {step} s; sort the recording by time")
    return 1.0 / step


def segments(recording: xr.DataArray) -> list[slice]:
    """Return the runs of samples between gaps of the clock, as slices along `time`.

    A gap is a step of more than 1.5 median steps. A regular clock (or none, or one that runs backward) is one segment.

    Examples
    --------
    >>> segments(xr.DataArray(np.zeros(4), dims="time", coords={"time": [0.0, 0.1, 5.0, 5.1]}))
    [slice(0, 2, None), slice(2, 4, None)]
    """
    n = recording.sizes[TIME]
    if "sampling_rate" in recording.attrs or n < 3 or (times := seconds(recording)) is None:
        return [slice(0, n)]
    steps = np.diff(times)
    if (steps < 0).any():
        return [slice(0, n)]
    cuts = np.flatnonzero(steps > GAP * np.median(steps)) + 1
    edges = [0, *cuts.tolist(), n]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def blocks(
    recording: xr.DataArray, rows: int, *, across_gaps: bool = False, ahead: bool = False
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield `(slice, array)` along time: arrays of shape (n, n_features) of at most `rows` samples, read one by one.

    Blocks end at gaps of the clock, so that no block straddles one, unless `across_gaps`. Masked samples come as NaN.
    With `ahead` the next block is read, and unpacked, while the caller works on this one: one block more in memory.
    """
    ordered = recording.transpose(TIME, ...)
    pieces = [slice(0, recording.sizes[TIME])] if across_gaps else segments(recording)
    parts = [
        slice(start, min(start + rows, piece.stop))
        for piece in pieces
        for start in range(piece.start, piece.stop, rows)
    ]
    if not ahead or len(parts) < 2:
        yield from ((part, _block(ordered, part)) for part in parts)
        return
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        coming = reader.submit(_block, ordered, parts[0])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            values = coming.result()
            if following is not None:
                coming = reader.submit(_block, ordered, following)
            yield part, values


def _block(ordered: xr.DataArray, part: slice) -> NDArray[Any]:
    """Read a stretch of a recording whose first dim is time as (n, n_features), NaN where it is masked."""
    values = ordered.isel({TIME: part})
    if "mask" in values.coords:
        values = values.where(~values["mask"])
        values = values.transpose(TIME, ...)
    return np.asarray(values.values).reshape(part.stop - part.start, -1)
