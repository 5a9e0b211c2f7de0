"""Coherent X-ray imaging: frames of diffraction patterns with their masks and where the sample stood.

Written to the CXI file format (Maia 2012, Nature Methods 9:854, https://doi.org/10.1038/nmeth.2110) and tried on real
files. Lengths are in m and energies in J, as everywhere in CXI.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Mapped, Stored, lazy
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import EAGER
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled

__all__ = ["Cxi"]

DIMS = {2: ("y", "x"), 3: ("frame", "y", "x"), 4: ("frame", "module", "y", "x")}
# The bits of a mask; those without a reason to leave the pixel out are None.
BITS: tuple[str | None, ...] = (
    "invalid",
    "saturated",
    "hot",
    "dead",
    "shadowed",
    None,  # in the peak mask
    "to be ignored",
    "bad",
    "out of resolution limits",
    "missing",
    "noisy",
    None,  # artifact corrected
    "failed artifact correction",
    None,  # peak for the hit finder
    None,  # photon background corrected
)
EXCLUDED = sum(1 << bit for bit, reason in enumerate(BITS) if reason)
LENGTHS = {"distance": "distance_m", "x_pixel_size": "x_pixel_size_m", "y_pixel_size": "y_pixel_size_m"}


class Cxi:
    """The reader of CXI files."""

    name = "cxi"

    def sniff(self, tree: Tree) -> int:
        """Look for the version that every CXI file states, or for its numbered groups."""
        if tree.root.dataset("cxi_version") is not None:
            return 95
        entries = [entry for entry in _entries(tree) if not entry.text("NX_class")]
        return 60 if any(_numbered(entry, "data") and _numbered(entry, "instrument") for entry in entries) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the frames of each detector and the images made of them."""
        signals: dict[str, Signal] = {}
        for entry in _entries(tree):
            for holder in _holders(entry):
                data = holder.dataset("data")
                if data is not None and data.is_numeric and len(data.shape or ()) in DIMS:
                    signals.setdefault(data.path, _signal(data, holder, entry))
        version = tree.root.dataset("cxi_version")
        return Contents(
            format=f"CXI {_number(version):.0f}" if _number(version) is not None else "CXI",
            signals=tuple(signals.values()),
            attrs=_about(tree),
            default=_default(tree, signals),
            reason=None if signals else "no data_N, image_N or detector_N of an entry holds frames that can be read",
        )


def _numbered(group: Node, stem: str) -> list[Node]:
    """Return the children stem_1, stem_2, ..."""
    return [child for name, child in group.children.items() if re.fullmatch(rf"{stem}_\d+", name)]


def _entries(tree: Tree) -> list[Node]:
    return _numbered(tree.root, "entry")


def _holders(entry: Node) -> list[Node]:
    """Return the groups whose `data` are frames; detectors first, since they say more than the links to them."""
    detectors = [one for instrument in _numbered(entry, "instrument") for one in _numbered(instrument, "detector")]
    detectors += _numbered(entry, "detector")
    return [*detectors, *_numbered(entry, "data"), *_numbered(entry, "image")]


def _default(tree: Tree, signals: dict[str, Signal]) -> str | None:
    """Return the data that CXI says to look at first, those of data_1."""
    for entry in _entries(tree):
        for first in _numbered(entry, "data"):
            data = first.dataset("data")
            if data is not None and data.path in signals:
                return data.path
    return next(iter(signals), None)


def _dims(data: Node, holder: Node) -> tuple[str, ...]:
    """Return (frame, y, x) of detectors; an image of three axes is a volume."""
    dims = DIMS[len(data.shape or ())]
    return ("z", "y", "x") if holder.name.startswith("image_") and len(dims) == 3 else dims


def _signal(data: Node, holder: Node, entry: Node) -> Signal:
    raw_unit = data.text("units")
    detector = _detector(data, holder, entry)
    return Signal(
        path=data.path,
        values=scaled(data),
        dims=_dims(data, holder),
        kind=re.sub(r"_\d+$", "", holder.name),
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_coords, data, detector, holder, entry),
        attrs=_geometry(detector, entry),
    )


def _detector(data: Node, holder: Node, entry: Node) -> Node:
    """Return the detector that recorded the data: the holder, or the one whose data are the same or the only one."""
    detectors = [one for one in _holders(entry) if one.name.startswith("detector_")]
    same = [one for one in detectors if one.child("data") is data]
    return (same or (detectors if len(detectors) == 1 and holder.name.startswith("data_") else [holder]))[0]


def _geometry(detector: Node, entry: Node) -> dict[str, float]:
    found = {label: _number(detector.dataset(name)) for name, label in LENGTHS.items()}
    for label, node in _sources(entry).items():
        found[label] = _number(node)
    return {label: value for label, value in found.items() if value is not None}


