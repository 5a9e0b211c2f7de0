"""Tables stored column by column (the DynamicTable of NWB): flat and ragged columns, references, regions."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.issues import Issue, IssueError
from sciml.io.hdf5.tree import Node, Tree

__all__ = [
    "broken_index",
    "column",
    "column_names",
    "is_table",
    "is_timed",
    "overruns",
    "ragged_rows",
    "region_misfit",
    "row_count",
    "rows_along",
    "table_along",
    "to_events",
]

# Columns that are signals of their own: footprints of ROIs, shapes of spikes.
SIGNALS = {"image_mask", "pixel_mask", "voxel_mask", "waveform_mean", "waveform_sd", "waveforms", "spike_times"}
CHECKED = 2**20  # rows of a ragged column up to which every end is read
WIDE = 16  # values a row that still become coordinates of their own


def is_table(node: Node) -> bool:
    """Whether a group is a column table: it names its columns."""
    return not node.is_dataset and node.attr("colnames") is not None


def column_names(table: Node) -> tuple[str, ...]:
    """Return the columns in their stated order, those that are there."""
    return tuple(name for name in table.texts("colnames") if table.dataset(name) is not None)


def row_count(table: Node) -> int:
    """Return the number of rows: that of the id column, else of the first column."""
    for name in ("id", *(f"{name}_index" for name in column_names(table)), *column_names(table)):
        node = table.dataset(name)
        if node is not None and node.shape:
            return node.shape[0]
    return 0


def column(table: Node, name: str, tree: Tree) -> NDArray[np.generic]:
    """Return a column, one entry a row: numbers, or text; text of a ragged column is joined with ", ".

    Raises
    ------
    DataError
        The column is ragged and not text, compound, or cannot be read.
    """
    node = table.dataset(name)
    if node is None:
        raise DataError(f"{table.path}: expected a column {name!r}, got {', '.join(column_names(table))}")
    index = table.dataset(f"{name}_index")
    if index is None:
        return _cells(node, tree)
    if node.dtype is None or node.dtype.kind not in "SO" or h5py.check_ref_dtype(node.dtype):
        raise DataError(f"{node.path}: holds several values a row")
    if table.dataset(f"{name}_index_index") is not None:
        raise DataError(f"{node.path}: is ragged twice")
    cells = _cells(node, tree)
    return np.array([", ".join(map(str, cells[part])) for part in ragged_rows(index, len(cells))], dtype=str)


def _cells(node: Node, tree: Tree) -> NDArray[np.generic]:
    if node.dtype is not None and node.dtype.kind == "V":
        raise DataError(f"{node.path}: holds compound values {node.dtype.names}")
    cells = node.read()
    if not cells.ndim:
        raise DataError(f"{node.path}: is a single value, not a column")
    if cells.dtype != object:
        return cells
    named = [tree.referred(cell, node) if isinstance(cell, h5py.Reference) else None for cell in cells.ravel()]
    if not all(isinstance(cell, h5py.Reference) for cell in cells.ravel()):
        raise DataError(f"{node.path}: holds values of variable length")
    return np.array([target.name if target else "" for target in named], dtype=str).reshape(cells.shape)


def ragged_rows(index: Node, n_cells: int) -> Iterator[slice]:
    """Yield the cells of each row; row r spans index[r-1] to index[r]."""
    stored = index.read()
    if stored.ndim != 1 or stored.dtype.kind not in "iu":
        raise DataError(f"{index.path}: expected a row of integers, got shape {stored.shape} of {stored.dtype}")
    ends = stored.astype(np.int64)
    if (np.diff(ends, prepend=0) < 0).any() or (ends.size and ends[-1] > n_cells):
        raise IssueError(_overrun(index, n_cells, int(ends[-1]), falls=bool((np.diff(ends, prepend=0) < 0).any())))
    starts = ends - np.diff(ends, prepend=0)
    return (slice(int(start), int(end)) for start, end in zip(starts, ends, strict=True))


def overruns(table: Node) -> list[Issue]:
    """Return the ragged columns whose rows fall, end beyond their values, or leave some of them to no row.

    And the columns of another length than the table.
    """
    found = _uneven(table)
    for name in column_names(table):
        index, cells = table.dataset(f"{name}_index"), table.dataset(name)
        if index is None or cells is None or not cells.shape or not index.is_numeric or len(index.shape or ()) != 1:
            continue
        try:
            odd = broken_index(index, cells.shape[0])
        except (DataError, ValueError, OverflowError):  # said where the column is read
            continue
        found += [odd] if odd is not None else []
    return found


def _uneven(table: Node) -> list[Issue]:
    """Return the columns, or the ends of their ragged rows, that are not as many as the table has rows."""
    ends = ("_index_index", "_index", "")  # of rows of rows, of rows, none
    named = (
        (name, next(filter(None, (table.dataset(name + end) for end in ends)), None)) for name in column_names(table)
    )
    counts = {name: (node, node.shape[0]) for name, node in named if node is not None and node.shape}
    n_rows = row_count(table)
    return [
        Issue("note", f"{node.path}: its column {name} has {count} of {n_rows} rows; it is left out", node.path)
        for name, (node, count) in counts.items()
        if count != n_rows
    ]


def broken_index(index: Node, n_cells: int, *, exact: bool = False) -> Issue | None:
    """Return what is wrong with the ends of ragged rows; of a very long index its last end alone is read.

    `exact`: the format wants the last row to end with the values.
    """
    size = (index.shape or (0,))[0]
    ends = index.read(None if size <= CHECKED else slice(size - 1, None)).real.astype(np.int64)
    if not ends.size:
        return None
    falls, last = bool((np.diff(ends) < 0).any() or ends[0] < 0), int(ends[-1])
    return _overrun(index, n_cells, last, falls=falls, exact=exact) if falls or last != n_cells else None


def _overrun(index: Node, n_cells: int, last: int, *, falls: bool = False, exact: bool = False) -> Issue:
    got = f"a last end of {last}{' and ends that fall' if falls else ''}"
    if not falls and last < n_cells and not exact:
        said = f"{index.path}: its last row ends at {last} of {n_cells} values; the others belong to no row"
        return Issue("note", said, index.path)
    most = "" if exact else "at most "
    expected = f"{index.path}: expected row ends that rise to {most}{n_cells}, the number of values"
    return Issue("ragged_overrun", f"{expected}; got {got}", index.path)


def rows_along(region: Node, dim: str, size: int, tree: Tree, notes: list[str]) -> dict[str, xr.Variable]:
    """Return the columns of the table that a region points into as coordinates along `dim`, row by row.

    A region holds row positions, not ids. One that does not fit, which `region_misfit` tells, gives nothing.
    """
    table = tree.referred(region.attr("table"), region)
    if table is None or region_misfit(region, dim, size, tree) is not None:
        return {}
    return _coordinates(table, region.read().astype(np.int64), dim, tree, notes)


def region_misfit(region: Node, dim: str, size: int, tree: Tree) -> str | None:
    """Return why a region does not name a row of its table for each of `size` places along a dim; None if it does."""
    table = tree.referred(region.attr("table"), region)
    if table is None:
        return f"{region.path} names no table; its rows are left out"
    try:
        rows = region.read().astype(np.int64)
    except DataError as error:
        return f"{error}; its rows are left out"
    n_rows = row_count(table)
    if rows.shape == (size,) and rows.min(initial=0) >= 0 and rows.max(initial=-1) < n_rows:
        return None
    said = f"{region.path} names {rows.size} rows from {rows.min(initial=0)} to {rows.max(initial=-1)} of the {n_rows}"
    return f"{said} rows of {table.path}, expected {size} (one for each {dim}); they are left out"


def table_along(table: Node, dim: str, size: int, tree: Tree, notes: list[str]) -> dict[str, xr.Variable]:
    """Return the columns of a table of `size` rows as coordinates along a dim."""
    return _coordinates(table, np.arange(size), dim, tree, notes) if row_count(table) == size else {}


def _is_wide(table: Node, name: str) -> bool:
    """Whether a column is rather an array of its own than a property of the rows."""
    node = table.dataset(name)
    return name in SIGNALS or (node is not None and int(np.prod((node.shape or ())[1:])) > WIDE)


def _coordinates(
    table: Node, rows: NDArray[np.int64], dim: str, tree: Tree, notes: list[str]
) -> dict[str, xr.Variable]:
    coords: dict[str, xr.Variable] = {}
    for name in ("id", *column_names(table)):
        if _is_wide(table, name):
            continue
        try:
            cells = column(table, name, tree)
        except DataError as error:
            if name != "id" or table.dataset("id") is not None:
                notes.append(f"column {error} and is left out of the coordinates")
            continue
        if len(cells) != row_count(table):
            notes.append(f"column {name} of {table.path} has {len(cells)} of {row_count(table)} rows; it is left out")
            continue
        # The ids label the dim itself; a column of that name would be in the way.
        label = dim if name == "id" else f"{name}_column" if name in (dim, "time") else name
        dims = (dim, *(f"{label}_{axis}" for axis in range(1, cells.ndim)))
        if cells.ndim == 1:
            coords[label] = xr.Variable(dims, cells[rows])
        else:
            coords |= {f"{label}_{k}": xr.Variable(dim, part[rows]) for k, part in enumerate(_flat(cells))}
    return coords


def _flat(cells: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the entries of a column of several values a row as columns of one."""
    return np.asarray(cells.reshape(len(cells), -1).T)


