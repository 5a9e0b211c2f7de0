"""Arrays along an optical fiber: what the dialects of distributed sensing have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import unique
from sciml.io.schema.clock import Clock, Timestamps
from sciml.io.schema.declarations import Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["fiber", "parent_of", "ramp", "spaced", "timestamps", "value", "word"]

AXES = {"time": TIME, "locus": "channel", "distance": "channel", "channel": "channel"}


def fiber(
    data: Node,
    *,
    names: Sequence[str],
    clock: Clock | None,
    unit: str,
    kind: str,
    distance: Callable[[int], NDArray[Any]] | None,
    attrs: Mapping[str, Any],
    notes: Sequence[str] = (),
    scale: Scale | None = None,
    more: Callable[[list[str]], Coords] | None = None,
) -> Signal:
    """Return an array as a signal with time first; `names` are those of its axes as the file has them."""
    rank = len(data.shape or ())
    if not data.is_numeric or rank < 2:
        raise DataError(f"{data.path}: expected numbers along time and distance, got shape {data.shape} {data.dtype}")
    remarks = list(notes)
    if len(names) != rank:
        first = _guess(data.shape or (), clock)
        remarks.append(f"the file names the axes {tuple(names)} of an array of rank {rank}; taken as {first}")
        names = (*first, *(f"dim_{axis}" for axis in range(2, rank)))
    dims = unique([AXES.get(name.lower(), name) for name in names])
    along = dims.index(TIME) if TIME in dims else 0
    order = (along, *(axis for axis in range(rank) if axis != along))
    return Signal(
        path=data.path,
        values=scaled(data, scale or Scale(), order=order if along else None),
        dims=tuple(dims[axis] for axis in order),
        kind=kind,
        unit="" if clean_unit(unit).lower() == "unitless" else clean_unit(unit),
        raw_unit=unit,
        clock=clock if TIME in dims else None,
        coords=partial(_coords, distance, (data.shape or ())[dims.index("channel")], more)
        if "channel" in dims
        else more,
        attrs={key: value for key, value in attrs.items() if value not in ("", None)},
        notes=tuple(remarks),
    )


def _guess(shape: tuple[int, ...], clock: Clock | None) -> tuple[str, str]:
    """Return what the first two axes are: time is the one that has as many values as there are time stamps."""
    swapped = isinstance(clock, Timestamps) and clock.node.shape == (shape[1],) != (shape[0],)
    return ("distance", "time") if swapped else ("time", "distance")


def _coords(
    distance: Callable[[int], NDArray[Any]] | None,
    size: int | None,
    more: Callable[[list[str]], Coords] | None,
    notes: list[str],
) -> Coords:
    found = _distances(distance, size, notes) if size is not None else {}
    return found | (more(notes) if more is not None else {})


def _distances(distance: Callable[[int], NDArray[Any]] | None, size: int, notes: list[str]) -> Coords:
    if distance is None:
        notes.append("the file does not say where along the fiber the channels are")
        return {}
    try:
        values = distance(size)
    except DataError as error:
        notes.append(f"{error}; the distance along the fiber is left out")
        return {}
    if values.shape != (size,):
        notes.append(f"the file gives {values.size} distances for {size} channels; they are left out")
        return {}
    return {"distance": xr.Variable("channel", values, {"units": "m"})}


def ramp(start: float, step: float, size: int) -> NDArray[Any]:
    """Return `start + i * step`."""
    return start + step * np.arange(size)


def timestamps(node: Node | None, per_second: int) -> tuple[Timestamps, int]:
    """Return a clock of absolute time stamps, counted from a whole second, and that second since 1970."""
    if node is None or not node.is_numeric or len(node.shape or ()) != 1:
        raise DataError("the file holds no time stamps")
    first = node.read(slice(0, 1))
    epoch = int(first[0]) // per_second if (np.abs(first.astype(np.float64)) < 2.0**62).all() else 0
    return Timestamps(node, 1 / per_second, epoch * per_second), epoch


def spaced(channels: Node, spacing: float, _size: int) -> NDArray[Any]:
    """Return distances: channels are numbered in units of the finest spacing, and some may be skipped."""
    if not channels.is_numeric or not math.isfinite(spacing):
        raise DataError(f"{channels.path}: expected numbers at a known spacing, got {channels.dtype} and {spacing}")
    return np.asarray(channels.read(), dtype=np.float64).ravel() * spacing


def value(group: Node, path: str, default: Any = math.nan) -> Any:
    """Return the number in a scalar dataset below a group."""
    node: Node | None = group
    for part in path.split("/"):
        node = node.child(part) if node is not None else None
    found = node.scalar() if node is not None and node.is_dataset else None
    return float(found) if isinstance(found, (int, float)) else default


def word(group: Node, name: str) -> str:
    """Return the text in a scalar dataset of a group."""
    node = group.dataset(name)
    return str(node.scalar("")).strip() if node is not None else ""


def parent_of(node: Node, tree: Tree) -> Node:
    """Return the group that holds a node."""
    return tree.get(node.path.rpartition("/")[0]) or tree.root
