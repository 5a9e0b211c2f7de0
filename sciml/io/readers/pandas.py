"""Data frames that pandas stores in HDF5 (HDFStore): blocks of columns with an index; as DeepLabCut leaves its results.

A frame of the fixed kind has axis0 (columns), axis1 (index) and blockN_items with blockN_values; one of the kind
`table` has records of an index and values_block_N, whose column names pandas pickles, so that they stay unknown here:
nothing is unpickled. Written to the layout that pandas 2 writes; not tried on real files.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema import fields
from sciml.io.schema.axes import coord_name
from sciml.io.schema.clock import Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Pandas"]

NANOSECONDS = {"datetime64": 1e-9, "datetime64[ns]": 1e-9, "datetime64[us]": 1e-6, "datetime64[ms]": 1e-3}


class Pandas:
    """The reader of data frames."""

    name = "pandas"

    def sniff(self, tree: Tree) -> int:
        """Look for groups that state a kind of pandas."""
        return 70 if _frames(tree) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the blocks of every frame."""
        signals: list[Signal] = []
        tables: list[Table] = []
        for group in _frames(tree):
            records = group.dataset("table")
            if records is not None and fields.is_table(records):
                signals += fields.columns(records)
                tables.append(fields.table(records))
            signals += [_block(group, name) for name, node in group.children.items() if _is_block(name, node)]
        return Contents(
            format="pandas",
            signals=tuple(signals),
            tables=tuple(tables),
            reason=None if signals else "no frame of the file holds numbers",
        )


def _frames(tree: Tree) -> list[Node]:
    return [node for node in tree if not node.is_dataset and node.text("pandas_type")]


def _is_block(name: str, node: Node) -> bool:
    fixed = name.startswith("block") and name.endswith("_values")
    return (fixed and node.is_numeric and len(node.shape or ()) == 2) or (name == "values" and node.is_numeric)


def _block(group: Node, name: str) -> Signal:
    data = group.children[name]
    index = group.dataset("axis1") or group.dataset("index")
    size = (data.shape or (0,))[0]
    seconds = NANOSECONDS.get(index.text("kind")) if index is not None else None
    clock, epoch = _clock(index, seconds) if index is not None and seconds and index.shape == (size,) else (None, 0)
    rank = len(data.shape or ())
    return Signal(
        path=data.path,
        values=scaled(data, Scale()),
        dims=(TIME if clock else "event", "channel")[:rank],
        kind=group.text("pandas_type"),
        clock=clock,
        coords=partial(_coords, group, data, index if clock is None else None),
        attrs={"unix_epoch": epoch} if clock else {},
        notes=() if clock else ("the index of the frame holds no dates; there is no clock",),
    )


def _clock(index: Node, seconds: float) -> tuple[Timestamps | None, int]:
    """Return dates as seconds from the whole second of the first, which keeps large integers exact."""
    try:
        first = int(index.read(slice(0, 1))[0])
    except DataError:
        return None, 0
    whole = round(1 / seconds)
    return Timestamps(index, seconds, first // whole * whole), first // whole


def _coords(group: Node, data: Node, index: Node | None, notes: list[str]) -> Coords:
    """Return the names of the columns, and the index where it is no clock."""
    coords: Coords = {}
    items = group.dataset(data.name.replace("_values", "_items"))
    named = (("channel", items, 1), ("event", index, 0))
    for dim, node, axis in named:
        if node is None or len(data.shape or ()) <= axis or node.shape != (data.shape or ())[axis : axis + 1]:
            continue
        try:
            cells = node.read()
        except DataError as error:
            notes.append(f"{error}; it is left out")
            continue
        if cells.dtype.kind in "iufU":
            coords[dim if dim == "channel" else coord_name("index", ())] = xr.Variable(dim, np.asarray(cells))
    return coords
