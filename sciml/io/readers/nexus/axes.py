"""The axes of a NeXus plot: what the file says of them, and where they fit.

NXdata names the axes in order, by `<axis>_indices`, or by marks on the datasets; Mantid counts them from the fastest
one; files of which the order or the numbers are wrong are repaired by the lengths (`sciml.io.schema.fitting`). Fields
`<name>_scaling_factor` and `<name>_offset` are applied: (stored + offset) * scaling_factor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isnan, prod

import h5py
import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale, Stored, lazy
from sciml.io.hdf5.issues import Remark
from sciml.io.hdf5.text import clean_unit, seconds_per, split_unit
from sciml.io.hdf5.tree import Node
from sciml.io.schema import scaling
from sciml.io.schema.axes import coord_name
from sciml.io.schema.clock import EAGER, Clock, Timestamps
from sciml.io.schema.declarations import Coords
from sciml.io.schema.fitting import assigned, axis_coords, only_dim, where_shape_fits
from sciml.recording import TIME

__all__ = ["MANTID", "Axes", "clock", "coordinates", "names_in", "resolved", "scale_of", "split", "variable"]

TIMES = {"time", "times", "timestamp", "timestamps"}
MANTID = re.compile(r"axis(\d+)")  # what Mantid calls its axes, the first along the last dim
DETECTORS = ("polar", "azimuthal", "distance", "polar_width", "azimuthal_width")  # of NXSPE, one value a detector


@dataclass(frozen=True)
class Axes:
    """Where the axes of a plot are.

    Attributes
    ----------
    names
        The axis that names each dim, "" where none does.
    places
        The dims along which each axis has its values.
    notes
        What is odd about them.
    """

    names: tuple[str, ...]
    places: dict[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def dims(self, data: Node) -> tuple[str, ...]:
        """Return dim names: those of the axes; images without axes are (frame, y, x)."""
        rank = len(self.names)
        image = ("frame", "y", "x")[-rank:] if rank in (2, 3) else tuple(f"dim_{axis}" for axis in range(rank))
        if data.text("interpretation") == "spectrum" and rank:
            image = (*(f"dim_{axis}" for axis in range(rank - 1)), "frequency")
        guesses = [f"dim_{axis}" if guess in self.places else guess for axis, guess in enumerate(image)]
        named = [TIME if split_unit(name)[0].lower() in TIMES else name for name in self.names]
        dims = [name or guesses[axis] for axis, name in enumerate(named)]
        return tuple(f"{dim}_{axis}" if dims.count(dim) > 1 else dim for axis, dim in enumerate(dims))


def split(text: str) -> list[str]:
    """Return the names in a text that separates them by colons or commas, with or without brackets."""
    return [name.strip() for name in re.split(r"[:,]", text.strip().strip("[]"))]


def names_in(node: Node, attribute: str) -> list[str]:
    """Return the names in an attribute of one text or several."""
    return [name for text in node.texts(attribute) for name in split(text)]


def resolved(group: Node, data: Node, free: dict[str, Node]) -> Axes:
    """Return where the axes of an array are; `free` are the arrays of the group that serve no other purpose."""
    shape = data.shape or ()
    if (
        group.dataset("energy") is not None
        and group.dataset("polar") is not None
        and group.dataset("error") is not None
    ):
        return _nxspe(group, shape)
    declared, indexed = _declared(group, data), _indexed(group)
    nodes = {name: node for name in dict.fromkeys((*declared, *indexed)) if (node := _axis(group, name, data))}
    given = {name: declared.index(name) for name in nodes if name in declared}
    given |= {name: places[0] for name, places in indexed.items() if len(places) == 1 and name in nodes}
    lengths = {name: size for name, node in nodes.items() if (size := _length(node)) is not None}
    alone = assigned(lengths, given, shape)
    places: dict[str, tuple[int, ...]] = {name: (dim,) for name, dim in alone.items()}
    for name in nodes.keys() - lengths.keys():
        if (own := _of_many(nodes[name], indexed.get(name, ()), shape)) is not None:
            places[name] = own
    names = _naming(declared, alone, nodes, len(shape))
    if not any(names):
        found = _neighbors(free, data, shape)
        places |= {name: (dim,) for name, dim in found.items()}
        names = tuple(next((name for name, dim in found.items() if dim == axis), "") for axis in range(len(shape)))
    notes = tuple(
        f"axis {node.path} of shape {node.shape} does not fit the data of shape {shape}; it is left out"
        for name, node in nodes.items()
        if name not in places and node.shape
    )
    return Axes(names, {**{name: () for name in nodes if name not in places}, **places}, notes)


def _nxspe(group: Node, shape: tuple[int, ...]) -> Axes:
    """Return the axes of NXSPE: detector and energy, the latter as edges."""
    inside = [name for name in DETECTORS if _length_of(group, name) == shape[:1]]
    places: dict[str, tuple[int, ...]] = dict.fromkeys(inside, (0,))
    if len(shape) != 2:
        return Axes(("",) * len(shape), places)
    return Axes(("detector", "energy"), {**places, "energy": (1,)})


def _length_of(group: Node, name: str) -> tuple[int, ...] | None:
    node = group.dataset(name)
    return node.shape if node is not None else None


def _declared(group: Node, data: Node) -> tuple[str, ...]:
    """Return the name of the axis of each dim as the file has it, "" where there is none.

    In old files the dataset's @axes outranks the group's; older ones mark the axis datasets with @axis.
    """
    rank = len(data.shape or ())
    for attribute in (data.texts("axes"), group.texts("axes"), group.texts(f"{data.name}_axes")):
        names = [name for text in attribute for name in split(text)]
        if names and all(MANTID.fullmatch(name) for name in names):
            names.reverse()
        if names and len(names) <= rank:  # one name for an array of many dims is the axis of the first
            return tuple("" if name == "." else name for name in names) + ("",) * (rank - len(names))
    marked = [""] * rank
    for name, node in group.children.items():
        for number in re.findall(r"\d+", node.text("axis")) if node.is_dataset else ():
            if 1 <= int(number) <= rank and (not marked[int(number) - 1] or node.number("primary") == 1.0):
                marked[int(number) - 1] = name
    return tuple(marked)


def _indexed(group: Node) -> dict[str, tuple[int, ...]]:
    """Return the axes that the group names by an attribute <axis>_indices, and the dims that it gives."""
    found = {}
    for attribute in group.attribute_names():
        if attribute.endswith("_indices") and attribute.removesuffix("_indices").lower() != "mask":
            digits = [part for item in np.ravel(np.asarray(group.attr(attribute, ()))) for part in split(str(item))]
            usable = digits and all(re.fullmatch(r"\d+(\.0*)?", item) for item in digits)
            found[attribute.removesuffix("_indices")] = tuple(int(float(item)) for item in digits) if usable else ()
    return found


def _axis(group: Node, name: str, data: Node) -> Node | None:
    node = _axis_named(group, name)
    return node if node is not data else None


def _length(node: Node) -> int | None:
    """Return how many values an axis along one dim has, also if it is stored as a column or a row of a matrix."""
    shape = node.shape or ()
    return prod(shape) if shape and sum(size != 1 for size in shape) <= 1 else None


def _of_many(node: Node, given: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the dims of an axis that has values along several."""
    own = node.shape or ()
    if len(given) == len(own) and all(dim < len(shape) and shape[dim] == n for dim, n in zip(given, own, strict=True)):
        return given
    if own == shape or own == (*shape[:-1], shape[-1] + 1):  # Mantid has edges of bins for each spectrum
        return tuple(range(len(shape)))
    return where_shape_fits(own, shape)


