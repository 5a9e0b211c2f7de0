"""Nanopore sequencing: the ionic current of each read in a fast5 file, many reads a file or one, in picoampere.

Written to the layout of Oxford Nanopore's ont_fast5_api (https://github.com/nanoporetech/ont_fast5_api) and tried on
real files. Signals compressed with Nanopore's own VBZ filter need its HDF5 plugin; the error says which.
"""

from functools import partial
from math import isfinite

from sciml.io.arrays import Scale
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Contents, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Fast5"]


class Fast5:
    """The reader of fast5 files."""

    name = "fast5"

    def sniff(self, tree: Tree) -> int:
        """Look for raw signals with the channel they were measured in."""
        return 95 if any(_channel(group, tree) is not None for group in _raws(tree)) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the current of each read, on the clock of the run."""
        signals = tuple(map(partial(_read, tree=tree), _raws(tree)))
        return Contents(
            format=f"fast5 {tree.root.text('file_version')}".strip(),
            signals=signals,
            attrs=_about(tree),
            default=signals[0].path if len(signals) == 1 else None,
        )


def _raws(tree: Tree) -> list[Node]:
    """Return the groups with a signal, as the three kinds of file name them.

    They are read_<id>/Raw where there are many reads, Raw/Reads/Read_<n> where there is one, and Raw/Channel_<n> in
    bulk files, which hold the whole current of each channel.
    """
    found = []
    for read in tree.root.children.values():
        groups = [read.child("Raw")] if read.name.startswith("read_") else []
        if read.name == "Raw":
            reads = read.child("Reads")
            groups = list(reads.children.values()) if reads is not None else []
            groups += [child for name, child in read.children.items() if name.startswith("Channel_")]
        found += [raw for raw in groups if raw is not None and _is_series(raw.dataset("Signal"))]
    return found


def _is_series(node: Node | None) -> bool:
    return node is not None and node.is_numeric and len(node.shape or ()) == 1


def _channel(raw: Node, tree: Tree) -> Node | None:
    sibling = tree.get(f"{raw.path.rpartition('/')[0]}/channel_id")
    return raw.child("Meta") or sibling or tree.get("UniqueGlobalKey/channel_id")


def _read(raw: Node, tree: Tree) -> Signal:
    r"""Return a read as a signal: :math:`\mathrm{pA} = (\mathrm{raw} + \mathrm{offset}) \cdot range / digitisation`."""
    channel = _channel(raw, tree)
    declared = {name: _number(channel, name) for name in NUMBERS}
    declared["sampling_rate"] = declared["sampling_rate"] or _number(channel, "sample_rate")
    span, levels, offset, rate = (
        declared["range"],
        declared["digitisation"],
        declared["offset"],
        declared["sampling_rate"],
    )
    notes = [f"channel_id states no {name}; {what}" for name, what in NUMBERS.items() if declared[name] is None]
    scale = Scale(span / levels, (offset or 0.0) * span / levels) if span and levels else Scale()
    # A read starts where the run had got to, counted in samples.
    start = _number(raw, "start_time") or 0.0
    return Signal(
        path=raw.path.removesuffix("/Raw"),
        values=scaled(raw.children["Signal"], scale),
        dims=(TIME,),
        kind="read",
        unit="pA" if span and levels else "",
        raw_unit="pA" if span and levels else "",
        clock=Rate(rate, start / rate) if rate else None,
        attrs={name: value for name in ("read_id", "read_number", "start_mux") if (value := raw.attr(name)) is not None}
        | ({"channel_number": channel.text("channel_number")} if channel is not None else {}),
        notes=tuple(notes),
    )


def _number(channel: Node | None, name: str) -> float | None:
    """Return a finite number of the channel, None if it states none; only an offset can be 0 or below."""
    value = channel.number(name) if channel is not None else None
    return value if value is not None and isfinite(value) and (value > 0 or name == "offset") else None


NUMBERS = {
    "range": "values are counts",
    "digitisation": "values are counts",
    "offset": "taken as 0",
    "sampling_rate": "there is no clock",
}


def _about(tree: Tree) -> dict[str, str]:
    """Return what the first read, or the file, says of the run."""
    tracks = [group.child("tracking_id") for group in tree.root.children.values()]
    track = next((found for found in tracks if found is not None), None)
    named = {"device_type": "instrument", "exp_start_time": "start", "sample_id": "sample", "run_id": "run"}
    found = {label: track.text(name) for name, label in named.items()} if track is not None else {}
    return {label: value for label, value in found.items() if value}
