"""NeXus event data: each neutron as an event with its pulse, and the image that the events add up to.

Written to NXevent_data (https://manual.nexusformat.org/classes/base_classes/NXevent_data.html) and tried on real files.

Pulse k holds the events `event_index[k]` up to `event_index[k + 1]`, the last up to their number. Two other conventions
are told apart by the values: one entry more than pulses, and the end of each pulse in place of its start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Computed, LazyArray, Stored, lazy
from sciml.io.hdf5.issues import Issue, Remark
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.nexus.detector import detectors
from sciml.io.readers.nexus.reader import Nexus
from sciml.io.schema.axes import outer
from sciml.io.schema.clock import EAGER
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import computed, scaled

__all__ = ["NexusEvents"]

CLASS = "NXevent_data"
NUMBERS = ("detector_number", "pixel_id", "spectrum_index")  # what a detector calls the ids of its pixels
SMALL = 2**23  # bytes of first events that are read to see whether they rise
SHOWN = 8  # names in a finding
BLOCK = 2**22  # events that are counted at a time


class NexusEvents(Nexus):
    """The reader of NeXus files with events; plots, detectors and monitors are read as in all NeXus files."""

    def sniff(self, tree: Tree) -> int:
        """Look for a group of events."""
        return super().sniff(tree) + 5 if _groups(tree, CLASS) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return what any NeXus file has, and the events of each group and their histogram."""
        contents = super().scan(tree)
        findings: list[Remark] = []
        groups = _groups(tree, CLASS)
        signals = [signal for group in groups for signal in _events(group, tree, findings)]
        if empty := [group.path for group in groups if _is_empty(group)]:
            findings.append(f"no event was counted in {', '.join(empty[:SHOWN])}{' and more' * (len(empty) > SHOWN)}")
        return replace(
            contents,
            signals=(*contents.signals, *signals),
            findings=(*contents.findings, *findings),
            reason=None if contents.signals or signals else contents.reason,
        )


def _groups(tree: Tree, kind: str) -> list[Node]:
    return [node for node in tree if not node.is_dataset and node.text("NX_class") == kind]


def _events(group: Node, tree: Tree, findings: list[Remark]) -> list[Signal]:
    """Return the events with their time of flight, their ids, and their histogram over the pixels."""
    ids, flight = group.dataset("event_id"), group.dataset("event_time_offset")
    found = [node for node in (flight, ids) if node is not None and node.is_numeric and len(node.shape or ()) == 1]
    if not found:
        if not _is_empty(group):
            findings.append(f"{group.path}: it has no rows of events (event_id, event_time_offset)")
        return []
    if flight is not None and ids is not None and flight.shape != ids.shape:
        findings.append(
            f"{group.path}: {flight.shape} times of flight for {ids.shape} ids; they do not belong together"
        )
        found = []
    if found and (broken := _broken(group, (found[0].shape or (0,))[0])) is not None:
        findings.append(broken)
    signals = [_signal(node, group.path if node is found[0] else node.path, group) for node in found]
    holders = _holders(group, tree)
    pixels = _pixels(holders)
    if ids is not None and ids in found and _is_integers(ids) and pixels is not None:
        signals.append(_histogram(group, ids, pixels, holders))
    return signals


def _broken(group: Node, n_events: int) -> Issue | None:
    """Return what is wrong with the first events of the pulses, if they are few enough to be read."""
    index = group.dataset("event_index")
    if index is None or not index.is_numeric or index.n_bytes > SMALL:
        return None
    try:
        _starts(group, n_events, [])
    except DataError as error:
        return Issue("ragged_overrun", f"{error}; the events have no pulses", index.path)
    return None


def _is_empty(group: Node) -> bool:
    ids = group.dataset("event_id") or group.dataset("event_time_offset")
    return ids is not None and ids.shape == (0,)


def _signal(node: Node, path: str, group: Node) -> Signal:
    raw_unit = node.unit
    return Signal(
        path=path,
        values=scaled(node),
        dims=("event",),
        kind=CLASS,
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_coords, group, node),
    )


