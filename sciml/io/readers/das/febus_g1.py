"""Febus G1: Brillouin strain (time, distance), or spectra (time, distance, frequency), beside distances and times.

`start_times` and `end_times` are those of each reading in seconds since 1970, `distances` in meters, `temperatures`
those of the instrument; spectra lie on freq_offset_abs + k freq_step in MHz. Strain was tried on a real file.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.das.fiber import fiber, timestamps
from sciml.io.schema.axes import columns, grid
from sciml.io.schema.declarations import Coords, Signal

__all__ = ["arrays", "declare"]

REQUIRED = {"distances", "start_times", "end_times"}
UNITS = {"temperatures": "degC", "end_times": "s"}
STRAIN = 1.0  # the mode of strain


def arrays(tree: Tree) -> list[Node]:
    """Return the strain and the spectra of a file."""
    inside = tree.root.children
    named = [node for name in ("bsl_data", "mtx") if (node := tree.root.dataset(name)) is not None]
    return named if set(inside) >= REQUIRED and tree.root.attr("formatVersion") is not None else []


def declare(data: Node, tree: Tree) -> Signal:
    """Return an array as a signal."""
    root, notes = tree.root, list[str]()
    strain = data.name == "bsl_data" and root.number("mode") == STRAIN
    try:
        clock, epoch = timestamps(root.children["start_times"], 1)
    except DataError as error:
        clock, epoch = None, None
        notes.append(f"{error}; no clock")
    return fiber(
        data,
        names=("time", "distance", "frequency")[: len(data.shape or ())],
        clock=clock,
        unit="microstrain" if strain else "",
        kind="strain" if strain else "Brillouin spectra" if data.name == "mtx" else "Brillouin",
        distance=partial(_distances, root.children["distances"]),
        attrs={"unix_epoch": epoch, "instrument": "Febus G1", "spatial_resolution": root.number("spatial_resolution")},
        notes=notes,
        more=partial(_coords, root, data, epoch or 0),
    )


def _distances(node: Node, _size: int) -> NDArray[Any]:
    return np.asarray(node.read(), dtype=np.float64).ravel()


def _coords(root: Node, data: Node, epoch: int, notes: list[str]) -> Coords:
    """Return end and temperature of each reading, and the frequencies of spectra."""
    shape = data.shape or ()
    named = {name: node for name in UNITS if (node := root.dataset(name)) is not None}
    found = columns(named, "time", shape[0], notes)
    coords = {name: xr.Variable(one.dims, one.values, {"units": UNITS[name]}) for name, one in found.items()}
    if "end_times" in coords:
        coords["end_times"] = coords["end_times"] - epoch
        coords["end_times"].attrs["units"] = "s"
    if len(shape) == 3:
        start, step = root.number("freq_offset_abs"), root.number("freq_step")
        coords |= grid("frequency", shape[2], start=start, step=step, unit="MHz")
    return coords
