"""Gravitational-wave strain as the Gravitational Wave Open Science Center publishes it, with its data-quality bits.

References
----------
GWOSC file format, https://gwosc.org/archive/; Abbott et al. 2021, SoftwareX 13:100658,
https://doi.org/10.1016/j.softx.2021.100658.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import floor

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Computed, lazy
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Gwosc"]

# Coordinate, bit mask, names of its bits.
FLAGS = (
    ("quality", "quality/simple/DQmask", "quality/simple/DQShortnames"),
    ("injections", "quality/injections/Injmask", "quality/injections/InjShortnames"),
)
PRESENT = "DATA"  # the bit that says that there are data


class Gwosc:
    """The reader of GWOSC strain files."""

    name = "gwosc"

    def sniff(self, tree: Tree) -> int:
        """Look for strain with a start and a spacing."""
        return 95 if _strains(tree) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the strain series with what the file says of the detector."""
        signals = tuple(_strain(node, tree) for node in _strains(tree))
        return Contents(
            format="GWOSC strain",
            signals=signals,
            attrs=_meta(tree),
            default=signals[0].path if len(signals) == 1 else None,
        )


def _strains(tree: Tree) -> list[Node]:
    group = tree.root.child("strain")
    return [node for node in group.children.values() if _is_series(node)] if group is not None else []


def _is_series(node: Node) -> bool:
    return bool(node.is_numeric and node.number("Xstart") is not None and node.number("Xspacing"))


def _strain(node: Node, tree: Tree) -> Signal:
    start, spacing = node.number("Xstart", 0.0) or 0.0, node.number("Xspacing", 1.0) or 1.0
    raw_unit = node.text("Yunits")
    # At 1.1e9 s a float64 resolves only 0.24 us: the whole seconds stay an integer beside the clock.
    epoch = floor(start) if np.isfinite(start) else 0
    clock = Rate(1.0 / spacing, start - epoch)
    return Signal(
        path=node.path,
        values=scaled(node),
        dims=(TIME, *(f"dim_{axis}" for axis in range(1, len(node.shape or ())))),
        kind="strain",
        unit=clean_unit(raw_unit) or "strain",
        raw_unit=raw_unit,
        clock=clock,
        coords=partial(_flags, tree, clock, epoch, (node.shape or (0,))[0]),
        attrs={"gps_epoch": epoch, **_meta(tree)},
    )


def _meta(tree: Tree) -> dict[str, str]:
    named = {"Detector": "instrument", "UTCstart": "start", "Description": "description", "Observatory": "observatory"}
    found = {}
    for name, label in named.items():
        node = tree.get(f"meta/{name}")
        if node is not None and node.is_dataset and (value := node.scalar()) is not None:
            found[label] = str(value)
    return found


@dataclass(frozen=True)
class _Expanded:
    """The flags of the second in which the sample at a position lies."""

    flags: NDArray[np.integer]
    rate: float
    offset: float
    spacing: float

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.integer]:
        # Half a sample is far above rounding and far below a second: i / rate may fall just short of a whole second.
        seconds = self.offset + (positions + 0.5) / self.rate
        return np.asarray(
            self.flags[np.clip(np.floor(seconds / self.spacing), 0, len(self.flags) - 1).astype(np.int64)]
        )


@dataclass(frozen=True)
class _Absent:
    """Whether the bit that says that there are data is not set."""

    quality: _Expanded
    bit: int

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray((self.quality(positions) >> self.bit) & 1 == 0)


def _flags(tree: Tree, clock: Rate, epoch: int, size: int, notes: list[str]) -> Coords:
    coords: Coords = {}
    for label, mask_path, names_path in FLAGS:
        node, named = tree.get(mask_path), tree.get(names_path)
        if node is None:
            continue
        try:
            expanded = _expanded(node, clock, epoch)
            names = [str(name) for name in named.read().ravel()] if named is not None and named.is_dataset else []
        except DataError as error:
            notes.append(f"{error}; {label} is left out")
            continue
        values = lazy(Computed(expanded, size, expanded.flags.dtype))
        coords[label] = xr.Variable(TIME, values, {"flags": names})
        if label == "quality":
            bit = names.index(PRESENT) if PRESENT in names else 0
            coords["mask"] = xr.Variable(
                TIME, lazy(Computed(_Absent(expanded, bit), size, bool)), {"flags": ["no data"]}
            )
    return coords


def _expanded(node: Node, clock: Rate, epoch: int) -> _Expanded:
    if not node.is_numeric or len(node.shape or ()) != 1 or node.dtype is None or node.dtype.kind not in "iu":
        raise DataError(f"{node.path}: expected a row of integers, got shape {node.shape} of {node.dtype}")
    begin, spacing = node.number("Xstart", float(epoch)), node.number("Xspacing", 1.0) or 1.0
    offset = clock.start + epoch - (epoch if begin is None else begin)
    if not (np.isfinite(offset) and np.isfinite(spacing) and spacing > 0):
        raise DataError(f"{node.path}: expected flags at regular times, got start {begin} s and spacing {spacing} s")
    return _Expanded(node.read(), clock.rate, offset, spacing)
