"""The sorted units of NWB: their spikes as trains and in bins, and the shapes of the spikes."""

from __future__ import annotations

from functools import partial
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Computed, LazyArray, Scale, Stored, lazy
from sciml.io.hdf5.issues import code_of
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema import tables
from sciml.io.schema.axes import grid
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Coords, Signal, Table
from sciml.io.schema.values import computed, scaled
from sciml.recording import TIME

__all__ = ["signals", "trains"]

BIN_RATE = 100.0  # bins a second, if the caller states none
WHOLE = 2**25  # bytes of spike times that are read to tell when the last came


def signals(units: Node, tree: Tree, findings: list[str]) -> list[Signal]:
    """Return the spikes of all units, their counts in bins, and the shapes of the spikes."""
    found = [signal for name in ("waveform_mean", "waveform_sd") if (signal := _mean(units, name, tree))]
    try:
        return [*_spike_signals(units, tree), *_waveforms(units, tree), *found]
    except DataError as error:
        if code_of(error) != "ragged_overrun":  # which is said of every table
            findings.append(f"{error}; the spikes are not listed")
        return found


def trains(units: Node, tree: Tree) -> list[Table]:
    """Return the spikes of a table of units as a table of events, if it has any."""
    columns = _spike_columns(units)
    if columns is None:
        return []
    times, index = columns
    events = partial(_spikes, units, times, index, tree)
    return [Table(times.path, (times.shape or (0,))[0], ("start_time", "stop_time", "unit"), events)]


def _spike_columns(units: Node) -> tuple[Node, Node] | None:
    times, index = units.dataset("spike_times"), units.dataset("spike_times_index")
    if times is None or index is None or not times.is_numeric or len(times.shape or ()) != 1:
        return None
    return times, index


def _spikes(units: Node, times: Node, index: Node, tree: Tree) -> xr.Dataset:
    """Return the spikes of all units in the order of time, one an event, with the id of the unit of each."""
    stored = times.read()
    counts = [part.stop - part.start for part in tables.ragged_rows(index, len(stored))]
    ids = _ids(units, len(counts), tree)
    spikes = np.asarray(stored[: sum(counts)], dtype=np.float64)
    order = np.argsort(spikes, kind="stable")
    columns = {
        "start_time": xr.Variable("event", spikes[order], {"units": "s"}),
        "stop_time": xr.Variable("event", spikes[order], {"units": "s"}),
        "unit": xr.Variable("event", np.repeat(ids, counts)[order]),
    }
    return xr.Dataset(columns, attrs={"table": times.path})


def _ids(units: Node, n_units: int, tree: Tree) -> NDArray[Any]:
    ids = tables.column(units, "id", tree) if units.dataset("id") is not None else np.arange(n_units)
    if len(ids) != n_units:
        raise DataError(f"{units.path}: expected {len(ids)} rows, one a unit, got {n_units} in spike_times_index")
    return ids


class _Owner:
    """The unit of the spike (or shape) at a position: the first whose row ends behind it."""

    def __init__(self, ends: NDArray[np.int64], names: NDArray[Any]) -> None:
        self.ends = ends
        self.names = names

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        rows = np.searchsorted(self.ends, positions, side="right")
        return np.asarray(self.names[np.minimum(rows, len(self.names) - 1)])


def _ends(index: Node, size: int) -> NDArray[np.int64]:
    return np.array([part.stop for part in tables.ragged_rows(index, size)], dtype=np.int64)


def _spike_signals(units: Node, tree: Tree) -> list[Signal]:
    columns = _spike_columns(units)
    if columns is None:
        return []
    times, index = columns
    size = (times.shape or (0,))[0]
    ends = _ends(index, size)
    if not len(ends) or not ends[-1]:
        return []
    spikes = Signal(
        path=times.path,
        values=scaled(times),
        dims=("event",),
        kind="spike times",
        unit="s",
        raw_unit=times.text("unit") or "seconds",
        coords=partial(_of_spikes, units, ends, size, tree),
    )
    return [spikes, _binned(BIN_RATE, units, times, ends, tree)]


def _of_spikes(units: Node, ends: NDArray[np.int64], size: int, tree: Tree, notes: list[str]) -> Coords:
    try:
        ids = _ids(units, len(ends), tree)
    except DataError as error:
        notes.append(str(error))
        return {}
    return {"unit": xr.Variable("event", lazy(Computed(_Owner(ends, ids), size, ids.dtype)))}


def _binned(rate: float, units: Node, times: Node, ends: NDArray[np.int64], tree: Tree) -> Signal:
    """Return the number of spikes of each unit in bins: (time, unit); time is the start of a bin."""
    first, last = _span(times, ends)
    start, stop = floor(first * rate), floor(last * rate) + 1
    sizes = (stop - start, len(ends))
    return Signal(
        path=f"{units.path}/binned",
        values=computed(times, partial(_counted, times, ends, rate, start, sizes), sizes),
        dims=(TIME, "unit"),
        kind="spike counts",
        unit="counts",
        raw_unit="counts",
        clock=Rate(rate, start / rate),
        coords=partial(tables.table_along, units, "unit", len(ends), tree),
        notes=(f"spikes counted in bins of {1 / rate:g} s; state another rate for other bins",),
        rebin=partial(_binned, units=units, times=times, ends=ends, tree=tree),
    )


