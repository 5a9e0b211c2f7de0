"""NeXus: the default plot of a file and every other NXdata, NXdetector and NXmonitor, modern and legacy.

References
----------
NeXus manual, https://manual.nexusformat.org (NXdata, "Associating plottable data"); Koennecke et al. 2015,
J. Appl. Crystallogr. 48:301, https://doi.org/10.1107/S1600576714027575. NXcanSAS: https://manual.nexusformat.org/classes/applications/NXcanSAS.html.
"""

import re
from functools import partial

import numpy as np
import xarray as xr

from sciml.errors import DataError
from sciml.io._clock import EAGER, Clock, Stamps
from sciml.io._lazy import Scale, Stored, lazy
from sciml.io._model import Contents, Coords, Signal
from sciml.io._text import clean_unit, seconds_per
from sciml.io._tree import Node, Tree
from sciml.recording import TIME

__all__ = ["Nexus"]

PLOTTED = ("NXdata", "NXdetector", "NXmonitor")
FALLBACK = ("data", "counts", "I", "value")  # what the values are called where nothing is marked as the signal
NOTHING = "no NXdata, NXdetector or NXmonitor of the file holds an array of numbers that can be read"
TIMES = {"time", "times", "timestamp", "timestamps"}


class Nexus:
    """The reader of NeXus files."""

    name = "nexus"

    def sniff(self, tree: Tree) -> int:
        """Look for an entry at the root."""
        entries = [child for child in tree.root.children.values() if child.text("NX_class") in ("NXentry", "NXroot")]
        return 80 if entries else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the plots, detectors and monitors, and which is the default plot."""
        signals: dict[str, Signal] = {}
        findings: list[str] = []
        for group in tree:
            if group.text("NX_class") not in PLOTTED:
                continue
            for data in _plotted(group, findings):
                signals.setdefault(data.path, _signal(group, data))
        default = _default(tree)
        return Contents(
            format=f"NeXus {_stated(tree.root.text('NeXus_version'))}".strip(),
            signals=tuple(signals.values()),
            findings=tuple(findings),
            attrs=_about(tree),
            default=default.path if default is not None and default.path in signals else None,
            reason=None if signals else "; ".join([NOTHING, *findings]),
        )


def _children(node: Node, *classes: str) -> list[Node]:
    return [child for child in node.children.values() if child.text("NX_class") in classes]


def _default(tree: Tree) -> Node | None:
    """Return the dataset of the default plot: along @default from the root, else the first entry's first NXdata."""
    node: Node | None = tree.root
    seen: set[str] = set()
    while node is not None and node.text("NX_class") not in PLOTTED and node.path not in seen:
        seen.add(node.path)
        named = node.child(node.text("default")) if node.text("default") else None
        node = named or _first(node)
    if node is None:
        return None
    return next(iter(_plotted(node, [])), None)


def _first(node: Node) -> Node | None:
    """Return the first child on the way to a plot whose values can be had."""
    plots = [child for child in _children(node, "NXdata") if _plotted(child, [])]
    return next(iter(plots + _children(node, "NXentry", "NXsubentry")), None)


def _plotted(group: Node, findings: list[str]) -> list[Node]:
    """Return the signal of a group and its auxiliary signals: named by the group, or marked on the datasets."""
    names = [*group.texts("signal"), *group.texts("auxiliary_signals")]
    names += [] if group.texts("signal") else _marked(group)
    if not names:
        names = [name for name in FALLBACK if (node := group.dataset(name)) is not None and node.is_numeric][:1]
    found = []
    for name in names:
        node = group.dataset(name)
        if node is not None and node.is_numeric:
            found.append(node)
        elif group.text("NX_class") == "NXdata":
            why = group.broken.get(name) or "is no array of numbers"
            findings.append(f"{group.path}: its signal {name} {why}")
    return found


