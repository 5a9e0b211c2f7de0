"""Any other HDF5 file: every array of numbers by its path, with a clock where the file gives one."""

from __future__ import annotations

import re
from functools import partial
from itertools import chain
from math import prod

import h5py
import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Stored, lazy
from sciml.io.hdf5.issues import Issue, Remark
from sciml.io.hdf5.text import clean_unit, seconds_per, split_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.plain.axes import (
    TIMESTAMPS,
    Axis,
    axes_of,
    is_unwritten,
    plain_name,
    seconds_of,
    split_name,
    unit_of,
)  # fmt: skip
from sciml.io.schema import fields, pairs, scaling, tie_points
from sciml.io.schema.axes import bare, coord_name, grid, is_real, numbers, single_number
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.fitting import axis_coords, where_shape_fits
from sciml.recording import TIME

__all__ = ["Plain", "declare", "unsuitable"]

RATES = {
    "samplingrate",
    "samplerate",
    "samplingfrequency",
    "samplefrequency",
    "sfreq",
    "srate",
    "fs",
    "outputdatarate",
    "framerate",
    "fps",
}
LONGER = ("samplingrate", "samplerate", "samplingfrequency", "samplefrequency")  # ends of longer names
INTERVALS = {"dt", "deltat", "samplinginterval", "sampleinterval", "samplingperiod", "timestep", "wfincrement"}
AXES = {1: (), 2: ("channel",), 3: ("y", "x")}
LABELS = re.compile("channel|electrode|label|names|chan")  # what texts beside the data are called that name channels
BOUND = re.compile("(start|begin|center|mid|end|stop)(time|timestamp)s?")
WIDE = 16  # an array that is so many times wider than high, and has a rate or is long, holds one channel a row
LONG = 512
FEW_GROUPS = 9  # beside the group of an array, in which its rate is looked for


class Plain:
    """The reader of HDF5 files that no other reader recognizes."""

    name = "plain"

    def sniff(self, tree: Tree) -> int:  # noqa: ARG002 - it takes any file
        """Take any file, after all others."""
        return 1

    def scan(self, tree: Tree) -> Contents:
        """Return every array of numbers."""
        sparse = [node for node in tree if _is_sparse(node)]
        parts = {child for node in sparse for child in node.children.values()}
        arrays = [node for node in tree.datasets() if node not in parts and _is_signal(node)]
        serving = {one for node in arrays for axis in node.once(axes_of) if axis.speaks for one in _serving(axis)}
        arrays = [node for node in arrays if node not in serving]
        records = [node for node in tree.datasets() if fields.is_table(node)]
        signals = (*(declare(node, tree) for node in arrays), *(s for node in records for s in fields.columns(node)))
        return Contents(
            format="HDF5",
            signals=signals,
            tables=tuple(fields.table(node) for node in records),
            findings=tuple(map(_sparse, sparse)),
            reason=None if signals else _reason(tree, sparse),
        )


def _is_sparse(node: Node) -> bool:
    """Whether a group is a matrix that is stored by its nonzero values, as AnnData and 10x Genomics write them."""
    return {"data", "indices", "indptr"} <= set(node.children)


def _sparse(node: Node) -> str:
    shape = node.dataset("shape")
    declared = shape.read() if shape is not None and shape.is_numeric else np.ravel(np.asarray(node.attr("shape", ())))
    return (
        f"{node.path} is a sparse matrix of shape {tuple(declared.tolist())}, which is no recording; its values are in "
        f"{node.path}/data, their places in indices and indptr"
    )


def _reason(tree: Tree, sparse: list[Node]) -> str:
    datasets = tree.datasets()
    if sparse:
        return f"the file holds a sparse matrix ({sparse[0].path or '/'}), which is no recording"
    if not datasets:
        return f"no dataset can be read: {tree.findings[0]}" if tree.findings else "the file holds no datasets"
    return f"none of the {len(datasets)} datasets of the file is an array of numbers"


