"""NeXus: the default plot of a file, every other NXdata, NXdetector and NXmonitor, modern and legacy, and logs.

Tried on real files of IPNS, SNS, ISIS, APS, DLS, SOLEIL and DECTRIS; the dialects of ILL, PSI and ESRF to their
description.

References
----------
NeXus manual, https://manual.nexusformat.org (NXdata, "Associating plottable data"); Koennecke et al. 2015,
J. Appl. Crystallogr. 48:301, https://doi.org/10.1107/S1600576714027575. NXcanSAS: https://manual.nexusformat.org/classes/applications/NXcanSAS.html.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Mapped, Scale, Stored, lazy
from sciml.io.hdf5.issues import Issue, Remark, counted
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers import plain
from sciml.io.readers.nexus import logs, mantid
from sciml.io.readers.nexus.axes import MANTID, Axes, coordinates, names_in, resolved, scale_of, variable
from sciml.io.readers.nexus.axes import clock as clock_of
from sciml.io.readers.nexus.detector import detector_of, facts, with_detector
from sciml.io.readers.nexus.frame_files import end_to_end
from sciml.io.readers.nexus.geometry import placement
from sciml.io.schema import pairs
from sciml.io.schema.axes import coord_name, is_real
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.recording import TIME

__all__ = ["Nexus"]

PLOTTED = ("NXdata", "NXdetector", "NXmonitor")
FALLBACK = ("data", "counts", "I", "value")  # what the values are called where nothing is marked as the signal
NOTHING = "no NXdata, NXdetector or NXmonitor of the file holds an array of numbers that can be read"
UNCERTAIN = ("uncertainties", "uncertainty", "resolutions")  # attributes that name the deviations of an array
SMALL = 2**22  # bytes of deviations that are read to see their sign
CANSAS = {"SASroot": "NXroot", "SASentry": "NXentry", "SASdata": "NXdata"}
PART = re.compile(r"data_\d+")  # the files of DECTRIS that a master file links to, in the order of the frames


class Nexus:
    """The reader of NeXus files."""

    name = "nexus"

    def sniff(self, tree: Tree) -> int:
        """Look for an entry at the root, else for any NeXus class there."""
        classes = [kind_of(node) for node in (tree.root, *tree.root.children.values())]
        if {"NXentry", "NXroot"} & set(classes):
            return 80
        return 60 if any(name.startswith("NX") for name in classes) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the plots, detectors, monitors and logs, and which is the default plot."""
        signals: dict[str, Signal] = {}
        findings: list[str] = []
        for group in tree:
            if kind_of(group) not in PLOTTED and not group.name.startswith("event_workspace"):
                continue
            if mantid.is_workspace(group):
                signals |= {one.path: one} if (one := mantid.events(group)) is not None else {}
                continue
            for data in _plotted(group, findings):
                signals.setdefault(data.path, _signal(group, data, tree))
        for declared in (*logs.measured(tree), *logs.logs(tree, findings)):
            signals.setdefault(declared.path, declared)
        default = _default(tree)
        if not signals and not findings:
            signals = {one.path: one for one in plain.Plain().scan(tree).signals}
            findings += ["nothing in the file is marked as a plot; all its arrays are listed"] if signals else []
        return Contents(
            format=f"NeXus {_content(tree.root.text('NeXus_version'))}".strip(),
            signals=tuple(signals.values()),
            findings=tuple(findings),
            attrs=_about(tree),
            default=default.path if default is not None and default.path in signals else None,
            reason=None if signals else "; ".join([NOTHING, *findings]),
        )


def kind_of(node: Node) -> str:
    """Return the class of a group; canSAS files may state their own alone."""
    return node.text("NX_class") or CANSAS.get(node.text("canSAS_class"), "")


def _children(node: Node, *classes: str) -> list[Node]:
    return [child for child in node.children.values() if kind_of(child) in classes]