def _marked(group: Node) -> list[str]:
    """Return the datasets with the legacy attribute signal=1, then 2, ..."""
    marks = {name: node.number("signal") for name, node in group.children.items() if node.is_dataset}
    return sorted((name for name, mark in marks.items() if mark), key=lambda name: marks[name] or 0.0)


def _signal(group: Node, data: Node) -> Signal:
    shape = data.shape or ()
    axes = _axes(group, data)
    dims = _dims(axes, len(shape), data)
    clock = _clock(group, axes, dims, shape)
    along = dims.index(TIME) if TIME in dims else 0
    order = (along, *(axis for axis in range(len(dims)) if axis != along))
    raw_unit = data.text("units")
    return Signal(
        path=data.path,
        data=data,
        dims=tuple(dims[axis] for axis in order),
        kind=group.text("NX_class"),
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=clock,
        scale=Scale(),
        order=order if along else None,
        coords=partial(_coords, group, data, axes, dims),
        attrs={"long_name": data.text("long_name")} if data.text("long_name") else {},
    )


def _axes(group: Node, data: Node) -> tuple[str, ...]:
    """Return the name of the axis of each dim, "" where there is none.

    In old files the dataset's @axes outranks the group's; older ones mark the axis datasets with @axis.
    """
    rank = len(data.shape or ())
    for stated in (data.texts("axes"), group.texts("axes"), group.texts(f"{data.name}_axes")):
        names = tuple(name for text in stated for name in _split(text))
        if len(names) == rank:
            return tuple("" if name == "." else name for name in names)
        # One name for an array of many dims is the axis of the first.
        if names and len(names) < rank:
            return tuple("" if name == "." else name for name in names) + ("",) * (rank - len(names))
    marked = [""] * rank
    for name, node in group.children.items():
        for number in re.findall(r"\d+", node.text("axis")) if node.is_dataset else ():
            if 1 <= int(number) <= rank and (not marked[int(number) - 1] or node.number("primary") == 1.0):
                marked[int(number) - 1] = name
    return tuple(marked)


def _split(text: str) -> list[str]:
    return [name.strip() for name in re.split(r"[:,]", text.strip().strip("[]"))]


def _dims(axes: tuple[str, ...], rank: int, data: Node) -> tuple[str, ...]:
    """Return dim names: those of the axes; images without axes are (frame, y, x)."""
    image = ("frame", "y", "x")[-rank:] if rank in (2, 3) else tuple(f"dim_{axis}" for axis in range(rank))
    if data.text("interpretation") == "spectrum" and rank:
        image = (*(f"dim_{axis}" for axis in range(rank - 1)), "frequency")
    named = [TIME if name.lower() in TIMES else name for name in axes]
    dims = [name or image[axis] for axis, name in enumerate(named)]
    return tuple(f"{dim}_{axis}" if dims.count(dim) > 1 else dim for axis, dim in enumerate(dims))


def _clock(group: Node, axes: tuple[str, ...], dims: tuple[str, ...], shape: tuple[int, ...]) -> Clock | None:
    if TIME not in dims:
        return None
    axis = dims.index(TIME)
    node = group.dataset(axes[axis])
    seconds = seconds_per(node.text("units", "s")) if node is not None else None
    return Stamps(node, seconds) if node is not None and seconds and node.shape == (shape[axis],) else None


def _coords(group: Node, data: Node, axes: tuple[str, ...], dims: tuple[str, ...], notes: list[str]) -> Coords:
    coords: Coords = {}
    # The Q of canSAS is stored as its components Qx, Qy, each of the shape of the values.
    parts = [f"{name}{part}" for name in dict.fromkeys(axes) if name for part in "xyz"]
    for name in parts:
        node = group.dataset(name)
        if node is not None and node.is_numeric and node.shape == data.shape:
            coords[name] = _variable(node, dims, {"units": clean_unit(node.text("units"))})
    for name in dict.fromkeys((*axes, *_indexed(group))):
        node = group.dataset(name)
        if name in (data.name, "") or node is None or not node.is_numeric:
            continue
        try:
            coords |= _axis(group, node, name, axes, dims, data)
        except DataError as error:
            notes.append(str(error))
    return coords | _errors(group, data, dims, notes)


