"""Which samples are noise alone: a part of a recording, or another recording of the same channels."""

import numpy as np
import xarray as xr

from sciml.errors import ConfigError, DataError, ScimlError
from sciml.recording import TIME, check, n_features, sampling_rate, seconds

__all__ = ["Reference", "split_reference"]

Reference = xr.DataArray | tuple[float, float]


def split_reference(recording: xr.DataArray, reference: Reference) -> tuple[xr.DataArray, xr.DataArray]:
    """Return what is tested of a recording, and the reference; of a part of the recording, the others are tested.

    Parameters
    ----------
    reference
        From and to, in seconds as the recording has them, or a recording of the same channels in the same unit.

    Raises
    ------
    ConfigError
        A part that is none.
    DataError
        Other channels or another unit, or a part of a recording without a clock.

    Examples
    --------
    >>> recording = xr.DataArray(np.zeros((9, 2)), dims=("time", "channel"), attrs={"sampling_rate": 1.0})
    >>> tested, noise = split_reference(recording, (0, 3))
    >>> tested.sizes["time"], noise.sizes["time"]
    (6, 3)
    """
    if isinstance(reference, xr.DataArray):
        return recording, _same_channels(recording, reference)
    if not reference[0] < reference[1]:
        raise ConfigError(f"expected a reference from one time to a later one, in seconds, got {reference!r}")
    clock = _clock(recording)
    inside = (clock >= reference[0]) & (clock < reference[1])
    if not 0 < np.count_nonzero(inside) < len(inside):
        raise ConfigError(
            f"expected a reference within the recording, {clock[0]:g} to {clock[-1]:g} s, that leaves samples to test; "
            f"got {reference[0]:g} to {reference[1]:g} s"
        )
    return _part(recording, ~inside), _part(recording, inside)


def _clock(recording: xr.DataArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    times = seconds(recording)
    if times is not None:
        return times
    try:
        rate = sampling_rate(recording)
    except ScimlError as error:
        raise DataError(
            "expected a clock, to find the seconds of the reference; set recording.attrs['sampling_rate'], or give the "
            "reference as a recording: recording.isel(time=slice(...))"
        ) from error
    return np.asarray(np.arange(recording.sizes[TIME]) / rate, np.float64)


def _part(recording: xr.DataArray, kept: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> xr.DataArray:
    """Return some samples: a slice where they follow each other, which stays lazy."""
    places = np.flatnonzero(kept)
    if places[-1] - places[0] + 1 == len(places):
        return recording.isel({TIME: slice(int(places[0]), int(places[-1]) + 1)})
    return recording.isel({TIME: places})


def _same_channels(recording: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    reference = check(reference)
    if n_features(recording) != n_features(reference):
        raise DataError(
            f"expected a reference of the same {n_features(recording)} channels, got {n_features(reference)}; select "
            "the same ones"
        )
    units = [str(each.attrs.get("units", "")) for each in (recording, reference)]
    if all(units) and units[0] != units[1]:
        raise DataError(
            f"expected a reference in the unit of the recording, {units[0]!r}, got {units[1]!r}; convert it"
        )
    if (recording.dtype.kind == "c") != (reference.dtype.kind == "c"):
        raise DataError("expected both recording and reference real, or both complex; give two of a kind")
    return reference
