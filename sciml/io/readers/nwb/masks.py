"""Where the ROIs of NWB lie: image masks, pixel masks and voxel masks as footprints (roi, y, x[, z]).

Pixels and voxels are kept as rows of x, y[, z] and weight, ragged by ROI. Footprints of them are made when they are
read, for those ROIs alone that are asked for.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.arrays import LazyArray, Stored
from sciml.io.hdf5.issues import code_of
from sciml.io.hdf5.source import Source, check_budget
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema import tables
from sciml.io.schema.axes import outer
from sciml.io.schema.declarations import Signal
from sciml.io.schema.values import Values, computed, scaled

__all__ = ["footprints"]

FIELDS = {"pixel_mask": ("y", "x"), "voxel_mask": ("y", "x", "z")}
MOST = 2**27  # pixels of a frame that no movie confirms
ORDER = "writers of NWB disagree whether images are stored (y, x) or (x, y); taken as (y, x)"


def footprints(table: Node, tree: Tree, findings: list[str]) -> list[Signal]:
    """Return the footprints of a table of ROIs, if it has any."""
    found = []
    images = table.dataset("image_mask")
    if images is not None and images.is_numeric and len(images.shape or ()) in (3, 4):
        dims = ("roi", "y", "x", "z")[: len(images.shape or ())]
        found.append(_signal(table, scaled(images), dims, tree))
    for name, axes in FIELDS.items():
        node, index = table.dataset(name), table.dataset(f"{name}_index")
        if node is None or index is None or node.dtype is None or not {*axes, "weight"} <= set(node.dtype.names or ()):
            continue
        try:
            ends = np.array([part.stop for part in tables.ragged_rows(index, (node.shape or (0,))[0])], dtype=np.int64)
            sizes = (len(ends), *_extent(table, node, axes, tree))
        except DataError as error:
            if code_of(error) != "ragged_overrun":  # which is said of every table
                findings.append(f"{error}; the footprints are not listed")
            continue
        made = partial(_made, node, ends, sizes, axes)
        found.append(_signal(table, computed(node, made, sizes), ("roi", *axes), tree))
    return found


def _signal(table: Node, values: Values, dims: tuple[str, ...], tree: Tree) -> Signal:
    return Signal(
        path=values.node.path,
        values=values,
        dims=dims,
        kind=table.text("neurodata_type", "PlaneSegmentation"),
        coords=partial(tables.table_along, table, "roi", values.shape[0], tree),
        notes=(ORDER,),
    )


def _extent(table: Node, node: Node, axes: tuple[str, ...], tree: Tree) -> tuple[int, ...]:
    """Return the size of the frame: of a movie of the same plane, else what holds all pixels."""
    places = node.read()
    least = tuple(int(places[axis].astype(np.int64).max(initial=-1)) + 1 for axis in axes)
    plane = table.child("imaging_plane")
    movies = [
        group.children["data"].shape or ()
        for group in tree
        if plane is not None
        and group is not table
        and group.child("imaging_plane") is plane
        and group.dataset("data") is not None
    ]
    sizes = [shape[1:] for shape in movies if len(shape) == len(axes) + 1]
    fitting = [size for size in sizes if all(one >= other for one, other in zip(size, least, strict=True))]
    if not fitting and math.prod(least) > MOST:
        raise DataError(f"{node.path}: expected pixels of a frame, got places up to {least}")
    return fitting[0] if fitting else least


def _made(node: Node, ends: NDArray[np.int64], sizes: tuple[int, ...], axes: tuple[str, ...]) -> "_Footprints":
    if trouble := node.read_error():
        raise DataError(f"{node.path}: {trouble}")
    return _Footprints(node.source(), ends, sizes, axes)


class _Footprints(LazyArray):
    """Weights of the pixels of each ROI in a frame that is 0 elsewhere."""

    def __init__(self, source: Source, ends: NDArray[np.int64], shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
        self.rows = Stored(source)
        self.ends = ends
        self.axes = axes
        self.shape = shape
        self.dtype = np.dtype(np.float32)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        chosen = np.arange(self.shape[0])[key[0]]
        check_budget(self.rows.source.label, len(np.atleast_1d(chosen)) * self._bytes, self.rows.source.limits)
        if not np.size(chosen):
            frame = outer(np.broadcast_to(np.float32(0), self.shape[1:]), key[1:])  # takes no memory
            return np.zeros((0, *frame.shape), self.dtype)
        frames = [outer(self._frame(int(roi)), key[1:]) for roi in np.atleast_1d(chosen)]
        return np.stack(frames) if np.ndim(chosen) else frames[0]

    @property
    def _bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def _frame(self, roi: int) -> NDArray[np.float32]:
        frame = np.zeros(self.shape[1:], self.dtype)
        start, stop = int(self.ends[roi - 1]) if roi else 0, int(self.ends[roi])
        pixels = self.rows.read((slice(start, stop),))
        frame[tuple(pixels[axis].astype(np.int64) for axis in self.axes)] = pixels["weight"]
        return frame
