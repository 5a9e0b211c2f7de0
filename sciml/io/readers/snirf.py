"""SNIRF: near-infrared spectroscopy, (time, channel) of a source, a detector and a wavelength each.

Written to the specification, with what Homer3 and FieldTrip write in its place (indices as floats, times as a column,
a unit of time that is unknown); tried on a file of Homer3.

References
----------
Society for fNIRS, SNIRF specification 1.2, https://github.com/fNIRS/snirf: `time` holds all times, or two numbers,
start and spacing, in metaDataTags/TimeUnit.
"""

from __future__ import annotations

import re
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.issues import Issue, Remark
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import is_real
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.records import snake
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Snirf"]


class Snirf:
    """The reader of SNIRF files."""

    name = "snirf"

    def sniff(self, tree: Tree) -> int:
        """Look for the version that every SNIRF file states, and for measurements."""
        return 95 if tree.root.dataset("formatVersion") is not None and _numbered(tree.root, "nirs") else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the measurements, the auxiliary signals, and the stimuli as tables of events."""
        signals: list[Signal] = []
        tables: list[Table] = []
        findings: list[str] = []
        for nirs in _numbered(tree.root, "nirs"):
            for group in (*_numbered(nirs, "data"), *_numbered(nirs, "aux")):
                data = group.dataset("dataTimeSeries")
                if data is None or not data.is_numeric:
                    findings.append(f"{group.path}: it has no dataTimeSeries of numbers")
                else:
                    signals.append(_signal(group, data, nirs))
            tables += [table for stim in _numbered(nirs, "stim") if (table := _stimuli(stim))]
        main = [signal.path for signal in signals if signal.kind == "data"]
        version = tree.root.children["formatVersion"].scalar("")
        return Contents(
            format=f"SNIRF {version}".strip(),
            signals=tuple(signals),
            tables=tuple(tables),
            findings=tuple(findings),
            attrs=_about(tree),
            default=main[0] if len(main) == 1 else None,
            reason=None if signals else "the file holds no measurements",
        )


def _numbered(group: Node, stem: str) -> list[Node]:
    """Return the groups stem, stem1, stem2, ... in the order of their numbers."""
    found = {name: node for name, node in group.children.items() if re.fullmatch(rf"{stem}\d*", name)}
    ordered = sorted(found, key=lambda name: int(name.removeprefix(stem) or 0))
    return [found[name] for name in ordered if not found[name].is_dataset]


def _word(group: Node | None, name: str) -> str:
    node = group.dataset(name) if group is not None else None
    return str(node.scalar("")).strip() if node is not None else ""


def _signal(group: Node, data: Node, nirs: Node) -> Signal:
    shape, notes = data.shape or (), list[Remark]()
    swapped = _is_swapped(group, shape)
    shape = shape[::-1] if swapped else shape
    notes += ["stored as (channel, time), as its times say; presented with time first"] if swapped else []
    channels = _Channels(group, shape[1] if len(shape) > 1 else 0)
    raw_unit = _word(group, "dataUnit") or _common(channels.texts("dataUnit"))
    clock = _clock(group, shape[0], _word(nirs.child("metaDataTags"), "TimeUnit"), notes)
    notes += [channels.misfit] if channels.misfit is not None else _misplaced(channels, nirs) if channels.few else []
    name = _word(group, "name")
    return Signal(
        path=data.path,
        values=scaled(data, _offsets(group, channels.size, int(not swapped), notes), order=(1, 0) if swapped else None),
        dims=(TIME, "channel", "dim_2")[: len(shape)],
        kind="aux" if group.name.startswith("aux") else "data",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=clock,
        coords=partial(_coords, channels, nirs),
        attrs={"name": name} if name else {},
        notes=tuple(notes),
    )


def _is_swapped(group: Node, shape: tuple[int, ...]) -> bool:
    """Whether a matrix has one row a channel, against the specification: it has as many columns as there are times."""
    times = group.dataset("time")
    n_times = prod(times.shape or ()) if times is not None else 0
    return len(shape) == 2 and n_times == shape[1] != shape[0] and n_times > 2


def _offsets(group: Node, size: int, axis: int, notes: list[Remark]) -> Scale:
    """Return what dataOffset (SNIRF 1.2) adds to the values of each channel."""
    node = group.dataset("dataOffset")
    if node is None:
        return Scale()
    values = node.read().ravel() if is_real(node) else np.zeros(0)
    if len(values) not in (1, size) or not np.isfinite(values).all():
        said = f"{node.path} of shape {node.shape} and {node.dtype} is no offset of {size} channels; it is not applied"
        notes.append(Issue("not_applied", said, node.path))
        return Scale()
    shifts = -np.broadcast_to(values, max(size, 1)).astype(np.float64)
    return Scale(zero=tuple(shifts.tolist()) if size else float(shifts[0]), axis=axis)


def _common(words: list[str]) -> str:
    return words[0] if words and words[0] and len(set(words)) == 1 else ""


def _clock(group: Node, size: int, unit: str, notes: list[Remark]) -> Clock | None:
    """Return all times, or the regular clock that two numbers state; times of `aux` are shifted by timeOffset."""
    times = group.dataset("time")
    if clean_unit(unit) == "":
        notes.append(f"the file states {unit!r} as its TimeUnit; times are taken as seconds")
    seconds = seconds_per(clean_unit(unit) or "s")
    if times is None or not is_real(times) or seconds is None:
        notes.append(f"{group.path}/time in {unit!r} gives no time; there is no clock")
        return None
    offset = group.dataset("timeOffset")
    shift = float(np.ravel(offset.read())[0]) if offset is not None and is_real(offset) and offset.n_bytes else 0.0
    n_times = prod(times.shape or ())
    if n_times == size and not (size == 2 and shift):
        return Timestamps(times, seconds, -shift)
    if n_times == 2 and size > 2:
        start, step = np.asarray(times.read(), dtype=np.float64).ravel()
        return Rate(1 / (step * seconds) if step else np.nan, (float(start) + shift) * seconds)
    said = f"{times.path} has {n_times} times for {size} samples; there is no clock"
    notes.append(Issue("clock_order", said, times.path))
    return None


FEW = 256  # channels with a group each


class _Channels:
    """What a file says of each channel: groups measurementList1, 2, ..., or one group measurementLists of arrays."""

    def __init__(self, group: Node, size: int) -> None:
        self.size = size
        self.path = group.path
        self.lists = _numbered(group, "measurementList")
        self.arrays = group.child("measurementLists") if not self.lists else None

    @property
    def few(self) -> bool:
        """Whether what is said of the channels is looked at when the file is listed, not only when it is opened."""
        return len(self.lists) <= FEW

    @property
    def misfit(self) -> str | None:
        """What is wrong with the number of channels that are described."""
        if not self.lists or len(self.lists) == self.size:
            return None
        return f"{self.path}: {len(self.lists)} measurements are described of {self.size}; they are left out"

    def names(self) -> list[str]:
        """Return what is said of the channels."""
        described = [*self.lists[:1], *([self.arrays] if self.arrays is not None else [])]
        return [name for one in described for name, node in one.children.items() if node.is_dataset]

    def cells(self, name: str) -> list[Any]:
        """Return what is said of each channel, nothing where it is not said of every one."""
        if self.arrays is not None:
            node = self.arrays.dataset(name)
            values = node.read().ravel() if node is not None else np.zeros(0)
            return values.tolist() if len(values) == self.size else []
        found = [node.scalar() for one in self.lists if (node := one.dataset(name)) is not None]
        return found if len(found) == self.size and None not in found else []

    def texts(self, name: str) -> list[str]:
        """Return texts of the channels, stripped."""
        return [str(cell).strip() for cell in self.cells(name)] if name in self.names() else []


def _coords(channels: _Channels, nirs: Node, notes: list[str]) -> Coords:
    """Return source, detector and wavelength of each channel, what kind of value it holds, and where it is."""
    if channels.misfit is not None:
        return {}
    coords: Coords = {}
    for name in channels.names():
        try:
            cells = channels.cells(name)
        except DataError as error:
            notes.append(f"{error}; it is left out")
            continue
        if cells:
            coords[snake(name)] = xr.Variable("channel", _column(name, cells))
    probe = nirs.child("probe")
    if not channels.few:
        notes += map(str, _misplaced(channels, nirs))
    return coords if probe is None else coords | _wavelengths(probe, coords) | _places(probe, nirs, coords)


def _column(name: str, cells: list[Any]) -> NDArray[Any]:
    """Return the cells of a column; indices that were written as floats, or as text, are whole numbers."""
    values = np.array(cells)
    if not (name.endswith("Index") or name == "dataType"):
        return values
    try:
        numbers = values.astype(np.float64)
    except ValueError:
        return values
    return numbers.astype(np.int64) if (numbers == np.round(numbers)).all() else values


def _pointed(table: Node | None, index: NDArray[Any] | None, notes: list[str]) -> NDArray[Any] | None:
    """Return the row of a table that each channel points at, counted from 1; None where it says nothing."""
    if table is None or not is_real(table) or index is None or index.dtype.kind not in "iu":
        return None
    rows = np.atleast_1d(np.asarray(table.read(), dtype=np.float64))
    rows = rows.ravel() if rows.ndim > 1 and 1 in rows.shape and "wavelengths" in table.name else rows
    if rows.ndim == 2 and rows.shape[1] not in (2, 3) and rows.shape[0] in (2, 3):
        rows = rows.T  # as MATLAB writers leave it
    if not 0 < index.min() <= index.max() <= len(rows):
        low, high = index.min(), index.max()
        notes.append(f"the channels point at rows {low} to {high} of the {len(rows)} of {table.path}; it is left out")
        return None
    return np.asarray(rows[index - 1])


def _misplaced(channels: _Channels, nirs: Node) -> list[Remark]:
    """Return which indices of the channels point at no row of the probe."""
    probe, notes = nirs.child("probe"), list[str]()
    for what in ("wavelength", "source", "detector") if probe is not None else ():
        cells = channels.cells(f"{what}Index") if f"{what}Index" in channels.names() else []
        if cells and probe is not None:
            _pointed(_table(probe, what), _column("Index", cells), notes)
    return list(notes)


def _table(probe: Node, what: str) -> Node | None:
    """Return the wavelengths, or the places of sources or detectors: those in space before those in a plane."""
    names = ("wavelengths",) if what == "wavelength" else (f"{what}Pos3D", f"{what}Pos2D")
    return next((found for name in names if (found := probe.dataset(name)) is not None), None)


def _wavelengths(probe: Node, coords: Coords) -> Coords:
    found = _rows(probe, "wavelength", coords)
    return {} if found is None or found.ndim != 1 else {"wavelength": xr.Variable("channel", found, {"units": "nm"})}


def _rows(probe: Node, what: str, coords: Coords) -> NDArray[Any] | None:
    """Return the row of the probe that each channel points at; `_misplaced` has said what points at none."""
    index = coords.get(f"{what}_index")
    return _pointed(_table(probe, what), None if index is None else index.values, [])


def _places(probe: Node, nirs: Node, coords: Coords) -> Coords:
    """Return where source and detector of each channel are, and how far from each other, in the stated unit."""
    unit = clean_unit(_word(nirs.child("metaDataTags"), "LengthUnit"))
    attributes = {"units": unit} if unit else {}
    found: Coords = {}
    both: list[NDArray[Any]] = []
    for what in ("source", "detector"):
        rows = _rows(probe, what, coords)
        if rows is None or rows.ndim != 2 or rows.shape[1] not in (2, 3):
            continue
        both.append(rows)
        found |= {
            f"{what}_{axis}": xr.Variable("channel", rows[:, k], attributes)
            for k, axis in enumerate("xyz"[: rows.shape[1]])
        }
    if len(both) == 2 and both[0].shape == both[1].shape:
        distance = np.sqrt(((both[0] - both[1]) ** 2).sum(axis=1))
        found["distance"] = xr.Variable("channel", distance, attributes)
    return found


def _stimuli(stim: Node) -> Table | None:
    """Return a condition: rows of start, duration and amplitude in seconds."""
    data = stim.dataset("data")
    if data is None or not data.is_numeric or len(data.shape or ()) != 2 or (data.shape or (0, 0))[1] < 3:
        return None
    columns = ("start_time", "stop_time", "value")
    return Table(stim.path, (data.shape or (0,))[0], columns, partial(_events, data, _word(stim, "name")))


def _events(data: Node, name: str) -> xr.Dataset:
    rows = np.asarray(data.read(), dtype=np.float64)
    return xr.Dataset(
        {
            "start_time": xr.Variable("event", rows[:, 0], {"units": "s"}),
            "stop_time": xr.Variable("event", rows[:, 0] + rows[:, 1], {"units": "s"}),
            "value": xr.Variable("event", rows[:, 2]),
        },
        attrs={"table": data.path, "condition": name},
    )


def _about(tree: Tree) -> dict[str, str]:
    tags = _numbered(tree.root, "nirs")[0].child("metaDataTags")
    date, time = _word(tags, "MeasurementDate"), _word(tags, "MeasurementTime")
    declared = {"start": f"{date}T{time}" if date and time else date, "instrument": _word(tags, "ManufacturerName")}
    declared["subject"] = _word(tags, "SubjectID")
    return {label: word for label, word in declared.items() if word}
