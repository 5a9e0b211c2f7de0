"""Event lists of photoelectron momentum microscopes: one row an electron, one column a coordinate.

Written to the layout of the Fritz Haber Institute's microscope as the package sed reads it (Xian et al. 2020,
Scientific Data 7:442, https://doi.org/10.1038/s41597-020-00769-8), and tried on real files: datasets `Stream_<k>` whose
attribute `Name` says what they are, and `msMarkers`, the number of events that had come by the end of each millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Computed, lazy
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.values import scaled

__all__ = ["EventList"]

MARKERS = "msMarkers"
SECONDS = 1e-3  # from one marker to the next


class EventList:
    """The reader of event lists."""

    name = "eventlist"

    def sniff(self, tree: Tree) -> int:
        """Look for named streams."""
        return 90 if _streams(tree) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return each column as a signal, and all of them as the table `events`."""
        streams = _streams(tree)
        rows = next(iter(streams.values())).shape or (0,)
        markers = tree.root.dataset(MARKERS)
        signals = tuple(_signal(name, node, markers) for name, node in streams.items())
        events = partial(_events, streams, markers) if markers is not None else None
        return Contents(
            format="event list",
            signals=signals,
            tables=(Table("events", rows[0], tuple(streams), events),),
            findings=_findings(tree, streams, markers),
            attrs={"start": start} if (start := tree.root.text("FirstEventTimeStamp")) else {},
        )


def _streams(tree: Tree) -> dict[str, Node]:
    """Return the columns by name: those as long as the first."""
    named = {name: node for node in _candidates(tree) if (name := node.text("Name"))}
    rows = next((node.shape for node in named.values()), None)
    return {name: node for name, node in named.items() if node.shape == rows}


def _candidates(tree: Tree) -> list[Node]:
    children = tree.root.children.items()
    return [
        node for name, node in children if name.startswith("Stream_") and node.is_numeric and len(node.shape or ()) == 1
    ]


def _findings(tree: Tree, streams: dict[str, Node], markers: Node | None) -> tuple[str, ...]:
    others = [node for node in _candidates(tree) if node not in streams.values()]
    found = [
        f"{node.path} of shape {node.shape} has no name, or not the length of the others; it is left out"
        for node in others
    ]
    if markers is None:
        found.append(f"there is no {MARKERS}: nothing says when the events came")
    return tuple(found)


def _signal(name: str, node: Node, markers: Node | None) -> Signal:
    raw_unit = node.text("Unit") or node.text("units")
    attrs = {label.lower(): value for label in ("BitLength", "Member") if (value := node.attr(label)) is not None}
    return Signal(
        path=name,
        values=scaled(node),
        dims=("event",),
        kind="event column",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_coords, node, markers),
        attrs=attrs,
        stack="column",
    )


@dataclass(frozen=True)
class _Times:
    """When the event at a position came, to the millisecond: the number of markers it is past."""

    markers: NDArray[np.int64]

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        passed = np.searchsorted(self.markers, positions, side="right")
        return np.asarray(passed * SECONDS, dtype=np.float64)


def _times(markers: Node, n_events: int) -> _Times:
    if (
        not markers.is_numeric
        or len(markers.shape or ()) != 1
        or markers.dtype is None
        or markers.dtype.kind not in "iu"
    ):
        raise DataError(f"{markers.path}: expected a row of integers, got shape {markers.shape} of {markers.dtype}")
    counts = markers.read()
    if (counts[1:] < counts[:-1]).any() or counts[0] < 0 or counts[-1] > n_events:
        raise DataError(
            f"{markers.path}: expected numbers of events that rise to at most {n_events}, got up to {counts.max()}"
            f"{' and falling ones' if (counts[1:] < counts[:-1]).any() else ''}; the events have no times"
        )
    return _Times(counts.astype(np.int64))


def _coords(node: Node, markers: Node | None, notes: list[str]) -> Coords:
    if markers is None:
        return {}
    size = (node.shape or (0,))[0]
    try:
        times = Computed(_times(markers, size), size, np.float64)
    except DataError as error:
        notes.append(str(error))
        return {}
    notes.append(f"time is that of the millisecond in which the event came, by {MARKERS}")
    return {"time": xr.Variable("event", lazy(times), {"units": "s"})}


def _events(streams: dict[str, Node], markers: Node) -> xr.Dataset:
    columns = {name: xr.Variable("event", node.read()) for name, node in streams.items()}
    size = next(iter(columns.values())).size
    start = _times(markers, size)(np.arange(size))
    columns["start_time"] = xr.Variable("event", start, {"units": "s"})
    columns["stop_time"] = xr.Variable("event", start + SECONDS, {"units": "s"})
    return xr.Dataset(columns, attrs={"table": "events"})
