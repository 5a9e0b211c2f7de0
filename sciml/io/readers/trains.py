"""Free-electron lasers: European XFEL and FLASH, where every source counts the same trains of pulses.

European XFEL (EXDF): written to https://extra-data.readthedocs.io ("Data files format", versions 0.1 to 1.2).
FLASH: by the layout of its data acquisition, a group of `index` (train ids) and `value`; tried on real files.
The dim `train` carries the train id, so that sources align on it; values that are NaN belong to pulses that did not
fire or counted nothing, and are masked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Mapped, Stored, lazy
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled

__all__ = ["EuXfel", "Flash"]

TRAIN = "train"
REST = {1: (), 2: ("sample",), 3: ("y", "x"), 4: ("channel", "y", "x")}


class Flash:
    """The reader of files of the FLASH data acquisition."""

    name = "flash"

    def sniff(self, tree: Tree) -> int:
        """Look for groups that hold train ids and one value a train, and nothing else."""
        return 70 if any(True for _ in _indexed(tree)) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the values of each group."""
        found = list(_indexed(tree))
        timing = next((pair for pair in found if pair[1].name == "time" and _is_timestamps(pair[1])), None)
        signals = tuple(_of_flash(index, data, timing) for index, data in found)
        return Contents(format="FLASH trains", signals=signals)


def _indexed(tree: Tree) -> Iterator[tuple[Node, Node]]:
    """Yield train ids and the values beside them."""
    for group in tree:
        index = group.child("index")
        if index is None or not _is_ids(index) or not set(group.children) <= {"index", "value", "time"}:
            continue
        for name in ("value", "time"):
            data = group.dataset(name)
            if data is not None and data.is_numeric and (data.shape or ())[:1] == index.shape:
                yield index, data


def _is_ids(node: Node) -> bool:
    return bool(node.is_numeric and len(node.shape or ()) == 1 and node.dtype is not None and node.dtype.kind in "iu")


def _is_timestamps(node: Node) -> bool:
    return len(node.shape or ()) == 1 and node.dtype is not None and node.dtype.kind in "iuf"


def _of_flash(index: Node, data: Node, timing: tuple[Node, Node] | None) -> Signal:
    # By custom of FLASH a third axis counts pulses or electrons, the second what was measured of each.
    rest = {3: ("channel", "pulse")}.get(len(data.shape or ()), _rest(data))
    return _signal(data, (TRAIN, *rest), "train data", partial(_ids, index, timing))


def _rest(data: Node) -> tuple[str, ...]:
    rank = len(data.shape or ())
    return REST.get(rank, tuple(f"dim_{axis}" for axis in range(1, rank)))


def _signal(data: Node, dims: tuple[str, ...], kind: str, coords: partial[Coords]) -> Signal:
    raw_unit = data.text("units") or data.text("unitSymbol")
    return Signal(
        path=data.path,
        values=scaled(data),
        dims=dims,
        kind=kind,
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_with_mask, coords, data, dims),
    )


def _with_mask(coords: partial[Coords], data: Node, dims: tuple[str, ...], notes: list[str]) -> Coords:
    """Return coordinates and, for floats, a mask of the values that are not there."""
    found: Coords = coords(notes)
    if "mask" in found or data.dtype is None or data.dtype.kind != "f" or data.read_error():
        return found
    mask = Mapped(Stored(data.source()), np.isnan, bool)
    return found | {"mask": xr.Variable(dims, lazy(mask), {"flags": ["not fired (NaN)"]})}


def _ids(index: Node, timing: tuple[Node, Node] | None, notes: list[str]) -> Coords:
    """Return the ids of the trains and, where a source states it, their time."""
    try:
        ids = index.read()
        if (repeated := len(ids) - len(np.unique(ids))) > 0:
            notes.append(f"{index.path} names {repeated} trains more than once")
        return {TRAIN: xr.Variable(TRAIN, ids)} | (_timed(ids, *timing) if timing else {})
    except DataError as error:
        notes.append(f"{error}; the trains have no ids")
        return {}


def _timed(ids: NDArray[np.generic], index: Node, timestamps: Node) -> Coords:
    """Return the time of trains in seconds since the whole second of the first that is timed; NaN for the others."""
    known, times = index.read().astype(np.int64), timestamps.read().astype(np.float64)
    if not np.isfinite(times).any():
        return {}
    order = np.argsort(known)
    place = np.clip(np.searchsorted(known, ids.astype(np.int64), sorter=order), 0, len(known) - 1)
    epoch = int(times[np.isfinite(times)].min())
    seconds = np.where(known[order][place] == ids, times[order][place] - epoch, np.nan)
    return {"time": xr.Variable(TRAIN, seconds, {"units": "s", "unix_epoch": epoch})}