def _span(times: Node, ends: NDArray[np.int64]) -> tuple[float, float]:
    """Return the first and the last spike of all units; those of a unit rise."""
    starts = np.concatenate([[0], ends[:-1]])[np.diff(ends, prepend=0) > 0]
    lasts = ends[np.diff(ends, prepend=0) > 0] - 1
    if times.n_bytes <= WHOLE:
        stored = times.read()
        first, last = float(stored[starts].min()), float(stored[lasts].max())
    else:
        first = min(float(times.read(slice(at, at + 1))[0]) for at in starts.tolist())
        last = max(float(times.read(slice(at, at + 1))[0]) for at in lasts.tolist())
    if not (np.isfinite([first, last]).all() and last >= first):
        raise DataError(f"{times.path}: expected times of spikes that rise, got {first} to {last} s")
    return first, last


def _counted(times: Node, ends: NDArray[np.int64], rate: float, start: int, sizes: tuple[int, ...]) -> LazyArray:
    if trouble := times.read_error():
        raise DataError(f"{times.path}: {trouble}")
    return _Binned(Stored(times.source()), ends, rate, start, sizes)


class _Binned(LazyArray):
    """Counts of spikes; the times of a unit are read when its counts are asked for."""

    def __init__(self, times: Stored, ends: NDArray[np.int64], rate: float, start: int, shape: tuple[int, ...]) -> None:
        self.times = times
        self.ends = ends
        self.rate = rate
        self.start = start
        self.shape = shape
        self.dtype = np.dtype(np.int32)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        bins, units = (np.arange(size)[item] for size, item in zip(self.shape, key, strict=True))
        columns = [self._column(int(unit), np.atleast_1d(bins)) for unit in np.atleast_1d(units)]
        counts = np.stack(columns, axis=1) if columns else np.zeros((np.size(bins), 0), self.dtype)
        counts = counts if np.ndim(units) else counts[:, 0]
        return counts if np.ndim(bins) else counts[0]

    def _column(self, unit: int, bins: NDArray[np.int64]) -> NDArray[np.int32]:
        begin, end = int(self.ends[unit - 1]) if unit else 0, int(self.ends[unit])
        if end <= begin or not bins.size:
            return np.zeros(bins.shape, self.dtype)
        stored = np.sort(np.floor(self.times.read((slice(begin, end),)) * self.rate).astype(np.int64) - self.start)
        return (np.searchsorted(stored, bins, "right") - np.searchsorted(stored, bins, "left")).astype(self.dtype)


def _mean(units: Node, name: str, tree: Tree) -> Signal | None:
    """Return the mean shape of the spikes of each unit: (unit, sample[, channel])."""
    node = units.dataset(name)
    if node is None or not node.is_numeric or len(node.shape or ()) not in (2, 3) or f"{name}_index" in units.children:
        return None
    dims = ("unit", "sample", "channel")[: len(node.shape or ())]
    return _shapes(node, dims, partial(tables.table_along, units, "unit", (node.shape or (0,))[0], tree))


def _shapes(node: Node, dims: tuple[str, ...], coords: Any) -> Signal:
    raw_unit = node.text("unit", "volts")
    rate = node.number("sampling_rate")
    return Signal(
        path=node.path,
        values=scaled(node, Scale()),
        dims=dims,
        kind="waveforms",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_with_samples, coords, (node.shape or (0, 0))[1], rate),
        attrs={"waveform_sampling_rate": rate} if rate else {},
    )


def _with_samples(coords: Any, size: int, rate: float | None, notes: list[str]) -> Coords:
    """Return coordinates and, along the samples of a shape, their time in seconds."""
    found: Coords = coords(notes)
    return found | (grid("sample", size, step=1 / rate, unit="s") if rate else {})


def _waveforms(units: Node, tree: Tree) -> list[Signal]:
    """Return the shapes of single spikes, (event, sample), ragged by spike and again by unit."""
    node, index, outer = (units.dataset(f"waveforms{end}") for end in ("", "_index", "_index_index"))
    if node is None or index is None or not node.is_numeric or len(node.shape or ()) != 2:
        return []
    size = (node.shape or (0,))[0]
    of_spikes = _ends(index, size)
    of_units = of_spikes if outer is None else np.concatenate([[0], of_spikes])[_ends(outer, len(of_spikes))]
    spikes = None if outer is None else of_spikes
    return [_shapes(node, ("event", "sample"), partial(_of_shapes, units, of_units, spikes, size, tree))]


def _of_shapes(
    units: Node, ends: NDArray[np.int64], spikes: NDArray[np.int64] | None, size: int, tree: Tree, notes: list[str]
) -> Coords:
    coords = _of_spikes(units, ends, size, tree, notes)
    if spikes is not None and len(spikes):
        owner = _Owner(spikes, np.arange(len(spikes)))
        coords["spike"] = xr.Variable("event", lazy(Computed(owner, size, np.int64)))
    return coords
