"""Tomography as the Advanced Photon Source stores it (Data Exchange): projections, white and dark fields, angles.

The group /exchange holds `data` along (theta, y, x) unless its attribute `axes` says otherwise, `data_white` and
`data_dark` along frames of their own, and the angles `theta`. Tried on a real file.

References
----------
De Carlo et al. 2014, J. Synchrotron Rad. 21:1224, https://doi.org/10.1107/S160057751401604X.
"""

import re
from functools import partial

from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import columns, image_dims, unique
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled

__all__ = ["DataExchange"]

FIELDS = {"data": "projection", "data_white": "white field", "data_dark": "dark field"}
COMPANIONS = ("theta", "data_white", "data_dark")
ABOUT = {
    "sample": ("measurement/sample/name",),
    "instrument": ("measurement/instrument/name", "measurement/instrument/source/beamline"),
    "start": ("process/acquisition/start_date", "measurement/sample/file/date", "file_creation_datetime"),
}


class DataExchange:
    """The reader of Data Exchange files."""

    name = "dataexchange"

    def sniff(self, tree: Tree) -> int:
        """Look for exchange/data beside angles or white and dark fields."""
        found = _exchanges(tree)
        declared = tree.root.dataset("implements") is not None
        return 90 if any(declared or set(COMPANIONS) & set(group.children) for group in found) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return projections, white and dark fields."""
        signals = [
            _signal(group, node, kind)
            for group in _exchanges(tree)
            for name, kind in FIELDS.items()
            if (node := group.dataset(name)) is not None and node.is_numeric
        ]
        default = [signal.path for signal in signals if signal.kind == "projection"][:1]
        return Contents(
            format="Data Exchange",
            signals=tuple(signals),
            attrs=_about(tree),
            default=default[0] if default else None,
            reason=None if signals else "exchange/data is no array of numbers",
        )


def _exchanges(tree: Tree) -> list[Node]:
    """Return the groups exchange, exchange_1, ... that hold data."""
    named = [node for name, node in tree.root.children.items() if re.fullmatch(r"exchange(_\d+)?", name)]
    return [node for node in named if node.dataset("data") is not None]


def _signal(group: Node, data: Node, kind: str) -> Signal:
    rank = len(data.shape or ())
    axes = _axes(data, rank)
    # The axis of the angles, theta (theta_white, theta_dark), is that of the frames, and comes first.
    angles = [axis for axis, name in enumerate(axes) if name.startswith("theta")]
    dims = unique(["frame" if axis in angles[:1] else name for axis, name in enumerate(axes)])
    along = dims.index("frame") if "frame" in dims else 0
    order = (along, *(axis for axis in range(rank) if axis != along))
    raw_unit = data.text("units")
    fields = {"white": "data_white", "dark": "data_dark"} if kind == "projection" else {}
    return Signal(
        path=data.path,
        values=scaled(data, order=order if along else None),
        dims=tuple(dims[axis] for axis in order),
        kind=kind,
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_angles, group, data, dims, along),
        attrs={label: node.path for label, name in fields.items() if (node := group.dataset(name)) is not None},
        stack="field",
    )


def _axes(data: Node, rank: int) -> list[str]:
    names = [name.strip() for name in re.split("[:,]", data.text("axes")) if name.strip()]
    return names if len(names) == rank else list(image_dims(rank))


def _angles(group: Node, data: Node, dims: tuple[str, ...], along: int, notes: list[str]) -> Coords:
    if "frame" not in dims:
        return {}
    ending = data.name.removeprefix("data")
    node = group.dataset(f"theta{ending}")
    size = (data.shape or (0,))[along]
    if node is None:
        # White and dark fields are mostly taken at no angle in particular.
        if not ending:
            notes.append("the file states no angles (theta)")
        return {}
    coords = columns({"theta": node}, "frame", size, notes)
    if not coords:
        notes.append(f"{node.path} of shape {node.shape} does not fit {size} frames; the angles are left out")
    elif "units" not in coords["theta"].attrs:
        coords["theta"].attrs["units"] = "degree"
        notes.append(f"{node.path} states no unit; taken as degrees")
    return coords


def _about(tree: Tree) -> dict[str, str]:
    found: dict[str, str] = {}
    for label, paths in ABOUT.items():
        for path in paths:
            node = tree.get(path)
            if label not in found and node is not None and node.is_dataset and (value := node.scalar()):
                found[label] = str(value)
    return found
