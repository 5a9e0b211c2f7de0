"""Spike times and other moments as a recording: how many fall into each bin of time, one channel a unit."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sciml.errors import ConfigError, DataError
from sciml.recording import TIME

__all__ = ["count_events", "root_of_counts", "silent_units"]

MOST_VALUES = 2**29  # bins times units


def count_events(events: Mapping[str, ArrayLike], *, width: float, source: str = "the events") -> xr.DataArray:
    r"""Return how many events of each unit fall into each bin.

    .. math:: n_{ku} = \#\{t \in u : k\, w \le t < (k + 1)\, w\}

    Parameters
    ----------
    events
        Times of each unit by its name [s], in any order. A unit without any keeps its channel, which is zero.
    width
        Width w of a bin [s]; bins begin at whole multiples of it, from the first event of all units to the last.
    source
        What to call them in messages.

    Returns
    -------
    DataArray
        Dims (time, unit), int32; `time` is the start of each bin.

    Raises
    ------
    DataError
        No unit, no event, a time that is not finite, or more bins than can be held.
    ConfigError
        A width that is not above zero.

    Examples
    --------
    >>> counts = count_events({"a": [0.1, 0.2, 1.1], "b": []}, width=0.5)
    >>> counts.values.tolist(), counts.time.values.tolist(), counts.unit.values.tolist()
    ([[2, 0], [0, 0], [1, 0]], [0.0, 0.5, 1.0], ['a', 'b'])
    """
    if not (np.isfinite(width) and width > 0):
        raise ConfigError(f"data.bin: expected a width above 0 s, got {width:g}")
    times = {str(name): np.asarray(each, dtype=np.float64).ravel() for name, each in events.items()}
    if not times:
        raise DataError(f"{source}: expected at least one unit, got none; choose a table of units that has rows")
    bins = {name: _bins(name, each, width, source) for name, each in times.items()}
    filled = [each for each in bins.values() if len(each)]
    if not filled:
        raise DataError(
            f"{source}: expected events of at least one of {len(times)} units, got none; "
            "choose a table of units with spikes"
        )
    first, last = min(int(each.min()) for each in filled), max(int(each.max()) for each in filled)
    n = last - first + 1
    if n * len(bins) > MOST_VALUES:
        raise DataError(
            f"{source}: expected at most {MOST_VALUES} counts, got {n} bins of {width:g} s times {len(bins)} units; "
            "choose wider bins (data.bin), or check the unit of the times"
        )
    counts = np.stack([np.bincount(each - first, minlength=n) for each in bins.values()], axis=1).astype(np.int32)
    coords = {TIME: (TIME, (first + np.arange(n)) * width, {"units": "s"}), "unit": list(bins)}
    attrs = {"units": "counts", "sampling_rate": 1.0 / width, "signal": source}
    return xr.DataArray(counts, dims=(TIME, "unit"), coords=coords, attrs=attrs)


def root_of_counts(counts: xr.DataArray) -> xr.DataArray:
    """Return the square root of counts, whose variance hardly depends on their rate: one quarter for Poisson counts.

    References
    ----------
    Bartlett (1936), doi:10.2307/2983678.

    Examples
    --------
    >>> root_of_counts(xr.DataArray([[4]], dims=("time", "unit"), attrs={"units": "counts"})).values.tolist()
    [[2.0]]
    """
    rooted = xr.DataArray(np.sqrt(counts.astype(np.float32)))
    units = str(counts.attrs.get("units", "")) or "counts"
    kept = {key: value for key, value in counts.attrs.items() if key not in ("units", "units_symbol")}
    rooted.attrs = {**kept, "units": f"sqrt({units})"}
    return rooted


def silent_units(counts: xr.DataArray) -> tuple[str, ...]:
    """Return the names of units without any event.

    Examples
    --------
    >>> silent_units(count_events({"a": [0.1], "b": []}, width=0.5))
    ('b',)
    """
    totals = counts.sum(TIME).values
    return tuple(str(name) for name, total in zip(counts["unit"].values, totals, strict=True) if not total)


def _bins(name: str, times: NDArray[np.float64], width: float, source: str) -> NDArray[np.int64]:
    if not np.isfinite(times).all():
        raise DataError(f"{source}: expected finite times of unit {name!r}, got some that are not; leave it out")
    return np.floor(times / width).astype(np.int64)
