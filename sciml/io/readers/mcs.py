"""Multi Channel Systems: electrode arrays recorded with Multi Channel Experimenter, exported as MCS-HDF5.

Tried on a real file (protocol version 1); versions 2 and 3 have the same layout.

References
----------
Multi Channel Systems MCS GmbH, MCS-HDF5 protocol (HDF5 RawData), versions 1 to 3: streams of a recording, InfoChannel
with value = (raw - ADZero) * ConversionFactor * 10**Exponent in Unit, times in microseconds.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Clock, Rate, segmented
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.records import Columns, along, records
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Mcs"]

MICROSECOND = 1e-6
CONVERSION = ("ADZero", "ConversionFactor", "Exponent", "Unit", "RowIndex", "Tick", "RawDataType")
META = {"Date": "start", "ProgramName": "program", "MeaName": "instrument", "Comment": "description"}
NO_SOURCE = "00000000-0000-0000-0000-000000000000"


class Mcs:
    """The reader of MCS-HDF5."""

    name = "mcs"

    def sniff(self, tree: Tree) -> int:
        """Look for the protocol that MCS writes at the root, and for its streams."""
        return 100 if tree.root.attr("McsHdf5ProtocolType") is not None and tree.root.child("Data") else 0

    def scan(self, tree: Tree) -> Contents:
        """Return analog streams, cut-outs of spikes, and the tables of events."""
        signals: list[Signal] = []
        tables: list[Table] = []
        findings: list[str] = []
        for group in tree:
            try:
                if group.dataset("ChannelData") is not None:
                    signals.append(_stream(group))
                elif "SegmentStream" in group.path.split("/"):
                    signals.extend(_cutouts(group))
                tables.extend(_events(group))
            except DataError as error:
                findings.append(str(error))
        session = tree.root.children["Data"]
        declared = {label: session.text(name) for name, label in META.items()}
        return Contents(
            format=f"MCS-HDF5 {tree.root.text('McsHdf5ProtocolVersion')}".strip(),
            signals=tuple(signals),
            tables=tuple(tables),
            findings=tuple(findings),
            attrs={label: text for label, text in declared.items() if text},
            default=_unprocessed(signals, tree),
            reason=None if signals else "the file holds no analog stream",
        )


def _unprocessed(signals: list[Signal], tree: Tree) -> str | None:
    """Return the stream of the electrodes as they were digitized, if there is one."""
    paths = [signal.path for signal in signals if signal.kind == "Electrode"]
    groups = [tree.get(path) for path in paths]
    raw = [group.path for group in groups if group is not None and group.text("SourceStreamGUID") == NO_SOURCE]
    return raw[0] if len(raw) == 1 else None


def _stream(group: Node) -> Signal:
    data = group.children["ChannelData"]
    if not data.is_numeric or len(data.shape or ()) != 2:
        raise DataError(f"{data.path}: expected numbers of shape (channels, samples), got {data.shape} {data.dtype}")
    n_channels, n_samples = data.shape or (0, 0)
    notes: list[str] = []
    info = _channels(group.dataset("InfoChannel"), n_channels, notes)
    scale, unit = _scale(info, notes)
    return Signal(
        path=group.path,
        values=scaled(data, scale, order=(1, 0)),
        dims=(TIME, "channel"),
        kind=group.text("DataSubType", "analog"),
        unit=clean_unit(unit),
        raw_unit=unit,
        clock=_clock(group.dataset("ChannelDataTimeStamps"), info, n_samples, notes),
        coords=partial(_table, info),
        attrs={"description": group.text("Label")} if group.text("Label") else {},
        notes=tuple(notes),
    )


def _channels(node: Node | None, n_channels: int, notes: list[str]) -> Columns:
    """Return the description of the channels in the order of the rows of the data."""
    try:
        info = records(node)
    except DataError as error:
        notes.append(f"{error}; values are as stored")
        return {}
    rows = info.get("RowIndex", np.arange(n_channels))
    whole = all(len(cells) == n_channels for cells in info.values())
    if not info or not whole or sorted(rows.tolist()) != list(range(n_channels)):
        notes.append(f"InfoChannel does not describe the {n_channels} channels one by one; values are as stored")
        return {}
    order = np.argsort(rows)
    return {name: cells[order] for name, cells in info.items()}


def _scale(info: Columns, notes: list[str]) -> tuple[Scale, str]:
    """Return value = (raw - ADZero) * ConversionFactor * 10**Exponent; digital channels have the factor 0."""
    if any(info.get(name, np.array("")).dtype.kind not in "iuf" for name in ("ADZero", "ConversionFactor", "Exponent")):
        notes.append("the conversion of the channels is not stated; values are as stored")
        return Scale(), ""
    conversion = info["ConversionFactor"].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        factors = np.where(conversion == 0, 1.0, conversion * 10.0 ** info["Exponent"].astype(np.float64))
    if not np.isfinite(factors).all():
        notes.append("the conversion of the channels is no finite number; values are as stored")
        return Scale(), ""
    zeros, units = info["ADZero"].tolist(), sorted(set(info.get("Unit", np.array([""])).tolist()))
    if len(units) > 1:
        notes.append(f"the channels have different units ({', '.join(units)}); each is in its own")
    unit = str(units[0]) if len(units) == 1 else ""
    if len(set(factors.tolist())) == len(set(zeros)) == 1:
        return Scale(float(factors[0]), zero=zeros[0]), unit
    return Scale(per_channel=tuple(factors.tolist()), axis=0, zero=tuple(zeros)), unit


def _clock(timestamps: Node | None, info: Columns, n_samples: int, notes: list[str]) -> Clock | None:
    """Return the clock of the runs of samples: rows of first time stamp, first index, last index."""
    intervals = set(info.get("Tick", np.zeros(0)).tolist())
    if len(intervals) != 1 or not all(isinstance(interval, (int, float)) for interval in intervals):
        notes.append("the channels state no common sampling interval (Tick); no clock")
        return None
    interval = float(intervals.pop())
    rate = 1 / (interval * MICROSECOND) if interval else 0.0
    try:
        rows = _segment_rows(timestamps, n_samples)
    except DataError as error:
        notes.append(f"{error}; time is counted from the first sample")
        return Rate(rate)
    return segmented(rate, rows[:, 1].tolist(), (rows[:, 0] * MICROSECOND).tolist())


def _segment_rows(timestamps: Node | None, n_samples: int) -> NDArray[Any]:
    if (
        timestamps is None
        or not timestamps.is_numeric
        or len(timestamps.shape or ()) != 2
        or 3 not in (timestamps.shape or ())
    ):
        raise DataError("ChannelDataTimeStamps is not there, or not rows of three numbers")
    rows = timestamps.read()
    rows = rows if rows.shape[1] == 3 else rows.T
    if rows[0, 1] != 0 or rows[-1, 2] != n_samples - 1 or (rows[1:, 1] != rows[:-1, 2] + 1).any():
        raise DataError(f"{timestamps.path}: its runs do not cover the {n_samples} samples one after the other")
    return rows


def _table(info: Columns, _notes: list[str]) -> Coords:
    return along("channel", {name: cells for name, cells in info.items() if name not in CONVERSION})


def _cutouts(group: Node) -> list[Signal]:
    """Return the cut-outs around spikes, (event, sample), one signal a source."""
    source = records(group.dataset("SourceInfoChannel"))
    found = []
    for name, data in group.children.items():
        number = name.removeprefix("SegmentData_")
        if not number.isdecimal() or not data.is_numeric or len(data.shape or ()) != 2:
            continue
        notes: list[str] = []
        channel = data.number("SourceChannelID", float(number))
        chosen = source.get("ChannelID", np.zeros(0)) == channel
        scale, unit = _scale({key: cells[chosen] for key, cells in source.items()} if chosen.any() else {}, notes)
        times = group.dataset(f"SegmentData_ts_{number}")
        found.append(
            Signal(
                path=data.path,
                values=scaled(data, scale, order=(1, 0)),
                dims=("event", "sample"),
                kind="cut-outs",
                unit=clean_unit(unit),
                raw_unit=unit,
                coords=partial(_event_times, times, (data.shape or (0, 0))[1]),
                notes=tuple(notes),
            )
        )
    return found


def _event_times(times: Node | None, size: int, notes: list[str]) -> Coords:
    try:
        starts = _microseconds(times)[0]
    except DataError as error:
        notes.append(str(error))
        return {}
    if starts.shape != (size,):
        notes.append(f"{starts.size} times for {size} cut-outs; they are left out")
        return {}
    return {"start_time": xr.Variable("event", starts, {"units": "s"})}


def _microseconds(node: Node | None) -> NDArray[np.float64]:
    if node is None or not node.is_numeric or len(node.shape or ()) != 2:
        raise DataError("the times of the events are not there, or not rows of numbers")
    return np.asarray(node.read() * MICROSECOND, dtype=np.float64)


def _events(group: Node) -> list[Table]:
    """Return tables of digital events (row of times, row of durations) and of spikes (row of times)."""
    found = []
    for name, node in group.children.items():
        if name.startswith(("EventEntity_", "TimeStampEntity_")) and node.is_numeric and len(node.shape or ()) == 2:
            columns = ("start_time", "stop_time")
            found.append(Table(node.path, (node.shape or (0, 0))[1], columns, partial(_intervals, node)))
    return found


def _intervals(node: Node) -> xr.Dataset:
    times = _microseconds(node)
    stops = times[0] + times[1] if node.name.startswith("EventEntity_") and len(times) > 1 else times[0]
    attributes = {"units": "s"}
    return xr.Dataset(
        {
            "start_time": xr.Variable("event", times[0], attributes),
            "stop_time": xr.Variable("event", stops, attributes),
        },
        attrs={"table": node.path},
    )
