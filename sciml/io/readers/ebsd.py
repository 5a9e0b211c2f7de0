"""Electron backscatter diffraction patterns: h5ebsd of EDAX, Bruker, Oxford Instruments (h5oina) and kikuchipy.

All of them keep a scan under <scan>/EBSD with the groups Data (patterns, and one value a pattern of everything that was
derived from it) and Header (step sizes, size of the grid, static background); only the spelling of names differs, so
that what is a pattern is told by its shape. Tried on a real file of kikuchipy; the others to the specification.

References
----------
Jackson et al. 2014, Integr. Mater. Manuf. Innov. 3:44, https://doi.org/10.1186/2193-9772-3-4.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import bare, columns, numbers
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled

__all__ = ["Ebsd"]

DIMS = {3: ("frame", "y", "x"), 4: ("row", "column", "y", "x")}
# What headers state, in the spellings of the makers without case and punctuation.
STEPS = {"step_x": {"stepx", "xstep"}, "step_y": {"stepy", "ystep"}}
COLUMNS, ROWS = {"ncolumns", "ncols", "xcells"}, {"nrows", "ycells"}
ANGLES = 3  # Oxford Instruments keep those of Euler together
POSITIONS = {"x_values": "position_x", "y_values": "position_y"}
ABOUT = {
    "beam_energy": {"beamenergy", "beamvoltage", "kv"},
    "magnification": {"magnification", "mag"},
    "working_distance": {"workingdistance", "wd"},
    "sample_tilt": {"sampletilt", "tiltangle"},
}


class Ebsd:
    """The reader of EBSD pattern files."""

    name = "ebsd"

    def sniff(self, tree: Tree) -> int:
        """Look for patterns in <scan>/EBSD/Data."""
        return 90 if any(_patterns(scan) for scan in _scans(tree)) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the patterns of every scan."""
        signals = [_signal(scan, node) for scan in _scans(tree) for node in _patterns(scan)]
        return Contents(format=f"EBSD {_maker(tree)}".strip(), signals=tuple(signals), attrs=_about(tree))


def _group(node: Node, *names: str) -> dict[str, Node]:
    """Return what is in a group that may not be there."""
    for name in names:
        found = node.child(name)
        if found is None:
            return {}
        node = found
    return node.children


def _scans(tree: Tree) -> list[Node]:
    return [node for node in tree.root.children.values() if _group(node, "EBSD", "Data")]


def _patterns(scan: Node) -> list[Node]:
    stacks = _group(scan, "EBSD", "Data").values()
    return [node for node in stacks if node.is_numeric and len(node.shape or ()) in DIMS and _is_image(node)]


def _is_image(node: Node) -> bool:
    return min((node.shape or (0,))[-2:]) > 4


def _maker(tree: Tree) -> str:
    for name, node in tree.root.children.items():
        if bare(name) == "manufacturer" and node.is_dataset:
            return str(node.scalar("")).strip()
    return ""


def _signal(scan: Node, data: Node) -> Signal:
    header = numbers(_group(scan, "EBSD", "Header"))
    return Signal(
        path=data.path,
        values=scaled(data),
        dims=DIMS[len(data.shape or ())],
        kind="EBSD patterns",
        coords=partial(_coords, scan, data),
        attrs=_named(header, {**STEPS, **ABOUT}) | _named(numbers(_group(scan, "SEM", "Header")), ABOUT),
        stack="scan",
    )


def _named(header: dict[str, float], spellings: dict[str, set[str]]) -> dict[str, float]:
    return {label: header[name] for label, known in spellings.items() for name in known & set(header)}


def _coords(scan: Node, data: Node, notes: list[str]) -> Coords:
    shape = data.shape or ()
    coords: Coords = {}
    if len(shape) == 3:
        header = numbers(_group(scan, "EBSD", "Header"))
        maps = _group(scan, "EBSD", "CrystalMap", "crystal_map", "data")
        coords |= columns({**maps, **_group(scan, "EBSD", "Data")}, "frame", shape[0], notes, width=ANGLES)
        coords = {POSITIONS.get(name, name): values for name, values in coords.items()}
        coords |= _grid(header, shape[0], coords)
    return coords | _background(scan, shape[-2:], notes)


def _grid(header: dict[str, float], size: int, known: Coords) -> Coords:
    """Return row and column of each pattern where the header's grid has as many points, rows one after another."""
    n_columns = next((int(header[name]) for name in COLUMNS & set(header)), 0)
    n_rows = next((int(header[name]) for name in ROWS & set(header)), 0)
    if n_columns < 1 or n_columns * n_rows != size or {"row", "column"} & set(known):
        return {}
    row, column = np.divmod(np.arange(size), n_columns)
    return {"row": xr.Variable("frame", row), "column": xr.Variable("frame", column)}


def _background(scan: Node, shape: tuple[int, ...], notes: list[str]) -> Coords:
    """Return the static background of the detector, which is divided out of (or subtracted from) each pattern."""
    for part in ("Header", "Data"):
        for name, node in _group(scan, "EBSD", part).items():
            if "staticbackground" not in bare(name) or not node.is_numeric or node.shape not in (shape, (1, *shape)):
                continue
            try:
                return {"static_background": xr.Variable(("y", "x"), node.read().reshape(shape))}
            except DataError as error:
                notes.append(f"{error}; the static background is left out")
    return {}


def _about(tree: Tree) -> dict[str, str]:
    for scan in _scans(tree):
        for name, node in _group(scan, "SEM", "Header").items():
            if bare(name) in ("microscope", "instrument") and node.is_dataset:
                return {"instrument": str(node.scalar("")).strip()}
    return {}
