"""Names and coordinates of the axes of images, scans and tables, as several formats declare them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isfinite, nan, prod
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node
from sciml.io.schema.declarations import Coords

__all__ = [
    "bare",
    "columns",
    "coord_name",
    "grid",
    "image_dims",
    "is_real",
    "numbers",
    "outer",
    "single_number",
    "unique",
]

RESERVED = {"mask", "quality"}  # coordinates that mean something to every analysis


def image_dims(rank: int) -> tuple[str, ...]:
    """Return the dims of an image or of a stack of images: (frame, y, x), and numbered ones before them.

    Examples
    --------
    >>> image_dims(2), image_dims(4)
    (('y', 'x'), ('dim_0', 'frame', 'y', 'x'))
    """
    named = ("frame", "y", "x")[-rank:] if rank > 0 else ()
    return (*(f"dim_{axis}" for axis in range(rank - len(named))), *named)


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of axes, those that occur twice with the number of their axis.

    Examples
    --------
    >>> unique(["x", "y", "x"])
    ('x_0', 'y', 'x_2')
    """
    return tuple(f"{name}_{axis}" if list(names).count(name) > 1 else name for axis, name in enumerate(names))


def grid(dim: str, size: int, *, step: float | None, start: float | None = 0.0, unit: str = "") -> Coords:
    """Return the coordinate `start + i * step` of a dim; none where the step is unknown or no step."""
    if step is None or start is None or not (np.isfinite(step) and np.isfinite(start)) or step == 0:
        return {}
    attributes = {"units": clean_unit(unit)} if clean_unit(unit) else {}
    return {dim: xr.Variable(dim, start + step * np.arange(size), attributes)}


def coord_name(name: str, dims: Sequence[str]) -> str:
    """Return the name under which something of a file becomes a coordinate: with `_values` if the name is taken.

    It is taken by the axes themselves, and by the coordinates that say which samples to leave out.

    Examples
    --------
    >>> coord_name("phase", ["frame", "y"]), coord_name("y", ["frame", "y"]), coord_name("mask", ["frame", "y"])
    ('phase', 'y_values', 'mask_values')
    """
    return f"{name}_values" if name in dims or name in RESERVED else name


def columns(
    nodes: Mapping[str, Node],
    dim: str,
    size: int,
    notes: list[str],
    *,
    dims: Sequence[str] = ("y", "x"),
    width: int = 1,
) -> Coords:
    """Return datasets of one value a row as coordinates along a dim; of up to `width` values, as numbered ones.

    A column of one value may be stored as (size,), (size, 1) or (size, 1, 1, 1). Those that do not fit are left out;
    `dims` are those of the recording, whose names are taken.
    """
    coords: Coords = {}
    for name, node in nodes.items():
        shape = node.shape or ()
        n_values = prod(shape[1:])
        if not node.is_dataset or shape[:1] != (size,) or not 1 <= n_values <= width:
            continue
        try:
            values = node.read().reshape(size, n_values).T
        except DataError as error:
            notes.append(f"{error}; {name} is left out")
            continue
        if values.dtype.kind not in "iufcbU":
            continue
        unit = clean_unit(node.unit)
        label = coord_name(name, (dim, *dims))
        for number, part in enumerate(values):
            own = label if n_values == 1 else f"{label}_{number}"
            coords[own] = xr.Variable(dim, part, {"units": unit} if unit else {})
    return coords


def outer(array: NDArray[Any], key: Sequence[Any]) -> NDArray[Any]:
    """Return what a key of integers, slices and vectors selects, each along its own axis.

    NumPy moves axes where an integer and a vector stand on either side of a slice; one axis at a time it does not.

    Examples
    --------
    >>> outer(np.zeros((2, 3, 4)), (0, slice(None), np.array([1, 3]))).shape
    (3, 2)
    """
    for axis in reversed(range(len(key))):
        array = array[(slice(None),) * axis + (key[axis],)]
    return array


def is_real(node: Node) -> bool:
    """Whether a dataset holds integers or real numbers, of whatever shape."""
    return node.dtype is not None and node.dtype.kind in "iuf"


def bare(name: str) -> str:
    """Return a name without case and punctuation, as different writers spell one thing.

    Examples
    --------
    >>> bare("Step X"), bare("step_x")
    ('stepx', 'stepx')
    """
    return re.sub("[^a-z0-9]", "", name.lower())


def numbers(group: Mapping[str, Node]) -> dict[str, float]:
    """Return the single finite numbers in a group, those that are stored as datasets, by their bare names.

    Numbers that were written as text count; a matrix of one element is a single number.
    """
    found = {bare(node.name): single_number(node) for node in group.values()}
    return {name: value for name, value in found.items() if value is not None}


def single_number(node: Node) -> float | None:
    """Return the one finite number that a dataset holds, also as text; None of anything else."""
    if not node.is_dataset or set(node.shape or ()) - {1} or node.dtype is None or node.dtype.kind not in "iufSO":
        return None
    if node.dtype.kind in "SO" and h5py.check_string_dtype(node.dtype) is None:
        return None
    try:
        value = float(node.scalar(nan))
    except (TypeError, ValueError):
        return None
    return value if isfinite(value) else None
