"""Fluorescence traces of neurons as CaImAn and Suite2p leave them in HDF5: one row a ROI, presented (time, roi).

CaImAn keeps its results in the group `estimates` and its settings in `params`; results of Suite2p in HDF5 are its
arrays under their own names (F, Fneu, spks, iscell, ops). Written to the specification.

References
----------
Giovannucci et al. 2019, eLife 8:e38173, https://doi.org/10.7554/eLife.38173;
Pachitariu et al. 2017, https://doi.org/10.1101/061507.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import columns, is_real, numbers
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Traces"]


@dataclass(frozen=True)
class _Writer:
    """The traces of a program by their names, and where it states the frame rate: group and name of the number."""

    label: str
    traces: dict[str, str]
    rates: tuple[tuple[str, str], ...]


CAIMAN = _Writer(
    "CaImAn",
    {
        "C": "denoised fluorescence",
        "F_dff": "relative fluorescence",
        "S": "deconvolved activity",
        "YrA": "residual",
        "R": "residual",
    },
    (("params/data", "fr"),),
)
SUITE2P = _Writer(
    "Suite2p",
    {"F": "fluorescence", "Fneu": "neuropil fluorescence", "spks": "deconvolved activity"},
    (("ops", "fs"), ("", "fs")),
)


class Traces:
    """The reader of CaImAn and Suite2p results."""

    name = "traces"

    def sniff(self, tree: Tree) -> int:
        """Look for the estimates of CaImAn, or for F beside Fneu or spks of Suite2p."""
        return 80 if _results(tree) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the traces of every result in the file."""
        results = _results(tree)
        findings: list[str] = []
        signals = [signal for group, writer in results for signal in _signals(group, writer, tree, findings)]
        return Contents(
            format=f"{results[0][1].label} results",
            signals=tuple(signals),
            findings=tuple(findings),
            default=signals[0].path if signals else None,
            reason=None if signals else "none of the traces is an array of ROIs by time",
        )


def _results(tree: Tree) -> list[tuple[Node, _Writer]]:
    """Return the groups that hold results, and whose they are."""
    found = []
    for group in tree:
        inside = group.children
        if group.name == "estimates" and "A" in inside and "C" in inside:
            found.append((group, CAIMAN))
        elif "F" in inside and ("Fneu" in inside or "spks" in inside):
            found.append((group, SUITE2P))
    return found


def _signals(group: Node, writer: _Writer, tree: Tree, findings: list[str]) -> list[Signal]:
    rate = _rate(group, writer, tree)
    notes = () if rate is not None else ("the file states no frame rate; the recording comes without a clock",)
    signals = []
    for name, kind in writer.traces.items():
        node = group.dataset(name)
        if node is None or not node.is_numeric:
            continue
        if len(node.shape or ()) != 2:
            findings.append(f"{node.path}: expected (roi, time), got shape {node.shape}; it is not listed")
            continue
        signals.append(
            Signal(
                path=node.path,
                values=scaled(node, order=(1, 0)),
                dims=(TIME, "roi"),
                kind=kind,
                clock=None if rate is None else Rate(rate),
                coords=partial(_coords, group, tree, (node.shape or (0,))[0]),
                notes=notes,
                stack="trace",
            )
        )
    return signals


def _rate(group: Node, writer: _Writer, tree: Tree) -> float | None:
    """Return the frame rate from the settings, which lie beside the results or among them."""
    parent = tree.get(group.path.rpartition("/")[0]) or tree.root
    for path, name in writer.rates:
        for start in (group, parent):
            node: Node | None = start
            for part in filter(None, path.split("/")):
                node = node.child(part) if node is not None else None
            declared = numbers({name: node.children[name]}) if node is not None and name in node.children else {}
            if declared.get(name, 0.0) > 0:
                return declared[name]
    return None


def _coords(group: Node, tree: Tree, size: int, notes: list[str]) -> Coords:
    """Return what the program found of each ROI: place, scores, and whether it took it for a cell."""
    tables = {name: node for name, node in group.children.items() if not name.startswith("idx_")}
    coords = columns(tables, "roi", size, notes)
    try:
        return coords | _cells(group, size) | _accepted(group, size) | _centers(group, tree, size)
    except DataError as error:
        notes.append(f"{error}; where the ROIs are and which of them are cells is left out")
        return coords


def _cells(group: Node, size: int) -> Coords:
    """Return the classification of Suite2p: (roi, 2), whether it is a cell and how probably."""
    node = group.dataset("iscell")
    if node is None or not is_real(node) or node.shape != (size, 2):
        return {}
    values = node.read()
    return {
        "iscell": xr.Variable("roi", values[:, 0] > 0),
        "iscell_probability": xr.Variable("roi", values[:, 1]),
    }


def _accepted(group: Node, size: int) -> Coords:
    """Return whether CaImAn kept a component: it stores the positions of those."""
    node = group.dataset("idx_components")
    if node is None or not node.is_numeric or node.dtype is None or node.dtype.kind not in "iu":
        return {}
    kept = node.read().ravel()
    if kept.size and (kept.min() < 0 or kept.max() >= size):
        raise DataError(f"{node.path}: expected positions of {size} components, got {kept.min()} to {kept.max()}")
    return {"accepted": xr.Variable("roi", np.isin(np.arange(size), kept))}


def _centers(group: Node, tree: Tree, size: int) -> Coords:
    """Return the center of mass of each footprint of CaImAn, in pixels.

    The footprints `A` (pixel, roi) are sparse by columns; pixel p is at row p % height of column p // height.
    """
    footprints, dims = group.child("A"), group.dataset("dims") or tree.root.dataset("dims")
    parts = [footprints.dataset(name) for name in ("data", "indices", "indptr")] if footprints is not None else []
    known = [node for node in (*parts, dims) if node is not None and is_real(node) and len(node.shape or ()) == 1]
    if len(known) != 4:
        return {}
    weights, pixels, ends, frame = (node.read() for node in known)
    if any(values.dtype.kind == "f" for values in (pixels, ends)) or not frame.size or not 1 <= frame[0] < 2**31:
        raise DataError(f"{group.path}: expected positions of pixels and a height of frames, got {frame}")
    counts = np.asarray(np.diff(ends.astype(np.int64)), dtype=np.int64)
    fits = ends.shape == (size + 1,) and ends[0] == 0 and (counts >= 0).all() and ends[-1] == len(weights)
    if not fits or pixels.shape != weights.shape:
        raise DataError(f"{group.path}/A: expected a sparse matrix of {size} columns, got ends of shape {ends.shape}")
    column, row = np.divmod(pixels.astype(np.int64), int(frame[0]))
    owner = np.repeat(np.arange(size), counts)
    mass = np.bincount(owner, weights, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        y, x = (np.bincount(owner, weights * place, minlength=size) / mass for place in (row, column))
    return {
        "center_y": xr.Variable("roi", y, {"units": "pixel"}),
        "center_x": xr.Variable("roi", x, {"units": "pixel"}),
    }
