"""Numbers that a file states beside its data: those that scale values, and those that say which values are none.

What is stated and usable is applied by the reader; what is stated and not applied is said, by `unapplied`, for whatever
reader. A factor of 0, NaN or infinity, text or a vector is no factor: it is never multiplied with.

References
----------
NetCDF Climate and Forecast conventions 1.11, section 8.1 (scale_factor, add_offset) and 2.5.1 (_FillValue,
missing_value, valid_min, valid_max, valid_range); netCDF User Guide, "Attribute Conventions" (_Unsigned).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite, isnan, nan, prod
from typing import Any

import numpy as np

from sciml.io.arrays import Missing, Scale
from sciml.io.hdf5.issues import Issue, Remark, counted
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import bare, is_real
from sciml.io.schema.clock import Timestamps
from sciml.io.schema.declarations import Signal

__all__ = [
    "attribute", "cf_scale", "factor", "offset", "per_channel", "stored_number", "times", "with_unapplied",
]  # fmt: skip

FACTORS = ("scale_factor",)
OFFSETS = ("add_offset",)
EOS_OFFSET = "Offset"  # of HDF-EOS 5, beside ScaleFactor
FILLS = ("_FillValue", "missing_value")
MULTIPLY = frozenset({"scale", "scales", "scaling", "gain", "gains", "factor", "factors", "multiplier", "slope"})
ADD = frozenset({"offset", "offsets", "intercept"})
WORDS = MULTIPLY | ADD | {"valid", "fill", "missing", "calibration", "conversion", "unsigned", "nodata"}
# Words that say nothing else: of which part of an instrument, in which unit.
NEUTRAL = frozenset({"data", "signal", "value", "values", "raw", "channel", "channels", "dataset", "array", "physical"})
NEUTRAL |= {"adc", "bit", "bits", "lsb", "count", "counts", "volt", "volts", "uv", "mv", "db", "per", "to", "unit"}
NEUTRAL |= {"vertical", "amplitude", "voltage", "current", "intensity", "input", "analog", "amplifier", "preamp"}
LIMITS = frozenset({"max", "min", "range"})
# Words of names that are about another thing than values.
OTHER = LIMITS | {"units", "type", "mode", "applied", "name", "text", "status", "time", "date", "version", "utc", "gps"}
OTHER |= {"byte", "bytes", "file", "chunk", "header", "dimension", "bar"}
SHOWN = 4  # names in a finding
FEW = 8  # groups that are looked at beside an array; numbers that are one factor and one offset for each of a few bands


def attribute(node: Node, *names: str) -> str:
    """Return the name of the first of some attributes that a node has, in its own case and punctuation; "" if none."""
    have = {bare(name): name for name in reversed(node.attribute_names())}
    return next((have[bare(name)] for name in names if bare(name) in have), "")


def factor(node: Node, name: str, notes: list[Remark]) -> float:
    """Return a factor that an attribute states, 1 where there is none; what is no factor is noted and is NaN."""
    value = node.attr(name) if name else None
    return 1.0 if value is None else _usable(value, f"its {name}", node.path, notes, _is_factor)


def offset(node: Node, name: str, notes: list[Remark]) -> float:
    """Return what an attribute adds, 0 where there is none; what is no number is noted and is NaN."""
    value = node.attr(name) if name else None
    return 0.0 if value is None else _usable(value, f"its {name}", node.path, notes, isfinite)


def stored_number(node: Node | None, default: float, notes: list[Remark]) -> float:
    """Return the one number that a dataset holds, the default where there is none; what is none is noted and is NaN."""
    if node is None or not node.is_dataset:
        return default
    alone = set(node.shape or ()) <= {1}
    value = node.scalar() if alone else np.zeros(node.shape or ())
    return _usable(value, node.path, node.path, notes, _is_factor if default else isfinite)


def _is_factor(value: float) -> bool:
    return isfinite(value) and value != 0


def _usable(value: Any, what: str, path: str, notes: list[Remark], allowed: Callable[[float], bool]) -> float:
    """Return a number, also one written as text, if it is one that may be applied; else note it and return NaN."""
    try:
        number = nan if isinstance(value, np.ndarray) else float(value)
    except (TypeError, ValueError):
        number = nan
    if allowed(number):
        return number
    notes.append(Issue("not_applied", f"{what} is {_words(value)}, which is no usable number; it is not applied", path))
    return nan


def _words(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return repr(value) if isinstance(value, str) else f"{value}"


def per_channel(values: Sequence[float], what: str, path: str, notes: list[Remark]) -> tuple[float, ...]:
    """Return factors, one a channel; those that are 0, NaN or infinite are noted and are NaN."""
    found = tuple(value if _is_factor(value) else nan for value in map(float, values))
    if bad := sum(map(isnan, found)):
        said = f"its {what} is 0 or no number for {counted(bad, 'channel')} of {len(found)}, whose values are NaN"
        notes.append(Issue("not_applied", said, path))
    return found


def times(node: Node, seconds: float, notes: list[Remark]) -> Timestamps:
    """Return a clock of time stamps in a unit of so many seconds, scaled as the attributes of the stamps say."""
    scale = cf_scale(node, notes)
    return Timestamps(node, seconds * scale.factor, -scale.offset / scale.factor if scale.offset else 0)


def cf_scale(node: Node, notes: list[Remark]) -> Scale:
    """Return the scaling of CF: stored * scale_factor + add_offset, and which stored values are none."""
    if not node.n_attributes:
        return Scale()
    name, added = attribute(node, *FACTORS), attribute(node, *OFFSETS)
    if not added and name and node.attr(EOS_OFFSET) is not None:
        added = EOS_OFFSET
    multiplied, shift = factor(node, name, notes), offset(node, added, notes)
    if not (isfinite(multiplied) and isfinite(shift)):
        multiplied, shift = 1.0, 0.0
    scale = Scale(multiplied, shift, kind=_kind(node))
    return replace(scale, missing=_missing(node, scale, notes))


def _kind(node: Node) -> str:
    """Return as which integers stored ones are to be read, where `_Unsigned` says another than their type."""
    wanted = {"true": "u", "false": "i", "1": "u", "0": "i"}.get(node.text(attribute(node, "_Unsigned")).lower(), "")
    stored = node.dtype.kind if node.dtype is not None else ""
    return wanted if stored in "iu" and wanted != stored else ""


def _missing(node: Node, scale: Scale, notes: list[Remark]) -> Missing | None:
    """Return which stored values are none, in the integers as which they are read."""
    fills = [value for name in FILLS for value in _stored(node, attribute(node, name), scale)]
    ranged = _stored(node, attribute(node, "valid_range"), scale)
    low = _stored(node, attribute(node, "valid_min"), scale)[:1] or ranged[:1]
    high = _stored(node, attribute(node, "valid_max"), scale)[:1] or ranged[1:2]
    if len(ranged) not in (0, 2) or (low and high and low[0] > high[0]):
        said = f"its valid range {tuple(ranged) or (*low, *high)} is no range; it is not applied"
        notes.append(Issue("not_applied", said, node.path))
        low, high = [], []
    if not fills and not low and not high:
        return None
    return Missing(tuple(dict.fromkeys(fills)), low[0] if low else None, high[0] if high else None)


def _stored(node: Node, name: str, scale: Scale) -> list[float]:
    """Return numbers that an attribute states, as they are stored: signed ones may mean unsigned ones.

    A limit in floats of packed integers is one of the unpacked values, as the netCDF User Guide has it.
    """
    value = node.attr(name) if name else None
    value = node.number(name) if isinstance(value, str) else value
    numbers = np.ravel(np.asarray(() if value is None else value))
    if numbers.dtype.kind not in "iuf" or node.dtype is None:
        return []
    integers = node.dtype.kind in "iu"
    if bare(name).startswith("valid") and integers and numbers.dtype.kind == "f" and scale.factor != 1:
        return sorted(((numbers - scale.offset) / scale.factor).tolist())
    if scale.kind and integers and (numbers == np.round(numbers)).all():
        span = 2.0 ** (8 * node.dtype.itemsize)
        numbers = numbers % span if scale.kind == "u" else (numbers + span / 2) % span - span / 2
    return [float(number) for number in numbers if not np.isnan(number)]


def with_unapplied(signal: Signal, tree: Tree) -> Signal:
    """Return a signal with a note on what stands beside it and was not applied."""
    found = _unapplied(signal, tree)
    return replace(signal, notes=(*signal.notes, *found)) if found else signal


def _unapplied(signal: Signal, tree: Tree) -> list[Issue]:
    """Return what the file states beside a signal by the name of a factor, an offset or a limit, and nobody applied.

    Attributes of the data that its reader never asked for; and attributes and numbers of the group around, never asked
    for or read, whose names say such a thing of this array or of all. A factor of 1 and an offset of 0 need no word.
    """
    data = signal.data
    if not data.is_numeric or signal.values.is_restored or _parts(data.name) & WORDS:
        return []
    own = _rest(data.name)
    named = [
        f"the attribute {name} = {_words(data.attr(name))}"
        for name in data.attribute_names()
        if name not in data.asked and _says(name) and _matters(name, data.attr(name))
    ]
    group = tree.parent(data)
    named += [
        f"the attribute {name} = {_words(holder.attr(name))} of {holder.path or 'its group'}"
        for holder in (group, *group.once(_describing))
        for name in holder.once(_attributes_for_all)
    ]
    around = group.once(_numbers_around)
    for node in (one for key in dict.fromkeys((frozenset[str](), own)) for one in around.get(key, ())):
        if node is not data and not node.was_read and (_fits(node, data.shape or ()) or _is_few(node, own)):
            value = node.scalar() if set(node.shape or ()) <= {1} else None
            if value is None or _matters(node.name, value):
                named.append(f"{node.path}{'' if value is None else f' = {value}'} beside it")
    if not named:
        return []
    more = f" and {counted(len(named) - SHOWN, 'more')[:-1]}" if len(named) > SHOWN else ""
    return [Issue("not_applied", f"the file states {', '.join(named[:SHOWN])}{more}, which was not applied", data.path)]


def _describing(group: Node) -> list[Node]:
    """Return the groups beside an array that hold nothing but attributes, as `what` of radar data does (ODIM_H5)."""
    groups = [node for node in group.children.values() if not node.is_dataset]
    few = groups if len(groups) <= FEW else []  # of many groups none is about this array
    return [node for node in few if node.n_attributes and not node.children]


def _attributes_for_all(group: Node) -> list[str]:
    """Return the attributes of a group that scale or limit whatever is in it, and that nobody asked for."""
    names = [name for name in group.attribute_names() if _says(name) and not _rest(name) and name not in group.asked]
    return [name for name in names if _matters(name, group.attr(name))]


def _numbers_around(group: Node) -> dict[frozenset[str], list[Node]]:
    """Return the numbers of a group whose names say that they scale or limit, by what else their names say."""
    found: dict[frozenset[str], list[Node]] = {}
    for name, node in group.children.items():
        if node.is_dataset and _parts(name) & WORDS and not _parts(name) & OTHER and is_real(node):
            found.setdefault(_rest(name), []).append(node)
    return found


def _parts(name: str) -> frozenset[str]:
    """Return the words in a name.

    Examples
    --------
    >>> sorted(_parts("I_scaling_factor")), sorted(_parts("dataOffset")), sorted(_parts("_FillValue"))
    (['factor', 'i', 'scaling'], ['data', 'offset'], ['fill', 'value'])
    """
    return frozenset(part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name))


def _rest(name: str) -> frozenset[str]:
    return _parts(name) - WORDS - NEUTRAL


def _says(name: str) -> bool:
    """Whether a name says that it scales or limits values."""
    parts = _parts(name)
    return bool(parts & WORDS) and not (parts & OTHER) - (LIMITS if "valid" in parts else set())


def _matters(name: str, value: Any) -> bool:
    """Whether a value does something: not a factor of 1, an offset of 0, a text or nothing."""
    try:
        numbers = np.ravel(np.asarray(value)).astype(np.float64)
    except (TypeError, ValueError):
        return False
    if not numbers.size or np.asarray(value).dtype.kind == "b":
        return False
    neutral = 1.0 if _parts(name) & MULTIPLY else 0.0 if _parts(name) & ADD else np.nan
    return not (numbers == neutral).all()


def _is_few(node: Node, own: frozenset[str]) -> bool:
    """Whether numbers that are called after an array are its factor and its offset, as in RadianceFactors."""
    return bool(own) and _rest(node.name) == own and prod(node.shape or ()) <= FEW


def _fits(node: Node, shape: Sequence[int]) -> bool:
    """Whether numbers may belong to an array: one for all, or one for each along one of its axes."""
    sizes = [size for size in node.shape or () if size != 1]
    return not sizes or (len(sizes) == 1 and sizes[0] in shape) or tuple(node.shape or ()) == tuple(shape)
