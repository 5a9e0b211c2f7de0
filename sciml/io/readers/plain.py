"""Any other HDF5 file: every array of numbers by its path, with a clock where the file gives one."""

from __future__ import annotations

import re
from functools import partial
from itertools import chain

import h5py
import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema import fields, tie_points
from sciml.io.schema.axes import is_real
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled
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
TIMESTAMPS = {"time", "times", "timestamp", "timestamps", "t"}
INTERVALS = {"dt", "deltat", "samplinginterval", "sampleinterval", "samplingperiod", "timestep"}
AXES = {1: (), 2: ("channel",), 3: ("y", "x")}
# Attributes that scale values: of the CF conventions, and of HDF-EOS 5.
FACTORS, OFFSETS = ("scale_factor", "ScaleFactor"), ("add_offset", "Offset")
MISSING = ("_FillValue", "missing_value", "MissingValue")
LABELS = re.compile("channel|electrode|label|names|chan")  # what texts beside the data are called that name channels
WIDE = 16  # an array that is so many times wider than high, and has a rate or is long, holds one channel a row
LONG = 512
FEW_GROUPS = 9  # beside the group of an array, in which its rate is looked for
UNITS = ("units", "unit", "Units")


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
        arrays = [node for node in tree.datasets() if node not in parts and _is_signal(node, tree)]
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
        return "the file holds no datasets"
    return f"none of the {len(datasets)} datasets of the file is an array of numbers"


def _is_signal(node: Node, tree: Tree) -> bool:
    """Whether a dataset is an array of more than one number and no clock or axis of another."""
    if not node.is_numeric or max(node.shape or (0,)) < 2 or node.text("CLASS") == "DIMENSION_SCALE":
        return False
    return not (
        _plain_name(node.name) in TIMESTAMPS and len(node.shape or ()) == 1 and len(tree.parent(node).children) > 1
    )


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
    if node.dtype is not None and node.dtype.names:
        return f"holds records with the fields {', '.join(node.dtype.names)}, not plain numbers"
    if node.dtype is None or node.dtype.kind not in "iufcb":
        return f"holds values of dtype {node.dtype}, not numbers"
    return "is a single value, not an array" if not node.shape else None


def declare(node: Node, tree: Tree) -> Signal:
    """Return a dataset of numbers as a signal: time first, by its dimension scales or by the custom of most files."""
    names, scales = _named_axes(node)
    along = next((axis for axis, name in names.items() if name == TIME), _clocked_axis(node, tree) if not names else 0)
    clock, notes = _clock(node, tree, scales, along)
    # Of two axes, the one that is not time is that of the channels.
    others = {0: "channel"} if along == 1 and len(node.shape or ()) == 2 and not names else {}
    dims = _dims(node, names if along == 0 else {along: TIME, **others, **names})
    if along not in names:
        which = "the first axis is" if along == 0 else f"axis {along}, by its length, is"
        notes.append(f"the file does not name the axes; {which} taken as time{'' if clock else ', without a clock'}")
    order = (along, *(axis for axis in range(len(dims)) if axis != along))
    raw_unit = _first_text(node, UNITS)
    return Signal(
        path=node.path,
        values=scaled(node, _scale(node), order=order if along else None),
        dims=tuple(dims[axis] for axis in order),
        kind="dataset",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=clock if dims[along] == TIME else None,
        coords=partial(_coords, {dims[axis]: scale for axis, scale in scales.items()}, node, dims, tree.parent(node)),
        attrs=_since(clock),
        notes=tuple(notes),
    )


def _labels(data: Node, dims: tuple[str, ...], parent: Node, notes: list[str]) -> Coords:
    """Return the names of the channels, where one text for each lies beside the data."""
    if "channel" not in dims or parent.is_dataset:
        return {}
    size = (data.shape or ())[dims.index("channel")]
    for name, node in parent.children.items():
        if LABELS.search(_plain_name(name)) and node.shape == (size,) and node.dtype is not None:
            if node.dtype.kind not in "SO" or h5py.check_ref_dtype(node.dtype):
                continue
            try:
                return {"channel": xr.Variable("channel", node.read().astype(str))}
            except DataError as error:
                notes.append(str(error))
    return {}


def _first_text(node: Node, names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := node.text(name))), "")


def _first_number(node: Node, names: tuple[str, ...], default: float | None = None) -> float | None:
    return next((value for name in names if (value := node.number(name)) is not None), default)


def _since(clock: Clock | None) -> dict[str, str]:
    """Return since when a clock of the CF conventions counts ("days since 2000-01-01")."""
    since = clock.node.text("units").partition(" since ")[2] if isinstance(clock, Timestamps) else ""
    return {"time_since": since} if since else {}


def _clocked_axis(node: Node, tree: Tree) -> int:
    """Return the axis that alone is as long as the time stamps beside it, where the first is not."""
    shape = node.shape or ()
    for child in _timestamps_of(node, tree):
        size = (child.shape or (0,))[0]
        if size not in shape[:1] and shape.count(size) == 1:
            return shape.index(size)
    wide = len(shape) == 2 and shape[1] >= WIDE * shape[0]
    return int(wide and (shape[1] >= LONG or _declared_rate(node, tree) is not None))


def _scale(node: Node) -> Scale:
    """Return the scaling of the CF conventions: stored * scale_factor + add_offset, _FillValue as NaN.

    HDF-EOS 5 spells them ScaleFactor, Offset and MissingValue.
    """
    factor, offset = _first_number(node, FACTORS, 1.0), _first_number(node, OFFSETS, 0.0)
    missing = _first_number(node, MISSING)
    return Scale(1.0 if factor is None else factor, offset or 0.0, missing=missing)


