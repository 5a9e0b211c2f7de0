"""Parts of recordings: from and to a time, or about events."""

from collections.abc import Sequence
from numbers import Real

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sciml.errors import ConfigError, DataError
from sciml.recording import TIME, sampling_rate, seconds
from sciml.signal.blockwise import noted

__all__ = ["crop", "crop_around"]


def _times(recording: xr.DataArray) -> NDArray[np.float64]:
    times = seconds(recording)
    return np.arange(recording.sizes[TIME]) / sampling_rate(recording) if times is None else times


def crop(recording: xr.DataArray, start: float | None = None, stop: float | None = None) -> xr.DataArray:
    """Return the samples from `start` up to, but not at, `stop`, in seconds of the recording's clock.

    Raises
    ------
    ConfigError
        A start that is not before the stop, or no numbers.
    DataError
        No samples are there.

    Examples
    --------
    >>> recording = xr.DataArray(np.arange(5.0), dims="time", coords={"time": np.arange(5) / 10})
    >>> crop(recording, 0.1, 0.3).values.tolist()
    [1.0, 2.0]
    """
    times = _times(recording)
    low, high = -np.inf if start is None else start, np.inf if stop is None else stop
    if not isinstance(low, Real) or not isinstance(high, Real) or not low < high:
        raise ConfigError(f"expected seconds, the start before the stop, got {start!r} and {stop!r}")
    rows = np.flatnonzero((times >= low) & (times < high))
    if not len(rows):
        raise DataError(
            f"expected samples from {low:g} to {high:g} s, got a recording from {times[0]:g} to {times[-1]:g} s"
        )
    kept = recording.isel({TIME: slice(int(rows[0]), int(rows[-1]) + 1)})
    if TIME not in recording.coords:
        kept = kept.assign_coords({TIME: times[rows[0] : rows[-1] + 1]})
    return kept.assign_attrs(noted(recording, f"crop: {low:g} to {high:g} s"))


def crop_around(
    recording: xr.DataArray, times: ArrayLike | Sequence[float], *, before: float, after: float
) -> xr.DataArray:
    """Return the samples about events, in the order of time, each once; between them the clock has gaps.

    Parameters
    ----------
    recording
        Any recording with a clock.
    times
        Of the events, in seconds: `sciml.io.read_events(file, "trials")["start_time"]`.
    before, after
        Seconds that are kept before and after each.

    Examples
    --------
    >>> recording = xr.DataArray(np.arange(10.0), dims="time", coords={"time": np.arange(10) / 10})
    >>> crop_around(recording, [0.2, 0.7], before=0.1, after=0.1).values.tolist()
    [1.0, 2.0, 6.0, 7.0]
    """
    if before < 0 or after < 0 or before + after == 0:
        raise ConfigError(f"expected seconds before and after events, got {before:g} and {after:g}")
    clock, events = _times(recording), np.asarray(times, np.float64)
    kept = np.zeros(len(clock), bool)
    half = 0.25 / sampling_rate(recording)  # an event between two samples belongs to neither by rounding
    for event in events[np.isfinite(events)]:
        first, last = np.searchsorted(clock, [event - before - half, event + after - half])
        kept[first:last] = True
    if not kept.any():
        raise DataError(f"expected samples about {len(events)} events, got none; are both on one clock?")
    rows = np.flatnonzero(kept)
    part = recording.isel({TIME: rows}).assign_coords({TIME: (TIME, clock[rows], {"units": "s"})})
    attrs = noted(recording, f"crop_around: {len(events)} events, {before:g} s before to {after:g} s after")
    return part.drop_attrs(deep=False).assign_attrs({k: v for k, v in attrs.items() if k != "sampling_rate"})