def _is_signal(node: Node) -> bool:
    """Whether a dataset is an array of more than one number and no clock or axis of another."""
    if not (node.is_numeric or pairs.is_complex(node)) or max(node.shape or (0,)) < 2:
        return False
    if node.text("CLASS") == "DIMENSION_SCALE":
        return False
    alone = node.holder is None or len(node.holder.children) < 2
    return alone or plain_name(node.name) not in TIMESTAMPS or len(node.shape or ()) != 1


def _serving(axis: Axis) -> list[Node]:
    """Return the arrays that hold an axis: its values, or the tie points of them."""
    scale = axis.scale
    if scale is None or scale.holder is None:
        return []
    tied = (scale.holder.dataset(f"{scale.name}_{end}") for end in tie_points.ENDS)
    bounds = scale.holder.once(_bounds) if BOUND.fullmatch(plain_name(scale.name)) else []
    return [scale, *(one for one in tied if one is not None), *(one for one in bounds if one.shape == scale.shape)]


def _bounds(group: Node) -> list[Node]:
    """Return the times in a group at which samples begin or end."""
    return [node for name, node in group.children.items() if node.is_dataset and BOUND.fullmatch(plain_name(name))]


def unsuitable(node: Node) -> str | None:
    """Return why a dataset cannot be opened as a recording, None if it can."""
    if not node.is_dataset:
        inside = [child.path for child in node.children.values()]
        return f"is a group that holds {', '.join(inside[:8]) or 'nothing'}"
    if node.shape is None:
        return "is empty (it has no values and no shape)"
    if 0 in node.shape:
        return f"is empty: its shape is {node.shape}"
    if node.dtype is not None and (node.dtype.kind in "SU" or h5py.check_string_dtype(node.dtype)):
        return "holds text, not numbers"
    if node.dtype is not None and node.dtype.names and not pairs.is_complex(node):
        return f"holds records with the fields {', '.join(node.dtype.names)}, not plain numbers"
    if node.dtype is None or (node.dtype.kind not in "iufcb" and not pairs.is_complex(node)):
        return f"holds values of dtype {node.dtype}, not numbers"
    return "is a single value, not an array" if not node.shape else None


def declare(node: Node, tree: Tree) -> Signal:
    """Return a dataset of numbers as a signal: time first, by the axes that the file names or by custom."""
    notes: list[Remark] = []
    axes = node.once(axes_of)
    for one, size in zip(axes, node.shape or (), strict=True):
        if one.misfit is not None:
            notes.append(f"the scale {one.misfit.path} of shape {one.misfit.shape} does not fit an axis of {size}")
    names = _names(axes, notes)
    along = _along(node, tree, axes, names)
    clock = _clock(node, tree, axes[along] if axes else Axis(), along, notes)
    if along not in names:
        which = "the first axis is" if along == 0 else f"axis {along}, by its length, is"
        notes.append(f"the file does not name the axes; {which} taken as time{'' if clock else ', without a clock'}")
        names |= {along: TIME} if TIME not in names.values() else {}
    dims = _dims(node, names, along)
    order = (along, *(axis for axis in range(len(dims)) if axis != along))
    raw_unit = node.unit or split_unit(node.name)[1]
    return Signal(
        path=node.path,
        values=pairs.values(node, scaling.cf_scale(node, notes), order=order if along else None),
        dims=tuple(dims[axis] for axis in order),
        kind="dataset",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=clock if dims[along] == TIME else None,
        coords=partial(_coords, dict(zip(dims, axes, strict=True)), node, dims, tree.parent(node)),
        attrs=_since(clock) | _began(axes[along] if axes else Axis(), tree.parent(node)),
        notes=tuple(notes),
    )