def _coords(group: Node, node: Node, notes: list[str]) -> Coords:
    """Return the pulse of each event and its time, and the id of the pixel that counted it."""
    size = (node.shape or (0,))[0]
    coords: Coords = {}
    ids = group.dataset("event_id")
    if ids is not None and ids is not node and ids.shape == node.shape and not ids.read_error():
        coords["event_id"] = xr.Variable("event", ids.read() if size <= EAGER else lazy(Stored(ids.source())))
    try:
        starts = _starts(group, size, notes)
    except DataError as error:
        notes.append(f"{error}; the events have no pulses")
        return coords
    if starts is None:
        return coords
    coords["pulse"] = xr.Variable("event", lazy(Computed(_Pulses(starts), size, np.int64)))
    return coords | _times(group, starts, size, notes)


def _starts(group: Node, n_events: int, notes: list[str]) -> NDArray[np.int64] | None:
    """Return the first event of each pulse, whichever of the three conventions the file follows."""
    index, zeros = group.dataset("event_index"), group.dataset("event_time_zero")
    if index is None or not index.is_numeric or len(index.shape or ()) != 1:
        return None
    if not _is_integers(index):
        raise DataError(f"{index.path}: expected numbers of events, got {index.dtype}")
    first = index.read().astype(np.int64)
    if (np.diff(first) < 0).any() or first[0] < 0 or first[-1] > n_events:
        raise DataError(
            f"{index.path}: expected numbers of events that rise from 0 to at most {n_events}, "
            f"got {first.min()} to {first.max()}{' and falling ones' if (np.diff(first) < 0).any() else ''}"
        )
    n_pulses = zeros.shape[0] if zeros is not None and zeros.shape else len(first)
    if len(first) == n_pulses + 1 and first[-1] == n_events:
        return np.asarray(first[:-1])
    if first[0] > 0 and first[-1] == n_events:
        notes.append(f"{index.path} holds the end of each pulse, not its start")
        return np.concatenate([[0], first[:-1]])
    if first[0] > 0:
        notes.append(f"{first[0]} events come before the first pulse; their pulse is -1")
    return first


@dataclass(frozen=True)
class _Pulses:
    """The pulse of the event at a position: the last that starts at or before it, -1 if none does."""

    starts: NDArray[np.int64]

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self.starts, positions, side="right") - 1


@dataclass(frozen=True)
class _PulseTimes:
    """The time of the pulse of the event at a position, NaN before the first."""

    pulses: _Pulses
    times: NDArray[np.float64]

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        pulses = self.pulses(positions)
        return np.where(pulses >= 0, self.times[pulses], np.nan)


def _times(group: Node, starts: NDArray[np.int64], size: int, notes: list[str]) -> Coords:
    zeros = group.dataset("event_time_zero")
    if zeros is None:
        return {}
    unit = zeros.unit
    seconds = seconds_per(unit) if unit else 1.0
    if seconds is None or not zeros.is_numeric or zeros.shape != starts.shape:
        notes.append(
            f"{zeros.path} of shape {zeros.shape} in {unit!r}: expected the times of {len(starts)} pulses; left out"
        )
        return {}
    times, epoch = _seconds(zeros.read(), seconds)
    attributes: dict[str, Any] = {"units": "s", "epoch": epoch}
    if since := zeros.text("offset") or zeros.text("start"):
        attributes["since"] = since
    values = lazy(Computed(_PulseTimes(_Pulses(starts), times), size, np.float64))
    return {"time": xr.Variable("event", values, attributes)}


def _seconds(timestamps: NDArray[Any], seconds: float) -> tuple[NDArray[np.float64], int]:
    """Return times in seconds and the whole seconds (`epoch`) that were taken off.

    Nanoseconds since 1970 exceed the 53 bits of a float64: integers are shifted before they become floats.
    """
    if timestamps.dtype.kind not in "iu":
        return np.asarray(timestamps * seconds, dtype=np.float64), 0
    whole = max(round(1 / seconds), 1)
    counts = timestamps.astype(np.int64)
    epoch = max(int(counts[0]), 0) // whole
    return np.asarray((counts - epoch * whole) * seconds, dtype=np.float64), epoch


def _holders(group: Node, tree: Tree) -> list[Node]:
    """Return where the pixels may be described: with the events, around them, in a detector of these events or name."""
    parent = tree.get(group.path.rpartition("/")[0])
    events = group.child("event_id")
    known = tree.once(_known_detectors)
    same = known.get(events, ()) if events is not None else ()
    name = group.name.removesuffix("_events")
    named = known.get(name, ())
    sibling = parent.child(name) if parent is not None and name != group.name else None
    return [holder for holder in (group, parent, *same, *named, sibling) if holder is not None]


