"""Poses that SLEAP tracked: points of animals over the frames of a video, as its analysis files hold them.

References
----------
Pereira et al. 2022, Nature Methods 19:486, https://doi.org/10.1038/s41592-022-01426-1; the layout is that of
`sleap-convert --format analysis`: tracks (track, space, node, frame), not a number where a point was not found.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled

__all__ = ["Sleap"]

# Stored axes of each array.
AXES = {
    "tracks": ("track", "space", "node", "frame"),
    "point_scores": ("track", "node", "frame"),
    "instance_scores": ("track", "frame"),
    "tracking_scores": ("track", "frame"),
}
NAMES = {"track": "track_names", "node": "node_names"}


class Sleap:
    """The reader of analysis files of SLEAP."""

    name = "sleap"

    def sniff(self, tree: Tree) -> int:
        """Look for tracks beside the names of their nodes."""
        tracks, nodes = tree.root.dataset("tracks"), tree.root.dataset("node_names")
        return 80 if nodes is not None and tracks is not None and len(tracks.shape or ()) == 4 else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the points and their scores."""
        root = tree.root
        found = [(node, AXES[name]) for name in AXES if (node := root.dataset(name)) is not None and node.is_numeric]
        signals = tuple(_signal(node, axes, root) for node, axes in found if len(node.shape or ()) == len(axes))
        video = root.dataset("video_path")
        attrs = {"video": str(video.scalar(""))} if video is not None else {}
        return Contents(format="SLEAP analysis", signals=signals, attrs=attrs, default="tracks")


def _signal(node: Node, axes: tuple[str, ...], root: Node) -> Signal:
    stored = axes[::-1] if _is_reversed(root) else axes
    dims = ("frame", *(axis for axis in axes if axis != "frame"))
    return Signal(
        path=node.path,
        values=scaled(node, order=tuple(stored.index(dim) for dim in dims)),
        dims=dims,
        kind="points" if "space" in axes else "scores",
        unit="pixel" if "space" in axes else "",
        raw_unit="pixel" if "space" in axes else "",
        coords=partial(_coords, dims, root),
    )


def _is_reversed(root: Node) -> bool:
    """Whether the arrays are stored the other way round, frames first, as the nodes and the two coordinates show."""
    tracks, names = root.dataset("tracks"), root.dataset("node_names")
    shape, count = tracks.shape if tracks is not None else None, names.shape if names is not None else None
    if shape is None or count is None:
        return False
    return shape[1:3] != (2, *count) and shape[1:3] == (*count, 2)


def _coords(dims: tuple[str, ...], root: Node, notes: list[str]) -> Coords:
    coords: Coords = {"space": xr.Variable("space", np.array(["x", "y"]))} if "space" in dims else {}
    for dim, name in NAMES.items():
        names = root.dataset(name)
        if dim not in dims or names is None or not names.shape or 0 in names.shape:
            continue
        try:
            coords[dim] = xr.Variable(dim, names.read().astype(str))
        except DataError as error:
            notes.append(str(error))
    return coords