def _along(node: Node, tree: Tree, axes: tuple[Axis, ...], names: dict[int, str]) -> int:
    """Return the axis that is time: the one that is named so, has a clock, or is the first that has no other name."""
    named = [axis for axis, name in names.items() if name == TIME]
    if named or not names:
        return named[0] if named else _clocked_axis(node, tree)
    free = [axis for axis in range(len(axes)) if axis not in names]
    return free[0] if len(free) == 1 and _clock(node, tree, axes[free[0]], free[0], []) is not None else 0


def _names(axes: tuple[Axis, ...], notes: list[Remark]) -> dict[int, str]:
    """Return the names of the axes that the file names; the first that is called time, in a unit of time, is time."""
    names = {axis: one.label for axis, one in enumerate(axes) if one.name}
    for axis, one in enumerate(axes):
        named = one.is_time or (one.scale is not None and one.name == one.scale.name and _ends_in_time(one))
        if one.name and named and TIME not in names.values():
            if seconds_of(one) is None and one.scale is not None:
                notes.append(f"the axis {one.name} is in {unit_of(one.scale)!r}, no unit of time; there is no clock")
            names[axis] = TIME
    return names


def _ends_in_time(axis: Axis) -> bool:
    """Whether the row beside an array that names an axis holds times, as start_times does."""
    return (
        plain_name(axis.label).endswith(("time", "times", "timestamp", "timestamps")) and seconds_of(axis) is not None
    )


def _labels(data: Node, dims: tuple[str, ...], parent: Node, notes: list[str]) -> Coords:
    """Return the names of the channels, where one text for each lies beside the data."""
    if "channel" not in dims or parent.is_dataset:
        return {}
    size = (data.shape or ())[dims.index("channel")]
    for name, node in parent.children.items():
        if LABELS.search(plain_name(name)) and node.shape == (size,) and node.dtype is not None:
            if node.dtype.kind not in "SO" or h5py.check_ref_dtype(node.dtype):
                continue
            try:
                return {"channel": xr.Variable("channel", node.read().astype(str))}
            except DataError as error:
                notes.append(str(error))
    return {}


def _since(clock: Clock | None) -> dict[str, str]:
    """Return since when a clock of the CF conventions counts ("days since 2000-01-01")."""
    since = clock.node.text("units").partition(" since ")[2] if isinstance(clock, Timestamps) else ""
    return {"time_since": since} if since else {}


def _clocked_axis(node: Node, tree: Tree) -> int:
    """Return the axis that alone is as long as the time stamps beside it, where the first is not."""
    shape = node.shape or ()
    for child in _timestamps_of(node, tree):
        size = _size_of(child)
        if size not in shape[:1] and shape.count(size) == 1:
            return shape.index(size)
    wide = len(shape) == 2 and shape[1] >= WIDE * shape[0]
    return int(wide and (shape[1] >= LONG or _declared_rate(node, tree) is not None))


def _began(axis: Axis, parent: Node) -> dict[str, str]:
    """Return when the first sample was, where tie points say so."""
    start = tie_points.began(axis.scale.name, parent.children) if axis.scale is not None else ""
    return {"start": start} if start else {}


def _dims(node: Node, names: dict[int, str], along: int) -> tuple[str, ...]:
    """Return the names of the dims: the file's, else, where time alone has a name, what the others mostly are."""
    ndim = len(node.shape or ())
    guesses = iter(AXES.get(ndim, ()) if names.get(along) == TIME and len(names) == 1 else ())
    dims = [names[axis] if axis in names else next(guesses, f"dim_{axis}") for axis in range(ndim)]
    return tuple(f"{dim}_{axis}" if dims.count(dim) > 1 else dim for axis, dim in enumerate(dims))


