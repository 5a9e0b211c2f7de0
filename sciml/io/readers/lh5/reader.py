"""LEGEND HDF5 (LH5): waveforms of germanium detectors and the tables they stand in, self-described by `datatype`.

Written to the LEGEND data format specification (https://legend-exp.github.io/legend-data-format-specs) and tried on
real files: `table{a,b}`, `array<1>{real}`, `array_of_equalsized_arrays<1,1>{real}`, ragged `array<1>{array<1>{real}}`
as `flattened_data` and `cumulative_length`, also nested, histograms, maps on the axes in the same structure, waveforms
as a table of `values`, `t0` and `dt`. Waveforms that are encoded were not tried on real files.
"""

from __future__ import annotations

import re
from functools import partial
from math import inf

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Stored
from sciml.io.hdf5.issues import Issue, Remark
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.lh5 import maps
from sciml.io.readers.lh5.codecs import CODECS, Encoded
from sciml.io.schema.clock import EAGER, PEEK, Rate
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.tables import broken_index
from sciml.io.schema.values import computed, scaled
from sciml.recording import TIME

__all__ = ["Lh5"]

TABLE = re.compile(r"(table|struct)\{.*\}")
RAGGED = re.compile(r"array<1>\{array<1>\{.*\}\}")
TIMESTAMP = "timestamp"


