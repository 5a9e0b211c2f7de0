"""Recordings written by `save_recording`: netCDF-4 that any netCDF reader opens, and read back here losslessly."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Complex, Stored, lazy
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import EAGER, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import saved
from sciml.io.write.header import HEADER, decode
from sciml.recording import TIME

__all__ = ["SavedRecording"]


class SavedRecording:
    """The reader of what `save_recording` writes."""

    name = "sciml"

    def sniff(self, tree: Tree) -> int:
        """Look for the header that `save_recording` writes."""
        return 100 if tree.root.dataset(HEADER) is not None else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the one recording of the file."""
        node = tree.root.dataset(HEADER)
        header = decode(str(node.scalar(""))) if node is not None else {}
        try:
            signal = _signal(header, tree)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the header of the recording does not fit the file ({error}); save it again") from error
        kept = ("instrument", "start", "description", "history")
        attrs = {name: str(signal.attrs[name]) for name in kept if name in signal.attrs}
        return Contents(format="sciml recording", signals=(signal,), attrs=attrs, default=signal.path)


def _signal(header: dict[str, Any], tree: Tree) -> Signal:
    name = header["values"]
    variables = {label: _complete(stored) for label, stored in header["variables"].items()}
    header, variable = {**header, "variables": variables}, variables[name]
    node = _node(tree, name)
    time = tree.root.dataset(TIME) if TIME in header["variables"] else None
    rate = variable["attrs"].get("sampling_rate")
    return Signal(
        path=name,
        values=saved(node, variable["dtype"], name=header["name"]),
        dims=tuple(variable["dims"]),
        kind="recording",
        unit=str(variable["attrs"].get("units", "")),
        clock=Rate(float(rate)) if rate is not None else Timestamps(time) if time is not None else None,
        coords=partial(_coords, header, tree),
        attrs=variable["attrs"],
    )


def _complete(stored: dict[str, Any]) -> dict[str, Any]:
    """Return what a header says of a variable; damaged ones are noticed here, before a coordinate is made."""
    return {"dims": tuple(stored["dims"]), "dtype": str(stored["dtype"]), "attrs": dict(stored["attrs"])}


def _node(tree: Tree, name: str) -> Node:
    node = tree.root.dataset(name)
    if node is None:
        raise DataError(f"the recording lacks its variable {name}; save it again")
    return node


def _coords(header: dict[str, Any], tree: Tree, notes: list[str]) -> Coords:  # noqa: ARG001 - no notes on our own files
    return {
        name: _variable(_node(tree, name), stored)
        for name, stored in header["variables"].items()
        if name != header["values"]
    }


def _variable(node: Node, stored: dict[str, Any]) -> xr.Variable:
    dtype = stored["dtype"]
    dims = tuple(stored["dims"])
    if dtype in ("str", "object"):
        return xr.Variable(dims, node.read().astype(str if dtype == "str" else object), stored["attrs"])
    array = values_of(node, dtype)
    variable = xr.Variable(dims, lazy(array), stored["attrs"])
    return variable if variable.size > EAGER else variable.load()


def values_of(node: Node, dtype: str) -> Stored | Complex:
    """Return a stored variable lazily in the dtype that it had in memory."""
    wanted = np.dtype(dtype)
    if wanted.kind == "c":
        return Complex(Stored(node.source()), wanted)
    return Stored(node.source(), dtype=wanted)
