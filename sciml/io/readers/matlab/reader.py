"""MATLAB files of version 7.3, which are HDF5: variables with the attribute MATLAB_class, structs as groups.

MATLAB stores columns first: the axes of a dataset are those of the variable in reverse, and are turned round here, so
that a recording has the shape that MATLAB's `size` gives, with time moved to the front. Cells and objects are named,
not followed, but for those of FieldTrip; sizes that are stated (nbchan and pnts of EEGLAB) say which axis is time.
Written to the specification; the layout of complex numbers, sparse matrices and cells as h5py shows it.

References
----------
MathWorks, MAT-File Versions, https://www.mathworks.com/help/matlab/import_export/mat-file-versions.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from math import prod

import h5py

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.issues import Issue
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.matlab import fieldtrip
from sciml.io.readers.matlab.cells import letters, texts
from sciml.io.schema import pairs
from sciml.io.schema.axes import bare, is_real, numbers, unique
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.fitting import SIZE_NAMES, dims_of_sizes, sizes_of
from sciml.recording import TIME

__all__ = ["Matlab"]

NUMBERS = frozenset(
    {"double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
)
RATES = ("samplingrate", "samplerate", "samplingfrequency", "samplefrequency", "sfreq", "fs", "srate", "fsample", "sr")
TIMESTAMPS = ("time", "times", "timestamps", "timestamp", "t")
PEEKED = 8  # variables that are looked at to recognize the format
NAMED = 3  # cells that are named
SMALL = 2**16


class Matlab:
    """The reader of MATLAB 7.3 files."""

    name = "matlab"

    def sniff(self, tree: Tree) -> int:
        """Look for variables that state their MATLAB class."""
        return 85 if any(node.text("MATLAB_class") for node in islice(tree.root.children.values(), PEEKED)) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the numeric arrays among the variables and the fields of structs."""
        findings: list[str] = []
        structs = [group for group in tree if not group.path.startswith("#") and fieldtrip.is_struct(group)]
        known = [signal for group in structs for signal in fieldtrip.signals(group, tree, findings)]
        variables = [node for node in tree if node.text("MATLAB_class") and not node.path.startswith("#")]
        # What a struct of FieldTrip holds besides (settings, places of the sensors) describes its signals.
        described = tuple(f"{group.path}/".lstrip("/") for group in structs)
        variables = [node for node in variables if not node.path.startswith(described) or not described]
        clocks = {parent.path: _clocks(parent) for parent in tree if not parent.is_dataset}
        arrays = [(node, clocks.get(node.path.rpartition("/")[0], NO_CLOCKS)) for node in variables if _is_array(node)]
        others = [_signal(node, own, tree) for node, own in arrays if node not in own.timestamps]
        signals = (*known, *others)
        return Contents(
            format="MATLAB 7.3",
            signals=signals,
            findings=(*findings, *(text for node in variables if (text := _omitted(node, tree)))),
            attrs=_about(tree),
            default=known[0].path if len(known) == 1 else None,
            reason=None if signals else "none of the variables is an array of numbers",
        )


def _is_array(node: Node) -> bool:
    """Whether a variable is an array of more than one number; of an empty one the file stores the size instead."""
    if node.text("MATLAB_class") not in NUMBERS or node.attr("MATLAB_empty") or prod(node.shape or (0,)) < 2:
        return False
    return node.is_numeric or pairs.is_complex(node)


def _omitted(node: Node, tree: Tree) -> str | None:
    """Return what a variable is that is no array of numbers, and where its parts are."""
    kind = node.text("MATLAB_class")
    if node.attr("MATLAB_sparse") is not None:
        return f"{node.path} is a sparse matrix of {node.text('MATLAB_sparse')} rows, which sciml does not read"
    if kind == "char" and node.name == "data" and "nbchan" in tree.parent(node).children:
        return f"the samples of {tree.parent(node).path or 'EEGLAB'} lie in the file {letters(node)}, which is no HDF5"
    if kind == "cell":
        return f"{node.path} is a cell array of shape {(node.shape or ())[::-1]}{_cells(node, tree)}"
    if kind == "struct" and (arrays := [child.name for child in node.children.values() if _is_references(child)]):
        return f"{node.path} is a struct array; of its fields {', '.join(sorted(arrays))} the values lie under #refs#"
    if kind not in NUMBERS and kind not in ("struct", "char"):
        return f"{node.path} is of class {kind}, which only MATLAB can read"
    return None


def _is_references(node: Node) -> bool:
    return node.dtype is not None and h5py.check_ref_dtype(node.dtype) is not None and not node.text("MATLAB_class")


def _cells(node: Node, tree: Tree) -> str:
    """Return the paths of the first cells in words."""
    if node.n_bytes > SMALL or not node.is_dataset or node.dtype is None or h5py.check_ref_dtype(node.dtype) is None:
        return ""
    try:
        cells = [tree.referred(cell, node) for cell in node.read().ravel()[:NAMED]]
    except DataError:
        return ""
    paths = [cell.path for cell in cells if cell is not None]
    return f"; its cells open by path with their axes reversed: {', '.join(paths)}, ..." if paths else ""


