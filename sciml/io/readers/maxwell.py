"""MaxWell Biosystems MaxOne and MaxTwo: raw traces of routed electrodes, in both layouts, and detected spikes.

Written to the specification; not tried on real files. Traces are mostly compressed with a filter of the maker, which
must be installed to read them; everything else can be read without it.

References
----------
MaxWell Biosystems, MaxLab Live recording files: layout of 2016-07-04 (sig, mapping, settings) and later ones (wells or
data_store, with groups/<name>/raw, channels, frame_nos and settings/{lsb, sampling, mapping}).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.records import Columns, along, fields, records
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["MaxWell"]

OLD_RATE = 20_000.0  # Hz; the layout of 2016 states none
OLD_GAIN = 512.0
RANGE, STEPS = 3.3, 1024  # volts and steps of the converter
PLUGIN = (
    "MaxWell's own compression is not installed: get their HDF5 plugin (libcompression, part of MaxLab Live) and set "
    "HDF5_PLUGIN_PATH to its folder before Python starts"
)


class MaxWell:
    """The reader of MaxOne and MaxTwo files."""

    name = "maxwell"

    def sniff(self, tree: Tree) -> int:
        """Look for traces beside the mapping from channels to electrodes."""
        return 95 if _traces(tree) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the traces of each well and recording, and the table of spikes that the recorder detected."""
        signals = [_signal(*found) for found in _traces(tree)]
        spikes = [(node, settings) for node, settings in _spike_tables(tree) if node.shape]
        version = tree.root.dataset("version")
        return Contents(
            format="MaxWell" if version is None else f"MaxWell {version.scalar('')}",
            signals=tuple(signals),
            tables=tuple(_spikes(node, settings, tree) for node, settings in spikes),
            attrs={"instrument": "MaxWell Biosystems"},
        )


def _traces(tree: Tree) -> list[tuple[Node, Node, Node, Node | None]]:
    """Return traces with their settings, their mapping, and the group of channels that was routed (None: all)."""
    found: list[tuple[Node, Node, Node, Node | None]] = []
    old, mapping = tree.root.dataset("sig"), tree.root.dataset("mapping")
    if old is not None and mapping is not None and fields(mapping):
        found.append((old, tree.root.child("settings") or tree.root, mapping, None))
    for recording in tree:
        groups, settings = recording.child("groups"), recording.child("settings")
        mapping = settings.dataset("mapping") if settings is not None else None
        if groups is None or settings is None or mapping is None:
            continue
        routed = [(group.dataset("raw"), group) for group in groups.children.values()]
        found.extend((raw, settings, mapping, group) for raw, group in routed if raw is not None)
    return found


def _signal(data: Node, settings: Node, mapping: Node, routed: Node | None) -> Signal:
    shape, notes = data.shape or (), list[str]()
    if not data.is_numeric or len(shape) != 2:
        problem = f"expected numbers of shape (channels, frames), got {shape} of {data.dtype}"
        return Signal(
            path=data.path, values=scaled(data), dims=(TIME, "channel")[: len(shape)], kind="raw", problem=problem
        )
    rate = _first(settings, "sampling")
    if rate is None and routed is None:
        rate = OLD_RATE
        notes.append(f"the layout of 2016 states no sampling rate; taken as {OLD_RATE:g} Hz")
    if "HDF5 filter" in str(data.read_error()):
        notes.append(PLUGIN)
    frames = routed.dataset("frame_nos") if routed is not None else None
    clock = _clock(frames, math.nan if rate is None else rate, shape[1], notes)
    return Signal(
        path=data.path,
        values=scaled(data, Scale(_volts(settings, notes)), order=(1, 0)),
        dims=(TIME, "channel"),
        kind="raw",
        unit="V",
        raw_unit="V",
        clock=clock,
        coords=partial(_electrodes, mapping, routed.dataset("channels") if routed is not None else None, shape[0]),
        notes=tuple(notes),
    )


def _first(group: Node, name: str) -> float | None:
    node = group.dataset(name)
    value = node.scalar() if node is not None else None
    return float(value) if isinstance(value, (int, float)) else None


