"""What a NeXus detector says of its pixels and frames: which to leave out, where they are, how they were counted."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.io.arrays import LazyArray, Stored, lazy
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import columns, is_real, outer
from sciml.io.schema.clock import EAGER
from sciml.io.schema.declarations import Coords

__all__ = ["detector_of", "detectors", "facts", "with_detector"]

# The bits of a pixel_mask; those of the low half exclude the pixel, those above only describe it.
BITS = (
    "gap",
    "dead",
    "under-responding",
    "over-responding",
    "noisy",
    "undefined bit 5",
    "part of a cluster",
    "undefined bit 7",
    "masked by the user",
)
EXCLUDING = np.uint32(0xFFFF)
SCALARS = (
    "distance",
    "beam_center_x",
    "beam_center_y",
    "x_pixel_size",
    "y_pixel_size",
    "count_time",
    "frame_time",
    "saturation_value",
    "underload_value",
    "sensor_thickness",
    "polar_angle",
    "azimuthal_angle",
)
OF_PIXELS = (
    "x_pixel_offset",
    "y_pixel_offset",
    "z_pixel_offset",
    "detector_number",
    "pixel_id",
    "polar_angle",
    "azimuthal_angle",
    "distance",
)


def detector_of(data: Node, tree: Tree) -> Node | None:
    """Return the detector that counted the data: the group around them, one that links to them, or the only one."""
    paths = [data.path, *data.aliases]
    around = [tree.get(path.rpartition("/")[0]) for path in paths]
    named = [group for group in around if group is not None and group.text("NX_class") == "NXdetector"]
    if named:
        return named[0]
    fitting = tree.once(_by_frame).get((data.path.split("/")[0], (data.shape or ())[-2:]), ())
    return fitting[0] if len(fitting) == 1 else None


def detectors(tree: Tree) -> dict[str, list[Node]]:
    """Return the detectors of each entry."""
    found: dict[str, list[Node]] = {}
    for node in tree:
        if node.text("NX_class") == "NXdetector":
            found.setdefault(node.path.split("/")[0], []).append(node)
    return found


def _by_frame(tree: Tree) -> dict[tuple[str, tuple[int, ...]], list[Node]]:
    """Return the detectors of an entry that mask the pixels of a frame, by the shape of the frame."""
    found: dict[tuple[str, tuple[int, ...]], list[Node]] = {}
    for entry, inside in tree.once(detectors).items():
        for node in inside:
            for frame in dict.fromkeys(mask.shape or () for mask in _all_masks(node)):
                found.setdefault((entry, frame), []).append(node)
    return found


def facts(detector: Node | None) -> dict[str, Any]:
    """Return the single numbers of a detector with their units, for the attributes of a recording."""
    found: dict[str, Any] = {}
    for name in SCALARS:
        node = detector.dataset(name) if detector is not None else None
        value = _single(node)
        if node is None or value is None:
            continue
        found[name] = value
        if unit := clean_unit(node.unit):
            found[f"{name}_units"] = unit
    return found


def _single(node: Node | None) -> float | None:
    if node is None or not is_real(node) or set(node.shape or ()) - {1}:
        return None
    value = node.scalar()
    return float(value) if isinstance(value, (int, float)) and isfinite(value) else None


def _coordinates(detector: Node, data: Node, dims: Sequence[str], notes: list[str]) -> Coords:
    """Return mask, places of the pixels and what there is one of a frame; `dims` are those of the stored axes."""
    shape = data.shape or ()
    coords = _mask(detector, data, tuple(dims), notes)
    if dims[0] == "frame" and len(dims) > 2:
        coords |= columns(detector.children, "frame", shape[0], notes, dims=dims)
    for name in OF_PIXELS:
        node = detector.dataset(name)
        own = _places(node, name, tuple(dims), shape)
        if node is None or not own or node.read_error():
            continue
        unit = clean_unit(node.unit)
        label = name if name not in dims else f"{name}_values"
        coords[label] = xr.Variable(own, lazy(Stored(node.source())), {"units": unit} if unit else {})
    return coords


def _places(node: Node | None, name: str, dims: tuple[str, ...], shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the dims of a value for each pixel: of all of them, or of a row or a column of offsets."""
    if node is None or not is_real(node) or len(shape) < 2 or not node.shape:
        return ()
    if node.shape == shape[-2:]:
        return dims[-2:]
    along = {"x": -1, "y": -2}.get(name[0]) if name.endswith("offset") else None
    return (dims[along],) if along is not None and node.shape == (shape[along],) else ()