@dataclass(frozen=True)
class _Clocks:
    """What among the variables of a struct, or of the file, may be the clock of the others."""

    rate: float | None
    timestamps: tuple[Node, ...]
    start: float = 0.0
    sizes: Mapping[str, int] = field(default_factory=dict)


NO_CLOCKS = _Clocks(None, ())


def _clocks(parent: Node) -> _Clocks:
    declared = numbers({name: node for name, node in parent.children.items() if bare(name) in RATES})
    named = [node for name, node in parent.children.items() if bare(name) in TIMESTAMPS and is_real(node)]
    vectors = [node for node in named if 1 < max(node.shape or (0,)) == prod(node.shape or (0,))]
    rate = next((declared[name] for name in RATES if declared.get(name, 0.0) > 0), None)
    said = {name: node for name, node in parent.children.items() if bare(name) in (*SIZE_NAMES, "xmin")}
    sizes = numbers(said)
    # EEGLAB states the time of the first sample as xmin, in seconds.
    start = sizes.get("xmin", 0.0) if {"nbchan", "pnts"} <= set(sizes) else 0.0
    return _Clocks(rate, tuple(vectors) if len(parent.children) > 1 else (), start, sizes_of(sizes))


@dataclass(frozen=True)
class _Layout:
    """Which axis of a variable (as MATLAB counts them) is time, and what says so."""

    along: int | None
    rate: float | None = None
    timestamps: Node | None = None
    note: str | None = None
    dims: tuple[str, ...] = ()


def _signal(node: Node, clocks: _Clocks, tree: Tree) -> Signal:
    sizes = (node.shape or ())[::-1]
    rank = len(sizes)
    layout = _layout(sizes, clocks)
    axes = list(range(rank))
    dims = [layout.dims[axis] if layout.dims else "channel" if rank == 2 else f"dim_{axis}" for axis in axes]
    if layout.along is not None:
        axes.insert(0, axes.pop(layout.along))
        dims[layout.along] = TIME
    order = tuple(rank - 1 - axis for axis in axes)
    return Signal(
        path=node.path,
        values=pairs.values(node, order=order),
        dims=tuple(unique(dims)[axis] for axis in axes),
        kind=node.text("MATLAB_class"),
        clock=_clock(layout, clocks.start),
        coords=partial(_coords, tree.parent(node), tree, dict(zip(unique(dims), sizes, strict=True))),
        notes=(*((layout.note,) if layout.note else ()), *(_short(sizes, clocks) if layout.timestamps is None else ())),
    )


def _clock(layout: _Layout, start: float) -> Clock | None:
    if layout.rate is not None:
        return Rate(layout.rate, start)
    return Timestamps(layout.timestamps) if layout.timestamps is not None else None


def _short(sizes: tuple[int, ...], clocks: _Clocks) -> list[Issue]:
    """Return which vectors of times have one more or one fewer than a variable has samples."""
    counts = {node.path: prod(node.shape or (0,)) for node in clocks.timestamps}
    return [
        Issue("clock_order", f"{path} has {count} times for {max(sizes)} samples; it is not the clock", path)
        for path, count in counts.items()
        if abs(count - max(sizes, default=0)) == 1
    ]


def _layout(sizes: tuple[int, ...], clocks: _Clocks) -> _Layout:
    """Find time: by a vector of times or a sampling rate beside the variable, else a matrix's columns are channels."""
    if (named := dims_of_sizes(clocks.sizes, sizes)) is not None and TIME in named:
        along = named.index(TIME)
        fitting = [one for one in clocks.timestamps if prod(one.shape or (0,)) == sizes[along]]
        return _Layout(along, clocks.rate, fitting[0] if fitting else None, dims=named)
    for timestamps in clocks.timestamps:
        size = prod(timestamps.shape or (0,))
        if sizes.count(size) == 1:
            note = None if clocks.rate is not None else f"the times {timestamps.path} state no unit; taken as seconds"
            return _Layout(sizes.index(size), clocks.rate, timestamps, note)
    if clocks.rate is not None:
        longest = max(range(len(sizes)), key=lambda axis: sizes[axis])
        return _Layout(longest, clocks.rate, note="the file does not say which axis is time; the longest is taken")
    if len(sizes) > 2:
        return _Layout(None)
    row = len(sizes) == 2 and sizes[0] == 1
    what = "a row is taken as samples" if row else "the rows are taken as samples"
    return _Layout(int(row), note=f"the file does not name the axes; {what}, without a clock")


def _coords(parent: Node, tree: Tree, sizes: dict[str, int], _notes: list[str]) -> Coords:
    places = parent.child("chanlocs")  # of EEGLAB, a struct array
    labels = texts(places.dataset("labels"), tree) if places is not None else None
    if labels is not None and labels.shape == (sizes.get("channel"),):
        return {"channel": xr.Variable("channel", labels)}
    return {}


def _about(tree: Tree) -> dict[str, str]:
    """Return what the text before the HDF5 part says: platform and date of creation."""
    with tree.files.main.open("rb") as stream:
        head = stream.read(116)
    text = head.decode("ascii", "replace").strip("\0 ")
    return {"description": text} if text.startswith("MATLAB") else {}
