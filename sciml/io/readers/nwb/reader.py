"""Neurodata Without Borders 2: time series of every kind by their layout, with tables, units and clocks.

References
----------
NWB schema 2.x, https://nwb-schema.readthedocs.io (TimeSeries, ElectricalSeries, RoiResponseSeries, DynamicTable);
Ruebel et al. 2022, eLife 11:e78362, https://doi.org/10.7554/eLife.78362.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Computed, Scale, lazy
from sciml.io.hdf5.issues import Issue, Remark
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.nwb import sweeps, units
from sciml.io.readers.nwb.masks import footprints
from sciml.io.schema import scaling, tables
from sciml.io.schema.axes import is_real
from sciml.io.schema.clock import EAGER, Clock, Rate, Timestamps, time_axis_of
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.values import scaled, with_order
from sciml.recording import TIME

__all__ = ["Nwb"]

# The names of the axes after time, by type; what is not here is "channel", then numbered.
AXES = {
    "ElectricalSeries": ("channel",),
    "SpikeEventSeries": ("channel", "sample"),
    "RoiResponseSeries": ("roi",),
    "DecompositionSeries": ("channel", "band"),
    "ImageSeries": ("y", "x", "z"),
    "TwoPhotonSeries": ("y", "x", "z"),
    "OnePhotonSeries": ("y", "x", "z"),
    "ImageMaskSeries": ("y", "x", "z"),
    "OpticalSeries": ("y", "x", "z"),
}
# What a series among equal ones is: one neuron, as imaging laboratories store single traces, or one sweep.
STACKS = {
    "TimeSeries": "roi",
    "RoiResponseSeries": "roi",
    "CurrentClampSeries": "trial",
    "VoltageClampSeries": "trial",
    "CurrentClampStimulusSeries": "trial",
    "VoltageClampStimulusSeries": "trial",
    "IZeroClampSeries": "trial",
}
REGIONS = {"electrodes": "channel", "rois": "roi", "source_channels": "channel"}
UNITS = {"ElectricalSeries": "volts", "SpikeEventSeries": "volts", "CurrentClampSeries": "volts"}
INVALID = "intervals/invalid_times"
IMAGES = ("GrayscaleImage", "RGBImage", "RGBAImage", "Image")


class Nwb:
    """The reader of NWB 2 files; it names NWB 1 files, which have another layout."""

    name = "nwb"

    def sniff(self, tree: Tree) -> int:
        """Look for the version and type that NWB writes at the root."""
        if tree.root.text("neurodata_type") == "NWBFile" or tree.root.attr("nwb_version") is not None:
            return 100
        return 90 if tree.root.dataset("nwb_version") is not None else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the time series and tables of the session."""
        if tree.root.attr("nwb_version") is None and (declared := tree.root.dataset("nwb_version")) is not None:
            return _version_1(str(declared.scalar("1")))
        findings: list[str] = []
        signals: list[Signal] = []
        by_path = sweeps.sweeps(tree, findings)
        for node in tree:
            if node.path.startswith("specifications") or _is_annotation(node):
                continue
            try:
                signals += _signals(node, tree, findings)
            except DataError as error:
                findings.append(str(error))
        signals = [replace(one, attrs={**one.attrs, **by_path.get(one.path, {})}) for one in signals]
        return Contents(
            format=f"NWB {tree.root.text('nwb_version', '2')}",
            signals=tuple(signals),
            tables=tuple(_tables_of(tree)),
            findings=(
                *findings,
                *(found for node in tree if tables.is_table(node) for found in tables.overruns(node)),
            ),
            attrs=_session(tree),
            default=_default(signals),
            reason=None if signals else _reason(),
        )


def _signals(node: Node, tree: Tree, findings: list[str]) -> list[Signal]:
    """Return what of a node is a signal: a series, the footprints of ROIs, the spikes of units, a single image."""
    if _is_series(node):
        return [_series(node, tree)]
    if tables.is_table(node):
        return [*footprints(node, tree, findings), *units.signals(node, tree, findings)]
    if node.is_numeric and node.text("neurodata_type") in IMAGES and len(node.shape or ()) in (2, 3):
        dims = ("y", "x", "channel")[: len(node.shape or ())]
        return [Signal(path=node.path, values=scaled(node), dims=dims, kind=node.text("neurodata_type"))]
    return []


