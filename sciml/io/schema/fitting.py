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
from sciml.recording import TIME

__all__ = [
    "SIZE_NAMES", "assigned", "axis_coords", "dims_of_sizes", "fits", "only_dim", "sizes_of", "where_shape_fits",
]  # fmt: skip

# What files call the number of channels, of samples and of trials, without case and punctuation.
SIZES = {
    "channel": (
        "nbchan",
        "nchan",
        "nchans",
        "nchannel",
        "nchannels",
        "numchannels",
        "numberofchannels",
        "channelcount",
    ),
    TIME: ("pnts", "npnts", "nsamp", "nsamples", "numsamples", "numberofsamples", "npoints"),
    "trial": ("trials", "ntrial", "ntrials", "nepochs", "numtrials", "numberoftrials"),
}
SIZE_NAMES = frozenset(name for names in SIZES.values() for name in names)


def sizes_of(numbers: Mapping[str, float]) -> dict[str, int]:
    """Return the sizes of dims that single numbers state by their names.

    Examples
    --------
    >>> sizes_of({"nbchan": 7.0, "pnts": 5.0, "srate": 100.0})
    {'channel': 7, 'time': 5}
    """
    found = {dim: [numbers[name] for name in names if name in numbers] for dim, names in SIZES.items()}
    return {dim: int(sizes[0]) for dim, sizes in found.items() if sizes and sizes[0] == int(sizes[0]) > 0}


def dims_of_sizes(sizes: Mapping[str, int], shape: Sequence[int]) -> tuple[str, ...] | None:
    """Return the dims of an array by the sizes that a file states of them, None where they do not tell.

    The order is that of channel, time, trial if it fits; else each goes where alone it fits.

    Examples
    --------
    >>> dims_of_sizes({"channel": 7, "time": 5}, (7, 5)), dims_of_sizes({"channel": 7, "time": 5}, (5, 7))
    (('channel', 'time'), ('time', 'channel'))
    >>> dims_of_sizes({"channel": 7}, (7, 5)), dims_of_sizes({"channel": 7, "time": 9}, (7, 5))
    (('channel', 'time'), None)
    """
    known = {dim: size for dim, size in sizes.items() if size in shape}
    if tuple(sizes.values())[: len(shape)] == tuple(shape):
        return tuple(sizes)[: len(shape)]
    places = {dim: shape.index(size) for dim, size in known.items() if list(shape).count(size) == 1}
    if len(set(places.values())) < len(places) or set(sizes) - set(places) - {"trial"} or not places:
        return None
    free = [axis for axis in range(len(shape)) if axis not in places.values()]
    if len(free) == 1 and {"channel", TIME} - set(places):
        places[min({"channel", TIME} - set(places))] = free.pop()
    return None if free else tuple(sorted(places, key=lambda dim: places[dim]))


def fits(length: int, size: int) -> bool:
    """Whether values of this number may lie along a dim: one for each place, or the edges of bins."""
    return length in (size, size + 1)


def only_dim(length: int, shape: Sequence[int]) -> int | None:
    """Return the only dim that so many values fit: those of that size come before those with so many edges of bins.

    Examples
    --------
    >>> only_dim(4, (3, 4)), only_dim(4, (3, 5)), only_dim(4, (4, 4)), only_dim(7, (3, 4))
    (1, 0, None, None)
    """
    return _only(length, range(len(shape)), shape, None)


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
    >>> assigned({"x": 3, "y": 4}, {"x": 0, "y": 1}, (4, 3, 6))  # y would fit as edges, too
    {'x': 1, 'y': 0}
    >>> assigned({"x": 7}, {"x": 0}, (3, 2))
    {}
    """
    rank = len(shape)
    inside = {name: dim for name, dim in given.items() if name in lengths and 0 <= dim < rank}
    reverse = {name: rank - 1 - dim for name, dim in inside.items()}
    for wanted in (inside, reverse):
        if wanted and len(wanted) == len(lengths) and _all_fit(lengths, wanted, shape):
            return dict(wanted)
    found = {name: dim for name, dim in inside.items() if lengths[name] == shape[dim]}
    waiting = [name for name in lengths if name not in found]
    while waiting:
        free = [dim for dim in range(rank) if dim not in found.values()]
        only = {
            name: dim for name in waiting if (dim := _only(lengths[name], free, shape, inside.get(name))) is not None
        }
        if not only:
            break
        name = next(iter(only))
        found[name] = only[name]
        waiting.remove(name)
    return found


def _all_fit(lengths: Mapping[str, int], dims: Mapping[str, int], shape: Sequence[int]) -> bool:
    return all(fits(lengths[name], shape[dim]) for name, dim in dims.items())


def _only(length: int, free: Sequence[int], shape: Sequence[int], given: int | None) -> int | None:
    """Return the only free dim of a length, else the given or the only one whose bins have so many edges."""
    fitting = [dim for dim in free if shape[dim] == length]
    if not fitting:
        fitting = [dim for dim in free if shape[dim] == length - 1]
        fitting = [given] if given in fitting else fitting
    return fitting[0] if len(fitting) == 1 else None


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
