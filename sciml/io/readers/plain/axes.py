"""The axes of an array of an HDF5 file that no reader knows: dimension scales, labels, and rows of numbers beside it.

HDF5's own words come first: the scale that is attached to an axis, its label (DIMENSION_LABELS), or a scale of that
name in the same group, one value of which is the pitch. Where there are none, a row beside the array that alone has
the length of one axis (or one value more: edges of bins) is the values along it; it names the axis where it is called
what axes are called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from math import prod

from sciml.io.hdf5.text import seconds_per, split_unit
from sciml.io.hdf5.tree import Node
from sciml.io.schema.axes import bare, is_real, numbers
from sciml.io.schema.fitting import SIZE_NAMES, dims_of_sizes, fits, only_dim, sizes_of

__all__ = ["TIMESTAMPS", "Axis", "axes_of", "is_unwritten", "plain_name", "seconds_of", "split_name", "unit_of"]

TIMESTAMPS = {"time", "times", "timestamp", "timestamps", "t"}
# What axes are called, as the last word of a name.
AXES = re.compile(
    "(time|timestamp|distance|depth|position|location|frequency|frequencie|freq|wavelength|wavenumber|energy|energie|"
    "angle|theta|tth|phi|lat|latitude|lon|longitude|altitude|elevation|height|radius|radii|delay|edge|bin|axis|range|"
    "mz|q|r|x|y|z|t|f|k|lag|chainage|channel|trace|station|receiver|locus|loci)s?"
)
# Units that writers put at the end of a name, and their symbols.
SUFFIX = {"hz": "Hz", "khz": "kHz", "mhz": "MHz", "ghz": "GHz", "ev": "eV", "kev": "keV", "mev": "MeV"}
SUFFIX |= {unit: unit for unit in ("nm", "um", "mm", "cm", "m", "km", "fs", "ps", "ns", "us", "ms", "s", "deg", "rad")}
# Attributes that name the axes of an array, in order: HDF-EOS, zarr and xarray, ImageJ, and many a laboratory.
LABELS = {"dims", "dimensions", "dimensionnames", "dimensionlabels", "dimensionorder", "dimnames", "dimorder"}
LABELS |= {"arraydimensions", "axes", "axisnames", "axislabels", "axesnames", "axeslabels", "axisorder", "axesorder"}
MOST = 8  # rows of one length that are looked at: of so many none is the axis
FIRST = ("start", "begin", "center", "mid")  # of several times, which is the one of the sample


@dataclass(frozen=True)
class Axis:
    """What a file says of one axis of an array.

    Attributes
    ----------
    name
        "" where it says none.
    scale
        The dataset of the values along it, of the edges of bins, or of one value, the pitch.
    speaks
        Whether the file calls it an axis: a scale, a label, or a row of such a name.
    misfit
        A scale that is attached to it and has another length.
    """

    name: str = ""
    scale: Node | None = None
    speaks: bool = True
    misfit: Node | None = None

    @property
    def is_time(self) -> bool:
        """Whether it is called time."""
        return plain_name(self.label) in TIMESTAMPS

    @property
    def label(self) -> str:
        """Its name without the unit that stands in it; what is one of many channels is a channel."""
        label = split_name(self.name)[0]
        return "channel" if label.lower() in ("channel", "channels") else label


def plain_name(name: str) -> str:
    """Return a name without case, punctuation and a unit of hertz: "SamplingFrequency[Hz]" as "samplingfrequency"."""
    return bare(re.sub(r"[\[(]?hz[\])]?$", "", name.strip().lower()))


def split_name(name: str) -> tuple[str, str]:
    """Return the name of an axis and the unit that it ends with, in brackets or behind an underscore.

    Examples
    --------
    >>> split_name("time (s)"), split_name("wavelength_nm"), split_name("freq_Hz"), split_name("start_times")
    (('time', 's'), ('wavelength', 'nm'), ('freq', 'Hz'), ('start_times', ''))
    """
    label, unit = split_unit(name)
    stem, _, last = label.rpartition("_")
    return (stem, SUFFIX[last.lower()]) if stem and not unit and last.lower() in SUFFIX else (label, unit)


def unit_of(node: Node) -> str:
    """Return the unit that a dataset states, in an attribute or at the end of its name."""
    return node.unit or split_name(node.name)[1]


def is_unwritten(scale: Node) -> bool:
    """Whether a dimension scale is one of netCDF that marks a dim without values, which it says in its name."""
    return "netCDF dimension" in scale.text("NAME")


def axes_of(node: Node) -> tuple[Axis, ...]:
    """Return what the file says of each axis of an array."""
    shape, scales = node.shape or (), node.scales()
    labels = _labels(node, len(shape))
    found = tuple(map(partial(_declared, node), scales, labels, shape))
    if any(axis.name for axis in found):
        return found
    around = tuple(replace(one, misfit=own.misfit) for one, own in zip(_around(node, shape), found, strict=True))
    if len(shape) > 1 and not any(axis.name for axis in around) and (dims := _by_size(node, shape)) is not None:
        return tuple(replace(axis, name=dim) for axis, dim in zip(around, dims, strict=True))
    return around


def _labels(node: Node, rank: int) -> tuple[str, ...]:
    """Return the name of each axis by HDF5's own attribute, else by one that is called what writers call it."""
    labels = node.texts("DIMENSION_LABELS")
    if len(labels) == rank and any(labels):
        return labels
    named = (_words(node.texts(name), rank) for name in node.attribute_names() if bare(name) in LABELS)
    return next(filter(None, named), ("",) * rank)


