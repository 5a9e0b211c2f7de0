"""Coordinates of the CF conventions that are stored by tie points: values at some positions, linear between them.

Written to CF 1.9, section 8.3, as xdas uses it for optical fibers: beside the data, `<dim>_indices` and `<dim>_values`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.text import seconds_per
from sciml.io.hdf5.tree import Node
from sciml.io.schema.axes import is_real
from sciml.io.schema.clock import Rate

__all__ = ["ENDS", "began", "interpolated", "regular"]

ENDS = ("indices", "values")  # of the names of the arrays that hold the tie points of a dim
EVEN = 1e-6  # relative difference of steps below which pieces are one line


def _points(
    dim: str, size: int, siblings: Mapping[str, Node]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return positions and values from the first to the last position, None if there are none that fit."""
    nodes = [siblings.get(f"{dim}_{end}") for end in ENDS]
    if any(node is None or not is_real(node) or len(node.shape or ()) != 1 for node in nodes):
        return None
    try:
        at, values = (node.read() for node in nodes if node is not None)
    except DataError:
        return None
    if at.shape != values.shape or len(at) < 2 or at[0] != 0 or at[-1] != size - 1 or (np.diff(at) <= 0).any():
        return None
    first = values[0]  # integers are shifted before they become floats
    return at.astype(np.float64), (values - first).astype(np.float64)


def regular(dim: str, size: int, siblings: Mapping[str, Node]) -> Rate | None:
    """Return the clock of tie points of a time, counted from the first, if they lie on one line."""
    points, node = _points(dim, size, siblings), siblings.get(f"{dim}_values")
    seconds = seconds_per(node.text("units")) if node is not None else None
    if points is None or seconds is None:
        return None
    at, values = points
    steps = np.diff(values) / np.diff(at) * seconds
    if not steps[0] > 0 or np.abs(steps - steps[0]).max() > EVEN * steps[0]:
        return None
    return Rate((size - 1) / (values[-1] * seconds))


def began(dim: str, siblings: Mapping[str, Node]) -> str:
    """Return when the first tie point of a time was ("microseconds since 1970-01-01"), "" if it is not stated."""
    node = siblings.get(f"{dim}_values")
    units = node.text("units") if node is not None else ""
    seconds, since = seconds_per(units), units.partition(" since ")[2].strip()
    if node is None or seconds is None or not since or not is_real(node):
        return ""
    try:
        first = node.read(slice(0, 1))[0].item()
        origin = datetime.fromisoformat(since)
        return (origin + timedelta(microseconds=first * round(seconds * 1e9) / 1000)).isoformat()
    except (DataError, ValueError, OverflowError):
        return ""


def interpolated(dim: str, size: int, siblings: Mapping[str, Node]) -> NDArray[np.float64] | None:
    """Return the value at each position."""
    points, node = _points(dim, size, siblings), siblings.get(f"{dim}_values")
    if points is None or node is None:
        return None
    at, values = points
    return np.interp(np.arange(size), at, values) + float(node.read(slice(0, 1))[0])
