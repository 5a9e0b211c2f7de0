"""From and to SpikeInterface: recordings of electrodes."""

from functools import lru_cache, partial
from inspect import signature
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.bridges.arrays import Sliced, channel_names, demand, from_numpy, start_of, timed, to_volts
from sciml.errors import DataError
from sciml.recording import TIME, sampling_rate, segments

__all__ = ["from_spikeinterface", "to_spikeinterface"]

MICROVOLT = 1e-6


def from_spikeinterface(recording: Any, segment: int = 0) -> xr.DataArray:
    """Return a segment of a SpikeInterface recording as ours (time, channel), unread; in µV where gains are known.

    Positions on the probe are the coordinates `rel_x` and `rel_y` in µm, groups `group`.
    """
    scaled = bool(recording.has_scaled_traces() if hasattr(recording, "has_scaled_traces") else recording.has_scaled())
    shape = recording.get_num_samples(segment_index=segment), recording.get_num_channels()
    values = Sliced(partial(_read, recording, segment, scaled), shape, np.float32 if scaled else recording.get_dtype())
    table: dict[str, Any] = {"channel": [str(each) for each in recording.get_channel_ids()]}
    if "location" in recording.get_property_keys() or recording.has_probe():
        table |= dict(zip(("rel_x", "rel_y"), np.asarray(recording.get_channel_locations()).T[:2], strict=True))
    if "group" in recording.get_property_keys():
        table["group"] = recording.get_property("group")
    rate, times = float(recording.get_sampling_frequency()), recording.get_times(segment_index=segment)
    found = from_numpy(values, rate, "uV" if scaled else "", table, start=float(times[0]), name="traces")
    if not recording.has_time_vector(segment_index=segment):
        return found
    del found.attrs["sampling_rate"]  # the times say it, and where there are gaps
    return timed(found, times)


def _read(recording: Any, segment: int, scaled: bool, start: int, stop: int) -> NDArray[Any]:
    # The word for scaled values changed in version 0.103
    word = "return_in_uV" if "return_in_uV" in signature(recording.get_traces).parameters else "return_scaled"
    part = {"segment_index": segment, "start_frame": start, "end_frame": stop}
    return np.asarray(recording.get_traces(**part, **{word: scaled}))


def to_spikeinterface(recording: xr.DataArray) -> Any:
    """Return a recording (time, channel) for SpikeInterface, unread; its gain makes microvolts of voltages.

    Raises
    ------
    DataError
        The clock has gaps: convert the parts between them.
    """
    if len(segments(recording)) > 1:
        raise DataError(
            "expected a recording without gaps, got several segments; convert each: recording.isel(time=part)"
        )
    made = _classes()(recording.transpose(TIME, ...))
    volts = to_volts(str(recording.attrs.get("units", "")))
    if volts is not None:
        made.set_channel_gains(volts / MICROVOLT)
        made.set_channel_offsets(0.0)
    if {"rel_x", "rel_y"} <= set(recording.coords):
        made.set_channel_locations(
            np.stack([recording["rel_x"].values, recording["rel_y"].values], axis=1).astype(float)
        )
    return made


@lru_cache(maxsize=1)
def _classes() -> Any:
    """Return the class of recordings, which derives from one of SpikeInterface."""
    core = demand("spikeinterface.core")

    class Segment(core.BaseRecordingSegment):  # type: ignore[misc, name-defined]
        def __init__(self, recording: xr.DataArray) -> None:
            super().__init__(sampling_frequency=sampling_rate(recording), t_start=start_of(recording))
            self.values = recording.variable

        def get_num_samples(self) -> int:
            return int(self.values.shape[0])

        def get_traces(self, start_frame: Any = None, end_frame: Any = None, channel_indices: Any = None) -> Any:
            rows, chosen = slice(start_frame, end_frame), slice(None) if channel_indices is None else channel_indices
            return np.asarray(self.values[rows].values)[:, chosen]

    class Recording(core.BaseRecording):  # type: ignore[misc, name-defined]
        def __init__(self, recording: xr.DataArray) -> None:
            super().__init__(sampling_rate(recording), channel_names(recording), recording.dtype)
            self.add_recording_segment(Segment(recording))

    return Recording