def _words(texts: tuple[str, ...], rank: int) -> tuple[str, ...]:
    """Return one word for each axis, () where the texts are none: a list, one text with separators, or capitals.

    Examples
    --------
    >>> _words(("time, lat",), 2), _words(("TYX",), 3), _words(("2", "3"), 2), _words(("x",), 2)
    (('time', 'lat'), ('t', 'y', 'x'), (), ())
    """
    words = texts if len(texts) != 1 else tuple(filter(None, re.split(r"[\s,;:\[\]()'\"]+", texts[0])))
    if len(words) == 1 < rank == len(words[0]) and words[0].isupper():
        words = tuple(words[0].lower())
    return words if len(set(words)) == rank == len(words) and all(word[:1].isalpha() for word in words) else ()


def _by_size(node: Node, shape: tuple[int, ...]) -> tuple[str, ...] | None:
    """Return the dims by the numbers of channels, samples and trials that the array or its group states."""
    holders = [one for one in (node.holder, node) if one is not None]
    sizes = {dim: size for one in holders for dim, size in one.once(_sizes).items()}
    return dims_of_sizes(sizes, shape) if sizes else None


def _sizes(holder: Node) -> dict[str, int]:
    named = {bare(name): holder.number(name) for name in holder.attribute_names() if bare(name) in SIZE_NAMES}
    inside = numbers({name: node for name, node in holder.children.items() if bare(name) in SIZE_NAMES})
    return sizes_of(inside | {name: number for name, number in named.items() if number is not None})


def _declared(node: Node, scale: Node | None, label: str, size: int) -> Axis:
    if scale is None and label and node.holder is not None:
        scale = node.holder.once(_scales).get(bare(label)) or _called(node.holder, label, size)
    if scale is not None and not (fits(prod(scale.shape or ()), size) or set(scale.shape or ()) <= {1}):
        return Axis(label, misfit=scale)
    return Axis(label or (scale.name if scale is not None else ""), scale)


def _called(group: Node, label: str, size: int) -> Node | None:
    """Return the row of numbers of a name that fits an axis of a size, None if there is none."""
    row = group.once(_names).get(bare(split_name(label)[0]))
    fitting = row is not None and is_real(row) and len(row.shape or ()) == 1 and fits(prod(row.shape or ()), size)
    return row if fitting else None


def _names(group: Node) -> dict[str, Node]:
    """Return what is in a group by bare names without units, the first of each."""
    found: dict[str, Node] = {}
    for name, node in group.children.items():
        found.setdefault(bare(split_name(name)[0]), node)
    return found


def _scales(group: Node) -> dict[str, Node]:
    """Return the dimension scales of a group by the names that they give themselves, and by those that they have."""
    found: dict[str, Node] = {}
    for name, node in group.children.items():
        if node.n_attributes and node.text("CLASS") == "DIMENSION_SCALE":
            found.setdefault(bare(node.text("NAME") or name), node)
            found.setdefault(bare(name), node)
    return found


@dataclass(frozen=True)
class _Rows:
    """Rows of numbers of one length: those that are called what axes are called, and the others."""

    axes: list[Node]
    others: list[Node]


def _rows(group: Node) -> dict[int, _Rows]:
    """Return the rows of numbers in a group by their lengths."""
    found: dict[int, _Rows] = {}
    for name, node in group.children.items():
        if node.is_dataset and is_real(node) and len(node.shape or ()) == 1 and prod(node.shape or (0,)) > 1:
            rows = found.setdefault((node.shape or (0,))[0], _Rows([], []))
            (rows.axes if _speaks(name) else rows.others).append(node)
    return found


def _speaks(name: str) -> bool:
    """Whether a row is called what axes are called: by the last word of its name, without its unit."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", split_name(name)[0])
    return bool(words) and AXES.fullmatch(words[-1].lower()) is not None


def _around(node: Node, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    rows = node.holder.once(_rows) if node.holder is not None and shape else {}
    return tuple(_row_of(node, rows, shape, axis) for axis in range(len(shape)))


def _row_of(node: Node, rows: dict[int, _Rows], shape: tuple[int, ...], axis: int) -> Axis:
    """Return the row that belongs to an axis: the only one that fits it, and no other axis."""
    size = shape[axis]
    lengths = [n for n in (size, size + 1) if n in rows and only_dim(n, shape) == axis]
    if len(shape) == 1 and _speaks(node.name):
        return Axis()
    speaking = _one_time([one for n in lengths for one in rows[n].axes[:MOST] if one is not node])
    if len(speaking) == 1:
        return Axis(speaking[0].name, speaking[0])
    others = rows[size].others if len(shape) > 1 and size in lengths else []
    alone = not speaking and len(others) == 1
    return Axis("", others[0], speaks=False) if alone else Axis()


def _one_time(rows: list[Node]) -> list[Node]:
    """Return rows, of several times only that of the beginning."""
    if len(rows) < 2 or not all(plain_name(row.name).endswith(tuple(TIMESTAMPS)) for row in rows):
        return rows
    first = [row for row in rows if plain_name(row.name) in TIMESTAMPS]
    first = first or [row for row in rows if plain_name(row.name).startswith(FIRST)]
    return first[:1] or rows


def seconds_of(axis: Axis) -> float | None:
    """Return how many seconds one unit of an axis is, 1 where it states none, None where it is no unit of time."""
    unit = unit_of(axis.scale) if axis.scale is not None else split_name(axis.name)[1]
    return seconds_per(unit) if unit else 1.0
