"""Image stacks with labels, as they are kept for training: arrays at the root of a file, one name each.

PatchCamelyon keeps images `x` (frame, y, x, channel) and labels `y`, one for each image; microscopists a volume `raw`
with a `label` for each voxel and its element_size_um, or one stack alone; ilastik names the axes in `axistags`. Where
nothing names the axes, shapes decide, and what was taken for what is noted. Tried on real files (a volume with labels,
a stack alone); images with one label each, and those of ilastik, to their description.

References
----------
Veeling et al. 2018, https://doi.org/10.1007/978-3-030-00934-2_24 (PatchCamelyon);
Wolny et al. 2020, eLife 9:e57613, https://doi.org/10.7554/eLife.57613 (PlantSeg);
Berg et al. 2019, https://doi.org/10.1038/s41592-019-0582-9 (ilastik).
"""

from __future__ import annotations

import json
from functools import partial

import numpy as np

from sciml._later import xr
from sciml.io.arrays import Stored, lazy
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers import plain
from sciml.io.schema.axes import bare, columns, coord_name, grid, image_dims
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Images"]

NAMES = {"raw", "image", "images", "img", "imgs", "imaging", "stack", "volume", "frames", "mov", "movie"}
PLACES = {TIME: 0, "frame": 0, "channel": 2}  # frames come first and colors last, the rest between them as it is
COLORS = (1, 3, 4)
TAGS = {"t": "frame", "z": "z", "y": "y", "x": "x", "c": "channel"}
SMALLEST = 8  # pixels along a side, below which an array is no image
MOST = 16  # stacks in one file
THIN = 4  # an axis so many times shorter than the others is that of the frames
ELEMENT_SIZE = "element_size_um"


