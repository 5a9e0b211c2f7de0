"""Tables of records (HDF5 compound types, as PyTables writes them): each column of numbers is a signal."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import LazyArray, Stored
from sciml.io.hdf5.text import seconds_per
from sciml.io.hdf5.tree import Node
from sciml.io.schema import pairs
from sciml.io.schema.axes import bare, coord_name, outer
from sciml.io.schema.clock import EAGER
from sciml.io.schema.declarations import Coords, Signal, Table
from sciml.io.schema.records import along, records
from sciml.io.schema.values import computed

__all__ = ["columns", "is_table", "table"]

MOST = 64  # columns that are listed one by one
STARTS, STOPS = ("start_time", "timestamp", "time", "start"), ("stop_time", "end_time", "stop", "end")


def is_table(node: Node) -> bool:
    """Whether a dataset is a row of at least two records with a column of numbers."""
    return len(node.shape or ()) == 1 and (node.shape or (0,))[0] > 1 and 0 < len(_numeric(node)) <= MOST


def _numeric(node: Node) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Return type and shape of the columns of numbers; a pair that is one complex number is no table."""
    dtype = node.dtype
    if dtype is None or not dtype.names or pairs.parts(dtype) is not None:
        return {}
    parts = {name: dtype[name].subdtype or (dtype[name], ()) for name in dtype.names}
    return {name: (base, shape) for name, (base, shape) in parts.items() if base.kind in "iufb" and len(shape) < 3}


def columns(node: Node) -> list[Signal]:
    """Return each column of numbers as a signal along `event`."""
    found = []
    for name, (base, shape) in _numeric(node).items():
        dims = ("event", *(("channel",) if len(shape) == 1 else ("y", "x"))[: len(shape)])
        sizes = (*(node.shape or ()), *shape)
        found.append(
            Signal(
                path=f"{node.path}/{name}",
                values=computed(node, partial(_made, node, name, base, sizes), sizes),
                dims=dims,
                kind="table column",
                coords=partial(_siblings, node, name, dims),
                stack="column",
            )
        )
    return found


def _made(node: Node, name: str, base: np.dtype[Any], shape: tuple[int, ...]) -> LazyArray:
    if trouble := node.read_error():
        raise DataError(f"{node.path}: {trouble}")
    return _Column(Stored(node.source()), name, base, shape)


class _Column(LazyArray):
    """One column of a table."""

    def __init__(self, rows: Stored, name: str, base: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.rows = rows
        self.name = name
        self.shape = shape
        self.dtype = base.newbyteorder("=")

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        rows = np.asarray(self.rows.read(key[:1])[self.name])
        kept = () if isinstance(key[0], (int, np.integer)) else (slice(None),)
        return outer(rows, (*kept, *key[1:])).astype(self.dtype, copy=False)


def _siblings(node: Node, name: str, dims: tuple[str, ...], notes: list[str]) -> Coords:
    """Return the other columns of one value a row as coordinates."""
    if (node.shape or (0,))[0] > EAGER:
        return {}
    try:
        found = along("event", {label: cells for label, cells in records(node).items() if label != name})
    except DataError as error:
        notes.append(f"{error}; the other columns are left out")
        return {}
    return {coord_name(label, dims): one for label, one in found.items()}


def table(node: Node) -> Table:
    """Return a table of records; of events, if a column says when they began, in a unit of time or in seconds."""
    names = node.dtype.names if node.dtype is not None and node.dtype.names else ()
    plain = {bare(name): name for name in reversed(names) if name in _numeric(node)}
    first = next((plain[bare(name)] for name in STARTS if bare(name) in plain), None)
    last = next((plain[bare(name)] for name in STOPS if bare(name) in plain), None)
    timed = first is not None and (node.dtype is not None and node.dtype[first].kind == "f")
    events = partial(_events, node, first, last) if first is not None and timed else None
    return Table(node.path, (node.shape or (0,))[0], tuple(names), events)


def _events(node: Node, first: str, last: str | None) -> xr.Dataset:
    cells = records(node)
    seconds = seconds_per(node.text(f"{first}_units", "s")) or 1.0
    start = np.asarray(cells[first], dtype=np.float64) * seconds
    stop = np.asarray(cells[last], dtype=np.float64) * seconds if last is not None else start
    times = {"start_time": start, "stop_time": stop}
    found = {name: xr.Variable("event", values, {"units": "s"}) for name, values in times.items()}
    return xr.Dataset({**along("event", cells), **found}, attrs={"table": node.path})