def _default(signals: list[Signal]) -> str | None:
    """Return the only series; without any, the spikes of the sorted units in bins."""
    clocked = [signal for signal in signals if signal.clock is not None and 0 not in signal.shape]
    series = [signal for signal in clocked if signal.kind != "spike counts"] or clocked
    return series[0].path if len(series) == 1 else None


def _version_1(version: str) -> Contents:
    reason = (
        f"this is NWB {version.removeprefix('NWB-')}; the layout of version 1 differs from that of version 2, which "
        "sciml reads: convert the file, or open a dataset of it by its path"
    )
    return Contents(format=f"NWB {version.removeprefix('NWB-')}", reason=reason)


def _reason() -> str:
    return "the file holds no time series: no group with data and either starting_time or timestamps."


def _session(tree: Tree) -> dict[str, str]:
    found = {}
    for label, path in (
        ("start", "session_start_time"),
        ("reference", "timestamps_reference_time"),
        ("description", "session_description"),
        ("identifier", "identifier"),
        ("session", "general/session_id"),
        ("institution", "general/institution"),
        ("lab", "general/lab"),
        ("subject", "general/subject/subject_id"),
        ("species", "general/subject/species"),
    ):
        node = tree.get(path)
        if node is not None and node.is_dataset and (value := node.scalar()):
            found[label] = str(value)
    devices = tree.get("general/devices")
    if devices is not None and devices.children:
        found["instrument"] = ", ".join(devices.children)
    return found


def _is_annotation(node: Node) -> bool:
    """Whether a group is a series of words, or of moments alone: a table of events, not a signal."""
    if node.is_dataset or node.dataset("timestamps") is None or tables.is_table(node):
        return False
    data = node.dataset("data")
    words = data is not None and data.dtype is not None and data.dtype.kind in "SO" and len(data.shape or ()) == 1
    moments = data is None and node.text("neurodata_type").endswith("Events")
    return words or moments


def _is_series(node: Node) -> bool:
    """Whether a group has the layout of a time series; extension types inherit it."""
    if node.is_dataset or node.path.startswith("specifications"):
        return False
    clocked = "starting_time" in node.children or "timestamps" in node.children
    return "data" in node.children and (clocked or node.text("neurodata_type").endswith("Series"))


def _series(group: Node, tree: Tree) -> Signal:
    kind = group.text("neurodata_type", "TimeSeries")
    data = group.dataset("data")
    if data is None or data.shape is None:
        raise DataError(f"{group.path}: its data is no array and cannot be opened")
    if not data.is_numeric and not _is_empty(data):
        raise DataError(f"{group.path}: {_no_numbers(group, data)}")
    raw_unit, notes = data.text("unit", UNITS.get(kind, "")), list[Remark]()
    scale = _scale(group, data, notes)
    notes += _notes(group, data, kind, raw_unit)
    notes += [f"it is empty: its data has the shape {data.shape}"] if _is_empty(data) else []
    if scale is None:
        notes.append(f"the values are as stored, in no unit: not in {raw_unit or 'that of the series'}")
        raw_unit = ""
    signal = Signal(
        path=group.path,
        values=scaled(data, scale),
        dims=_dims(kind, len(data.shape)),
        kind=kind,
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=_clock(group),
        attrs=_remarks(group) | sweeps.settings(group),
        notes=tuple(notes),
        stack=STACKS.get(kind, "channel"),
        problem=_uneven_gains(group, data),
    )
    signal = _oriented(signal, group)
    misfits = (tables.region_misfit(region, dim, size, tree) for region, dim, size in _regions(group, signal))
    notes = [*signal.notes, *(misfit for misfit in misfits if misfit is not None)]
    return replace(signal, coords=partial(_coords, group, signal, tree), notes=tuple(notes))


def _is_empty(data: Node) -> bool:
    """Whether an array of numbers never got a sample: it opens as such, its other sizes known."""
    shape = data.shape or (1,)
    return bool(data.dtype is not None and data.dtype.kind in "iufcb" and shape[0] == 0 and 0 not in shape[1:])


def _no_numbers(group: Node, data: Node) -> str:
    if group.dataset("external_file") is not None:
        return "its frames lie in external files (external_file), which sciml does not read"
    if data.shape is not None and 0 in data.shape:
        return f"its data is empty, shape {data.shape}"
    if data.shape == ():
        return "its data is a single value"
    return f"its data is of dtype {data.dtype}, no numbers"


