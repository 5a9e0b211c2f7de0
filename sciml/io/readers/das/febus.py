"""Febus A1: blocks of strain rate (block, time, distance) that overlap in time, presented as one stretch.

A zone states Extent (first and last index along distance, then along time), Origin and Spacing (distance in m, time in
ms), BlockRate in mHz and BlockOverlap in percent; `time` beside it holds the time of each block in seconds. Written to
what is known of the format; not tried on real files.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import LazyArray, Scale, Stored
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import outer
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Coords, Signal
from sciml.io.schema.values import computed
from sciml.recording import TIME

__all__ = ["arrays", "declare"]

OVERLAP = 100.0  # percent, where a file states none
WRONG_RATE = 1e8  # Hz; early files state such a SamplingRate, which is none of the data


def arrays(tree: Tree) -> list[Node]:
    """Return the blocks of every zone of every source."""
    found = []
    for instrument in tree.root.children.values():
        for name, source in instrument.children.items():
            zones = source.children.values() if name.startswith("Source") and source.dataset("time") else ()
            for zone in zones:
                known = {"Extent", "Spacing", "Origin"} <= set(zone.attribute_names())
                found += [node for node in zone.children.values() if known and len(node.shape or ()) == 3]
    return [node for node in found if node.is_numeric]


def declare(data: Node, tree: Tree) -> Signal:
    """Return the blocks of a zone end to end, without what they share."""
    zone = tree.get(data.path.rpartition("/")[0]) or tree.root
    source = tree.get(zone.path.rpartition("/")[0]) or tree.root
    extent, spacing, origin = (_numbers(zone, name) for name in ("Extent", "Spacing", "Origin"))
    if len(extent) < 4 or len(spacing) < 2 or len(origin) < 2:
        raise DataError(f"{zone.path}: expected Extent of four numbers, Spacing and Origin of two; got {extent}")
    blocks, rows, _ = data.shape or (0, 0, 0)
    step, notes = _step(zone, spacing), list[str]()
    first, kept = _kept(zone, source, rows, step, extent, notes)
    times = source.children["time"]
    start = float(times.read().ravel()[0]) + origin[1] / 1e3 + first * step
    epoch = math.floor(start) if math.isfinite(start) else 0
    return Signal(
        path=data.path,
        values=computed(data, partial(_blocks, data, first, kept), (blocks * kept, (data.shape or ())[2])),
        dims=(TIME, "channel"),
        kind=data.name,
        unit="nanostrain/s" if data.name == "StrainRate" else "",
        raw_unit="nanostrain/s" if data.name == "StrainRate" else "",
        clock=Rate(1 / step, start - epoch),
        coords=partial(_distances, origin[0] + extent[0] * spacing[0], spacing[0], (data.shape or ())[2]),
        attrs=_about(zone, epoch),
        notes=tuple(notes),
    )


def _numbers(zone: Node, name: str) -> list[float]:
    declared = np.ravel(np.asarray(zone.attr(name, ())))
    return [float(value) for value in declared] if declared.dtype.kind in "iuf" else []


def _first(zone: Node, *names: str) -> float | None:
    return next((values[0] for name in names if (values := _numbers(zone, name))), None)


def _step(zone: Node, spacing: list[float]) -> float:
    """Return the time from sample to sample; the spacing in ms, or the rate where an early file states a true one."""
    rate = _first(zone, "SamplingRate")
    step = 1 / rate if zone.attr("Version") is None and rate and 0 < rate < WRONG_RATE else spacing[1] / 1e3
    if not 0 < step < math.inf:
        raise DataError(f"{zone.path}: expected a sampling interval above 0, got {step} s")
    return step


def _kept(zone: Node, source: Node, rows: int, step: float, extent: list[float], notes: list[str]) -> tuple[int, int]:
    """Return the first sample of a block that is its own, and how many are: those in the middle of it.

    Blocks of `rows` samples follow each other every 1 / BlockRate seconds; what they have more is shared half with
    the block before, half with the next.
    """
    block_rate = (_first(zone, "BlockRate") or 0.0) / 1e3
    if block_rate > 0 and (extent[2] != 0 or zone.attr("Version") is None):
        own = round(1 / block_rate / step)
    elif zone.attr("Version") is None:
        own = round(_between(source) / step) if (source.children["time"].shape or (0,))[-1] > 1 else rows
    else:
        overlap = _first(zone, "Overlap", "BlockOverlap")
        own = round(rows / (1 + (OVERLAP if overlap is None else overlap) / 100))
    if not 0 < own <= rows:
        notes.append(f"blocks of {rows} samples should hold {own} of their own; they are taken whole")
        own = rows
    return (rows - own) // 2, own


def _between(source: Node) -> float:
    """Return the median time from block to block."""
    times = np.asarray(source.children["time"].read(), dtype=np.float64).ravel()
    return float(np.median(np.diff(times))) if times.size > 1 else math.inf


def _about(zone: Node, epoch: int) -> dict[str, Any]:
    found = {"gauge_length": _first(zone, "GaugeLength"), "pulse_rate": _first(zone, "PulseRateFreq")}
    return {"unix_epoch": epoch, "instrument": "Febus A1", **{name: one for name, one in found.items() if one}}


def _distances(start: float, step: float, size: int, _notes: list[str]) -> Coords:
    return {"distance": xr.Variable("channel", start + step * np.arange(size), {"units": "m"})}


def _blocks(data: Node, first: int, kept: int) -> LazyArray:
    if trouble := data.read_error():
        raise DataError(f"{data.path}: {trouble}")
    return _Blocks(Stored(data.source(), scale=Scale()), first, kept)


class _Blocks(LazyArray):
    """Blocks end to end: sample t is sample `first + t % kept` of block t // kept."""

    def __init__(self, part: Stored, first: int, kept: int) -> None:
        self.part = part
        self.first = first
        self.kept = kept
        self.shape = (part.shape[0] * kept, part.shape[2])
        self.dtype = part.dtype

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        samples = np.atleast_1d(np.arange(self.shape[0])[key[0]])
        if not samples.size:
            return np.zeros((0, *outer(np.zeros((1, self.shape[1])), (slice(None), key[1])).shape[1:]), self.dtype)
        block, within = np.divmod(samples, self.kept)
        pieces = []
        for number in np.unique(block):
            rows = within[block == number] + self.first
            low, high = int(rows.min()), int(rows.max()) + 1
            piece = self.part.read((int(number), slice(low, high), key[1]))
            pieces.append(piece[rows - low])
        values = np.concatenate(pieces)
        return values if np.ndim(np.arange(self.shape[0])[key[0]]) else values[0]
