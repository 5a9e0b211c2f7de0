"""Which samples are noise alone: a part of a recording, or another recording of the same channels."""

from numbers import Real

import numpy as np
import xarray as xr

from sciml._typing import AnyArray
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
        A part that is none, or neither of the two.
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
    _check_interval(reference)
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


def _check_interval(reference: object) -> None:
    """Raise a ConfigError if this is not two numbers."""
    some = isinstance(reference, str | tuple | list)
    if not (isinstance(reference, tuple | list) and [isinstance(each, Real) for each in reference] == [True, True]):
        raise ConfigError(
            "expected a reference of two numbers, from and to in seconds, as (0, 10), or a recording of noise alone "
            f"(xarray.DataArray); got {repr(reference) if some else type(reference).__name__}"
        )


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
    reference = _in_order(recording, reference)
    units = [str(each.attrs.get("units", "")) for each in (recording, reference)]
    if all(units) and units[0] != units[1]:
        raise DataError(
            f"expected a reference in the unit of the recording, {units[0]!r}, got {units[1]!r}; convert it"
        )
    if (recording.dtype.kind == "c") != (reference.dtype.kind == "c"):
        raise DataError("expected both recording and reference real, or both complex; give two of a kind")
    return reference


def _in_order(recording: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    """Return the reference with the dims of the recording in their order, if it has these; labels have to agree."""
    if set(reference.dims) != set(recording.dims):
        return reference
    for dim in recording.dims[1:]:
        sizes = [each.sizes[dim] for each in (recording, reference)]
        if sizes[0] != sizes[1]:
            raise DataError(f"expected a reference of {sizes[0]} along {dim}, got {sizes[1]}; select the same channels")
        labels = [each.coords[dim].values for each in (recording, reference) if dim in each.coords]
        if len(labels) == 2 and not _alike(*labels):
            raise DataError(
                f"expected a reference of the same channels in the same order, and their labels {dim!r} differ; select "
                f"them by name: reference.sel({dim}=recording[{str(dim)!r}])"
            )
    return reference.transpose(*recording.dims)


def _alike(a: AnyArray, b: AnyArray) -> bool:
    """Tell whether labels are the same; positions but for rounding."""
    if a.dtype.kind == "f" and b.dtype.kind in "fiu":
        return bool(np.allclose(a, b, rtol=1e-6, atol=1e-6 * float(np.abs(a).max()), equal_nan=True))
    return bool(a.tolist() == b.tolist())
