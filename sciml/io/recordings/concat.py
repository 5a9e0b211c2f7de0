"""Recordings of several files end to end, unread: along time, with the gaps between them, or along trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Concatenated, lazy
from sciml.io.hdf5.guard import Limits
from sciml.io.schema.clock import EAGER, TimeAxis, segmented, time_axis_of
from sciml.recording import TIME

__all__ = ["ALONG", "Part", "check_equal", "common_attrs", "edges", "join", "shifts_of"]

SAME_CLOCK = 1.0  # s: clocks whose difference is that of the stated starts, to a second, count from one origin
SAME_RATE = 1e-9
ALONG = (TIME, "trial", "event", "frame")  # first dims along which files follow each other
TELLING = ("mask", "quality")  # coordinates that no recording may lose on the way


@dataclass(frozen=True)
class Part:
    """The recording of one file, and when the file says that it began ("" if it does not)."""

    recording: xr.DataArray
    start: str = ""

    @property
    def name(self) -> str:
        """The name of its file."""
        return str(self.recording.attrs.get("source", "a file"))


def join(parts: Sequence[Part], limits: Limits) -> xr.DataArray:
    """Return recordings end to end: along time sorted by their first sample, along trials, events, frames as given.

    Raises
    ------
    DataError
        They differ in what must be equal, or overlap in time; the message names what and where.
    """
    dim = _first_dim(parts[0])
    check_equal(parts, dim)
    recordings = [part.recording for part in parts]
    notes = [f"{len(parts)} files joined along {dim}"]
    time_axis = None
    if dim == TIME and TIME in recordings[0].coords:
        shifts = shifts_of(parts)
        if any(shifts):
            notes.append("each clock was shifted by the start that its file states")
        order = sorted(range(len(parts)), key=lambda k: edges(recordings[k])[0] + shifts[k])
        recordings, shifts = [recordings[k] for k in order], [shifts[k] for k in order]
        time_axis = _time_axis(recordings, shifts, limits)
        notes.extend(time_axis.notes)
    coords = _coords(recordings, notes, limits)
    attrs = common_attrs(recordings, time_axis, notes)
    values = _end_to_end([recording.variable for recording in recordings], limits)
    made = xr.DataArray(values, coords=coords, attrs=attrs, name=recordings[0].name)
    return made if time_axis is None else made.assign_coords(time_axis.coordinates)


def _first_dim(first: Part) -> str:
    """Return the dim to join along."""
    dim = str(first.recording.dims[0]) if first.recording.dims else ""
    if dim not in ALONG:
        raise DataError(
            f"{first.name}: expected one of {', '.join(ALONG)} as the first dim to join files, "
            f"got {first.recording.dims}; name a new dim to put them side by side, along='trial'"
        )
    return dim


def check_equal(parts: Sequence[Part], dim: str) -> None:
    """Raise for what must be the same in all files but along `dim` and is not."""
    first = parts[0]
    facts: dict[str, Callable[[xr.DataArray], Any]] = {
        "dims": lambda one: tuple(map(str, one.dims)),
        "sizes": lambda one: {str(name): size for name, size in one.sizes.items() if name != dim},
        "units": lambda one: one.attrs.get("units", ""),
        "a clock": lambda one: TIME in one.coords,
        "a regular clock": lambda one: "sampling_rate" in one.attrs,
        "masks": lambda one: sorted(set(TELLING) & set(map(str, one.coords))),
    }
    for other in parts[1:]:
        for what, fact in facts.items():
            if (expected := fact(first.recording)) != (got := fact(other.recording)):
                raise DataError(_differs(what, first, expected, other, got))
        rates = [part.recording.attrs.get("sampling_rate", 1.0) for part in (first, other)]
        if not np.isclose(rates[0], rates[1], rtol=SAME_RATE, atol=0):
            raise DataError(_differs("sampling_rate", first, rates[0], other, rates[1]))
        for name in (*map(str, first.recording.dims[1:]), *TELLING):
            if not _agree(name, first.recording, other.recording, dim):
                raise DataError(_differs(name, first, "its own values", other, "different ones"))


def _differs(what: str, first: Part, expected: Any, other: Part, got: Any) -> str:
    return (
        f"expected files of equal {what} to join them, got {expected} in {first.name} and {got} in "
        f"{other.name}; open them one by one, or name a signal that they share"
    )


def _agree(name: str, one: xr.DataArray, other: xr.DataArray, dim: str) -> bool:
    """Whether a coordinate is absent from both, or runs along `dim` with one meaning, or has equal values."""
    if name not in one.coords and name not in other.coords:
        return True
    if name not in one.coords or name not in other.coords:
        return False
    first, second = one.coords[name].variable, other.coords[name].variable
    if dim in first.dims and first.dims == second.dims:
        return bool(first.attrs == second.attrs)
    return bool(first.equals(second))


def edges(recording: xr.DataArray) -> tuple[float, float]:
    """Return the time of the first and of the last sample."""
    times = recording.coords[TIME].variable
    return float(times[0].values), float(times[-1].values)


def shifts_of(parts: Sequence[Part]) -> list[float]:
    """Return what to add to each clock in seconds, so that all count from one origin.

    Clocks that count from the start of their file are told from absolute ones by the starts that the files state.
    """
    firsts = np.array([edges(part.recording)[0] for part in parts])
    try:
        moments = [datetime.fromisoformat(part.start) for part in parts]
    except ValueError:
        return [0.0] * len(parts)
    starts = np.array([(one if one.tzinfo else one.replace(tzinfo=UTC)).timestamp() for one in moments])
    apart = starts - starts.min()
    if np.abs((firsts - firsts[0]) - (starts - starts[0])).max() <= SAME_CLOCK:
        return [0.0] * len(parts)
    return [float(shift) for shift in apart]


def _time_axis(recordings: Sequence[xr.DataArray], shifts: Sequence[float], limits: Limits) -> TimeAxis:
    spans = [(first + shift, last + shift) for (first, last), shift in zip(map(edges, recordings), shifts, strict=True)]
    for (one, (_, end)), (other, (start, _)) in pairwise(zip(recordings, spans, strict=True)):
        if not start > end:
            raise DataError(
                f"expected files that follow each other in time, but {other.attrs.get('source')} begins at {start} s "
                f"and {one.attrs.get('source')} ends at {end} s; open them one by one and set their clocks with "
                "recording.assign_coords(time=...)"
            )
    sizes = [recording.sizes[TIME] for recording in recordings]
    rate = recordings[0].attrs.get("sampling_rate")
    if rate is not None:
        firsts = np.cumsum([0, *sizes[:-1]]).tolist()
        return time_axis_of(segmented(float(rate), firsts, [start for start, _ in spans]), sum(sizes))
    clocks = [
        one.coords[TIME].variable + shift if shift else one.coords[TIME].variable
        for one, shift in zip(recordings, shifts, strict=True)
    ]
    variable = _end_to_end(clocks, limits)
    variable.attrs.update(recordings[0].coords[TIME].attrs)
    return TimeAxis(variable.load() if variable.size <= EAGER else variable, None)


def _coords(recordings: Sequence[xr.DataArray], notes: list[str], limits: Limits) -> dict[str, xr.Variable]:
    """Return the coordinates that all share, and those along the first dim end to end; note the others."""
    first = recordings[0]
    dim = str(first.dims[0])
    coords: dict[str, xr.Variable] = {}
    for label, coord in first.coords.items():
        name = str(label)
        if name == TIME == dim:
            continue
        if not all(_agree(name, first, other, dim) for other in recordings[1:]):
            notes.append(f"the coordinate {name} differs from file to file and is left out")
        elif coord.dims[:1] == (dim,):
            joint = _end_to_end([one.coords[name].variable for one in recordings], limits)
            coords[name] = joint.load() if name == dim else joint  # an index needs its values
        else:
            coords[name] = coord.variable
    return coords


def _end_to_end(variables: Sequence[xr.Variable], limits: Limits) -> xr.Variable:
    """Return variables one after the other along their first dim: dask arrays as such, all others unread."""
    if any(variable.chunks for variable in variables):
        return xr.concat([xr.DataArray(variable) for variable in variables], variables[0].dims[0]).variable
    first = variables[0]
    return xr.Variable(first.dims, lazy(Concatenated(variables, limits)), first.attrs)


def common_attrs(
    recordings: Sequence[xr.DataArray], time_axis: TimeAxis | None, notes: Sequence[str]
) -> dict[str, Any]:
    """Return the attributes that all share; sources and checksums one a line, histories in full."""
    attrs = {
        key: value
        for key, value in recordings[0].attrs.items()
        if key != "sampling_rate" and all(other.attrs.get(key) == value for other in recordings[1:])
    }
    for key in ("source", "sha256"):
        attrs[key] = "\n".join(str(one.attrs.get(key, "")) for one in recordings)
    if time_axis is not None and time_axis.rate is not None:
        attrs["sampling_rate"] = time_axis.rate
    histories = [str(one.attrs.get("history", "")) for one in recordings]
    attrs["history"] = "\n".join([*histories, *(f"note: {note}" for note in notes)])
    return attrs
