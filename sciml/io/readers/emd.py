"""Electron Microscopy Datasets of the Berkeley Lab (emd_group_type, dim1..n), as py4DSTEM and emdfile write them too.

A group that is marked holds an array `data` and for each of its axes a dataset, numbered from 1 (from 0 in EMD 1.0),
with the attributes `name` and `units`. EMD 1.0 stores a regular axis by its first two values. Written to the
specification.

References
----------
https://emdatasets.com/format; EMD 1.0: https://github.com/py4dstem/emdfile.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import grid, image_dims, is_real, unique
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Emd"]

LABELS = "_labels_"  # the name of the axis of a stack, whose values are the names of its arrays
TIMES = {"t", "time", "times"}


class Emd:
    """The reader of EMD files of the Berkeley layout."""

    name = "emd"

    def sniff(self, tree: Tree) -> int:
        """Look for a group that says that it is an EMD array."""
        return 90 if any(_is_array(node) for node in tree) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the arrays of the file."""
        findings: list[str] = []
        signals = []
        for group in tree:
            if not _is_array(group):
                continue
            data = _data(group)
            if data is not None and data.is_numeric:
                signals.append(_signal(group, data))
            else:
                findings.append(f"{group.path}/data: expected an array of numbers, got {data}; it is not listed")
        holder = next(
            (one for one in (tree.root, *tree.root.children.values()) if one.text("version_major")), tree.root
        )
        version = ".".join(filter(None, (holder.text("version_major"), holder.text("version_minor"))))
        return Contents(
            format=f"EMD {version}".strip(),
            signals=tuple(signals),
            findings=tuple(findings),
            attrs=_about(tree),
            reason=None if signals else "none of the EMD arrays of the file holds numbers",
        )


def _is_array(node: Node) -> bool:
    if not {"dim0", "dim1"} & set(node.children):
        return False
    marked = node.number("emd_group_type") == 1 or node.text("emd_group_type") == "array"
    return marked and _data(node) is not None


def _data(group: Node) -> Node | None:
    """Return the array of a group: `data`, else (datacube, realslice of Prismatic) the only one but the axes."""
    if (named := group.child("data")) is not None:
        return named
    others = [one for name, one in group.children.items() if one.is_numeric and not re.fullmatch(r"dim\d+", name)]
    most = max((len(one.shape or ()) for one in others), default=0)
    largest = [one for one in others if len(one.shape or ()) == most]
    return largest[0] if len(largest) == 1 else None


def _unit(node: Node) -> str:
    """Return the unit of an array or axis; EMD 0.2 writes nanometers as [n_m]."""
    return clean_unit(re.sub(r"[\[\]_]", "", node.text("units")))


def _signal(group: Node, data: Node) -> Signal:
    axes = _axes(group, data.shape or ())
    dims = _dims(axes)
    along = dims.index(TIME) if TIME in dims else 0
    order = (along, *(axis for axis in range(len(dims)) if axis != along))
    return Signal(
        path=data.path,
        values=scaled(data, order=order if along else None),
        dims=tuple(dims[axis] for axis in order),
        kind=group.text("python_class") or group.text("py4dstem_class") or "emd",
        unit=_unit(data),
        raw_unit=data.text("units"),
        clock=_clock(axes[along], (data.shape or ())[along]) if dims[along] == TIME else None,
        coords=partial(_coords, axes, dims, data.shape or ()),
        attrs={"name": group.name},
        notes=_misfits(axes, dims, data.shape or ()),
    )


def _axes(group: Node, shape: tuple[int, ...]) -> list[Node | None]:
    """Return the dataset of each axis; the labels of a stack are numbered last, but may be those of its first axis."""
    first = 0 if "dim0" in group.children else 1
    axes = [group.dataset(f"dim{first + axis}") for axis in range(len(shape))]
    last = axes[-1]
    if last is not None and last.text("name") == LABELS and last.shape == shape[:1] != shape[-1:]:
        axes = [last, *axes[:-1]]
    return axes


def _dims(axes: list[Node | None]) -> tuple[str, ...]:
    names = []
    for guess, node in zip(image_dims(len(axes)), axes, strict=True):
        name = node.text("name").strip("_") if node is not None else ""
        timed = node is not None and is_real(node) and name.lower() in TIMES and seconds_per(_unit(node))
        # An axis that is called time, in no unit of time, is no clock.
        own = guess if name in ("", TIME) else name
        names.append(TIME if timed and TIME not in names else own)
    return unique(names)


def _clock(node: Node | None, size: int) -> Clock | None:
    """Return the stamps of an axis in seconds, or the rate if only the first two are stored."""
    if node is None:
        return None
    seconds = seconds_per(_unit(node)) or 1.0
    if node.shape == (size,):
        return Timestamps(node, seconds)
    start, step = _start_and_step(node)
    return Rate(1.0 / (step * seconds), start * seconds) if step else None


def _start_and_step(node: Node) -> tuple[float, float]:
    try:
        values = node.read() if is_real(node) and node.shape == (2,) else np.zeros(2)
    except DataError:
        return 0.0, 0.0
    return float(values[0]), float(values[1] - values[0])


def _coords(axes: list[Node | None], dims: tuple[str, ...], shape: tuple[int, ...], notes: list[str]) -> Coords:
    coords: Coords = {}
    for node, dim, size in zip(axes, dims, shape, strict=True):
        if node is None or dim == TIME:
            continue
        unit = _unit(node)
        if node.shape == (size,):
            try:
                coords[dim] = xr.Variable(dim, node.read(), {"units": unit} if unit else {})
            except DataError as error:
                notes.append(f"{error}; the axis {dim} comes without values")
        elif node.shape == (2,):
            start, step = _start_and_step(node)
            coords |= grid(dim, size, step=step, start=start, unit=unit)
    return coords


def _misfits(axes: list[Node | None], dims: tuple[str, ...], shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the axes that have neither a value for each place nor a start and a step."""
    return tuple(
        f"axis {node.path} of shape {node.shape} does not fit {dim} of {size}; it is left out"
        for node, dim, size in zip(axes, dims, shape, strict=True)
        if node is not None and dim != TIME and node.shape not in ((size,), (2,))
    )


def _about(tree: Tree) -> dict[str, str]:
    """Return what the groups microscope, sample and user state in attributes."""
    found = {}
    for label, group, name in (
        ("instrument", "microscope", "name"),
        ("sample", "sample", "name"),
        ("operator", "user", "name"),
    ):
        node = tree.root.child(group)
        if node is not None and (value := node.text(name)):
            found[label] = value
    return found
