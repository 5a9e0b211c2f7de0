"""Recordings of several files side by side along a new dim: every file a trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import LazyArray, lazy
from sciml.io.hdf5.source import check_budget, n_selected
from sciml.io.recordings.concat import Part, check_equal, common_attrs, edges, shifts_of
from sciml.io.schema.clock import Rate, TimeAxis, time_axis_of
from sciml.recording import TIME

if TYPE_CHECKING:
    from sciml.io.hdf5.guard import Limits

__all__ = ["side_by_side"]

SAME_STEP = 1e-3  # of a step: times since the start that differ less are one clock


class _AlongNewDim(LazyArray):
    """Variables of one shape, read or not, side by side along a new axis 1."""

    def __init__(self, parts: Sequence[xr.Variable], limits: Limits) -> None:
        self.parts = tuple(parts)
        self.limits = limits
        first = parts[0]
        self.shape = (first.shape[0], len(parts), *first.shape[1:])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        check_budget("the files side by side", n_selected(key, self.shape) * self.dtype.itemsize, self.limits)
        rows, files, rest = key[0], key[1], key[2:]
        chosen = np.atleast_1d(np.arange(len(self.parts))[files])
        axis = 0 if isinstance(rows, int | np.integer) else 1
        values = [np.asarray(self.parts[number][(rows, *rest)].values) for number in chosen]
        if not values:
            like = np.asarray(self.parts[0][(rows, *rest)].values)
            return np.empty((*like.shape[:axis], 0, *like.shape[axis:]), self.dtype)
        if isinstance(files, int | np.integer):
            return values[0].astype(self.dtype, copy=False)
        return np.stack(values, axis=axis).astype(self.dtype, copy=False)


def side_by_side(parts: Sequence[Part], dim: str, limits: Limits) -> xr.DataArray:
    """Return recordings of equal shape side by side along a new dim, the second; its coordinate names the files.

    Time is that of all files where they share it; else it counts from the first sample of each, and `start_time` says
    when that was.

    Raises
    ------
    DataError
        They differ in what must be equal; the message names what and where.
    """
    check_equal(parts, dim)
    recordings = [part.recording for part in parts]
    first = recordings[0]
    notes = [f"{len(parts)} files side by side along {dim}"]
    coords: dict[str, xr.Variable] = {dim: xr.Variable(dim, _names(parts))}
    time_axis = None
    if TIME in first.coords and TIME in first.dims:
        time_axis, starts = _clock(parts)
        if starts is not None:
            notes.append("time counts from the start of each file; start_time is when that was")
            coords["start_time"] = xr.Variable(dim, starts, {"units": "s"})
    coords |= _coords(recordings, dim, notes, limits)
    values = _put([one.variable for one in recordings], dim, limits)
    attrs = common_attrs(recordings, time_axis, notes)
    made = xr.DataArray(values, coords=coords, attrs=attrs, name=first.name)
    return made if time_axis is None else made.assign_coords(time_axis.coordinates)


def _names(parts: Sequence[Part]) -> NDArray[np.str_]:
    stems = [PurePath(part.name).stem for part in parts]
    return np.array(stems if len(set(stems)) == len(stems) else [f"{k} {stem}" for k, stem in enumerate(stems)])


def _clock(parts: Sequence[Part]) -> tuple[TimeAxis, NDArray[np.float64] | None]:
    """Return the clock of all files, and when each began if they began at different times."""
    times = [part.recording.coords[TIME].variable for part in parts]
    rate = parts[0].recording.attrs.get("sampling_rate")
    starts = np.array([edges(part.recording)[0] for part in parts]) + shifts_of(parts)
    if rate is not None:
        if np.ptp(starts) == 0:
            return TimeAxis(times[0], float(rate)), None
        return time_axis_of(Rate(float(rate)), times[0].size), starts
    since = [one.values - one.values[:1] for one in times]
    step = float(np.median(np.abs(np.diff(since[0])))) if since[0].size > 1 else 0.0
    for part, other in zip(parts[1:], since[1:], strict=True):
        if not np.allclose(since[0], other, rtol=0, atol=SAME_STEP * step):
            raise DataError(
                f"expected files sampled at equal times since their start, but {parts[0].name} and {part.name} differ; "
                "open them one by one, or bring them to one clock with recording.interp(time=...)"
            )
    if np.ptp(starts) == 0:
        return TimeAxis(times[0], None), None
    return TimeAxis(xr.Variable(TIME, since[0], times[0].attrs), None), starts


def _coords(recordings: Sequence[xr.DataArray], dim: str, notes: list[str], limits: Limits) -> dict[str, xr.Variable]:
    """Return coordinates that all share; those along the first dim that differ come side by side; note the others."""
    first = recordings[0]
    found: dict[str, xr.Variable] = {}
    for label, coord in first.coords.items():
        name = str(label)
        if name == TIME:
            continue
        each = [one.coords[name].variable if name in one.coords else None for one in recordings]
        variables = [one for one in each if one is not None and one.dims == coord.dims and one.shape == coord.shape]
        if len(variables) < len(recordings) or (name in first.dims and not _alike(variables)):
            notes.append(f"the coordinate {name} differs from file to file and is left out")
        elif _alike(variables):
            found[name] = coord.variable
        elif coord.dims[:1] == first.dims[:1]:
            found[name] = _put(variables, dim, limits)
        else:
            notes.append(f"the coordinate {name} differs from file to file and is left out")
    return found


def _alike(variables: Sequence[xr.Variable]) -> bool:
    return all(bool(xr.DataArray(variables[0]).equals(xr.DataArray(other))) for other in variables[1:])


def _put(variables: Sequence[xr.Variable], dim: str, limits: Limits) -> xr.Variable:
    first = variables[0]
    dims = (first.dims[0], dim, *first.dims[1:])
    if any(variable.chunks for variable in variables):
        return xr.concat([xr.DataArray(one) for one in variables], dim).transpose(*dims).variable
    return xr.Variable(dims, lazy(_AlongNewDim(variables, limits)), first.attrs)