def _dims(kind: str, ndim: int) -> tuple[str, ...]:
    names = AXES.get(kind, ("channel",))
    return (TIME, *(names[axis] if axis < len(names) else f"dim_{axis + 1}" for axis in range(ndim - 1)))


def _clock(group: Node) -> Clock | None:
    start = group.dataset("starting_time")
    if start is not None:
        rate = start.number("rate")
        origin = start.scalar(float("nan"))
        return Rate(float("nan") if rate is None else rate, float(origin) if isinstance(origin, (int, float)) else 0.0)
    timestamps = group.dataset("timestamps")
    return Timestamps(timestamps) if timestamps is not None else None


def _scale(group: Node, data: Node, notes: list[Remark]) -> Scale | None:
    """Value = data * conversion * channel_conversion + offset; None where one of them is no usable number."""
    conversion, offset = scaling.factor(data, "conversion", notes), scaling.offset(data, "offset", notes)
    gains = group.dataset("channel_conversion")
    axis = int((gains.number("axis", 1.0) if gains is not None else None) or 1)
    per_channel = None
    if gains is not None and is_real(gains):
        per_channel = scaling.per_channel(gains.read().ravel().tolist(), "channel_conversion", group.path, notes)
    elif gains is not None:
        notes.append(Issue("not_applied", f"its channel_conversion holds {gains.dtype}, no numbers", group.path))
    if not (isfinite(conversion) and isfinite(offset)) or (gains is not None and per_channel is None):
        return None
    return Scale(conversion, offset, per_channel, axis)


def _uneven_gains(group: Node, data: Node) -> str | None:
    gains = group.dataset("channel_conversion")
    if gains is None or gains.shape is None or data.shape is None:
        return None
    axis = int(gains.number("axis", 1.0) or 1)
    # A row, or a matrix of one column or one row, as MATLAB writes them.
    if 0 <= axis < len(data.shape) and prod(gains.shape) == max(gains.shape, default=0) == data.shape[axis]:
        return None
    return f"its channel_conversion has shape {gains.shape} for axis {axis} of data of shape {data.shape}"


def _remarks(group: Node) -> dict[str, Any]:
    """Return what the file says of a series in words."""
    named = ("description", "comments", "stimulus_description", "sweep_number", "filtering")
    found = {name: group.attr(name) for name in named}
    return {name: value for name, value in found.items() if isinstance(value, (str, int, float)) and value != ""}


def _notes(group: Node, data: Node, kind: str, raw_unit: str) -> list[Remark]:
    notes: list[Remark] = []
    counts = data.dtype is not None and data.dtype.kind in "iu" and raw_unit in ("volts", "V", "amperes", "A")
    if counts and data.number("conversion", 1.0) == 1.0 and group.dataset("channel_conversion") is None:
        counted = f"integers with conversion 1 in {raw_unit} are almost surely uncalibrated counts"
        notes.append(Issue("uncalibrated_integers", counted))
    declared = [name for name in ("starting_time", "timestamps") if group.dataset(name) is not None]
    if not declared and (data.shape or (0,))[0] > 1 and not _is_empty(data):
        notes.append("it states neither starting_time nor timestamps; there is no clock")
    if len(declared) == 2:
        notes.append("it states both starting_time and timestamps; the clock is that of starting_time")
    if AXES.get(kind, ())[:2] == ("y", "x"):
        notes.append("writers of NWB disagree whether images are stored (y, x) or (x, y); taken as (y, x)")
    return notes


def _oriented(signal: Signal, group: Node) -> Signal:
    """Return the signal with time first, where its clock or its ROIs show that it was stored the other way round."""
    shape = signal.data.shape or ()
    if len(shape) != 2 or shape[0] == shape[1]:
        return signal
    if isinstance(signal.clock, Timestamps):
        swapped = signal.clock.node.shape == (shape[1],)
    else:
        rois = group.dataset("rois")
        swapped = rois is not None and rois.shape == (shape[0],)
    if not swapped:
        return signal
    note = f"stored as ({signal.dims[1]}, time) in conflict with the schema; presented with time first"
    return replace(signal, values=with_order(signal.values, (1, 0)), notes=(*signal.notes, note))