def _clock(node: Node, tree: Tree, axis: Axis, along: int, notes: list[Remark]) -> Clock | None:
    """Return the clock of an axis: its time scale, a companion of time stamps, or a stated sampling rate."""
    size = (node.shape or (0,))[along]
    own = axis.scale if axis.speaks else None
    if own is not None and (tied := tie_points.regular(own.name, size, tree.parent(node).children)) is not None:
        notes.append("time counts from the first sample")
        return tied
    candidates = [own] if own is not None and _is_time(axis, own) else []
    companions = _timestamps_of(node, tree)
    candidates += [child for child in companions if _size_of(child) == size]
    for timestamps in candidates:
        unit = unit_of(timestamps) or split_name(axis.name)[1]
        seconds = seconds_per(unit) if unit else 1.0
        if set(timestamps.shape or ()) <= {1} and timestamps.shape != (size,) and seconds:
            step = timestamps.scalar()
            return Rate(1 / (step * seconds)) if isinstance(step, (int, float)) and step > 0 else None
        if _size_of(timestamps) != size:
            continue
        if seconds is None or (not unit and timestamps.dtype is not None and timestamps.dtype.kind in "iu"):
            notes.append(f"{timestamps.path} looks like the clock, but its unit {unit!r} is no unit of time")
            continue
        if not unit:
            notes.append(f"the clock {timestamps.path} states no unit; taken as seconds")
        return scaling.times(timestamps, seconds, notes)
    for child in companions:
        if abs(_size_of(child) - size) == 1 and size > 2:
            said = f"{child.path} has {_size_of(child)} stamps for {size} samples; it is not the clock"
            notes.append(Issue("clock_order", said, child.path))
    rate = _declared_rate(node, tree)
    return None if rate is None else Rate(rate)


def _is_time(axis: Axis, scale: Node) -> bool:
    if is_unwritten(scale):
        return False
    return (
        axis.is_time
        or plain_name(scale.name) in TIMESTAMPS
        or _ends_in_time(axis)
        or seconds_per(unit_of(scale)) is not None
    )


def _timestamps_of(node: Node, tree: Tree) -> list[Node]:
    """Return the rows of time stamps beside an array: called times, or the times of this array."""
    named = tree.parent(node).once(_timestamps)
    own = plain_name(node.name)
    known = (*sorted(TIMESTAMPS), *(own + timestamp for timestamp in sorted(TIMESTAMPS)))
    return [child for name in known for child in named.get(name, ()) if child is not node]


def _size_of(node: Node) -> int:
    """Return how many values a dataset has."""
    return prod(node.shape or (0,))


def _timestamps(group: Node) -> dict[str, list[Node]]:
    """Return the rows of numbers in a group whose names end in a word for times, by their bare names."""
    found: dict[str, list[Node]] = {}
    for name, child in group.children.items():
        bare = plain_name(name)
        # A row of stamps, or a matrix of one column or one row, as MATLAB writes them.
        if bare.endswith(tuple(TIMESTAMPS)) and child.is_numeric and _size_of(child) == max(child.shape or (0,)):
            found.setdefault(bare, []).append(child)
    return found


def _declared_rate(node: Node, tree: Tree) -> float | None:
    """Return the sampling rate that is stated nearby.

    In an attribute of the dataset, its group, a group beside that, or a group above; or as a number beside the data or
    in a group beside.
    """
    parent = tree.parent(node)
    above = tree.parent(parent)
    groups = above.once(_groups)
    siblings = [child for child in groups if child is not parent] if len(groups) <= FEW_GROUPS else []
    declared = (holder.once(_rate_of) for holder in (node, parent, *siblings, above, tree.root))
    inside = (group.once(_rate_in) for group in (parent, *siblings))
    stepped = (holder.once(_step_of) for holder in (node, parent))
    return next((rate for rate in chain(declared, inside, stepped) if rate is not None), None)


def _step_of(holder: Node) -> float | None:
    """Return one over the interval that an attribute states, in the unit at the end of its name, else in seconds."""
    for name in holder.attribute_names():
        label, unit = split_name(name)
        value = holder.number(name) if plain_name(label) in INTERVALS else None
        seconds = seconds_per(unit or "s")
        if value is not None and value > 0 and seconds:
            return 1 / (value * seconds)
    return None


