"""NIX: data arrays with sampled, range and set dimensions, and a polynomial from stored to physical values.

Written to the specification; tried on files that nixio 1.5.4 wrote, not on those of a laboratory.

References
----------
Stoewer et al. 2014, Frontiers in Neuroinformatics, https://doi.org/10.3389/conf.fninf.2014.18.00027; NIX data model
1.4, https://nixio.readthedocs.io. Value = sum of c_k * (stored - expansion_origin)**k.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import grid, unique
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Nix"]

# What an axis that the file labels only in words is called; all other labels stay as they are.
LABELS = {"t": TIME, "channels": "channel"} | {name: name for name in (TIME, "channel", "frequency", "trial")}


class Nix:
    """The reader of NIX files."""

    name = "nix"

    def sniff(self, tree: Tree) -> int:
        """Look for the format that NIX writes at the root."""
        return 100 if tree.root.text("format").lower() == "nix" and tree.root.child("data") else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the data arrays of all blocks."""
        signals, findings = [], []
        for array in _arrays(tree):
            try:
                signals.append(_signal(array))
            except DataError as error:
                findings.append(str(error))
        version = tree.root.attr("version", ())
        return Contents(
            format=f"NIX {'.'.join(str(part) for part in np.atleast_1d(version))}".strip(),
            signals=tuple(signals),
            findings=tuple(findings),
            reason=None if signals else "no block holds a data array of numbers",
        )


def _arrays(tree: Tree) -> list[Node]:
    """Return the groups that are data arrays; those that others refer to by links are the same objects."""
    found = []
    for block in tree.root.children["data"].children.values():
        arrays = block.child("data_arrays")
        if arrays is not None:
            found += [array for array in arrays.children.values() if array.dataset("data") is not None]
    return found