def is_timed(table: Node) -> bool:
    """Whether a table has the time of each row: intervals as start_time, events (NWB 2.11) as timestamp."""
    return table.dataset("start_time") is not None or table.dataset("timestamp") is not None


def to_events(table: Node, tree: Tree) -> xr.Dataset:
    """Return a table of intervals as a dataset along `event`: start_time, stop_time, and every column that fits."""
    columns: dict[str, xr.Variable] = {}
    omitted: list[str] = []
    rows = row_count(table)
    first = "start_time" if table.dataset("start_time") is not None else "timestamp"
    for name in dict.fromkeys((first, "stop_time", *column_names(table))):
        try:
            cells = column(table, name, tree)
            if len(cells) != rows:
                raise DataError(f"{table.path}/{name}: has {len(cells)} of {rows} rows")
        except DataError as error:
            if name == first:
                raise
            omitted.append(str(error))
            continue
        dims = ("event", *(f"{name}_{axis}" for axis in range(1, cells.ndim)))
        columns[name] = xr.Variable(dims, cells, {"units": "s"} if name in (first, "stop_time", "duration") else {})
    columns |= _bounds(columns, first)
    attributes = {"table": table.path, "description": table.text("description"), "omitted": omitted}
    return xr.Dataset(columns, attrs={key: value for key, value in attributes.items() if value})


def _bounds(columns: dict[str, xr.Variable], first: str) -> dict[str, xr.Variable]:
    """Return start and stop where a table states time stamps, with or without durations."""
    start = columns[first]
    duration = columns.get("duration") if first == "timestamp" else None
    length = np.nan_to_num(duration.values) if duration is not None and duration.dtype.kind in "iuf" else 0.0
    stop = columns.get("stop_time", xr.Variable("event", start.values + length, {"units": "s"}))
    return {"start_time": start.copy(), "stop_time": stop}
