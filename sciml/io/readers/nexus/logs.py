"""What NeXus keeps beside the plots: logs of the sample and the instrument, and the columns that a scan measured."""

from __future__ import annotations

from functools import partial

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import columns
from sciml.io.schema.clock import Clock, Timestamps
from sciml.io.schema.declarations import Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["logs", "measured"]

CLOCKS = ("epoch", "elapsed_time")  # columns of a scan that say when its points were measured


def logs(tree: Tree, findings: list[str]) -> list[Signal]:
    """Return every NXlog of more than one value on its own clock, in seconds from its `start`."""
    found = []
    for group in tree:
        if group.text("NX_class") != "NXlog" or group.is_dataset:
            continue
        data = group.dataset("value") or group.dataset("raw_value")
        if data is None or not data.is_numeric or (data.shape or (0,))[0] < 2:
            continue
        clock, note = _clock(group, data)
        if note:
            findings.append(note)
        found.append(_log(group, data, clock))
    return found


def _clock(group: Node, data: Node) -> tuple[Clock | None, str | None]:
    """Return the times of a log: in their unit, times their scaling factor."""
    times = group.dataset("time")
    if times is None:
        return None, f"{group.path}: the log states no times"
    unit = times.unit
    seconds = seconds_per(unit) if unit else 1.0
    if seconds is None or times.shape != (data.shape or ())[:1]:
        return None, (
            f"{times.path} of shape {times.shape} in {unit!r}: expected times of {(data.shape or (0,))[0]} values"
        )
    return Timestamps(times, seconds * (times.number("scaling_factor") or 1.0)), None


def _log(group: Node, data: Node, clock: Clock | None) -> Signal:
    raw_unit = data.unit
    times = group.dataset("time")
    start = times.text("start") or times.text("offset") if times is not None else ""
    rest = tuple(f"dim_{axis}" for axis in range(1, len(data.shape or ())))
    return Signal(
        path=group.path,
        values=scaled(data, Scale()),
        dims=(TIME if clock else "sample", *(("channel",) if len(rest) == 1 else rest)),
        kind="NXlog",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=clock,
        attrs={"start": start} if start else {},
        stack="log",
    )


def measured(tree: Tree) -> list[Signal]:
    """Return the columns of the scans of the ESRF: the arrays in <scan>/measurement, one value or image a point."""
    found = []
    for entry in tree.root.children.values():
        group = entry.child("measurement")
        if group is None or group.is_dataset:
            continue
        arrays = {name: node for name, node in group.children.items() if node.is_numeric}
        sizes = [(node.shape or (0,))[0] for node in arrays.values()]
        points = max(set(sizes), key=sizes.count, default=0)
        whole = [node for node in arrays.values() if (node.shape or (0,))[0] == points > 1]
        found += [_column(node, arrays) for node in whole]
    return found


def _column(data: Node, siblings: dict[str, Node]) -> Signal:
    raw_unit = data.unit
    rank = len(data.shape or ())
    rest = {1: (), 2: ("channel",), 3: ("y", "x")}.get(rank, tuple(f"dim_{axis}" for axis in range(1, rank)))
    return Signal(
        path=data.path,
        values=scaled(data, Scale()),
        dims=("frame", *rest),
        kind="measurement",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_when, data, siblings),
        stack="column",
    )


def _when(data: Node, siblings: dict[str, Node], notes: list[str]) -> Coords:
    """Return when each point was measured, where the scan counts that too."""
    named = {name: node for name, node in siblings.items() if name in CLOCKS and node is not data}
    try:
        coords = columns(named, "frame", (data.shape or (0,))[0], notes, dims=("frame", "y", "x"))
    except DataError as error:
        notes.append(str(error))
        return {}
    return {name: xr.Variable(one.dims, one.values, {"units": "s", **one.attrs}) for name, one in coords.items()}
