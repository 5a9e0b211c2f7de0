"""Arrays whose axes are calibrated by step and offset: HyperSpy signals, meshes of openPMD, images of Imaris.

Written to the specifications; not tried on real files. A volume of BigDataViewer is read here too.

References
----------
HyperSpy (.hspy), https://hyperspy.org: Experiments/<name>/data with axis-0, axis-1, ...; openPMD 1.1,
https://github.com/openPMD/openPMD-standard: unitSI, gridSpacing, gridGlobalOffset, gridUnitSI, axisLabels; Imaris 5.5,
Bitplane: DataSet/ResolutionLevel 0/TimePoint t/Channel c/Data within the size and extent of DataSetInfo/Image;
BigDataViewer, https://imagej.net/plugins/bdv: t00000/s00/0/cells.
"""

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.io.arrays import LazyArray, Mapped, Scale, Stored
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import grid, image_dims, is_real, unique
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import Values, computed, scaled, with_order
from sciml.recording import TIME

__all__ = ["Calibrated"]

# openPMD counts powers of length, mass, time, current, temperature, amount, luminosity.
SI = ("m", "kg", "s", "A", "K", "mol", "cd")


class Calibrated:
    """The reader of arrays with calibrated axes."""

    name = "calibrated"

    def sniff(self, tree: Tree) -> int:
        """Look for one of the layouts."""
        return 85 if _dialect(tree) is not None else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the arrays of the layout that the file has."""
        name, declare = _dialect(tree) or ("", lambda _: [])
        signals = tuple(declare(tree))
        return Contents(format=name, signals=signals, reason=None if signals else "the file holds no array of numbers")


def _dialect(tree: Tree) -> tuple[str, Callable[[Tree], list[Signal]]] | None:
    return next(((name, declare) for name, known, declare in DIALECTS if known(tree)), None)


# HyperSpy: each axis is a group of numbers; a list of axes may be written as one group too.


def _is_hyperspy(tree: Tree) -> bool:
    return tree.root.text("file_format").lower() == "hyperspy" and tree.root.child("Experiments") is not None


def _hyperspy(tree: Tree) -> list[Signal]:
    experiments = tree.root.children["Experiments"].children.values()
    return [
        _experiment(one, data) for one in experiments if (data := one.dataset("data")) is not None and data.is_numeric
    ]


def _experiment(group: Node, data: Node) -> Signal:
    shape = data.shape or ()
    axes = [group.child(f"axis-{axis}") for axis in range(len(shape))]
    names = [_named(axis, guess) for axis, guess in zip(axes, image_dims(len(shape)), strict=True)]
    dims = unique(names)
    metadata = group.child("metadata")
    quantity = ((metadata.child("Signal") if metadata is not None else None) or group).text("quantity")
    raw_unit = quantity.rpartition("(")[2].rstrip(")") if "(" in quantity else ""
    steps = {dim: axis for dim, axis in zip(dims, axes, strict=True) if axis is not None}
    coords = partial(_steps, steps, dict(zip(dims, shape, strict=True)))
    return _declared(scaled(data), dims, "HyperSpy signal", raw_unit, coords, clock=_clock(steps.get(TIME)))


def _clock(axis: Node | None) -> Rate | None:
    """Return the clock of an axis that is called time, in a unit of time."""
    seconds = seconds_per(axis.text("units")) if axis is not None else None
    step = axis.number("scale") if axis is not None else None
    if axis is None or seconds is None or not step:
        return None
    return Rate(1 / (step * seconds), (axis.number("offset") or 0.0) * seconds)


def _named(axis: Node | None, guess: str) -> str:
    name = axis.text("name") if axis is not None else ""
    return guess if name in ("", "<undefined>", "Undefined", "None") else TIME if name.lower() == TIME else name


def _steps(axes: dict[str, Node], sizes: dict[str, int], _notes: list[str]) -> Coords:
    coords: Coords = {}
    for dim, axis in axes.items():
        unit = "" if axis.text("units") in ("<undefined>", "None") else axis.text("units")
        listed = axis.dataset("axis")
        if listed is not None and is_real(listed) and listed.shape == (sizes[dim],):  # an axis that is not uniform
            coords[dim] = xr.Variable(dim, listed.read(), {"units": clean_unit(unit)} if clean_unit(unit) else {})
        elif dim != TIME or seconds_per(unit) is None:
            coords |= grid(dim, sizes[dim], step=axis.number("scale"), start=axis.number("offset", 0.0), unit=unit)
    return coords


def _declared(values: Values, dims: tuple[str, ...], kind: str, raw_unit: str, coords: Any, **more: Any) -> Signal:
    along = dims.index(TIME) if TIME in dims else 0
    order = (along, *(axis for axis in range(len(dims)) if axis != along))
    return Signal(
        path=values.node.path,
        values=with_order(values, order) if along else values,
        dims=tuple(dims[axis] for axis in order),
        kind=kind,
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=coords,
        **more,
    )


# openPMD: records and their components state a factor to SI and the powers of the SI units.


def _is_openpmd(tree: Tree) -> bool:
    return bool(tree.root.text("openPMD"))


def _openpmd(tree: Tree) -> list[Signal]:
    found = []
    for node in tree.datasets():
        parts = node.path.split("/")
        if node.number("unitSI") is None or not node.is_numeric or parts[0] != "data":
            continue
        parent = tree.get(node.path.rpartition("/")[0]) or tree.root
        record = node if node.attr("unitDimension") is not None else parent
        found.append(_component(node, record, tree.get("/".join(parts[:2])) or tree.root))
    return found


def _component(node: Node, record: Node, iteration: Node) -> Signal:
    shape, labels = node.shape or (), record.texts("axisLabels")
    mesh = record.attr("gridSpacing") is not None
    if record.text("dataOrder") == "F":
        labels = labels[::-1]
    # Azimuthal modes come first: the real part of mode 0, then real and imaginary part of each other one.
    modes = ("mode",) if mesh and record.text("geometry") == "thetaMode" and len(labels) == len(shape) - 1 else ()
    labels = (*modes, *labels)
    dims = unique(labels) if mesh and len(labels) == len(shape) else ("event", *image_dims(len(shape) - 1))
    dims = tuple("t_axis" if dim == TIME else dim for dim in dims)
    unit = _si(np.ravel(np.asarray(record.attr("unitDimension", ()))))
    # A record of a staggered simulation may be that of a little later.
    time = (iteration.number("time") or 0.0) + (record.number("timeOffset") or 0.0)
    seconds = time * (iteration.number("timeUnitSI") or 1.0)
    return _declared(
        scaled(node, Scale(node.number("unitSI") or 1.0)),
        dims,
        "mesh" if mesh else "particles",
        unit,
        partial(_mesh, node, record, dict(zip(dims, shape, strict=True))) if mesh else None,
        attrs={"iteration_time": seconds, "iteration_time_units": "s"},
        stack="iteration",
    )


def _si(powers: NDArray[Any]) -> str:
    """Return the unit that powers of the SI units make.

    Examples
    --------
    >>> _si(np.array([1.0, 1.0, -3.0, -1.0, 0.0, 0.0, 0.0]))
    'm kg s^-3 A^-1'
    """
    if powers.shape != (len(SI),) or powers.dtype.kind not in "iuf":
        return ""
    return " ".join(
        unit if power == 1 else f"{unit}^{power:g}" for unit, power in zip(SI, powers, strict=True) if power
    )


def _mesh(node: Node, record: Node, sizes: dict[str, int], notes: list[str]) -> Coords:
    """Return the places of the values of a mesh in SI units: within its cells, where its `position` says."""
    spacing, offset = (np.ravel(np.asarray(record.attr(name, ()))) for name in ("gridSpacing", "gridGlobalOffset"))
    inside = np.ravel(np.asarray(node.attr("position", np.zeros(spacing.shape))))
    coords, rest = _modes(sizes), {dim: size for dim, size in sizes.items() if dim != "mode"}
    factor = record.number("gridUnitSI", 1.0) or 1.0
    if spacing.shape != (len(rest),) or offset.shape != spacing.shape or inside.shape != spacing.shape:
        notes.append(f"{record.path} states the spacing of {spacing.size} axes of {len(rest)}; it is left out")
        return coords
    starts = offset + inside * spacing
    if record.text("dataOrder") == "F":
        spacing, starts = spacing[::-1], starts[::-1]
    for (dim, size), step, start in zip(rest.items(), spacing.tolist(), starts.tolist(), strict=True):
        coords |= grid(dim, size, step=step * factor, start=start * factor, unit="m")
    return coords


def _modes(sizes: dict[str, int]) -> Coords:
    """Return the azimuthal mode of each part of a mesh of thetaMode, and whether it is the real or imaginary part."""
    if "mode" not in sizes:
        return {}
    numbers = (np.arange(sizes["mode"]) + 1) // 2
    parts = np.where((np.arange(sizes["mode"]) % 2 == 1) | (numbers == 0), "real", "imaginary")
    return {"mode": xr.Variable("mode", numbers), "part": xr.Variable("mode", parts)}


# Imaris: attributes are arrays of single letters; arrays are padded to whole chunks.


def _is_imaris(tree: Tree) -> bool:
    return tree.get("DataSetInfo/Image") is not None and tree.get("DataSet/ResolutionLevel 0") is not None


def _letters(node: Node, name: str) -> str:
    value = node.attr(name, "")
    return "".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _imaris(tree: Tree) -> list[Signal]:
    image, found = tree.get("DataSetInfo/Image") or tree.root, []
    sizes = [int(text) if (text := _letters(image, axis)).isdigit() else 0 for axis in "ZYX"]
    for node in tree.datasets():
        if node.name != "Data" or "ResolutionLevel" not in node.path or len(node.shape or ()) != 3:
            continue
        level = re.search(r"ResolutionLevel (\d+)", node.path)
        full = level is not None and level[1] == "0"
        shape = tuple(
            min(one, size) if size and full else one for one, size in zip(node.shape or (), sizes, strict=True)
        )
        coords = partial(_extent, image, dict(zip("zyx", shape, strict=True)))
        made = partial(_cropped, node, shape)
        found.append(_declared(computed(node, made, shape), ("z", "y", "x"), "image", "counts", coords))
    return sorted(found, key=lambda signal: "ResolutionLevel 0" not in signal.path)


def _extent(image: Node, sizes: dict[str, int], _notes: list[str]) -> Coords:
    """Return the centers of the voxels within the extent of the image."""
    unit = {"um": "micrometer", "": "micrometer"}.get(_letters(image, "Unit"), _letters(image, "Unit"))
    coords: Coords = {}
    for number, dim in enumerate("xyz"):
        low, high = (_float(_letters(image, f"Ext{end}{number}")) for end in ("Min", "Max"))
        step = (high - low) / sizes[dim]
        coords |= grid(dim, sizes[dim], step=step, start=low + step / 2, unit=unit)
    return coords


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _cropped(node: Node, shape: tuple[int, ...]) -> LazyArray:
    return _Cropped(Stored(node.source(), scale=Scale()), shape)


class _Cropped(LazyArray):
    """The first rows of an array along each axis: what is beyond is padding."""

    def __init__(self, part: Stored, shape: tuple[int, ...]) -> None:
        self.part = part
        self.shape = shape
        self.dtype = part.dtype

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        inside = (
            slice(*_span(item.indices(size))) if isinstance(item, slice) else item
            for item, size in zip(key, self.shape, strict=True)
        )
        return self.part.read(tuple(inside))


def _span(indices: tuple[int, int, int]) -> tuple[int, int | None, int]:
    start, stop, step = indices
    return start, None if stop < 0 else stop, step


# BigDataViewer: 16 unsigned bits stored as signed ones; the size of a voxel is in an XML file beside it.


def _is_bdv(tree: Tree) -> bool:
    return tree.get("s00/resolutions") is not None and any(re.fullmatch(r"t\d{5}", name) for name in tree.root.children)


def _bdv(tree: Tree) -> list[Signal]:
    found = []
    for node in tree.datasets():
        if not re.fullmatch(r"t\d{5}/s\d+/\d+/cells", node.path) or len(node.shape or ()) != 3:
            continue
        step = _resolution(tree, node)
        coords = partial(_voxels, step, dict(zip("zyx", node.shape or (), strict=True)))
        made = partial(_unsigned_values, node)
        found.append(_declared(computed(node, made, node.shape or ()), ("z", "y", "x"), "image", "counts", coords))
    return sorted(found, key=lambda signal: signal.path.split("/")[2])


def _resolution(tree: Tree, node: Node) -> tuple[float, ...]:
    """Return the step along x, y and z in voxels of the full resolution."""
    _, setup, level, _ = node.path.split("/")
    rows = tree.get(f"{setup}/resolutions")
    declared = rows.read() if rows is not None and rows.is_numeric and len(rows.shape or ()) == 2 else np.zeros((0, 3))
    return tuple(declared[int(level)].tolist()) if int(level) < len(declared) else (1.0, 1.0, 1.0)


def _voxels(step: tuple[float, ...], sizes: dict[str, int], _notes: list[str]) -> Coords:
    coords: Coords = {}
    for dim, one in zip("xyz", step, strict=True):
        coords |= grid(dim, sizes[dim], step=one, unit="voxel")
    return coords


def _unsigned_values(node: Node) -> LazyArray:
    if node.dtype != np.int16:
        return Stored(node.source(), scale=Scale())
    return Mapped(Stored(node.source()), _unsigned, np.float32)


def _unsigned(values: NDArray[Any]) -> NDArray[np.uint16]:
    return values.astype(np.int16).view(np.uint16)


DIALECTS: tuple[tuple[str, Callable[[Tree], bool], Callable[[Tree], list[Signal]]], ...] = (
    ("HyperSpy", _is_hyperspy, _hyperspy),
    ("openPMD", _is_openpmd, _openpmd),
    ("Imaris", _is_imaris, _imaris),
    ("BigDataViewer", _is_bdv, _bdv),
)