def _naming(declared: tuple[str, ...], alone: dict[str, int], nodes: dict[str, Node], rank: int) -> tuple[str, ...]:
    """Return which axis names each dim: one that fits it, else one that is named for it and is not there."""
    names = [""] * rank
    for name in declared:
        if name in alone and not names[alone[name]]:
            names[alone[name]] = name
    for axis, name in enumerate(declared):
        if name and name not in nodes and not names[axis]:
            names[axis] = name
    return tuple(names)


def _neighbors(free: dict[str, Node], data: Node, shape: tuple[int, ...]) -> dict[str, int]:
    """Return the rows of numbers that alone have the length of one dim, where the file names no axes."""
    rows = {name: node for name, node in free.items() if node is not data and len(node.shape or ()) == 1}
    lengths = {name: (node.shape or (0,))[0] for name, node in rows.items()} if len(shape) > 1 else {}
    single = {name: dim for name, n in lengths.items() if (dim := only_dim(n, shape)) is not None}
    return {name: dim for name, dim in single.items() if list(single.values()).count(dim) == 1}


def clock(group: Node, axes: Axes, dims: tuple[str, ...], shape: tuple[int, ...], notes: list[Remark]) -> Clock | None:
    """Return the clock of the axis that is called time."""
    name = axes.names[dims.index(TIME)] if TIME in dims else ""
    node, along = _axis_named(group, name), axes.places.get(name)
    if node is None or along is None or _length(node) != shape[dims.index(TIME)]:
        return None
    if not node.is_numeric:
        notes.append(f"the axis {node.path} holds texts, no numbers; there is no clock")
        return None
    unit = node.unit or split_unit(name)[1]
    seconds = seconds_per(unit or "s")
    if seconds is None:
        notes.append(f"the axis {node.path} is in {unit!r}, which is no unit of time; there is no clock")
        return None
    scale = scale_of(group, node, notes)
    return Timestamps(node, seconds * scale.factor, scale.zero if isinstance(scale.zero, (int, float)) else 0)