def _volts(settings: Node, notes: list[str]) -> float:
    """Return the volts of a count: as stated, or from the gain of the amplifier."""
    declared = _first(settings, "lsb")
    if declared is not None:
        return declared
    gain = _first(settings, "gain") or OLD_GAIN
    notes.append(f"the file states no volts a count (lsb); taken as {RANGE} V / {STEPS} / gain {gain:g}")
    return RANGE / (STEPS * gain)


def _clock(frames: Node | None, rate: float, n_frames: int, notes: list[str]) -> Clock:
    """Return the clock of the frame numbers, counted from the first; regular if none is missing."""
    if frames is None:
        return Rate(rate)
    try:
        if not _counts(frames) or frames.shape != (n_frames,):
            raise DataError(f"{frames.path}: expected {n_frames} frame numbers, got shape {frames.shape}")
        first, last = (int(frames.read(slice(at, at + 1))[0]) for at in (0, n_frames - 1))
    except DataError as error:
        notes.append(f"{error}; time is counted from the first frame")
        return Rate(rate)
    if last - first + 1 == n_frames or not rate > 0:
        return Rate(rate)
    notes.append(f"{last - first + 1 - n_frames} frames are missing between the first and the last")
    return Timestamps(frames, 1 / rate, first)


def _counts(node: Node) -> bool:
    return bool(node.is_numeric and len(node.shape or ()) == 1 and node.dtype is not None and node.dtype.kind in "iu")


def _electrodes(mapping: Node, channels: Node | None, size: int, notes: list[str]) -> Coords:
    """Return electrode and position of each channel; channels that lead to no electrode are masked."""
    try:
        table = records(mapping)
        numbers: NDArray[Any] = np.arange(size) if channels is None else channels.read().ravel()
    except DataError as error:
        notes.append(f"{error}; electrodes are left out")
        return {}
    if numbers.shape != (size,) or numbers.dtype.kind not in "iu" or "channel" not in table:
        notes.append("the numbers of the channels do not fit the traces; electrodes are left out")
        return {}
    rows = {int(channel): row for row, channel in reversed(list(enumerate(table["channel"])))}
    row = np.array([rows.get(int(number), -1) for number in numbers])
    coords: Coords = {"channel_id": xr.Variable("channel", numbers)}
    coords |= along("channel", _chosen(table, row))
    if (row < 0).any():
        coords["mask"] = xr.Variable("channel", row < 0, {"flags": ["not routed"]})
    return coords


def _chosen(table: Columns, row: NDArray[Any]) -> Columns:
    """Return rows of the mapping as electrode, x and y (in micrometers); -1 and NaN where there is none."""
    named = {"electrode": "electrode", "x": "electrode_x", "y": "electrode_y"}
    found: Columns = {}
    for name, label in named.items():
        if name in table and table[name].dtype.kind in "iuf":
            blank = -1 if table[name].dtype.kind in "iu" else np.nan
            found[label] = np.where(row < 0, blank, table[name][row])
    return found


def _spike_tables(tree: Tree) -> list[tuple[Node, Node]]:
    found = []
    for node in tree:
        spikes = node.dataset("spikes") or node.dataset("spikeTimes")
        settings = node.child("settings") or tree.root.child("settings")
        if spikes is not None and settings is not None and {"frameno", "channel"} <= set(fields(spikes)):
            found.append((spikes, settings))
    return found


def _spikes(node: Node, settings: Node, tree: Tree) -> Table:
    rate = _first(settings, "sampling") or OLD_RATE
    parent = tree.get(node.path.rpartition("/")[0])
    routed = (parent.child("groups") if parent is not None else None) or None
    frames = [group.dataset("frame_nos") for group in routed.children.values()] if routed is not None else []
    columns = ("start_time", "stop_time", *(name for name in fields(node) if name != "frameno"))
    return Table(node.path, (node.shape or (0,))[0], columns, partial(_events, node, rate, frames))


def _events(node: Node, rate: float, frames: list[Node | None]) -> xr.Dataset:
    """Return spikes with their times since the first frame that was recorded."""
    table = records(node)
    first = next((int(known.read(slice(0, 1))[0]) for known in frames if known is not None and _counts(known)), 0)
    times = xr.Variable("event", (table.pop("frameno").astype(np.int64) - first) / rate, {"units": "s"})
    return xr.Dataset(
        {"start_time": times, "stop_time": times.copy(), **along("event", table)}, attrs={"table": node.path}
    )