class EuXfel:
    """The reader of files of the European XFEL."""

    name = "euxfel"

    def sniff(self, tree: Tree) -> int:
        """Look for the index of trains and data that it counts."""
        ids = tree.get("INDEX/trainId")
        return 95 if ids is not None and any(name in tree.root.children for name in ROOTS) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return every key of every source: control data one a train, instrument data as many as came."""
        index = tree.root.children["INDEX"]
        findings: list[str] = []
        trains = index.children["trainId"]
        if not _is_ids(trains):
            findings.append(f"{trains.path}: expected a row of train ids, got {trains.dtype} of shape {trains.shape}")
        signals = [] if findings else [_of_source(data, rows, index) for data, rows in _keys(tree, findings)]
        return Contents(
            format=f"European XFEL EXDF {_text(tree, 'METADATA/dataFormatVersion')}".strip(),
            signals=tuple(signals),
            findings=tuple(findings),
            attrs={label: text for label, path in ABOUT.items() if (text := _text(tree, path))},
            reason=None if signals else "no source of the file has numbers and an index of its trains",
        )


ROOTS = ("INSTRUMENT", "CONTROL")
ABOUT = {"proposal": "METADATA/proposalNumber", "run": "METADATA/runNumber", "created": "METADATA/creationDate"}


def _text(tree: Tree, path: str) -> str:
    node = tree.get(path)
    return str(node.scalar("")) if node is not None and node.is_dataset else ""


def _keys(tree: Tree, findings: list[str]) -> Iterator[tuple[Node, Node]]:
    """Yield the datasets of the sources and, for each, the group that says which rows belong to which train."""
    incomplete: set[str] = set()
    for node in tree.datasets():
        root, _, path = node.path.partition("/")
        stamped = root == "CONTROL" and node.name == "timestamp"
        if root not in ROOTS or not node.is_numeric or stamped:
            continue
        rows = _rows_of(path, tree)
        if rows is not None:
            yield node, rows
        elif (source := path.rpartition("/")[0]) not in incomplete:
            incomplete.add(source)
            findings.append(f"{node.path}: INDEX does not say which trains its rows belong to; it is not listed")


def _rows_of(path: str, tree: Tree) -> Node | None:
    """Return INDEX/<source> of a key: that of the longest beginning of its path that has one."""
    while path:
        path = path.rpartition("/")[0]
        found = tree.get(f"INDEX/{path}") if path else None
        if found is not None and "first" in found.children:
            return found
    return None


def _of_source(data: Node, rows: Node, index: Node) -> Signal:
    # Rows that are as many as the trains are one a train; others (pulses, images) have their train as a coordinate.
    regular = (data.shape or ())[:1] == index.children["trainId"].shape
    row = TRAIN if regular else "frame"
    kind = "control data" if data.path.startswith("CONTROL") else "instrument data"
    return _signal(data, (row, *_rest(data)), kind, partial(_trains_of, data, rows, index, row))


def _trains_of(data: Node, rows: Node, index: Node, row: str, notes: list[str]) -> Coords:
    """Return the train of each row, its time, and a mask of rows that belong to none or to one of unsure time."""
    size = (data.shape or (0,))[0]
    try:
        owners = _owners(rows, index, size)
        ids = index.children["trainId"].read()
        timestamps = index.dataset("timestamp")
        nanoseconds = timestamps.read() if timestamps is not None and timestamps.shape == ids.shape else None
    except DataError as error:
        notes.append(f"{error}; the rows have no trains")
        return {}
    owned = owners >= 0
    coords: Coords = {TRAIN: xr.Variable(row, np.where(owned, ids[owners], 0))}
    if nanoseconds is not None and nanoseconds.dtype.kind in "iu" and len(ids):
        # Nanoseconds since 1970 exceed the 53 bits of a float64: whole seconds are taken off as integers.
        counts = nanoseconds.astype(np.int64)
        epoch = max(int(counts[0]), 0) // 10**9
        seconds = (counts - epoch * 10**9) / 1e9
        coords["time"] = xr.Variable(row, np.where(owned, seconds[owners], np.nan), {"units": "s", "unix_epoch": epoch})
    if not owned.all():
        notes.append(f"{int((~owned).sum())} rows belong to no train")
        coords["mask"] = xr.Variable(row, ~owned, {"flags": ["no train"]})
    return coords


def _owners(rows: Node, index: Node, size: int) -> NDArray[np.int64]:
    """Return for each row the position of its train, -1 for none: train k has rows first[k] to first[k] + count[k]."""
    first, count = _bounds(rows, (index.children["trainId"].shape or (0,))[0])
    outside = (first < 0) | (first > size) | (count < 0) | (count > size) | (first + count > size)
    if (outside & (count != 0)).any() or count.sum() > size:
        raise DataError(
            f"{rows.path}: expected rows of trains within the {size} there are, each of one train; got first rows of "
            f"{first.min()} to {first.max()} and up to {count.max()} rows a train"
        )
    owners = np.full(size, -1, dtype=np.int64)
    trains = np.repeat(np.arange(len(first)), count)
    within = np.arange(len(trains)) - np.repeat(np.cumsum(count) - count, count)
    owners[np.repeat(first, count) + within] = trains  # trains without rows may have any first row
    return owners


def _bounds(rows: Node, n_trains: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first row and number of rows of each train; files of before 2018 give the last row and a status."""
    found = {}
    for name in ("first", "count", "last", "status"):
        node = rows.dataset(name)
        if node is not None and _is_ids(node) and node.shape == (n_trains,):
            found[name] = node.read().astype(np.int64)
    if {"first", "count"} <= set(found):
        return found["first"], found["count"]
    if {"first", "last"} <= set(found):
        present = found["status"] > 0 if "status" in found else found["last"] >= found["first"]
        return found["first"], np.where(present, found["last"] - found["first"] + 1, 0)
    raise DataError(f"{rows.path}: expected first and count (or last) of {n_trains} trains")