def _indexed(group: Node) -> list[str]:
    """Return the axes that the group names by an attribute <axis>_indices."""
    return [name.removesuffix("_indices") for name in group.attribute_names() if name.endswith("_indices")]


def _axis(group: Node, node: Node, name: str, axes: tuple[str, ...], dims: tuple[str, ...], data: Node) -> Coords:
    """Return an axis as coordinates: its values, or the centers and the left and right edges of its bins."""
    along = _positions(group, name, axes)
    if any(axis >= len(dims) for axis in along) or len(along) != len(node.shape or ()):
        raise DataError(f"axis {node.path} of shape {node.shape} does not fit the dims {dims}; it is left out")
    own = tuple(dims[axis] for axis in along)
    if own == (TIME,):
        return {}
    sizes = tuple((data.shape or ())[axis] for axis in along)
    attributes = {"units": clean_unit(node.text("units"))} if clean_unit(node.text("units")) else {}
    # xarray keeps the name of a dim for its one-dimensional axis.
    label = name if own == (name,) or name not in dims else f"{name}_values"
    if node.shape == sizes:
        return {label: _variable(node, own, attributes)}
    if len(sizes) == 1 and node.shape == (sizes[0] + 1,):
        edges = node.read()
        centers = 0.5 * (edges[1:] + edges[:-1])
        return {
            label: xr.Variable(own, centers, attributes),
            f"{label}_left": xr.Variable(own, edges[:-1], attributes),
            f"{label}_right": xr.Variable(own, edges[1:], attributes),
        }
    raise DataError(f"axis {node.path} of shape {node.shape} does not fit {own} of shape {sizes}; it is left out")


def _positions(group: Node, name: str, axes: tuple[str, ...]) -> tuple[int, ...]:
    stated = np.ravel(np.asarray(group.attr(f"{name}_indices", ())))
    digits = [str(item) for item in stated]
    if digits and all(item.isdigit() for item in digits):
        return tuple(int(item) for item in digits)
    return (axes.index(name),) if name in axes else ()


def _variable(node: Node, dims: tuple[str, ...], attributes: dict[str, str]) -> xr.Variable:
    size = int(np.prod(node.shape or ()))
    if len(dims) == 1 and size <= EAGER:
        return xr.Variable(dims, node.read(), attributes)
    if trouble := node.obstacle():
        raise DataError(f"axis {node.path}: {trouble}")
    return xr.Variable(dims, lazy(Stored(node.source())), attributes)


def _errors(group: Node, data: Node, dims: tuple[str, ...], notes: list[str]) -> Coords:
    """Return the standard deviations of the values as a coordinate `errors`."""
    named = [f"{data.name}_errors", *data.texts("uncertainties"), *data.texts("uncertainty")]
    named += [*group.texts(f"{data.name}_uncertainties"), *group.texts(f"{data.name}_uncertainty"), "errors"]
    for name in named:
        node = group.dataset(name)
        if node is not None and node.is_numeric and node.shape == data.shape and node is not data:
            try:
                return {"errors": _variable(node, dims, {"units": clean_unit(data.text("units"))})}
            except DataError as error:
                notes.append(str(error))
    return {}


def _about(tree: Tree) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in _children(tree.root, "NXentry"):
        for label, name in (("title", "title"), ("start", "start_time"), ("description", "definition")):
            _note_text(found, label, entry.dataset(name))
        for instrument in _children(entry, "NXinstrument"):
            _note_text(found, "instrument", instrument.dataset("name"))
    return found


def _note_text(found: dict[str, str], label: str, node: Node | None) -> None:
    if node is None or label in found:
        return
    if value := _stated(str(node.scalar(""))):
        found[label] = value


def _stated(text: str) -> str:
    """Return a text, but not the placeholder of a template that some writers leave there."""
    return "" if text.strip().startswith("{") else text.strip()
