"""Recordings of several files or trials as one: end to end on one clock, with a gap between them.

The one that comes out knows of each of its samples which file, session, subject and trial it belongs to.
"""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sciml.errors import DataError
from sciml.recording import TIME, feature_dims, sampling_rate, seconds

__all__ = ["Piece", "Spans", "crop_to", "end_to_end"]

DIGEST_ROWS = 64
BETWEEN = 10  # samples of the gap between two pieces
MASK = "mask"
RATE_TOLERANCE = 1e-3  # relative; a rate read off timestamps varies by their jitter
SHARED = ("source", "sha256")  # attributes of which each piece has its own


@dataclass(frozen=True, eq=False)
class Piece:
    """One recording of several: what to call it, what it belongs to, and its events on its own clock.

    `units` holds the name of its "file", "session", "subject" or "trial", as far as they are known.
    """

    source: str
    recording: xr.DataArray
    units: Mapping[str, str] = field(default_factory=dict)
    events: xr.Dataset | None = None


@dataclass(frozen=True, eq=False)
class Spans:
    """Which samples of a recording belong to which piece.

    Attributes
    ----------
    starts
        First sample of each piece, rising, shape (piece,).
    shifts
        Seconds between the clock of each piece and that of the recording, shape (piece,).
    names
        "file", "session", "subject" or "trial" of each piece, as far as all pieces have one.
    digests
        By what each piece is known wherever its file lies: the digest of its file, and its trial there.
    """

    starts: NDArray[np.int64]
    shifts: NDArray[np.float64]
    names: Mapping[str, NDArray[np.str_]]
    digests: tuple[str, ...] = ()

    def of(self, samples: ArrayLike) -> dict[str, NDArray[np.str_]]:
        """Return the names of what samples (n,) belong to, each of shape (n,).

        Examples
        --------
        >>> Spans(np.array([0, 50]), np.zeros(2), {"file": np.array(["a.nwb", "b.nwb"])}).of([49, 50])["file"].tolist()
        ['a.nwb', 'b.nwb']
        """
        piece = self.piece(samples)
        return {what: names[piece] for what, names in self.names.items()}

    def piece(self, samples: ArrayLike) -> NDArray[np.int64]:
        """Return the number of the piece that each sample (n,) belongs to.

        Examples
        --------
        >>> Spans(np.array([0, 50]), np.zeros(2), {}).piece([49, 50]).tolist()
        [0, 1]
        """
        return np.asarray(np.searchsorted(self.starts, np.asarray(samples, dtype=np.int64), side="right") - 1)


def end_to_end(
    pieces: Sequence[Piece], *, shifts: Sequence[float] | None = None
) -> tuple[xr.DataArray, xr.Dataset | None, Spans]:
    """Return pieces of the same channels as one recording with gaps of its clock between them, and their events on it.

    A single piece stays as it is.

    Parameters
    ----------
    pieces
        What to lay end to end, in this order.
    shifts
        Seconds to add to the clock of each piece; default so that each begins ten samples after the one before.

    Raises
    ------
    DataError
        Other dims, units or sampling rates; the message says which.

    Examples
    --------
    >>> wave = xr.DataArray(np.zeros((3, 1)), dims=("time", "channel"), attrs={"sampling_rate": 1.0})
    >>> whole, _, spans = end_to_end([Piece("a.nwb", wave), Piece("b.nwb", wave)])
    >>> whole.time.values.tolist(), spans.starts.tolist(), spans.shifts.tolist()
    ([0.0, 1.0, 2.0, 12.0, 13.0, 14.0], [0, 3], [0.0, 12.0])
    """
    sizes = [piece.recording.sizes[TIME] for piece in pieces]
    starts = np.cumsum([0, *sizes[:-1]], dtype=np.int64)
    if len(pieces) == 1:
        return pieces[0].recording, pieces[0].events, Spans(starts, np.zeros(1), _names(pieces), _digests(pieces))
    for piece in pieces[1:]:
        _check_same_kind(pieces[0], piece)
    clocks = [_clock(piece.recording) for piece in pieces]
    moved = _shifts(clocks, sampling_rate(pieces[0].recording)) if shifts is None else list(shifts)
    recording = _joint([piece.recording for piece in pieces], clocks, moved)
    events = _joint_events(pieces, moved)
    return recording, events, Spans(starts, np.array(moved), _names(pieces), _digests(pieces))


def crop_to(target: Piece, piece: Piece) -> Piece:
    """Return the part of a target that lies in the time of its recording, or so near that it meets no other.

    Raises
    ------
    DataError
        The two have no time in common.

    Examples
    --------
    >>> angle = xr.DataArray(np.arange(40.0), dims="time", attrs={"sampling_rate": 1.0})
    >>> crop_to(Piece("a", angle), Piece("b", angle[:9])).recording.sizes["time"]
    13
    """
    clock, own = _clock(piece.recording), _clock(target.recording)
    near = 0.5 * BETWEEN / sampling_rate(piece.recording)
    kept = np.flatnonzero((own >= clock[0] - near) & (own < clock[-1] + near))
    if not len(kept):
        raise DataError(
            f"{target.source}: expected a target on the clock of {piece.source} ({clock[0]:g} to {clock[-1]:g} s), got "
            f"values from {own[0]:g} to {own[-1]:g} s: they have no time in common"
        )
    part = target.recording.assign_coords({TIME: own}).isel({TIME: slice(int(kept[0]), int(kept[-1]) + 1)})
    return replace(target, recording=part)


