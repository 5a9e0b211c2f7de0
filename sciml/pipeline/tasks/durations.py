"""How long trials are."""

import numpy as np
import xarray as xr

from sciml.errors import ConfigError
from sciml.pipeline.config import Config

__all__ = ["median_duration", "trial_length"]


def trial_length(config: Config, events: xr.Dataset) -> tuple[float | str, float]:
    """Return the length of a window as it is asked for, by default the median trial; and the median trial, or 0.

    Raises
    ------
    ConfigError
        As `median_duration`.
    """
    asked = config.windows.length
    if asked is not None and not isinstance(asked, str):
        return asked, 0.0
    typical = config.windows.before + median_duration(events)
    return asked or typical, typical


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
