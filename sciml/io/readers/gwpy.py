"""Series as GWpy and PyCBC write them: a dataset with start and spacing in its attributes.

GWpy keeps x0 and dx (and y0, dy of a spectrogram), unit, channel and name beside the values; times are GPS seconds.
PyCBC keeps start_time and delta_t, or delta_f. Tried on a real file of GWpy.

References
----------
Macleod et al. 2021, SoftwareX 13:100657, https://doi.org/10.1016/j.softx.2021.100657 (GWpy).
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from math import floor, isfinite

from sciml.io.arrays import Scale
from sciml.io.hdf5.text import clean_unit, seconds_per
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import grid
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Gwpy"]

# Start and spacing of the first axis in the spellings of the writers, and the unit if none is stated.
STEPS = (("x0", "dx", "s"), ("start_time", "delta_t", "s"), ("epoch", "delta_t", "s"), ("f0", "delta_f", "Hz"))

PEEKED = 8  # datasets that are looked at to recognize the format


class Gwpy:
    """The reader of series of GWpy and PyCBC."""

    name = "gwpy"

    def sniff(self, tree: Tree) -> int:
        """Look for datasets that state a spacing, and what they are or where they begin."""
        return 85 if any(map(_step, islice(_candidates(tree), PEEKED))) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return every series of the file."""
        signals = tuple(map(_signal, _series(tree)))
        return Contents(format="GWpy series", signals=signals)


def _candidates(tree: Tree) -> Iterator[Node]:
    return (node for node in tree if node.n_attributes and node.is_numeric and len(node.shape or ()) <= 2)


def _series(tree: Tree) -> list[Node]:
    return [node for node in _candidates(tree) if _step(node)]


def _step(node: Node) -> tuple[float, float, str] | None:
    """Return start, spacing and unit of the first axis, None if the dataset states no spacing."""
    for first, step, unit in STEPS:
        spacing, start = node.number(step), node.number(first)
        marked = start is not None or bool(node.text("channel")) or step == "delta_f"
        if spacing is not None and isfinite(spacing) and spacing > 0 and marked:
            return start or 0.0, spacing, node.text("xunit", unit) or unit
    return None


def _signal(node: Node) -> Signal:
    start, step, unit = _step(node) or (0.0, 1.0, "s")
    seconds = seconds_per(unit)
    # At 1.1e9 s a float64 resolves only 0.24 us: the whole seconds stay an integer beside the clock.
    epoch = floor(start * seconds) if seconds and isfinite(start) else 0
    first = TIME if seconds else "frequency"
    dims = (first, "frequency" if seconds else "channel")[: len(node.shape or ())]
    raw_unit = node.text("unit") or node.text("units")
    declared = {"channel": node.text("channel"), "name": node.text("name")}
    found = {name: word for name, word in declared.items() if word and word.isprintable()}
    return Signal(
        path=node.path,
        values=scaled(node, Scale()),
        dims=dims,
        kind="series",
        unit=clean_unit(raw_unit),
        raw_unit=raw_unit,
        clock=Rate(1 / (step * seconds), start * seconds - epoch) if seconds else None,
        coords=partial(_coords, node, dims, (start, step, unit)),
        attrs=found | ({"gps_epoch": epoch} if epoch else {}),
    )


def _coords(node: Node, dims: tuple[str, ...], first: tuple[float, float, str], _notes: list[str]) -> Coords:
    """Return the frequencies of a spectrum, or of a spectrogram along its second axis."""
    shape = node.shape or (0,)
    coords: Coords = {}
    if dims[0] != TIME:
        coords |= grid(dims[0], shape[0], start=first[0], step=first[1], unit=first[2])
    if len(dims) == 2:
        unit = node.text("yunit", "Hz")
        coords |= grid(dims[1], shape[1], start=node.number("y0", 0.0), step=node.number("dy"), unit=unit)
    return coords
