"""Event workspaces of Mantid: the events of all spectra one after the other, and where those of each spectrum begin.

`tof` holds the time of flight of each event in microseconds, `indices` the first event of each spectrum and at the end
their number; `pulsetime` (ns since 1990), `weight` and `error_squared` have one value an event; `axis2` are the numbers
of the spectra.

References
----------
Mantid, SaveNexusProcessed, https://docs.mantidproject.org/nightly/algorithms/SaveNexusProcessed-v1.html.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.io.arrays import Computed, Mapped, Stored, lazy
from sciml.io.hdf5.issues import Issue, Remark
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node
from sciml.io.schema.axes import is_real
from sciml.io.schema.clock import EAGER
from sciml.io.schema.declarations import Coords, Signal
from sciml.io.schema.tables import broken_index
from sciml.io.schema.values import scaled

__all__ = ["events", "is_workspace"]

EPOCH = "1990-01-01T00:00:00"


def is_workspace(group: Node) -> bool:
    """Whether a group holds the events of a workspace."""
    parts = [group.dataset(name) for name in ("indices", "tof")]
    return all(node is not None and is_real(node) and len(node.shape or ()) == 1 for node in parts)


def events(group: Node) -> Signal | None:
    """Return the times of flight of a workspace, None if there is no event."""
    tof, indices = group.children["tof"], group.children["indices"]
    size = (tof.shape or (0,))[0]
    if not size:
        return None
    broken = broken_index(indices, size, exact=True)
    notes: tuple[Remark, ...] = (broken,) if broken is not None else ()
    raw_unit = tof.unit or "microsecond"
    return Signal(
        path=tof.path,
        values=scaled(tof),
        dims=("event",),
        kind="event workspace",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_coords, group, indices, size, broken),
        notes=notes,
    )


class _Spectra:
    """The spectrum of the event at a position: the last that begins at or before it."""

    def __init__(self, firsts: NDArray[np.int64], names: NDArray[Any]) -> None:
        self.firsts = firsts
        self.names = names

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Return the number of the spectrum of each event."""
        return np.asarray(self.names[np.searchsorted(self.firsts, positions, side="right") - 1])


def _coords(group: Node, indices: Node, size: int, broken: Issue | None, notes: list[str]) -> Coords:
    coords: Coords = {}
    firsts = indices.read().astype(np.int64)[:-1]
    if broken is not None:
        notes.append("the events have no spectra")
    elif len(firsts):
        axis = group.dataset("axis2")
        named = axis is not None and axis.shape == firsts.shape and is_real(axis)
        names = axis.read() if named and axis is not None else np.arange(len(firsts))
        coords["spectrum"] = xr.Variable("event", lazy(Computed(_Spectra(firsts, names), size, names.dtype)))
    kept = {"weight": ("weight", {}), "pulsetime": ("pulse_time", {"units": "ns", "since": EPOCH})}
    for name, (label, attributes) in kept.items():
        node = group.dataset(name)
        if node is not None and node.shape == (size,) and not node.read_error():
            values = node.read() if size <= EAGER else lazy(Stored(node.source()))
            coords[label] = xr.Variable("event", values, attributes)
    squared = group.dataset("error_squared")
    if squared is not None and squared.shape == (size,) and not squared.read_error():
        deviation = Mapped(Stored(squared.source()), np.sqrt, np.float64)
        coords["weight_uncertainty"] = xr.Variable("event", lazy(deviation))
    return coords