def _regions(group: Node, signal: Signal) -> list[tuple[Node, str, int]]:
    """Return what names rows of tables for the places along a dim, with the dim and its size."""
    sizes = dict(zip(signal.dims, signal.shape, strict=True))
    named = ((group.dataset(name), dim) for name, dim in REGIONS.items() if dim in sizes)
    return [(region, dim, sizes[dim]) for region, dim in named if region is not None]


def _coords(group: Node, signal: Signal, tree: Tree, notes: list[str]) -> Coords:
    coords: Coords = {}
    for region, dim, size in _regions(group, signal):
        coords |= tables.rows_along(region, dim, size, tree, notes)
    coords |= _axis_names(group, signal, tree, notes)
    control = group.dataset("control")
    if control is not None and control.is_numeric and control.shape == signal.shape[:1]:
        described = group.dataset("control_description")
        attributes = {"flags": described.read().tolist()} if described is not None else {}
        coords["control"] = xr.Variable(TIME, control.read(), attributes)
    invalid = tree.get(INVALID)
    if invalid is not None and signal.clock is not None:
        coords |= _invalid_times(invalid, signal, tree, notes)
    return coords


def _axis_names(group: Node, signal: Signal, tree: Tree, notes: list[str]) -> Coords:
    """Return what the columns are: the bands of a decomposition, named features, the axes of a position."""
    sizes = dict(zip(signal.dims, signal.shape, strict=True))
    bands = group.child("bands")
    if bands is not None and "band" in sizes:
        return tables.table_along(bands, "band", sizes["band"], tree, notes)
    coords: Coords = {}
    for name, label in (("features", "channel"), ("feature_units", "feature_units")):
        node = group.dataset(name)
        if node is not None and node.shape == (sizes.get("channel"),) and not node.read_error():
            coords[label] = xr.Variable("channel", node.read())
    if signal.kind == "SpatialSeries" and sizes.get("channel") in (2, 3):
        coords["channel"] = xr.Variable("channel", np.array(list("xyz"[: sizes["channel"]])))
    return coords


@dataclass(frozen=True)
class _Within:
    """Whether the sample at a position lies in one of the intervals, given the time coordinate."""

    time: xr.Variable
    starts: NDArray[np.float64]
    stops: NDArray[np.float64]

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        times = self.time[{TIME: positions}].values
        inside = np.zeros(times.shape, dtype=bool)
        for start, stop in zip(self.starts, self.stops, strict=True):
            inside |= (times >= start) & (times <= stop)
        return inside


def _invalid_times(table: Node, signal: Signal, tree: Tree, notes: list[str]) -> Coords:
    try:
        rows = tables.to_events(table, tree)
        clock = time_axis_of(signal.clock, signal.shape[0]).variable if signal.clock else None
    except DataError as error:
        notes.append(f"{INVALID} cannot be read and masks nothing: {error}")
        return {}
    if clock is None:
        return {}
    inside = _Within(clock, rows["start_time"].values, rows["stop_time"].values)
    size = signal.shape[0]
    values: Any = inside(np.arange(size)) if size <= EAGER else lazy(Computed(inside, size, bool))
    return {"mask": xr.Variable(TIME, values, {"flags": ["invalid_times"]})}


def _tables_of(tree: Tree) -> list[Table]:
    found: list[Table] = []
    for node in tree:
        if node.path.startswith("specifications"):
            continue
        if _is_annotation(node):
            rows = (node.children["timestamps"].shape or (0,))[0]
            found.append(Table(node.path, rows, ("start_time", "stop_time", "label"), partial(_annotations, node)))
        if not tables.is_table(node):
            continue
        events = partial(tables.to_events, node, tree) if tables.is_timed(node) else None
        found.append(Table(node.path, tables.row_count(node), tables.column_names(node), events))
        found.extend(units.trains(node, tree))
    return found


def _annotations(node: Node) -> xr.Dataset:
    """Return words, or moments alone, as events without duration."""
    times = np.asarray(node.children["timestamps"].read(), dtype=np.float64)
    found = {name: xr.Variable("event", times, {"units": "s"}) for name in ("start_time", "stop_time")}
    data = node.dataset("data")
    if data is not None:
        found["label"] = xr.Variable("event", data.read().astype(str))
    return xr.Dataset(found, attrs={"table": node.path})
