"""All channels over time, thinned to what a screen shows: in each cell the value farthest from its channel's mean."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.recording import TIME, blocks, n_features, sampling_rate, seconds

__all__ = ["Raster", "RasterAccumulator", "raster_of"]

COLUMNS, ROWS = 600, 256
BLOCK_VALUES = 2**23


@dataclass(frozen=True, eq=False)
class Raster:
    """Deviations of channels over time.

    Parameters
    ----------
    deviation
        Shape (row, column): the value in each cell that is farthest from its channel's mean, in standard deviations of
        the channel; NaN where nothing is known.
    start, stop
        Of the columns, in seconds (in samples where the recording has no clock).
    channels
        Which feature each row is, shape (row,).
    total
        Features of the recording.
    unit
        "s", or "sample".
    """

    deviation: FloatArray
    start: float
    stop: float
    channels: IntArray
    total: int
    unit: str


class RasterAccumulator:
    """Takes the blocks of a recording in order of time; `rows` samples at most each."""

    def __init__(self, recording: xr.DataArray, *, columns: int = COLUMNS, most_rows: int = ROWS) -> None:
        n = recording.sizes[TIME]
        self.time, self.unit = _clock(recording)
        self.total = n_features(recording)
        self.channels = np.unique(np.linspace(0, self.total - 1, min(self.total, most_rows)).round().astype(np.int64))
        self.columns = min(columns, n)
        self.rows = max(1, BLOCK_VALUES // self.total)
        span = float(self.time[-1] - self.time[0]) if n > 1 else 0.0
        self.step = span / (n - 1) if n > 1 and span > 0 else 1.0
        shape = (self.columns, len(self.channels))
        self.low, self.high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self.count, self.first, self.second = (np.zeros(len(self.channels)) for _ in range(3))
        self.shift: FloatArray | None = None

    def add(self, part: slice, values: AnyArray) -> None:
        """Take the samples of a part of the recording, shape (sample, feature)."""
        chosen = values[:, self.channels]
        chosen = np.asarray(np.abs(chosen) if np.iscomplexobj(chosen) else chosen, dtype=np.float64)
        chosen = np.where(np.isfinite(chosen), chosen, np.nan)
        if self.shift is None:
            self.shift = np.nan_to_num(np.nanmean(np.where(np.isfinite(chosen).any(0), chosen, 0.0), axis=0))
        known = np.isfinite(chosen)
        centered = np.where(known, chosen - self.shift, 0.0)
        self.count += known.sum(axis=0)
        self.first += centered.sum(axis=0)
        self.second += (centered**2).sum(axis=0)
        column = self._column(self.time[part])
        starts = np.flatnonzero(np.concatenate([[True], np.diff(column) != 0]))
        low = np.minimum.reduceat(np.where(known, centered, np.inf), starts, axis=0)
        high = np.maximum.reduceat(np.where(known, centered, -np.inf), starts, axis=0)
        np.minimum.at(self.low, column[starts], low)
        np.maximum.at(self.high, column[starts], high)

    def _column(self, time: FloatArray) -> IntArray:
        place = (time - self.time[0]) / (self.time[-1] - self.time[0] + self.step) * self.columns
        # A sample on the border of two cells is in the later one, whatever rounding makes of its time.
        return np.asarray(np.clip(place + 1e-6, 0, self.columns - 1), dtype=np.int64)

    def result(self) -> Raster:
        """Return what was taken."""
        count = np.maximum(self.count, 1)
        mean = self.first / count
        sd = np.sqrt(np.maximum(self.second / count - mean**2, 0.0))
        up, down = self.high - mean, self.low - mean
        farthest = np.where(np.abs(up) >= np.abs(down), up, down)
        known = np.isfinite(self.high)
        deviation = np.where(
            known, np.divide(farthest, sd, out=np.zeros_like(farthest), where=known & (sd > 0)), np.nan
        )
        stop = float(self.time[-1]) + self.step
        return Raster(deviation.T, float(self.time[0]), stop, self.channels, self.total, self.unit)


def raster_of(recording: xr.DataArray, *, columns: int = COLUMNS, most_rows: int = ROWS) -> Raster:
    """Pass over a recording block by block.

    Examples
    --------
    >>> steps = xr.DataArray(np.repeat([[0.0, 1.0], [0.0, 3.0]], 50, axis=0), dims=("time", "channel"))
    >>> raster_of(steps, columns=2).deviation
    array([[ 0.,  0.],
           [-1.,  1.]])
    """
    made = RasterAccumulator(recording, columns=columns, most_rows=most_rows)
    for part, values in blocks(recording, made.rows, across_gaps=True):
        made.add(part, values)
    return made.result()


def _clock(recording: xr.DataArray) -> tuple[FloatArray, str]:
    times = seconds(recording)
    if times is not None:
        return times, "s"
    try:
        rate = sampling_rate(recording)
    except ValueError:
        return np.arange(recording.sizes[TIME], dtype=np.float64), "sample"
    return np.arange(recording.sizes[TIME]) / rate, "s"