class Images:
    """The reader of image stacks with labels."""

    name = "images"

    def sniff(self, tree: Tree) -> int:
        """Look for images at the root, by shape (pictures with colors) or by name and shape (stacks)."""
        return 40 if 0 < len(_stacks(tree)) <= MOST else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the stacks, the labels that are images themselves, and whatever else has more than one axis."""
        stacks = _stacks(tree)
        labels = [node for stack in stacks for node in _images_of_labels(stack, tree) if node.shape == stack.shape]
        signals = [_signal(node, tree, stacks) for node in dict.fromkeys([*stacks, *labels])]
        listed = {signal.path for signal in signals}
        rest = [signal for signal in plain.Plain().scan(tree).signals if sum(size > 1 for size in signal.shape) > 1]
        signals += [signal for signal in rest if signal.path not in listed]
        default = stacks[0].path if len(stacks) == 1 else None
        return Contents(format="image stack", signals=tuple(signals), default=default)


def _stacks(tree: Tree) -> list[Node]:
    return [node for node in tree.root.children.values() if _is_stack(node)]


def _is_stack(node: Node) -> bool:
    """Whether a dataset is a stack of images: with tags, pictures with colors whatever their name, others by name."""
    shape = node.shape or ()
    if not node.is_numeric or node.dtype is None:
        return False
    if len(shape) not in (3, 4) or _tags(node):
        return _tags(node) is not None
    if node.attr("DIMENSION_LABELS") is not None or any(node.scales()):
        return False  # the file names the axes itself
    if len(shape) == 4:
        pictures = node.dtype == np.uint8 or bare(node.name) in NAMES
        return pictures and _colors(shape) is not None
    return bare(node.name) in NAMES and sorted(shape)[1] >= SMALLEST


def _colors(shape: tuple[int, ...]) -> int | None:
    """Return which axis of (frame, y, x, channel) or (frame, channel, y, x) is that of the colors."""
    if shape[3] in COLORS and min(shape[1:3]) >= SMALLEST:
        return 3
    return 1 if shape[1] in COLORS and min(shape[2:]) >= SMALLEST else None


def _images_of_labels(stack: Node, tree: Tree) -> list[Node]:
    """Return what else at the root has a value for each pixel of a stack, with or without one for each color."""
    dims, shape = _dims(stack)[0], stack.shape or ()
    shapes = {shape, tuple(size for dim, size in zip(dims, shape, strict=True) if dim != "channel")}
    others = [node for node in tree.root.children.values() if node is not stack and node.is_numeric]
    return [node for node in others if node.shape in shapes and not _is_stack(node)]


def _signal(node: Node, tree: Tree, stacks: list[Node]) -> Signal:
    dims, note = _dims(node)
    rate = node.number("fr", 0.0) or 0.0  # CaImAn writes the frame rate of a movie there
    clock = Rate(rate) if rate > 0 and "frame" in dims else None
    if clock is not None:
        dims = tuple(TIME if dim == "frame" else dim for dim in dims)
    presented = tuple(sorted(dims, key=lambda dim: PLACES.get(dim, 1)))
    return Signal(
        path=node.path,
        values=scaled(node, order=tuple(dims.index(dim) for dim in presented) if presented != dims else None),
        dims=presented,
        kind="images" if node in stacks else "labels",
        clock=clock,
        coords=partial(_coords, node, dims, tree) if node in stacks else partial(_sizes, node, dims),
        notes=(note,) if note else (),
    )


def _tags(node: Node) -> tuple[str, ...] | None:
    """Return the dims that ilastik states as JSON: {"axes": [{"key": "z", ...}, ...]}; None if it states none."""
    try:
        declared = json.loads(node.text("axistags") or "{}")
        dims = tuple(TAGS[axis["key"]] for axis in declared["axes"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return dims if len(dims) == len(set(dims)) == len(node.shape or ()) else None


def _dims(node: Node) -> tuple[tuple[str, ...], str | None]:
    """Return the dims of the stored axes, and what is guessed about them."""
    shape = node.shape or ()
    if (tagged := _tags(node)) is not None:
        return tagged, None
    if len(shape) == 4:
        colors = _colors(shape)
        return (("frame", "channel", "y", "x") if colors == 1 else ("frame", "y", "x", "channel")), None
    if _element_size(node) is not None:
        return ("z", "y", "x"), None
    # Movies are written with the time last too; a volume that happens to be thin is then taken for one.
    thin = shape[2] * THIN <= min(shape[:2])
    colors = shape[2] in COLORS and node.dtype == np.uint8
    dims = ("y", "x", "channel" if colors else "frame") if thin else image_dims(3)
    return dims, f"the file does not name the axes; taken as ({', '.join(dims)})"


def _element_size(node: Node) -> tuple[float, ...] | None:
    """Return the size of a voxel along z, y and x in micrometers."""
    declared = np.ravel(np.asarray(node.attr(ELEMENT_SIZE, ())))
    return tuple(float(size) for size in declared) if declared.size == 3 and declared.dtype.kind in "iuf" else None


def _sizes(node: Node, dims: tuple[str, ...], notes: list[str]) -> Coords:  # noqa: ARG001 - nothing of it can be odd
    """Return the positions of the voxels."""
    coords: Coords = {}
    for dim, size, step in zip(dims, node.shape or (), _element_size(node) or (), strict=False):
        coords |= grid(dim, size, step=step, unit="micrometer")
    return coords


def _coords(node: Node, dims: tuple[str, ...], tree: Tree, notes: list[str]) -> Coords:
    """Return the labels: of each pixel, or of each image."""
    coords = _sizes(node, dims, notes)
    for label in _images_of_labels(node, tree):
        if trouble := label.read_error():
            notes.append(f"{label.path}: {trouble}; it is left out")
            continue
        own = dims if len(label.shape or ()) == len(dims) else tuple(dim for dim in dims if dim != "channel")
        coords[coord_name(label.name, dims)] = xr.Variable(own, lazy(Stored(label.source())))
    frames = {"frame", TIME} & set(dims)
    for dim in frames:
        size = (node.shape or (0,))[dims.index(dim)]
        rows = {("label" if name == "y" else name): one for name, one in tree.root.children.items() if one is not node}
        coords |= columns(rows, dim, size, notes, dims=dims)
    return coords