def _groups(group: Node) -> list[Node]:
    return [child for child in group.children.values() if not child.is_dataset]


def _rate_of(holder: Node) -> float | None:
    """Return the rate that an attribute states."""
    rates = (holder.number(name) for name in holder.attribute_names() if _is_rate(name))
    return next((rate for rate in rates if rate is not None), None)


def _is_rate(name: str) -> bool:
    plain = plain_name(name)
    return plain in RATES or plain.endswith(LONGER)


def _rate_in(parent: Node) -> float | None:
    """Return the rate, or one over the interval in a unit of time, that a single number beside the data states."""
    for name, node in parent.children.items():
        rate, interval = _is_rate(name), plain_name(name) in INTERVALS
        value = single_number(node) if rate or interval else None
        if value is None or not value > 0:
            continue
        if rate:
            return value
        if seconds := seconds_per(node.text("units") or node.text("unit", "s")):
            return 1 / (value * seconds)
    return None


def _coords(axes: dict[str, Axis], data: Node, dims: tuple[str, ...], parent: Node, notes: list[str]) -> Coords:
    coords, remarks = _labels(data, dims, parent, notes), list[Remark]()
    for dim, axis in axes.items():
        scale, size = axis.scale, (data.shape or ())[dims.index(dim)]
        tied = tie_points.interpolated(scale.name, size, parent.children) if scale is not None else None
        if tied is not None and dim != TIME:
            coords[dim] = xr.Variable(dim, tied)
        if dim == TIME or scale is None or not is_real(scale) or is_unwritten(scale):
            continue
        unit = clean_unit(unit_of(scale) or split_name(axis.name)[1])
        try:
            if set(scale.shape or ()) <= {1} and size != 1:
                origin = parent.once(_offsets).get(bare(axis.name), 0.0)
                coords |= grid(dim, size, step=single_number(scale), start=origin, unit=unit)
                continue
            values, own = scale.read().ravel(), scaling.cf_scale(scale, remarks)
            values = values if own.identity or values.dtype.kind not in "iuf" else own.apply(values, (slice(None),))
            label = dim if axis.name else scale.name
            coords |= axis_coords(label, dim, values, size, {"units": unit} if unit else {}, dims)
        except DataError as error:
            notes.append(str(error))
    notes += map(str, remarks)
    return coords | {name: one for name, one in _auxiliary(axes, data, parent, notes).items() if name not in coords}


def _auxiliary(axes: dict[str, Axis], data: Node, parent: Node, notes: list[str]) -> Coords:
    """Return what the attribute `coordinates` of the CF conventions names: arrays along some of the dims."""
    coords: Coords = {}
    dims, shape = tuple(axes), data.shape or ()
    by_scale = {axis.scale: dim for dim, axis in axes.items() if axis.scale is not None}
    for name in data.text("coordinates").split():
        node = parent.dataset(name)
        if node is None or not is_real(node) or node is data or not node.shape:
            continue
        own = tuple(by_scale.get(scale, "") if scale is not None else "" for scale in node.scales())
        places = where_shape_fits(node.shape, shape)
        named = own if all(own) else tuple(dims[place] for place in places or ())
        if not named or node.read_error():
            notes.append(
                f"the coordinate {node.path} of shape {node.shape} does not fit {dims} of {shape}; it is left out"
            )
            continue
        unit = clean_unit(unit_of(node))
        label = coord_name(name, dims)
        coords[label] = xr.Variable(named, lazy(Stored(node.source())), {"units": unit} if unit else {})
    return coords


def _offsets(group: Node) -> dict[str, float]:
    """Return where axes begin whose pitch alone is stored, as numbers called after them state it (XOffset)."""
    named = {name: node for name, node in group.children.items() if bare(name).endswith("offset")}
    return {name.removesuffix("offset"): value for name, value in numbers(named).items()}