def _axis_named(group: Node, name: str) -> Node | None:
    """Return an array of numbers, or a row of texts."""
    node = group.dataset(name) if name else None
    if node is None or node.is_numeric:
        return node
    texts = node.dtype is not None and h5py.check_string_dtype(node.dtype) is not None
    return node if texts and len(node.shape or ()) == 1 and 0 not in (node.shape or ()) else None


def scale_of(group: Node, node: Node, notes: list[Remark], *, signal: bool = False) -> Scale:
    """Return (stored + offset) * scaling_factor, as fields of the group (for the signal without its name, too) say."""
    plot = group.text("NX_class") == "NXdata"
    prefixes = [f"{node.name}_", *([""] if signal else [])] if plot else []
    names = [(group.dataset(f"{prefix}scaling_factor"), group.dataset(f"{prefix}offset")) for prefix in prefixes]
    factors, offsets = (
        ([one for one in found if one is not None] for found in zip(*names, strict=True)) if names else ([], [])
    )
    own = scaling.attribute(node, "scaling_factor", "scale_factor")
    factor = scaling.stored_number(factors[0], 1.0, notes) if factors else scaling.factor(node, own, notes)
    offset = scaling.stored_number(offsets[0], 0.0, notes) if offsets else 0.0
    if isnan(factor) or isnan(offset):
        return Scale()
    return Scale(factor, zero=-offset if offset else 0)


def coordinates(group: Node, data: Node, axes: Axes, dims: tuple[str, ...], notes: list[str]) -> Coords:
    """Return the axes as coordinates: values, or the centers and edges of bins."""
    coords: Coords = {}
    for name, along in axes.places.items():
        node = _axis_named(group, name)
        own = tuple(dims[axis] for axis in along)
        if node is None or not own or own == (TIME,) or name.lower() == "mask":
            continue
        try:
            coords |= _coords_of(group, node, name, own, tuple((data.shape or ())[axis] for axis in along), dims, notes)
        except DataError as error:
            notes.append(str(error))
    return coords


def _coords_of(
    group: Node,
    node: Node,
    name: str,
    own: tuple[str, ...],
    sizes: tuple[int, ...],
    dims: tuple[str, ...],
    notes: list[str],
) -> Coords:
    remarks: list[Remark] = []
    scale = scale_of(group, node, remarks) if node.is_numeric else Scale()
    notes += map(str, remarks)
    unit = clean_unit(node.unit or split_unit(name)[1])
    attributes = {"units": unit} if unit else {}
    label = coord_name(name if own == (name,) or name not in dims else f"{name}_values", ())
    if len(own) > 1 and node.shape == (*sizes[:-1], sizes[-1] + 1):
        edges = scale.apply(node.read(), (slice(None),) * len(own))
        parts = {"": 0.5 * (edges[..., 1:] + edges[..., :-1]), "_left": edges[..., :-1], "_right": edges[..., 1:]}
        return {f"{label}{end}": xr.Variable(own, part, attributes) for end, part in parts.items()}
    if len(own) > 1:
        return {label: variable(node, own, attributes, scale)}
    if node.shape == sizes and sizes[0] > EAGER:
        return {label: variable(node, own, attributes, scale)}
    values = node.read().ravel()
    values = values if scale.identity else scale.apply(values, (slice(None),))
    return axis_coords(label, own[0], values, sizes[0], attributes)


def variable(node: Node, dims: tuple[str, ...], attributes: dict[str, str], scale: Scale | None = None) -> xr.Variable:
    """Return an array as a variable, read later if it is large."""
    scale = None if scale is None or scale.identity else scale
    if len(dims) == 1 and prod(node.shape or ()) <= EAGER and scale is None:
        return xr.Variable(dims, node.read(), attributes)
    if trouble := node.read_error():
        raise DataError(f"axis {node.path}: {trouble}")
    return xr.Variable(dims, lazy(Stored(node.source(), scale=scale)), attributes)