def _names(pieces: Sequence[Piece]) -> dict[str, NDArray[np.str_]]:
    """Return the names of what every piece has one of."""
    shared = [what for what in pieces[0].units if all(piece.units.get(what) for piece in pieces)]
    return {what: np.array([piece.units[what] for piece in pieces], dtype=str) for what in shared}


def _digests(pieces: Sequence[Piece]) -> tuple[str, ...]:
    return tuple(_digest(piece.recording) for piece in pieces)


def _digest(recording: xr.DataArray) -> str:
    """Return a hash of rows spread evenly over a recording, its size and clock: what its file says besides is free."""
    rows = np.unique(np.linspace(0, recording.sizes[TIME] - 1, DIGEST_ROWS).astype(np.int64))
    clock = seconds(recording)
    ends = (0.0, sampling_rate(recording)) if clock is None else (float(clock[0]), float(clock[-1]))
    found = hashlib.blake2b(f"{recording.sizes[TIME]} {feature_dims(recording)} {ends}".encode(), digest_size=16)
    for row in rows.tolist():
        found.update(np.ascontiguousarray(recording.isel({TIME: row}).values).tobytes())
    return found.hexdigest()


def _check_same_kind(first: Piece, other: Piece) -> None:
    one, two = first.recording, other.recording
    for what, expected, got in (
        ("dims", feature_dims(one), feature_dims(two)),
        ("units", one.attrs.get("units", ""), two.attrs.get("units", "")),
        ("a sampling rate [Hz]", round(sampling_rate(one), 6), round(sampling_rate(two), 6)),
    ):
        near = isinstance(expected, float) and isinstance(got, float) and abs(expected - got) <= RATE_TOLERANCE * got
        if expected != got and not near:
            raise DataError(
                f"{other.source}: expected {what} of {expected}, as {first.source} has, got {got}; fit them apart"
            )


def _clock(recording: xr.DataArray) -> NDArray[np.float64]:
    times = seconds(recording)
    return np.arange(recording.sizes[TIME]) / sampling_rate(recording) if times is None else times


def _shifts(clocks: Sequence[NDArray[np.float64]], rate: float) -> list[float]:
    shifts, offset = list[float](), 0.0
    for clock in clocks:
        shifts.append(offset - float(clock[0]))
        offset = float(clock[-1]) + shifts[-1] + BETWEEN / rate
    return shifts


def _joint(
    recordings: Sequence[xr.DataArray], clocks: Sequence[NDArray[np.float64]], shifts: Sequence[float]
) -> xr.DataArray:
    first = recordings[0]
    moved = [
        recording.assign_coords({TIME: clock + shift})
        for recording, clock, shift in zip(_of_equal_coords(recordings), clocks, shifts, strict=True)
    ]
    joint = xr.concat(moved, TIME, combine_attrs="override", coords="minimal", compat="override", join="override")
    joint.attrs = {key: value for key, value in first.attrs.items() if key != "sampling_rate"}
    for key, mark in zip(SHARED, (", ", " "), strict=True):
        own = (str(each.attrs.get(key, "")) for each in recordings)
        joint.attrs[key] = mark.join(name for name, _ in groupby(own))  # trials of one file have one digest
    return joint


def _of_equal_coords(recordings: Sequence[xr.DataArray]) -> list[xr.DataArray]:
    """Return recordings with the coordinates that all have, and a mask of the same dims where any has one."""
    shared = set.intersection(*(set(map(str, each.coords)) for each in recordings)) | {MASK}
    found = [each.drop_vars([name for name in each.coords if str(name) not in shared]) for each in recordings]
    dims = {each[MASK].dims for each in found if MASK in each.coords}
    if not dims:
        return found
    whole = len(dims) > 1
    return [each.assign_coords({MASK: _mask(each, next(iter(dims)), whole=whole)}) for each in found]


def _mask(recording: xr.DataArray, dims: tuple[Hashable, ...], *, whole: bool) -> xr.DataArray:
    """Return the mask of a recording, by default of nothing, along some of its dims, or along all."""
    if MASK in recording.coords:
        own = recording[MASK].reset_coords(drop=True)
    else:
        own = xr.DataArray(np.zeros([recording.sizes[dim] for dim in dims], np.bool_), dims=dims)
    return own.broadcast_like(recording.reset_coords(drop=True)) if whole else own


def _joint_events(pieces: Sequence[Piece], shifts: Sequence[float]) -> xr.Dataset | None:
    tables = []
    for piece, shift in zip(pieces, shifts, strict=True):
        if piece.events is not None:
            moved = {name: piece.events[name] + shift for name in ("start_time", "stop_time")}
            tables.append(piece.events.assign(moved).reset_coords(drop=True))
    if not tables:
        return None
    shared = set.intersection(*(set(table.variables) for table in tables))
    tables = [table.drop_vars([name for name in table.variables if name not in shared]) for table in tables]
    return xr.concat(tables, "event", join="override", combine_attrs="override")
