"""H5MD: trajectories of particles and time series of observables, on a clock of stored times or of steps.

Written to the specification; not tried on real files.

References
----------
de Buyl et al. 2014, Comput. Phys. Commun. 185:1546, https://doi.org/10.1016/j.cpc.2014.01.018: an element that changes
holds `value`, `step` and `time`; the latter two as one number are the increment, with the attribute `offset`.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from sciml._later import xr
from sciml.io.arrays import Scale
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["H5md"]

SECONDS = {"fs": 1e-15, "ps": 1e-12}  # besides those of everyday
AXES = {1: (TIME,), 2: (TIME, "particle"), 3: (TIME, "particle", "axis"), 4: (TIME, "particle", "row", "axis")}


class H5md:
    """The reader of H5MD files."""

    name = "h5md"

    def sniff(self, tree: Tree) -> int:
        """Look for the group that every H5MD file has."""
        group = tree.root.child("h5md")
        return 95 if group is not None and group.attr("version") is not None else 0

    def scan(self, tree: Tree) -> Contents:
        """Return everything that changes with time."""
        elements = [node for node in tree if _is_element(node)]
        author = (tree.root.children["h5md"].child("author") or tree.root).text("name")
        creator = (tree.root.children["h5md"].child("creator") or tree.root).text("name")
        about = {"operator": author, "program": creator}
        positions = [node.path for node in elements if node.name == "position"]
        return Contents(
            format="H5MD",
            signals=tuple(map(_signal, elements)),
            attrs={label: text for label, text in about.items() if text},
            default=positions[0] if len(positions) == 1 else None,
            reason=None if elements else "nothing in the file changes with time",
        )


def _is_element(node: Node) -> bool:
    value = node.dataset("value")
    return value is not None and value.is_numeric and "step" in node.children


def _signal(group: Node) -> Signal:
    data = group.children["value"]
    rank, notes = len(data.shape or ()), list[str]()
    dims = AXES.get(rank, (TIME, *(f"dim_{axis}" for axis in range(1, rank))))
    if group.path.startswith("observables") and rank == 2:
        dims = (TIME, "channel")
    raw_unit = data.text("unit") or data.text("units")
    return Signal(
        path=group.path,
        values=scaled(data, Scale()),
        dims=dims,
        kind="trajectory" if group.path.startswith("particles") else "observable",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=_clock(group, (data.shape or (0,))[0], notes),
        coords=partial(_axes, dims, data),
        notes=tuple(notes),
    )


def _clock(group: Node, size: int, notes: list[str]) -> Clock | None:
    """Return the clock by `time`, else by `step` with a note; units of molecular dynamics become seconds."""
    for name in ("time", "step"):
        node = group.dataset(name)
        if node is None:
            continue
        unit = node.text("unit") or node.text("units")
        seconds = SECONDS.get(unit) or (seconds_per(unit) if unit else None)
        if seconds is None:
            notes.append(f"{node.path} is in {unit or 'reduced units'}; time counts in them, not in seconds")
        if not node.shape:
            step = float(node.scalar(np.nan)) * (seconds or 1.0)
            offset = (node.number("offset") or 0.0) * (seconds or 1.0)
            return Rate(1 / step if step else np.nan, offset)
        if node.shape == (size,):
            return Timestamps(node, seconds or 1.0)
    return None


def _axes(dims: tuple[str, ...], data: Node, _notes: list[str]) -> Coords:
    size = (data.shape or (0,))[-1]
    names = np.array(list("xyz"[:size]))
    return {"axis": xr.Variable("axis", names)} if dims[-1] == "axis" and size in (2, 3) else {}