class Lh5:
    """The reader of LH5 files."""

    name = "lh5"

    def sniff(self, tree: Tree) -> int:
        """Look for tables, structures and arrays that state their datatype."""
        groups = (node.text("datatype") for node in tree if not node.is_dataset)
        return 90 if any(TABLE.fullmatch(said) or RAGGED.fullmatch(said) for said in groups) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return waveforms, ragged columns and columns of numbers, and the tables they stand in."""
        findings: list[Remark] = []
        signals: list[Signal] = []
        for node in tree:
            signals += _signals(node, tree, findings)
        signals.sort(key=lambda signal: signal.kind != "waveform")
        waveforms = [signal.path for signal in signals if signal.kind == "waveform"]
        return Contents(
            format="LEGEND LH5",
            signals=tuple(signals),
            tables=tuple(_table(node) for node in tree if _is_table(node) and not _is_waveform(node) and _rows(node)),
            findings=tuple(findings),
            default=waveforms[0] if len(waveforms) == 1 else None,
            reason=None if signals else "no table of the file has a column of numbers",
        )


def _is_table(node: Node) -> bool:
    return not node.is_dataset and node.text("datatype").startswith("table{")


def _is_ragged(node: Node) -> bool:
    return not node.is_dataset and bool(RAGGED.fullmatch(node.text("datatype")))


def _is_waveform(node: Node) -> bool:
    return _is_table(node) and {"values", "t0", "dt"} <= set(node.children)


def _signals(node: Node, tree: Tree, findings: list[Remark]) -> list[Signal]:
    parent = tree.get(node.path.rpartition("/")[0]) or tree.root
    if _is_waveform(node):
        return _waveforms(node, parent, findings)
    if _is_ragged(node):
        inner = _is_ragged(parent) and node.name == "flattened_data"
        return [] if inner or "encoded" in parent.text("datatype") else _ragged(node, findings)
    if not node.is_numeric or not node.text("datatype").startswith("array") or _is_ragged(parent):
        return []
    if _is_waveform(parent) or node.name in parent.once(maps.serving) or maps.is_binning(parent):
        return []
    if (declared := maps.axes(node, parent)) is not None:
        return [maps.declare(node, declared)]
    return [_column(node, parent)]


def _column(node: Node, parent: Node) -> Signal:
    rest = {2: ("sample",), 3: ("y", "x")}.get(len(node.shape or ()))
    dims = ("event", *(rest or tuple(f"dim_{axis}" for axis in range(1, len(node.shape or ())))))
    return _declared(node, dims, "column", partial(_row_coords, parent, node.shape[0] if node.shape else 0))


def _declared(node: Node, dims: tuple[str, ...], kind: str, coords: partial[Coords]) -> Signal:
    unit = node.text("units")
    return Signal(
        path=node.path, values=scaled(node), dims=dims, kind=kind, unit=clean_unit(unit), raw_unit=unit, coords=coords
    )


def _waveforms(group: Node, parent: Node, findings: list[Remark]) -> list[Signal]:
    """Return the waveforms of a table, one an event, on their common clock if they have one."""
    values = group.children["values"]
    if not values.is_dataset:
        return _encoded(group, values, parent, findings)
    if not values.is_numeric or len(values.shape or ()) != 2:
        findings.append(f"{values.path}: expected waveforms (event, sample), got {values.dtype} of {values.shape}")
        return []
    raw_unit = values.text("units")
    clock, notes = _clock(group)
    return [
        Signal(
            path=group.path,
            values=scaled(values, order=(1, 0)),
            dims=(TIME if clock else "sample", "event"),
            kind="waveform",
            unit=clean_unit(raw_unit),
            raw_unit=raw_unit,
            clock=clock,
            coords=partial(_of_waveforms, group, parent, values.shape[0] if values.shape else 0),
            notes=tuple(notes),
        )
    ]


def _encoded(group: Node, values: Node, parent: Node, findings: list[Remark]) -> list[Signal]:
    """Return waveforms that are stored as rows of bytes, if their code is one that the specification publishes."""
    inside = values.child("encoded_data")
    parts = [inside.dataset(name) if inside is not None else None for name in ("flattened_data", "cumulative_length")]
    rows, ends = parts
    codec = values.text("codec") or (inside.text("codec") if inside is not None else "")
    size = _common_size(values.dataset("decoded_size"))
    if codec not in CODECS or rows is None or ends is None or not _is_row(ends, "iu") or size is None:
        findings.append(
            f"{group.path}: its waveforms are stored as {codec or values.text('datatype')}, which sciml does not "
            "decode; decode them with lh5 (`pip install legend-pydataobj`) and write them as arrays"
        )
        return []
    raw_unit = values.text("units")
    clock, notes = _clock(group)
    shift = int(values.number("codec_shift") or (inside.number("codec_shift") if inside is not None else 0.0) or 0.0)
    n_events = (ends.shape or (0,))[0]
    return [
        Signal(
            path=group.path,
            values=computed(rows, partial(_decoded, rows, ends, size, codec, shift), (size, n_events)),
            dims=(TIME if clock else "sample", "event"),
            kind="waveform",
            unit=clean_unit(raw_unit),
            raw_unit=raw_unit,
            clock=clock,
            coords=partial(_of_waveforms, group, parent, n_events),
            notes=(*notes, f"decoded from {codec}"),
        )
    ]


def _common_size(node: Node | None) -> int | None:
    """Return the number of samples of all waveforms, None if they differ."""
    if node is None or node.dtype is None or node.dtype.kind not in "iu":
        return None
    sizes = np.unique(node.read())
    return int(sizes[0]) if len(sizes) == 1 else None


def _decoded(rows: Node, ends: Node, size: int, codec: str, shift: int) -> Encoded:
    last = ends.read().astype(np.int64)
    if (np.diff(last, prepend=0) < 1).any() or last[-1] != (rows.shape or (0,))[0]:
        raise DataError(f"{ends.path}: expected row ends that rise to {(rows.shape or (0,))[0]}, got {last[-1]}")
    return Encoded(Stored(rows.source()), last, size, codec, shift)


def _is_row(node: Node, kinds: str = "iuf") -> bool:
    return bool(node.is_numeric and len(node.shape or ()) == 1 and node.dtype is not None and node.dtype.kind in kinds)


def _seconds(node: Node) -> float | None:
    return seconds_per(node.text("units"))


def _clock(group: Node) -> tuple[Rate | None, list[str]]:
    """Return the clock of the first waveforms: sample k is at t0 + k dt; None if they differ or say nothing."""
    first = {}
    for name in ("t0", "dt"):
        node = group.children[name]
        seconds = _seconds(node)
        if not _is_row(node) or seconds is None:
            return None, [f"{node.path} of shape {node.shape} in {node.text('units')!r} gives no time; no clock"]
        try:
            peek = node.read(slice(0, PEEK)) * seconds
        except DataError as error:
            return None, [f"{error}; there is no clock"]
        if not (peek == peek[0]).all():
            return None, [f"{node.path} differs from event to event: there is no common clock"]
        first[name] = float(peek[0])
    if not 0 < first["dt"] < inf:
        return None, [f"{group.path}/dt is {first['dt']} s; expected a finite number above 0: there is no clock"]
    return Rate(1.0 / first["dt"], first["t0"]), []


def _of_waveforms(group: Node, parent: Node, size: int, notes: list[str]) -> Coords:
    """Return the other columns of the event, and t0 and dt in seconds."""
    coords = _row_coords(parent, size, notes)
    for name in ("t0", "dt"):
        node = group.children[name]
        seconds = _seconds(node)
        if seconds is None or node.shape != (size,) or size > EAGER:
            continue
        column = node.read() * seconds
        if not (column == column[0]).all():
            notes.append(f"{node.path} differs from event to event; time is that of the first")
        coords[name] = xr.Variable("event", column, {"units": "s"})
    return coords


def _columns(table: Node) -> dict[str, Node]:
    """Return the columns of one number an event."""
    rows = _rows(table)
    return {name: node for name, node in table.children.items() if _is_row(node, "iufb") and node.shape == (rows,)}


def _rows(table: Node) -> int:
    """Return the number of events: the length of the first column, or of the first one inside it."""
    for node in table.children.values():
        first = node if node.is_dataset else node.child("cumulative_length") or node.child("values")
        if first is not None and first.shape:
            return first.shape[0]
    return 0


def _row_coords(table: Node, size: int, notes: list[str]) -> Coords:
    """Return the other columns of a table as coordinates along event."""
    coords: Coords = {}
    if not _is_table(table) or size > EAGER or _is_waveform(table):
        return coords
    for name, node in _columns(table).items():
        try:
            column = node.read() if node.shape == (size,) else None
        except DataError as error:
            notes.append(str(error))
            continue
        if column is not None:
            coords[name] = xr.Variable("event", column, _units(node))
    return coords


def _ragged(group: Node, findings: list[Remark]) -> list[Signal]:
    """Return a ragged column as one row of its values; which event each belongs to is a coordinate."""
    levels, values = [group.dataset("cumulative_length")], group.child("flattened_data")
    while values is not None and not values.is_dataset and _is_ragged(values):
        levels.append(values.dataset("cumulative_length"))
        values = values.child("flattened_data")
    ends = [node for node in levels if node is not None and _is_row(node, "iu")]
    if values is None or len(ends) < len(levels):
        findings.append(f"{group.path}: expected flattened_data and cumulative_length; it cannot be opened")
        return []
    if not values.is_numeric or len(values.shape or ()) != 1:
        return []
    sizes = [(node.shape or (0,))[0] for node in (*ends[1:], values)]
    broken = [
        odd for node, size in zip(ends, sizes, strict=True) if (odd := broken_index(node, size, exact=True)) is not None
    ]
    findings += broken
    return [_declared(values, ("element",), "ragged column", partial(_rows_of, ends, sizes, broken))]


def _rows_of(ends: list[Node], sizes: list[int], broken: list[Issue], notes: list[str]) -> Coords:
    """Return the event of each element, and where rows hold rows, the row of each too, counted through the file.

    Row r of a level spans cumulative_length[r-1] to cumulative_length[r] of the level below.
    """
    if broken:
        notes += [f"{odd}; the elements have no events" for odd in broken]
        return {}
    coords: Coords = {}
    position: NDArray[np.int64] = np.arange(sizes[-1])
    names = ["event", *(f"row_{level}" if len(ends) > 2 else "row" for level in range(1, len(ends)))]
    for name, node in reversed(list(zip(names, ends, strict=True))):
        position = np.searchsorted(node.read().astype(np.int64), position, side="right")
        coords[name] = xr.Variable("element", position)
    return coords


def _table(node: Node) -> Table:
    columns = _columns(node)
    timed = TIMESTAMP in columns and _seconds(columns[TIMESTAMP]) is not None
    return Table(node.path, _rows(node), tuple(columns), partial(_events, node.path, columns) if timed else None)


def _events(path: str, columns: dict[str, Node]) -> xr.Dataset:
    found = {name: xr.Variable("event", node.read(), _units(node)) for name, node in columns.items()}
    start = np.asarray(found[TIMESTAMP].values, dtype=np.float64) * (_seconds(columns[TIMESTAMP]) or 1.0)
    found |= {name: xr.Variable("event", start, {"units": "s"}) for name in ("start_time", "stop_time")}
    return xr.Dataset(found, attrs={"table": path})


def _units(node: Node) -> dict[str, str]:
    unit = clean_unit(node.text("units"))
    return {"units": unit} if unit else {}