def _default(tree: Tree) -> Node | None:
    """Return the dataset of the default plot: along @default from the root, else the first entry's first NXdata."""
    node: Node | None = tree.root
    visited: set[str] = set()
    while node is not None and kind_of(node) not in PLOTTED and node.path not in visited:
        visited.add(node.path)
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
    """Return the signal of a group, its auxiliary signals, and other arrays of the shape of the signal.

    Signals are named by the group, or marked on the datasets; where nothing is, by custom.
    """
    names = [*group.texts("signal"), *group.texts("auxiliary_signals")]
    names += [] if group.texts("signal") else _marked(group)
    names = names or _unmarked(group)
    if _parts(group) and (not names or PART.fullmatch(names[0])):
        names = _parts(group)[:1]
    found = []
    for name in names:
        node = group.dataset(name)
        if node is not None and (node.is_numeric or pairs.is_complex(node)):
            found.append(node)
        elif kind_of(group) == "NXdata":
            why = group.broken.get(name) or "is no array of numbers"
            findings.append(f"{group.path}: its signal {name} {why}")
    return found + (_alike(group, found) if kind_of(group) == "NXdata" else [])


def _unmarked(group: Node) -> list[str]:
    """Return what is most likely the signal where nothing is marked: by name, else the arrays of most axes."""
    named = [name for name in FALLBACK if (node := group.dataset(name)) is not None and node.is_numeric][:1]
    if named or kind_of(group) != "NXdata" or _parts(group):
        return named
    arrays = _free(group)
    most = max((len(node.shape or ()) for node in arrays.values()), default=0)
    return [name for name, node in arrays.items() if len(node.shape or ()) == most]


def _parts(group: Node) -> list[str]:
    """Return the names data_000001, ... in order: those that are there first, then the links that lead nowhere."""
    if group.dataset("data") is not None:
        return []
    there = sorted(name for name, node in group.children.items() if PART.fullmatch(name) and node.is_numeric)
    return there + sorted(name for name in group.broken if PART.fullmatch(name))


def _alike(group: Node, signals: list[Node]) -> list[Node]:
    """Return arrays beside the signal that have its shape and are neither axes nor uncertainties."""
    if not signals or PART.fullmatch(signals[0].name) or group.text("canSAS_class") or names_in(group, "I_axes"):
        return []
    return [node for node in _free(group).values() if node.shape == signals[0].shape and node not in signals]


def _free(group: Node) -> dict[str, Node]:
    """Return the arrays of numbers of a group that serve no other as axis, uncertainty or mask."""
    others = [one for one in group.children.values() if one.is_dataset]
    serving = {"errors", "mask", "Mask"} | ({"error"} if "energy" in group.children else set())
    serving |= {text for one in others for key in ("axes", *UNCERTAIN) for text in names_in(one, key)}
    for key in group.attribute_names():
        serving |= {key.removesuffix("_indices")} if key.endswith("_indices") else set()
        serving |= set() if key.startswith(("signal", "auxiliary")) else set(names_in(group, key))
    return {
        name: node
        for name, node in group.children.items()
        if node.is_numeric
        and max(node.shape or (0,)) > 1
        and node.attr("axis") is None
        and name not in serving
        and not MANTID.fullmatch(name)
        and not name.endswith(("_errors", "_scaling_factor"))
    }


def _marked(group: Node) -> list[str]:
    """Return the datasets with the legacy attribute signal=1, then 2, ..."""
    marks = {name: node.number("signal") for name, node in group.children.items() if node.is_dataset}
    return sorted((name for name, mark in marks.items() if mark), key=lambda name: marks[name] or 0.0)


def _signal(group: Node, data: Node, tree: Tree) -> Signal:
    shape, notes = data.shape or (), list[Remark]()
    axes = resolved(group, data, group.once(_free))
    dims = axes.dims(data)
    clock = clock_of(group, axes, dims, shape, notes)
    along = dims.index(TIME) if TIME in dims else 0
    order = (along, *(axis for axis in range(len(dims)) if axis != along))
    raw_unit = data.unit
    detector = detector_of(data, tree)
    remarks: list[str] = []
    scale = scale_of(group, data, notes, signal=True)
    attrs = facts(detector) | placement(detector, tree, remarks)
    signal = Signal(
        path=data.path,
        values=pairs.values(data, scale, order=order if along else None),
        dims=tuple(dims[axis] for axis in order),
        kind=kind_of(group),
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=clock,
        coords=partial(with_detector, partial(_coords, group, data, axes, dims), detector, data, dims),
        attrs=attrs | ({"long_name": data.text("long_name")} if data.text("long_name") else {}),
        notes=(*notes, *axes.notes, *remarks, *_unscaled(group, data, scale), *_negative(group, data)),
    )
    parts = _parts(group) if PART.fullmatch(data.name) else []
    return end_to_end(signal, group, parts, tree) if len(parts) > 1 else signal


