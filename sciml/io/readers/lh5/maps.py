"""Arrays of LH5 on axes: histograms with their bins, and maps with the axes that stand in the same structure.

A histogram is a structure of `weights` and `binning`, whose `axis_k` states `binedges`: all of them, or `first`, `last`
and `step`. A map is an array in a structure whose rows of numbers fit its dims, in the order of the structure.
"""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node
from sciml.io.schema.axes import is_real, numbers
from sciml.io.schema.declarations import Coords, Signal
from sciml.io.schema.fitting import assigned, axis_coords, fits
from sciml.io.schema.values import scaled

__all__ = ["axes", "declare", "is_binning", "serving"]

RANGE = ("first", "last", "step")
MOST_BINS = 2**24


def is_binning(group: Node) -> bool:
    """Whether a group describes the bins of a histogram along one axis."""
    return "binedges" in group.children


def _is_histogram(group: Node) -> bool:
    return {"weights", "binning"} <= set(group.children) and not group.children["binning"].is_dataset


def serving(struct: Node) -> frozenset[str]:
    """Return the rows of numbers in a structure that are the axes of a map in it."""
    if not struct.text("datatype").startswith("struct{"):
        return frozenset()
    maps = [node for node in struct.children.values() if node.is_numeric and len(node.shape or ()) > 1]
    return frozenset(name for node in maps for name in _along(node, struct))


def _along(node: Node, struct: Node) -> dict[str, int]:
    """Return the dim of each row of a structure that is an axis of a map: by length, else in the order of both."""
    shape = node.shape or ()
    order = struct.text("datatype").removeprefix("struct{").rstrip("}").split(",")
    rows = {
        name.strip(): (one.shape or (0,))[0]
        for name in order
        if (one := struct.dataset(name.strip())) is not None and is_real(one) and len(one.shape or ()) == 1
    }
    fitting = {name: size for name, size in rows.items() if size in shape or size - 1 in shape}
    if len(fitting) != len(shape):
        return {}
    return assigned(fitting, {name: dim for dim, name in enumerate(fitting)}, shape)


def axes(node: Node, parent: Node) -> dict[int, tuple[str, Node]] | None:
    """Return name and values of the axes of an array, None of one that has none."""
    if _is_histogram(parent) and node.name == "weights":
        binning = parent.children["binning"].children
        found = {axis: binning.get(f"axis_{axis}") for axis in range(len(node.shape or ()))}
        edges = {axis: one.child("binedges") for axis, one in found.items() if one is not None}
        return {axis: (f"axis_{axis}", one) for axis, one in edges.items() if one is not None}
    if not parent.text("datatype").startswith("struct{") or len(node.shape or ()) < 2:
        return None
    along = _along(node, parent)
    return {dim: (name, parent.children[name]) for name, dim in along.items()} or None


def declare(node: Node, known: dict[int, tuple[str, Node]]) -> Signal:
    """Return an array on its axes."""
    unit = node.text("units")
    dims = tuple(known[axis][0] if axis in known else f"dim_{axis}" for axis in range(len(node.shape or ())))
    misfits = {axis: _misfit(one, dims[axis], (node.shape or ())[axis]) for axis, (_, one) in known.items()}
    fitting = {dims[axis]: one for axis, (_, one) in known.items() if misfits[axis] is None}
    return Signal(
        path=node.path,
        values=scaled(node),
        dims=dims,
        kind="histogram" if node.name == "weights" else "map",
        unit=clean_unit(unit),
        raw_unit=unit,
        coords=partial(_coords, node, dims, fitting),
        notes=tuple(misfit for misfit in misfits.values() if misfit is not None),
    )


def _misfit(one: Node, dim: str, size: int) -> str | None:
    """Return why what the file states of an axis gives no values along it, None if it does."""
    if one.is_dataset:
        count = prod(one.shape or ())
        fitting = len(one.shape or ()) == 1 and (count == size + 1 if one.name == "binedges" else fits(count, size))
        return None if fitting else f"{one.path} of shape {one.shape} does not fit {dim} of {size}; it is left out"
    try:
        _edges(one, size)
    except DataError as error:
        return f"{error}; the axis {dim} comes without values"
    return None


def _coords(node: Node, dims: tuple[str, ...], known: dict[str, Node], notes: list[str]) -> Coords:
    coords: Coords = {}
    for dim, one in known.items():
        size = (node.shape or ())[dims.index(dim)]
        try:
            values = one.read() if one.is_dataset else _edges(one, size)
        except DataError as error:
            notes.append(f"{error}; the axis {dim} comes without values")
            continue
        unit = clean_unit(one.text("units"))
        coords |= axis_coords(dim, dim, values, size, {"units": unit} if unit else {})
    return coords


def _edges(group: Node, size: int) -> NDArray[np.float64]:
    """Return the edges of bins of one width, which the file states by the first, the last and the width."""
    found = numbers(group.children)
    if not set(RANGE) <= set(found) or size > MOST_BINS:
        raise DataError(f"{group.path}: expected first, last and step, got {', '.join(found) or 'no numbers'}")
    first, last, step = (found[name] for name in RANGE)
    if abs(first + size * step - last) > 0.5 * abs(step):
        raise DataError(f"{group.path}: {size} bins of {step} from {first} do not end at {last}")
    return np.asarray(first + step * np.arange(size + 1), dtype=np.float64)
