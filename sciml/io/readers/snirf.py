"""SNIRF: near-infrared spectroscopy, (time, channel) of a source, a detector and a wavelength each.

Written to the specification; not tried on real files.

References
----------
Society for fNIRS, SNIRF specification 1.1, https://github.com/fNIRS/snirf: `time` holds all times, or two numbers,
start and spacing, in metaDataTags/TimeUnit.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import is_real
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.records import snake
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Snirf"]

DESCRIBED = ("sourceIndex", "detectorIndex", "wavelengthIndex", "dataType", "dataTypeLabel")


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
    shape, notes = data.shape or (), list[str]()
    raw_unit = _word(group, "dataUnit") or _common(
        [_word(one, "dataUnit") for one in _numbered(group, "measurementList")]
    )
    clock = _clock(group, shape[0], _word(nirs.child("metaDataTags"), "TimeUnit"), notes)
    name = _word(group, "name")
    return Signal(
        path=data.path,
        values=scaled(data, Scale()),
        dims=(TIME, "channel", "dim_2")[: len(shape)],
        kind="aux" if group.name.startswith("aux") else "data",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=clock,
        coords=partial(_channels, group, nirs, shape[1] if len(shape) > 1 else 0),
        attrs={"name": name} if name else {},
        notes=tuple(notes),
    )


def _common(words: list[str]) -> str:
    return words[0] if words and len(set(words)) == 1 else ""


def _clock(group: Node, size: int, unit: str, notes: list[str]) -> Clock | None:
    """Return all times, or the regular clock that two numbers state; times of `aux` are shifted by timeOffset."""
    times = group.dataset("time")
    seconds = seconds_per(unit or "s")
    if times is None or not is_real(times) or seconds is None:
        notes.append(f"{group.path}/time in {unit!r} gives no time; there is no clock")
        return None
    offset = group.dataset("timeOffset")
    shift = float(offset.scalar(0.0)) if offset is not None and is_real(offset) else 0.0
    if times.shape == (size,) and size != 2 and not shift:
        return Timestamps(times, seconds)
    try:
        values = np.asarray(times.read(), dtype=np.float64).ravel()
    except DataError as error:
        notes.append(f"{error}; there is no clock")
        return None
    if values.size == 2 and size > 2:
        return Rate(1 / (values[1] * seconds) if values[1] else np.nan, (float(values[0]) + shift) * seconds)
    notes.append(f"the times are {shift} {unit} later (timeOffset), which is left out") if shift else None
    return Timestamps(times, seconds) if times.shape == (size,) else None


def _channels(group: Node, nirs: Node, size: int, notes: list[str]) -> Coords:
    """Return source, detector and wavelength of each channel, and what kind of value it holds."""
    channels = _numbered(group, "measurementList")
    if len(channels) != size:
        if channels:
            notes.append(f"{len(channels)} measurements are described of {size}; they are left out")
        return {}
    coords: Coords = {}
    for name in DESCRIBED:
        cells = [node.scalar() if (node := one.dataset(name)) is not None else None for one in channels]
        if all(cell is not None for cell in cells):
            coords[snake(name)] = xr.Variable("channel", np.array(cells))
    wavelengths, index = _wavelengths(nirs), coords.get("wavelength_index")
    usable = wavelengths is not None and index is not None and index.dtype.kind in "iu"
    if (
        wavelengths is not None
        and index is not None
        and usable
        and 0 < index.values.min() <= index.values.max() <= len(wavelengths)
    ):
        coords["wavelength"] = xr.Variable("channel", wavelengths[index.values - 1], {"units": "nm"})
    return coords


def _wavelengths(nirs: Node) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    probe = nirs.child("probe")
    node = probe.dataset("wavelengths") if probe is not None else None
    return np.asarray(node.read(), dtype=np.float64).ravel() if node is not None and is_real(node) else None


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
