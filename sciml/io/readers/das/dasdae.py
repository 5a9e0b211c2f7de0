"""DASDAE: one group a patch, with its coordinates as datasets beside the data."""

from functools import partial

from sciml.errors import DataError
from sciml.io.hdf5.text import METERS
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.das.fiber import fiber, parent_of, spaced, timestamps
from sciml.io.schema.clock import Clock, Timestamps
from sciml.io.schema.declarations import Signal

__all__ = ["arrays", "declare"]


def arrays(tree: Tree) -> list[Node]:
    """Return the data of all patches."""
    patches = tree.root.child("waveforms")
    if tree.root.text("__format__") != "DASDAE" or patches is None:
        return []
    return [patch.children["data"] for patch in patches.children.values() if patch.dataset("data") is not None]


def declare(data: Node, tree: Tree) -> Signal:
    """Return the data of a patch as a signal."""
    patch = parent_of(data, tree)
    names = [name.strip() for name in patch.text("_dims").split(",")]
    times, along = patch.dataset("_coord_time"), patch.dataset("_coord_distance")
    clock, epoch, notes = _clock(times)
    factor = METERS.get(_printable(patch.text("_attrs_distance_units")).lower(), 1.0)
    return fiber(
        data,
        names=names,
        clock=clock,
        unit=_printable(patch.text("_attrs_data_units")),
        kind=_printable(patch.text("_attrs_data_type")) or "patch",
        distance=None if along is None else partial(spaced, along, factor),
        notes=notes,
        attrs={
            "unix_epoch": epoch,
            "instrument": _printable(patch.text("_attrs_instrument_id")),
            "station": _printable(patch.text("_attrs_station")),
        },
    )


def _clock(times: Node | None) -> tuple[Clock | None, int | None, list[str]]:
    if times is not None and times.is_numeric and not times.number("is_datetime64"):
        return Timestamps(times, 1e-9 if times.number("is_timedelta64") else 1.0), None, []
    try:
        clock, epoch = timestamps(times, 10**9)
    except DataError as error:
        return None, None, [f"{error}; no clock"]
    return clock, epoch, []


def _printable(text: str) -> str:
    """Return text, "" for what is a pickled object: nothing is unpickled."""
    return text if text.isprintable() else ""