def _masks(detector: Node, frame: tuple[int, ...]) -> list[Node]:
    """Return the pixel masks of a detector that fit a frame."""
    return [node for node in _all_masks(detector) if node.shape == frame]


def _all_masks(detector: Node) -> list[Node]:
    """Return the pixel masks of a detector; DECTRIS keeps its own among what is specific to it."""
    specific = detector.child("detectorSpecific")
    children = {**(specific.children if specific is not None else {}), **detector.children}
    named = [node for name, node in children.items() if name == "pixel_mask" or name.startswith("pixel_mask_")]
    return [node for node in named if node.dtype is not None and node.dtype.kind in "iub"]


def _mask(detector: Node, data: Node, dims: tuple[str, ...], notes: list[str]) -> Coords:
    """Return `mask`: pixels that the masks exclude, and values that the detector says are none."""
    shape = data.shape or ()
    masks = []
    for node in _masks(detector, shape[-2:]):
        if trouble := node.read_error():
            notes.append(f"{node.path}: {trouble}; it masks nothing")
        else:
            masks.append(Stored(node.source()))
    pixels = _Excluded(masks, shape[-2:])
    reasons = pixels.reasons()
    low, high = _range(detector, data)
    if low is None and high is None:
        lazily = xr.Variable(dims[-2:], lazy(pixels), {"flags": reasons})
        return {"mask": lazily if lazily.size > EAGER else lazily.load()} if masks else {}
    reasons += ["no count" if low is not None and high is None else "outside the range of the detector"]
    return {"mask": xr.Variable(dims, lazy(_Invalid(Stored(data.source()), pixels, low, high)), {"flags": reasons})}


class _Excluded(LazyArray):
    """Whether one of several pixel masks excludes a pixel."""

    def __init__(self, masks: list[Stored], shape: tuple[int, ...]) -> None:
        self.masks = masks
        self.shape = shape
        self.dtype = np.dtype(bool)

    def bits(self, key: tuple[Any, ...]) -> NDArray[np.uint32]:
        none = np.broadcast_to(np.uint32(0), self.shape)  # takes no memory
        found = np.array(outer(none, key))
        for mask in self.masks:
            found |= mask.read(key).astype(np.uint32)
        return found

    def reasons(self) -> list[str]:
        """Return the reasons that occur; of large masks, which are not read yet, all there may be."""
        if int(np.prod(self.shape)) > EAGER:
            return list(BITS) if self.masks else []
        bits = self.bits((slice(None), slice(None)))
        return [reason for bit, reason in enumerate(BITS) if (bits >> np.uint32(bit) & np.uint32(1)).any()]

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        return np.asarray(self.bits(key) & EXCLUDING != 0)


def _range(detector: Node, data: Node) -> tuple[float | None, float | None]:
    """Return the lowest and the highest value that is a count.

    NXdetector: below underload_value and above saturation_value data are invalid. DECTRIS writes the largest number
    of an unsigned type where a pixel has no count.
    """
    low, high = (_single(detector.dataset(name)) for name in ("underload_value", "saturation_value"))
    dectris = detector.child("detectorSpecific") is not None or "eiger" in _words(detector).lower()
    if high is None and dectris and data.dtype is not None and data.dtype.kind == "u":
        high = float(np.iinfo(data.dtype).max - 1)
    return low, high


def _words(detector: Node) -> str:
    node = detector.dataset("description")
    return str(node.scalar("")) if node is not None else ""


class _Invalid(LazyArray):
    """Whether a value is none: its pixel is excluded, or it is outside of the range of the detector."""

    def __init__(self, values: Stored, pixels: _Excluded, low: float | None, high: float | None) -> None:
        self.values = values
        self.pixels = pixels
        self.limits = (low, high)
        self.shape = values.shape
        self.dtype = np.dtype(bool)

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        values = self.values.read(key)
        low, high = self.limits
        found = np.zeros(values.shape, dtype=bool) if low is None else values < low
        if high is not None:
            found |= values > high
        return np.asarray(found | self.pixels.read(key[-2:]))


def with_detector(inner: Any, detector: Node | None, data: Node, dims: tuple[str, ...], notes: list[str]) -> Coords:
    """Return coordinates and, beside them, those of the detector that do not stand there yet."""
    found: Coords = inner(notes)
    if detector is None or len(data.shape or ()) < 2:
        return found
    return _coordinates(detector, data, dims, notes) | found