def _coords(group: Node, data: Node, axes: Axes, dims: tuple[str, ...], notes: list[str]) -> Coords:
    coords: Coords = {}
    # The Q of canSAS is stored as its components Qx, Qy, each of the shape of the values.
    known = dict.fromkeys((*axes.names, *axes.places))
    for name in (f"{name}{part}" for name in known if name for part in "xyz"):
        node = group.dataset(name)
        if node is not None and node.is_numeric and node.shape == data.shape:
            coords[name] = variable(node, dims, {"units": clean_unit(node.unit)})
    coords |= coordinates(group, data, axes, dims, notes)
    for name, along in axes.places.items():
        node, own = group.dataset(name), tuple(dims[axis] for axis in along)
        label = coord_name(name if own == (name,) or name not in dims else f"{name}_values", ())
        if node is not None and label in coords and coords[label].shape == node.shape:
            names = [f"{name}_errors", *_declared_uncertainties(node)]
            coords |= _companion(group, node, names, own, f"{label}_uncertainty", [])
    return coords | _uncertainty(group, data, dims, notes) | _masked(group, data, dims)


def _negative(group: Node, data: Node) -> list[Issue]:
    """Return a finding where small deviations are negative, which none can be."""
    node = next((one for name in _deviations(group, data) if (one := _alike_in(group, name, data))), None)
    if node is None or node.n_bytes > SMALL or node.read_error():
        return []
    below = int((node.read() < 0).sum())
    if not below:
        return []
    said = f"{node.path} holds {counted(below, 'negative value')}; no uncertainty is below 0"
    return [Issue("negative_uncertainty", said, node.path)]


def _unscaled(group: Node, data: Node, scale: Scale) -> list[Remark]:
    """Return a note where the signal is scaled and its deviations, which state no factor of their own, are not."""
    node = next((one for name in _deviations(group, data) if (one := _alike_in(group, name, data))), None)
    if node is None or scale.factor == 1:
        return []
    return [Issue("not_applied", f"the factor of {data.path} is not applied to its deviations {node.path}", node.path)]


def _alike_in(group: Node, name: str, data: Node) -> Node | None:
    node = group.dataset(name)
    return node if node is not None and is_real(node) and node.shape == data.shape and node is not data else None


def _uncertainty(group: Node, data: Node, dims: tuple[str, ...], notes: list[str]) -> Coords:
    """Return the standard deviations of the values as a coordinate `uncertainty`."""
    return _companion(group, data, _deviations(group, data), dims, "uncertainty", notes)


def _deviations(group: Node, data: Node) -> list[str]:
    """Return the names under which the deviations of an array may stand beside it."""
    named = [f"{data.name}_errors", *_declared_uncertainties(data)]
    named += [*group.texts(f"{data.name}_uncertainties"), *group.texts(f"{data.name}_uncertainty"), "errors"]
    named += ["error"] if "energy" in group.children else []  # NXSPE
    return named


def _declared_uncertainties(node: Node) -> list[str]:
    return [name for key in UNCERTAIN for name in names_in(node, key)]


def _companion(
    group: Node, node: Node, names: list[str], dims: tuple[str, ...], label: str, notes: list[str]
) -> Coords:
    """Return the first of the named arrays that has the shape of another as its companion."""
    for name in names:
        found = group.dataset(name)
        if found is not None and found.is_numeric and found.shape == node.shape and found is not node:
            try:
                return {label: variable(found, dims, {"units": clean_unit(node.unit)})}
            except DataError as error:
                notes.append(str(error))
    return {}


def _masked(group: Node, data: Node, dims: tuple[str, ...]) -> Coords:
    """Return the mask of canSAS: not 0 where a value is to be left out."""
    for name in (*group.texts("mask"), "mask", "Mask"):
        node = group.dataset(name)
        if node is not None and node.shape == data.shape and node.is_numeric and not node.read_error():
            stored = Mapped(Stored(node.source()), _nonzero, bool)
            return {"mask": xr.Variable(dims, lazy(stored), {"flags": [f"masked ({node.name})"]})}
    return {}


def _nonzero(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    return np.asarray(values != 0)


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
    if value := _content(str(node.scalar(""))):
        found[label] = value


def _content(text: str) -> str:
    """Return a text, but not the placeholder of a template that some writers leave there."""
    return "" if text.strip().startswith("{") else text.strip()