def _sources(entry: Node) -> dict[str, Node]:
    """Return what the first source states: photon energy in J, wavelength in m."""
    sources = [one for instrument in _numbered(entry, "instrument") for one in _numbered(instrument, "source")]
    named = {"energy": "energy_J", "wavelength": "wavelength_m"}
    nodes = {label: sources[0].dataset(name) for name, label in named.items()} if sources else {}
    return {label: node for label, node in nodes.items() if node is not None}


def _number(node: Node | None) -> float | None:
    if node is None or node.shape is None or int(np.prod(node.shape)) != 1:
        return None
    value = node.scalar()
    return float(value) if isinstance(value, (int, float)) else None


def _coords(data: Node, detector: Node, holder: Node, entry: Node, notes: list[str]) -> Coords:
    dims, shape = _dims(data, holder), data.shape or ()
    coords: Coords = {}
    for part in (partial(_mask, (detector, holder)), partial(_frames, detector, holder, entry)):
        try:
            coords |= part(dims, shape, notes)
        except DataError as error:
            notes.append(f"{error}; left out of the coordinates")
    return coords


def _mask(groups: tuple[Node, ...], dims: tuple[str, ...], shape: tuple[int, ...], notes: list[str]) -> Coords:
    """Return the mask as stored (`mask_bits`) and whether a pixel is to be left out (`mask`)."""
    masks = (group.dataset(name) for group in groups for name in ("mask", "mask_shared"))
    node = next((mask for mask in masks if mask is not None), None)
    if node is None:
        return {}
    own = node.shape or ()
    if not own or own != shape[len(shape) - len(own) :] or node.dtype is None or node.dtype.kind not in "iub":
        notes.append(f"{node.path} is {node.dtype} of shape {node.shape}; expected integers that fit {shape}; left out")
        return {}
    if trouble := node.read_error():
        raise DataError(f"{node.path}: {trouble}")
    along = dims[len(dims) - len(own) :]
    reasons = [reason or "" for reason in BITS]
    if np.prod(own) > EAGER:
        stored = Stored(node.source())
        attributes = {"flags": [reason for reason in BITS if reason]}
        return {
            "mask": xr.Variable(along, lazy(Mapped(stored, _excluded, bool)), attributes),
            "mask_bits": xr.Variable(along, lazy(stored), {"flags": reasons}),
        }
    bits = node.read().astype(np.uint32)
    occurring = [reason for bit, reason in enumerate(BITS) if reason and (bits >> bit & 1).any()]
    return {
        "mask": xr.Variable(along, _excluded(bits), {"flags": occurring}),
        "mask_bits": xr.Variable(along, bits, {"flags": reasons}),
    }


def _excluded(bits: NDArray[np.integer]) -> NDArray[np.bool_]:
    return np.asarray(bits.astype(np.uint32) & np.uint32(EXCLUDED) != 0)


def _frames(
    detector: Node, holder: Node, entry: Node, dims: tuple[str, ...], shape: tuple[int, ...], notes: list[str]
) -> Coords:
    """Return what there is one of per frame: the place of the sample, the energy of the photons."""
    if dims[0] != "frame":
        return {}
    coords: Coords = {}
    places = [holder.dataset("translation"), *(_samples(entry)), detector.dataset("translation")]
    node = next((one for one in places if one is not None and one.is_numeric), None)
    if node is not None and node.shape == (shape[0], 3):
        coords |= {
            f"translation_{axis}": xr.Variable("frame", column, {"units": "m"})
            for axis, column in zip("xyz", node.read().T, strict=True)
        }
    elif node is not None and node.shape != (3,):
        notes.append(f"{node.path} has shape {node.shape}, expected ({shape[0]}, 3), one place a frame; left out")
    for label, source in _sources(entry).items():
        if source.shape == shape[:1] and source.is_numeric and shape[0] > 1:
            name, _, unit = label.partition("_")
            coords[name] = xr.Variable("frame", source.read(), {"units": unit})
    return coords


def _samples(entry: Node) -> list[Node]:
    """Return where the sample stood, by CXI the place of its geometry."""
    found = []
    for sample in _numbered(entry, "sample"):
        for name, geometry in sample.children.items():
            if name == "geometry" or name.startswith("geometry_"):
                found += [node] if (node := geometry.dataset("translation")) is not None else []
    return found


def _about(tree: Tree) -> dict[str, str]:
    named = {"title": "title", "start_time": "start", "experiment_identifier": "identifier", "program_name": "program"}
    found = {}
    for entry in _entries(tree)[:1]:
        for name, label in named.items():
            if (node := entry.dataset(name)) is not None and isinstance(value := node.scalar(), str):
                found[label] = value
        for instrument in _numbered(entry, "instrument")[:1]:
            if (node := instrument.dataset("name")) is not None:
                found["instrument"] = str(node.scalar(""))
    return found
