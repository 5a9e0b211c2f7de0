"""How long trials are."""

import numpy as np
import xarray as xr

from sciml.errors import ConfigError

__all__ = ["median_duration"]


def median_duration(events: xr.Dataset) -> float:
    """Return the median duration of events in seconds.

    Raises
    ------
    ConfigError
        No event has one.
    """
    durations = np.asarray(events["stop_time"] - events["start_time"], dtype=np.float64)
    known = durations[np.isfinite(durations) & (durations > 0)]
    if not len(known):
        raise ConfigError("windows.length: expected seconds, for the events of this table have no duration; set it")
    # whole milliseconds: the trials of one length differ in the last digits of their times
    return float(np.round(np.median(known), 3)) or float(np.median(known))