def _signal(array: Node) -> Signal:
    data = array.children["data"]
    if not data.is_numeric or data.shape is None:
        raise DataError(f"{array.path}: expected an array of numbers, got shape {data.shape} of {data.dtype}")
    notes: list[str] = []
    axes = _axes(array, len(data.shape), notes)
    dims = unique([_dim(axis, position, len(axes)) for position, axis in enumerate(axes)])
    along = dims.index(TIME) if TIME in dims else 0
    order = (along, *(axis for axis in range(len(dims)) if axis != along))
    raw_unit = array.text("unit")
    named = {"label": array.text("label"), "name": array.text("name")}  # files before 1.2 name groups by their id
    axis_of = {dim: (axis, size) for dim, axis, size in zip(dims, axes, data.shape, strict=True) if dim != TIME}
    return Signal(
        path=array.path,
        values=scaled(data, _scale(array, notes), order=order if along else None),
        dims=tuple(dims[axis] for axis in order),
        kind=array.text("type", "data array"),
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=_clock(axes[along], notes) if TIME in dims else None,
        coords=partial(_coords, axis_of),
        attrs={key: text for key, text in named.items() if text and text != array.name},
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Axis:
    """A dimension descriptor: where its values are and what they are called."""

    kind: str
    label: str = ""
    unit: str = ""
    step: float | None = None
    offset: float = 0.0
    values: Node | None = None


def _axes(array: Node, rank: int, notes: list[str]) -> list[_Axis]:
    group = array.child("dimensions")
    described = group.children if group is not None else {}
    axes = [_axis(described.get(str(position + 1)), array, notes) for position in range(rank)]
    if any(axis.kind == "" for axis in axes):
        notes.append(f"{len(described)} dimensions are described of {rank}; the others have no coordinates")
    return axes


def _axis(group: Node | None, array: Node, notes: list[str]) -> _Axis:
    if group is None or group.is_dataset:
        return _Axis("")
    kind, label, unit = group.text("dimension_type"), group.text("label"), group.text("unit")
    if kind == "sample":
        return _Axis(kind, label, unit, group.number("sampling_interval"), group.number("offset", 0.0) or 0.0)
    if kind not in ("range", "set"):
        notes.append(f"{group.path}: dimensions of type {kind!r} are not read")
        return _Axis(kind, label, unit)
    values = group.dataset("ticks" if kind == "range" else "labels")
    linked = None if values is not None else _linked(group)
    if linked is not None:
        values, label, unit = linked.dataset("data"), label or linked.text("label"), unit or linked.text("unit")
        if linked is array:  # the values are themselves positions: times of spikes, for example
            return _Axis("alias")
        if values is not None and len(values.shape or ()) != 1:
            notes.append(f"{group.path} takes its values from {linked.path}; they are not read as a coordinate")
            values = None
    return _Axis(kind, label, unit, values=values)


def _linked(group: Node) -> Node | None:
    """Return the data array whose values are those of a dimension: under `link`, or an alias in the group itself."""
    link = group.child("link")
    inside = (link if link is not None else group).children.values()
    return next((node for node in inside if node.dataset("data") is not None), None)


def _dim(axis: _Axis, position: int, rank: int) -> str:
    """Return the name of a dim: time by its unit, else what its label means, else by kind and position."""
    if seconds_per(axis.unit) is not None and axis.kind in ("sample", "range"):
        return TIME
    if axis.kind == "alias":
        return "event"
    word = axis.label.strip().lower()
    if word in LABELS:
        return LABELS[word]
    if word:
        return axis.label.strip()
    return "channel" if axis.kind == "set" and rank == 2 else f"dim_{position}"


def _clock(axis: _Axis, notes: list[str]) -> Clock | None:
    if axis.kind not in ("sample", "range"):
        return None
    seconds = seconds_per(axis.unit)
    if seconds is None:
        notes.append(f"the time axis has the unit {axis.unit!r}; taken as seconds")
        seconds = 1.0
    if axis.kind == "sample":
        step = (axis.step or 0.0) * seconds
        return Rate(1 / step if step else math.nan, axis.offset * seconds)
    return Timestamps(axis.values, seconds) if axis.values is not None else None


@dataclass(frozen=True)
class _Polynomial(Scale):
    """A polynomial of more than the first degree in the stored values."""

    coefficients: tuple[float, ...] = ()

    @property
    def formula(self) -> str:
        return f"a polynomial with the coefficients {self.coefficients} in stored - {self.zero}"

    def apply(self, stored: NDArray[Any], key: tuple[Any, ...]) -> NDArray[Any]:
        return np.asarray(np.polynomial.polynomial.polyval(self.centered(stored, key), self.coefficients))


def _scale(array: Node, notes: list[str]) -> Scale:
    node = array.dataset("polynom_coefficients")
    origin = array.number("expansion_origin", 0.0) or 0.0
    declared = node.read() if node is not None and node.shape else np.atleast_1d(array.attr("polynom_coefficients", ()))
    if declared.dtype.kind not in "iuf" or not np.isfinite(declared).all():
        notes.append("polynom_coefficients are no finite numbers; values are as stored")
        return Scale()
    coefficients = tuple(np.trim_zeros(declared.ravel().astype(np.float64), "b").tolist())
    if not declared.size:
        return Scale(zero=origin)
    if len(coefficients) <= 2:
        offset, factor = (*coefficients, 0.0, 0.0)[:2]
        return Scale(factor, offset, zero=origin)
    return _Polynomial(zero=origin, coefficients=coefficients)


def _coords(axes: Mapping[str, tuple[_Axis, int]], notes: list[str]) -> Coords:
    coords: Coords = {}
    for dim, (axis, size) in axes.items():
        if axis.kind == "sample":
            coords |= grid(dim, size, step=axis.step, start=axis.offset, unit=axis.unit)
        elif axis.values is not None and (found := _values(dim, axis, size, notes)) is not None:
            coords[dim] = found
    return coords


def _values(dim: str, axis: _Axis, size: int, notes: list[str]) -> xr.Variable | None:
    """Return the ticks or labels of an axis as its coordinate."""
    if axis.values is None or axis.values.shape == (0,):
        return None
    try:
        cells = axis.values.read()
    except DataError as error:
        notes.append(f"{error}; the coordinate of {dim} is left out")
        return None
    if cells.shape != (size,) or cells.dtype.kind not in "iufbU":
        notes.append(f"{axis.values.path} has shape {cells.shape} for {size} values along {dim}; it is left out")
        return None
    unit = clean_unit(axis.unit)
    return xr.Variable(dim, cells, {"units": unit} if unit else {})
