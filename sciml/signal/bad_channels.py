"""Bad channels: by what the file says of them, by flatness, by noise."""

from __future__ import annotations

import numpy as np
import xarray as xr

from sciml._typing import FloatArray
from sciml.errors import ConfigError, DataError
from sciml.recording import TIME, check, feature_dims, feature_shape, segments
from sciml.signal.blockwise import noted

__all__ = ["bad_channels", "drop_bad_channels"]

PIECES, PIECE = 32, 4096  # segments spread over the recording that are read, and their samples
FLAT = 1e-6  # of the median channel's scatter
TO_SIGMA = 1.4826  # standard deviation of normal values over their median absolute deviation
SAID_BAD = ("bad", "true", "noise", "noisy", "dead", "out", "exclude", "excluded", "1")
TABLES = ("bad", "bads", "is_bad", "bad_channel", "quality", "status")


def bad_channels(recording: xr.DataArray, *, table: str | None = None, noise: float = 5.0) -> xr.DataArray:
    """Return why each channel is bad, "" where it is not.

    - `table`: a coordinate of the channels says so (true, "bad", "noise", "dead");
    - flat: its samples scatter less than 1e-6 of what the median channel's do;
    - noisy: the scatter of its steps from sample to sample is so many robust standard deviations above or below the
      median channel's, in logarithms.

    Parameters
    ----------
    recording
        Dims `time` and one of channels. Of a long one, 32 segments of 4096 samples are read.
    table
        Name of that coordinate; default whichever of bad, bads, is_bad, bad_channel, quality, status there is.
    noise
        Robust standard deviations beyond which a channel is noisy, or silent.

    Raises
    ------
    ConfigError
        No such coordinate.
    DataError
        More dims than time and one of channels.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(1000, 20)) * np.r_[0.0, 1000.0, np.ones(18)]
    >>> bad_channels(xr.DataArray(values, dims=("time", "channel"))).values[:3].tolist()
    ['flat', 'noisy', '']
    """
    dims = feature_dims(check(recording))
    if len(dims) != 1:
        raise DataError(f"expected dims time and one of channels, got {recording.dims}; use masks for single pixels")
    scatter, steps = _scatter(recording.transpose(TIME, ...))
    typical = float(np.median(scatter[scatter > 0])) if (scatter > 0).any() else 0.0
    flat = scatter <= FLAT * typical
    level = np.log(np.where(flat, np.nan, np.maximum(steps, np.finfo(float).tiny)))
    center = np.nanmedian(level) if not flat.all() else 0.0
    spread = TO_SIGMA * np.nanmedian(np.abs(level - center)) if not flat.all() else 0.0
    away = level - center
    why = np.full(len(flat), "", dtype="U5")
    why[away > noise * max(spread, 0.05)] = "noisy"
    why[away < -noise * max(spread, 0.05)] = "quiet"
    why[flat] = "flat"
    why[_by_table(recording, dims[0], table)] = "table"
    return xr.DataArray(why, dims=dims, coords=recording[dims[0]].coords)


def _scatter(recording: xr.DataArray) -> tuple[FloatArray, FloatArray]:
    """Return robust standard deviations of samples, and of steps between them, of each channel."""
    values, steps = [], []
    parts = [part for part in segments(recording) if part.stop - part.start > 1]
    for part in parts:
        n = part.stop - part.start
        pieces = max(1, PIECES // len(parts))
        starts = [0] if n <= pieces * PIECE else np.linspace(0, n - PIECE, pieces).astype(int).tolist()
        for start in starts:
            stop = n if len(starts) == 1 and n <= pieces * PIECE else start + PIECE
            block = np.asarray(recording.isel({TIME: slice(part.start + start, part.start + stop)}).values, np.float64)
            values.append(block)
            steps.append(np.diff(block, axis=0))
    return _robust(np.concatenate(values)), _robust(np.concatenate(steps))


def _robust(values: FloatArray) -> FloatArray:
    held = np.where(np.isnan(values).all(axis=0), 0.0, values)
    deviation = np.abs(held - np.nanmedian(held, axis=0))
    # Whole numbers of a quiet channel are mostly one value: half of its deviations are zero, but it is not flat
    robust = TO_SIGMA * np.nanmedian(deviation, axis=0)
    return np.asarray(np.where(robust > 0, robust, np.nanmean(deviation, axis=0)))


def _by_table(recording: xr.DataArray, dim: str, table: str | None) -> np.ndarray:
    fits = [str(name) for name, coordinate in recording.coords.items() if coordinate.dims == (dim,)]
    if table is not None and table not in fits:
        raise ConfigError(
            f"expected a coordinate of the channels ({', '.join(fits) or 'none is there'}), got {table!r}"
        )
    name = table or next((each for each in TABLES if each in fits), None)
    if name is None:
        return np.zeros(feature_shape(recording), bool)
    values = recording[name].values
    return values if values.dtype == bool else np.isin(np.char.lower(values.astype(str)), SAID_BAD)


def drop_bad_channels(recording: xr.DataArray, *, table: str | None = None, noise: float = 5.0) -> xr.DataArray:
    """Return a recording without its bad channels; its history names them with the reason.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(1000, 20)) * np.r_[0.0, np.ones(19)]
    >>> drop_bad_channels(xr.DataArray(values, dims=("time", "channel"))).sizes["channel"]
    19
    """
    why = bad_channels(recording, table=table, noise=noise)
    bad = why.values != ""
    if bad.all():
        raise DataError("expected channels that are not bad, got none: all are flat or marked; look at the recording")
    dim = why.dims[0]
    names = recording[dim].values
    named = ", ".join(f"{name} ({reason})" for name, reason in zip(names[bad], why.values[bad], strict=True)) or "none"
    kept = recording.isel({dim: np.flatnonzero(~bad)})
    return kept.assign_attrs(noted(recording, f"drop_bad_channels: {named}"))
