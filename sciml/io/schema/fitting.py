"""Which axis belongs to which dim: by stated sizes, else by lengths that fit in one way only, else by order.

An axis has one value for each place along its dim, or one more where it holds the edges of bins. An axis that fits
nowhere gives no dim its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.io.schema.axes import coord_name
from sciml.io.schema.declarations import Coords

__all__ = ["assigned", "axis_coords", "fits", "where_shape_fits"]


def fits(length: int, size: int) -> bool:
    """Whether values of this number may lie along a dim: one for each place, or the edges of bins."""
    return length in (size, size + 1)


def assigned(lengths: Mapping[str, int], given: Mapping[str, int], shape: Sequence[int]) -> dict[str, int]:
    """Return the dim of each axis: the given one where its length fits, else the only one that it fits.

    Parameters
    ----------
    lengths
        How many values each axis has.
    given
        The dim that the file gives an axis, by order or by number.
    shape
        Of the data.

    Examples
    --------
    >>> assigned({"x": 3, "y": 2}, {"x": 0, "y": 1}, (3, 2))
    {'x': 0, 'y': 1}
    >>> assigned({"axis1": 5, "axis2": 2}, {"axis1": 0, "axis2": 1}, (2, 4))  # stored in the other order
    {'axis1': 1, 'axis2': 0}
    >>> assigned({"x": 7}, {"x": 0}, (3, 2))
    {}
    """
    rank = len(shape)
    inside = {name: dim for name, dim in given.items() if name in lengths and 0 <= dim < rank}
    reverse = {name: rank - 1 - dim for name, dim in inside.items()}
    for wanted in (inside, reverse):
        if wanted and len(wanted) == len(lengths) and _all_fit(lengths, wanted, shape):
            return dict(wanted)
    found = {name: dim for name, dim in inside.items() if fits(lengths[name], shape[dim])}
    waiting = [name for name in lengths if name not in found]
    while waiting:
        free = [dim for dim in range(rank) if dim not in found.values()]
        only = {name: dim for name in waiting if (dim := _only(lengths[name], free, shape)) is not None}
        if not only:
            break
        name = next(iter(only))
        found[name] = only[name]
        waiting.remove(name)
    return found


def _all_fit(lengths: Mapping[str, int], dims: Mapping[str, int], shape: Sequence[int]) -> bool:
    return all(fits(lengths[name], shape[dim]) for name, dim in dims.items())


def _only(length: int, free: Sequence[int], shape: Sequence[int]) -> int | None:
    """Return the only free dim of a length, else the only one whose bins have so many edges."""
    for wanted in (length, length - 1):
        fitting = [dim for dim in free if shape[dim] == wanted]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def where_shape_fits(own: Sequence[int], shape: Sequence[int]) -> tuple[int, ...] | None:
    """Return the dims of an array of several axes, in order, if its shape fits those of the data in one way only.

    Examples
    --------
    >>> where_shape_fits((3, 4), (2, 3, 4)), where_shape_fits((3,), (3, 3))
    ((1, 2), None)
    """
    found = [
        dims
        for dims in combinations(range(len(shape)), len(own))
        if all(shape[dim] == size for dim, size in zip(dims, own, strict=True))
    ]
    return found[0] if len(found) == 1 else None


def axis_coords(
    label: str,
    dim: str,
    values: NDArray[np.generic],
    size: int,
    attributes: Mapping[str, str],
    dims: Sequence[str] = (),
) -> Coords:
    """Return an axis as coordinates: its values, or the centers and the left and right edges of its bins.

    Nothing is returned where the values do not fit the dim.
    """
    own = label if label == dim else coord_name(label, dims)
    if values.shape == (size,):
        return {own: xr.Variable(dim, values, dict(attributes))}
    if values.shape != (size + 1,) or values.dtype.kind not in "iuf":
        return {}
    centers = 0.5 * (values[1:] + values[:-1])  # type: ignore[operator]
    parts = {own: centers, f"{own}_left": values[:-1], f"{own}_right": values[1:]}
    return {name: xr.Variable(dim, one, dict(attributes)) for name, one in parts.items()}
