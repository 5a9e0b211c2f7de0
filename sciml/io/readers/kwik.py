"""Kwik: spikes of KlustaKwik and phy (.kwik), and raw data (.kwd) as KlustaKwik and Open Ephys write them.

Written to the specification; not tried on real files.

References
----------
Kwik format, https://klusta.readthedocs.io/en/latest/kwik/; Open Ephys, Kwik format (channel_bit_volts in microvolts a
bit). Spike times count samples from the start of their recording, with a fraction in 1/255 of a sample.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Contents, Coords, Signal, Table
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["Kwik"]

FRACTION = 255  # steps of a sample in time_fractional


class Kwik:
    """The reader of .kwik and .kwd files."""

    name = "kwik"

    def sniff(self, tree: Tree) -> int:
        """Look for the version, and for groups of channels or recordings."""
        marked = tree.root.attr("kwik_version") is not None or tree.root.dataset("kwik_version") is not None
        return 95 if marked and (tree.root.child("channel_groups") or tree.root.child("recordings")) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the raw data of each recording, features of spikes, and tables of spikes."""
        signals = [_raw(recording) for recording in _recordings(tree) if recording.dataset("data") is not None]
        signals += [_features(node) for node in tree.datasets() if node.name == "features_masks" and node.is_numeric]
        tables = tuple(_table(spikes, tree) for spikes in _spikes(tree))
        reason = "the file holds spikes (see its tables) and no traces" if tables else "the file holds no raw data"
        return Contents(
            format="Kwik",
            signals=tuple(signals),
            tables=tables,
            attrs={label: text for label, text in {"description": tree.root.text("name")}.items() if text},
            reason=None if signals else reason,
        )


def _recordings(tree: Tree) -> list[Node]:
    group = tree.root.child("recordings")
    return [node for node in group.children.values() if not node.is_dataset] if group is not None else []


def _spikes(tree: Tree) -> list[Node]:
    groups = tree.root.child("channel_groups")
    found = [group.child("spikes") for group in groups.children.values()] if groups is not None else []
    return [spikes for spikes in found if spikes is not None and spikes.dataset("time_samples") is not None]


def _raw(recording: Node) -> Signal:
    data, notes = recording.children["data"], list[str]()
    shape = data.shape or ()
    scale, unit = _volts(recording, shape, notes)
    start, rate = _start(recording), recording.number("sample_rate", math.nan)
    right = data.is_numeric and len(shape) == 2
    return Signal(
        path=data.path,
        values=scaled(data, scale),
        dims=(TIME, "channel")[: len(shape)],
        kind="raw",
        unit=unit,
        raw_unit=unit,
        clock=Rate(math.nan if rate is None else rate, start),
        attrs={"description": recording.text("name")} if recording.text("name") else {},
        notes=tuple(notes),
        problem=None if right else f"expected numbers of shape (samples, channels), got {shape} of {data.dtype}",
    )


def _start(recording: Node) -> float:
    """Return the start in seconds. Klusta writes seconds; Open Ephys a count of samples, as an integer."""
    start, rate = recording.number("start_time", 0.0) or 0.0, recording.number("sample_rate") or 0.0
    counted = isinstance(recording.attr("start_time"), int) and rate > 0
    return start / rate if counted else start


def _volts(recording: Node, shape: tuple[int, ...], notes: list[str]) -> tuple[Scale, str]:
    """Return the microvolts of a bit, one a channel, as Open Ephys states them."""
    application = recording.child("application_data")
    declared = application.attr("channel_bit_volts") if application is not None else None
    stored = application.dataset("channel_bit_volts") if application is not None else None
    try:
        gains = np.atleast_1d(np.asarray(stored.read() if stored is not None else declared, dtype=np.float64)).ravel()
    except (DataError, ValueError, TypeError) as error:
        notes.append(f"channel_bit_volts cannot be read ({error}); values are as stored")
        return Scale(), ""
    if not np.isfinite(gains).all() or gains.shape != shape[1:]:
        notes.append("the file states no voltage for each channel (channel_bit_volts); values are as stored")
        return Scale(), ""
    return Scale(per_channel=tuple(gains.tolist())), "uV"


def _features(data: Node) -> Signal:
    """Return features and masks of spikes: (event, feature, 2)."""
    names = ("event", "feature", "masked")
    rank = len(data.shape or ())
    dims = names[:rank] if rank <= len(names) else tuple(f"dim_{axis}" for axis in range(rank))
    return Signal(path=data.path, values=scaled(data), dims=dims, kind="features")


def _table(spikes: Node, tree: Tree) -> Table:
    times = spikes.children["time_samples"]
    columns = ("start_time", "stop_time", *_columns(spikes))
    return Table(spikes.path, (times.shape or (0,))[0], columns, partial(_events, spikes, tree))


def _columns(spikes: Node) -> dict[str, Node]:
    """Return what is known of each spike besides its time: its recording and its cluster in each clustering."""
    found = {"recording": spikes.dataset("recording")}
    clusters = spikes.child("clusters")
    if clusters is not None:
        found |= {f"cluster_{name}": node for name, node in clusters.children.items() if node.is_dataset}
    shape = spikes.children["time_samples"].shape
    return {name: node for name, node in found.items() if node is not None and node.is_numeric and node.shape == shape}


def _events(spikes: Node, tree: Tree) -> xr.Dataset:
    times = _seconds(spikes, tree)
    variables: Coords = {
        "start_time": xr.Variable("event", times, {"units": "s"}),
        "stop_time": xr.Variable("event", times.copy(), {"units": "s"}),
    }
    variables |= {name: xr.Variable("event", node.read()) for name, node in _columns(spikes).items()}
    return xr.Dataset(variables, attrs={"table": spikes.path})


def _seconds(spikes: Node, tree: Tree) -> NDArray[np.float64]:
    """Return the times of spikes on the clock of the recordings."""
    stored, fraction = spikes.children["time_samples"], spikes.dataset("time_fractional")
    if not stored.is_numeric or len(stored.shape or ()) != 1:
        raise DataError(f"{stored.path}: expected a row of samples, got shape {stored.shape} of {stored.dtype}")
    samples = stored.read().astype(np.float64)
    if fraction is not None and fraction.is_numeric and fraction.shape == stored.shape:
        samples += fraction.read() / FRACTION
    recordings = {node.name: node for node in _recordings(tree)}
    named = _columns(spikes).get("recording")
    numbers = named.read() if named is not None else np.zeros(samples.shape, dtype=np.int64)
    times = np.empty_like(samples)
    for number in np.unique(numbers):
        node = recordings.get(str(number))
        rate = (node.number("sample_rate") if node is not None else None) or _rate(tree)
        if rate is None or not rate > 0:
            raise DataError(f"{spikes.path}: recording {number} of its spikes states no sample_rate")
        chosen = numbers == number
        times[chosen] = samples[chosen] / rate + (_start(node) if node is not None else 0.0)
    return times


def _rate(tree: Tree) -> float | None:
    """Return the sampling rate of the spike detection, which stands in for that of the recordings."""
    node = tree.get("application_data/spikedetekt")
    return node.number("sample_rate") if node is not None else None
