"""Frames that DECTRIS keeps in several files, which a master file links to: one stack, in the order of the names."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Concatenated, LazyArray, Scale, Stored, lazy
from sciml.io.hdf5.guard import Limits
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.nexus.detector import detector_of, with_detector
from sciml.io.schema.declarations import Coords, Signal
from sciml.io.schema.values import computed

__all__ = ["end_to_end"]


def end_to_end(first: Signal, group: Node, names: list[str], tree: Tree) -> Signal:
    """Return the frames of several datasets one after the other; the first stands for them."""
    nodes = [node for name in names if (node := group.dataset(name)) is not None]
    shape = first.data.shape or ()
    misfit = [node.path for node in nodes if (node.shape or ())[1:] != shape[1:] or node.dtype != first.data.dtype]
    trouble = [f"its part {name} {group.broken[name]}" for name in names if name in group.broken]
    trouble += [f"its part {path} has other frames than {first.path}" for path in misfit]
    return replace(
        first,
        problem="; ".join(trouble) or None,
        values=computed(
            first.data,
            partial(_concatenated, nodes, tree),
            (sum((node.shape or (0,))[0] for node in nodes), *shape[1:]),
        ),
        coords=partial(_of_parts, detector_of(first.data, tree), nodes, first.dims, tree.limits),
    )


def _concatenated(nodes: list[Node], tree: Tree) -> LazyArray:
    for node in nodes:
        if trouble := node.read_error():
            raise DataError(f"{node.path}: {trouble}")
    rank = len(nodes[0].shape or ())
    dims = [f"axis_{axis}" for axis in range(rank)]
    parts = [xr.Variable(dims, lazy(Stored(node.source(), scale=Scale()))) for node in nodes]
    return Concatenated(parts, tree.limits)


def _of_parts(
    detector: Node | None, nodes: list[Node], dims: tuple[str, ...], limits: Limits, notes: list[str]
) -> Coords:
    """Return the number of each frame, as DECTRIS writes it beside the data, and what the detector says."""
    coords: Coords = {}
    if detector is not None:
        each = [with_detector(lambda _: {}, detector, node, dims, notes) for node in nodes]
        coords = {name: one for name, one in each[0].items() if dims[0] not in one.dims}
        masks = [one["mask"] for one in each if "mask" in one]
        if "mask" not in coords and len(masks) == len(nodes):
            coords["mask"] = xr.Variable(dims, lazy(Concatenated(masks, limits)), masks[0].attrs)
    numbers = [
        np.arange((node.number("image_nr_low") or 0), (node.number("image_nr_high") or -1) + 1) for node in nodes
    ]
    if all(len(one) == (node.shape or (0,))[0] for one, node in zip(numbers, nodes, strict=True)):
        coords["image_number"] = xr.Variable(dims[0], np.concatenate(numbers).astype(np.int64))
    return coords