def _known_detectors(tree: Tree) -> dict[Node | str, list[Node]]:
    """Return the detectors by their names, and by the ids of the events that they link to."""
    found: dict[Node | str, list[Node]] = {}
    for node in (one for each in detectors(tree).values() for one in each if not one.is_dataset):
        events = node.child("event_id")
        found.setdefault(node.name, []).append(node)
        if events is not None:
            found.setdefault(events, []).append(node)
    return found


def _pixels(holders: list[Node]) -> Node | None:
    """Return the ids of the pixels, in the shape of the image."""
    found = (holder.dataset(name) for holder in holders for name in NUMBERS)
    return next((node for node in found if node is not None and _is_integers(node)), None)


def _is_integers(node: Node) -> bool:
    return bool(node.is_numeric and node.dtype is not None and node.dtype.kind in "iu")


def _histogram(group: Node, ids: Node, pixels: Node, holders: list[Node]) -> Signal:
    places = {
        name: node
        for name in "xy"
        for holder in reversed(holders)
        if (node := holder.dataset(f"{name}_pixel_offset")) is not None and len(node.shape or ()) == 1
    }
    dims = _dims(pixels, places)
    return Signal(
        path=f"{group.path}/histogram",
        values=computed(ids, partial(_counts, ids, pixels), pixels.shape or ()),
        dims=dims,
        kind="histogram of events",
        unit="counts",
        raw_unit="counts",
        coords=partial(_of_pixels, pixels, dims, places),
        # An event of an id that no pixel has is in none of them.
        attrs={"pixels": pixels.path},
    )


def _dims(pixels: Node, places: dict[str, Node]) -> tuple[str, ...]:
    """Return the names of the axes of the image: (y, x), unless the places of rows and columns say (x, y)."""
    shape = pixels.shape or ()
    if len(shape) != 2:
        return ("pixel",) if len(shape) == 1 else tuple(f"dim_{axis}" for axis in range(len(shape)))
    swapped = {"x", "y"} <= set(places) and (places["x"].shape, places["y"].shape) == ((shape[0],), (shape[1],))
    return ("x", "y") if swapped and (shape[0] != shape[1] or places["x"].number("axis") == 1) else ("y", "x")


def _of_pixels(pixels: Node, dims: tuple[str, ...], places: dict[str, Node], notes: list[str]) -> Coords:
    sizes = dict(zip(dims, pixels.shape or (), strict=True))
    coords: Coords = {}
    for name, node in places.items():
        if node.is_numeric and node.shape == (sizes.get(name),) and not node.read_error():
            coords[name] = xr.Variable(name, node.read(), {"units": clean_unit(node.unit)})
        else:
            notes.append(f"{node.path} of shape {node.shape} does not fit the {sizes.get(name)} pixels along {name}")
    if int(np.prod(pixels.shape or ())) <= EAGER and not pixels.read_error():
        coords["pixel_id"] = xr.Variable(dims, pixels.read())
    return coords


def _counts(ids: Node, pixels: Node) -> _Counts:
    for node in (ids, pixels):
        if trouble := node.read_error():
            raise DataError(f"{node.path}: {trouble}")
    return _Counts(Stored(ids.source()), Stored(pixels.source()))


class _Counts(LazyArray):
    """How many events each pixel counted; the events are read once, in blocks, when the first value is asked for."""

    def __init__(self, ids: Stored, pixels: Stored) -> None:
        self.ids = ids
        self.pixels = pixels
        self.shape = pixels.shape
        self.dtype = np.dtype(np.int64)
        self._image: NDArray[np.int64] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_image": None}

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        if self._image is None:
            self._image = self._count()
        return outer(self._image, key)

    def _count(self) -> NDArray[np.int64]:
        stored = self.pixels.read((slice(None),) * len(self.shape))
        numbers, place = np.unique(stored.astype(np.int64), return_inverse=True)
        counts = np.zeros(len(numbers), dtype=np.int64)
        for start in range(0, self.ids.shape[0], BLOCK):
            ids = self.ids.read((slice(start, start + BLOCK),)).astype(np.int64)
            found = np.clip(np.searchsorted(numbers, ids), 0, len(numbers) - 1)
            counts += np.bincount(found[numbers[found] == ids], minlength=len(numbers))
        return counts[place].reshape(self.shape)