def _dims(node: Node, names: dict[int, str]) -> tuple[str, ...]:
    ndim = len(node.shape or ())
    rest = AXES.get(ndim, tuple(f"dim_{axis}" for axis in range(1, ndim)))
    guesses = ("dim_0" if TIME in names.values() else TIME, *rest)
    dims = tuple(names.get(axis, guess) for axis, guess in enumerate(guesses))
    return tuple(f"{dim}_{axis}" if dims.count(dim) > 1 else dim for axis, dim in enumerate(dims))


def _named_axes(node: Node) -> tuple[dict[int, str], dict[int, Node]]:
    """Return the names of the axes and their scales, as far as HDF5 dimension scales give them."""
    scales = {axis: scale for axis, scale in enumerate(node.scales()) if scale is not None}
    names = {axis: scale.name for axis, scale in scales.items()}
    for axis, scale in scales.items():
        if _plain_name(scale.name) in TIMESTAMPS and TIME not in names.values():
            names[axis] = TIME
    return names, scales


def _clock(node: Node, tree: Tree, scales: dict[int, Node], along: int) -> tuple[Clock | None, list[str]]:
    """Return the clock of an axis: its time scale, a companion of time stamps, or a stated sampling rate."""
    size = (node.shape or (0,))[along]
    siblings = [child for child in _timestamps_of(node, tree) if child.shape == (size,)]
    own = [scale for axis, scale in scales.items() if axis == along]
    candidates = [scale for scale in own if _is_time(scale)] + siblings
    notes: list[str] = []
    if own and (tied := tie_points.regular(own[0].name, size, tree.parent(node).children)) is not None:
        return tied, ["time counts from the first sample"]
    for timestamps in candidates:
        if timestamps.shape != (size,):
            continue
        unit = timestamps.text("units") or timestamps.text("unit")
        seconds = seconds_per(unit) if unit else 1.0
        if seconds is None or (not unit and timestamps.dtype is not None and timestamps.dtype.kind in "iu"):
            notes.append(f"{timestamps.path} looks like the clock, but its unit {unit!r} is no unit of time")
            continue
        if not unit:
            notes.append(f"the clock {timestamps.path} states no unit; taken as seconds")
        return Timestamps(timestamps, seconds), notes
    rate = _declared_rate(node, tree)
    return (None if rate is None else Rate(rate)), notes


def _is_unwritten(scale: Node) -> bool:
    """Whether a dimension scale is one of netCDF that marks a dim without values, which it says in its name."""
    return "netCDF dimension" in scale.text("NAME")


def _is_time(scale: Node) -> bool:
    if _is_unwritten(scale):
        return False
    return _plain_name(scale.name) in TIMESTAMPS or seconds_per(scale.text("units")) is not None


def _timestamps_of(node: Node, tree: Tree) -> list[Node]:
    """Return the rows of time stamps beside an array: called times, or the times of this array."""
    named = tree.parent(node).once(_timestamps)
    own = _plain_name(node.name)
    known = (*sorted(TIMESTAMPS), *(own + timestamp for timestamp in sorted(TIMESTAMPS)))
    return [child for name in known for child in named.get(name, ()) if child is not node]


def _timestamps(group: Node) -> dict[str, list[Node]]:
    """Return the rows of numbers in a group whose names end in a word for times, by their bare names."""
    found: dict[str, list[Node]] = {}
    for name, child in group.children.items():
        bare = _plain_name(name)
        if bare.endswith(tuple(TIMESTAMPS)) and child.is_numeric and len(child.shape or ()) == 1:
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
    return next((rate for rate in chain(declared, inside) if rate is not None), None)


def _groups(group: Node) -> list[Node]:
    return [child for child in group.children.values() if not child.is_dataset]


def _rate_of(holder: Node) -> float | None:
    """Return the rate that an attribute states."""
    rates = (holder.number(name) for name in holder.attribute_names() if _is_rate(name))
    return next((rate for rate in rates if rate is not None), None)


def _is_rate(name: str) -> bool:
    plain = _plain_name(name)
    return plain in RATES or plain.endswith(LONGER)


def _rate_in(parent: Node) -> float | None:
    """Return the rate, or one over the interval in a unit of time, that a single number beside the data states."""
    for name, node in parent.children.items():
        declared = _is_rate(name) or _plain_name(name) in INTERVALS
        if not declared or not is_real(node) or set(node.shape or ()) - {1}:
            continue
        value = node.scalar()
        if not isinstance(value, (int, float)) or not value > 0:
            continue
        if _is_rate(name):
            return float(value)
        if _plain_name(name) in INTERVALS and (seconds := seconds_per(node.text("units") or node.text("unit", "s"))):
            return 1 / (value * seconds)
    return None


def _plain_name(name: str) -> str:
    """Return a name without case, punctuation and a unit of hertz: "SamplingFrequency[Hz]" as "samplingfrequency"."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[\[(]?hz[\])]?$", "", name.strip().lower()))


def _coords(scales: dict[str, Node], data: Node, dims: tuple[str, ...], parent: Node, notes: list[str]) -> Coords:
    coords = _labels(data, dims, parent, notes)
    for dim, scale in scales.items():
        tied = tie_points.interpolated(scale.name, data.shape[dims.index(dim)], parent.children) if data.shape else None
        if tied is not None and dim != TIME:
            coords[dim] = xr.Variable(dim, tied)
        if dim == TIME or not scale.is_numeric or len(scale.shape or ()) != 1 or _is_unwritten(scale):
            continue
        unit = clean_unit(scale.text("units"))
        try:
            values, own = scale.read(), _scale(scale)
            values = values if own.identity or values.dtype.kind not in "iuf" else own.apply(values, (slice(None),))
            coords[dim] = xr.Variable(dim, values, {"units": unit} if unit else {})
        except DataError as error:
            notes.append(str(error))
    return coords
