"""Structures of FieldTrip: raw data with a cell a trial, and averages, trials and spectra on the axes of `dimord`.

Raw data hold `trial` and `time` in cells, one a trial, of (channel, time), with `label` and `fsample`; all else states
its axes in `dimord`, as in "rpt_chan_time".

References
----------
Oostenveld et al. 2011, https://doi.org/10.1155/2011/156869; FieldTrip, ft_datatype_raw, ft_datatype_timelock and
ft_datatype_freq, https://www.fieldtriptoolbox.org/development/datastructure.
"""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.matlab.cells import cells, is_cell, letters, texts
from sciml.io.schema import pairs
from sciml.io.schema.axes import is_real, numbers
from sciml.io.schema.clock import Clock, Rate, Timestamps
from sciml.io.schema.declarations import Coords, Signal
from sciml.io.schema.values import scaled
from sciml.recording import TIME

__all__ = ["is_struct", "signals"]

# What FieldTrip calls the axes, and the field of their values.
AXES = {
    "chan": ("channel", "label"),
    "time": (TIME, "time"),
    "freq": ("frequency", "freq"),
    "rpt": ("trial", ""),
    "rpttap": ("trial", ""),
    "subj": ("subject", ""),
    "chancmb": ("channel_pair", ""),
    "pos": ("position", ""),
}
REPEATED = {"rpt", "rpttap", "subj"}  # axes that an average beside has not


def is_struct(group: Node) -> bool:
    """Whether a struct is one of FieldTrip: labels beside trials and times in cells, or beside a `dimord`."""
    if group.is_dataset or not is_cell(group.dataset("label")):
        return False
    return _is_raw(group) or bool(letters(group.dataset("dimord")))


def _is_raw(group: Node) -> bool:
    return is_cell(group.dataset("trial")) and is_cell(group.dataset("time"))


def signals(group: Node, tree: Tree, findings: list[str]) -> list[Signal]:
    """Return one recording a trial of raw data, or each array that has the axes of `dimord`."""
    try:
        return _trials(group, tree, findings) if _is_raw(group) else _on_axes(group, tree)
    except DataError as error:
        findings.append(f"{error}; the struct {group.path} is not read")
        return []


def _trials(group: Node, tree: Tree, findings: list[str]) -> list[Signal]:
    trials, times = (cells(group.children[name], tree) for name in ("trial", "time"))
    if len(trials) != len(times):
        findings.append(
            f"{group.path}: {len(times)} cells of times for {len(trials)} trials; they come without a clock"
        )
        times = []
    rate = numbers(group.children).get("fsample", 0.0)
    found = []
    for number, node in enumerate(trials, 1):
        if not node.is_numeric or len(node.shape or ()) != 2:
            findings.append(f"{node.path}: trial {number} is no array of numbers along two axes; it is not listed")
            continue
        found.append(_trial(group, tree, number, node, _clock(times[number - 1], rate) if times else None))
    return found


def _trial(group: Node, tree: Tree, number: int, node: Node, clock: Clock | None) -> Signal:
    rows, columns = node.shape or (0, 0)
    size = prod(clock.node.shape or ()) if isinstance(clock, Timestamps) else rows
    first = size == rows or size != columns  # MATLAB's (channel, time) is stored the other way round
    return Signal(
        path=f"{group.path}/trial/{number}".lstrip("/"),
        values=scaled(node, order=None if first else (1, 0)),
        dims=(TIME, "channel"),
        kind="trial",
        clock=clock,
        coords=partial(_labels, group, tree, columns if first else rows),
        attrs={"trial": number},
        notes=() if clock is not None else ("the file states no times of the trial; there is no clock",),
        stack="trial",
    )


def _clock(times: Node, rate: float) -> Clock | None:
    """Return the clock of a trial: its first time and the sampling rate, or its times where no rate is stated."""
    if not is_real(times) or prod(times.shape or (0,)) < 1:
        return Rate(rate) if rate > 0 else None
    return Rate(rate, float(times.read().ravel()[0])) if rate > 0 else Timestamps(times)


def _labels(group: Node, tree: Tree, size: int, notes: list[str]) -> Coords:
    labels = texts(group.dataset("label"), tree)
    if labels is None or labels.shape != (size,):
        notes.append(f"{group.path}/label does not name the {size} channels; it is left out")
        return {}
    return {"channel": xr.Variable("channel", labels)}


def _on_axes(group: Node, tree: Tree) -> list[Signal]:
    """Return the arrays of a struct that have the axes of its `dimord`, or those of an average over trials."""
    named = letters(group.dataset("dimord")).split("_")
    found = []
    for name, node in group.children.items():
        for axes in (named, [axis for axis in named if axis not in REPEATED]):
            if name not in ("time", "freq") and _has(group, node, axes):
                found.append(_array(group, tree, node, axes))
                break
    return found


def _has(group: Node, node: Node, axes: list[str]) -> bool:
    """Whether an array has axes of these lengths; MATLAB's axes are stored in reverse."""
    sizes = (node.shape or ())[::-1]
    if not (node.is_numeric or pairs.is_complex(node)) or not axes or len(sizes) != len(axes):
        return False
    lengths = (_length(group, axis) for axis in axes)
    return all(length in (None, size) for length, size in zip(lengths, sizes, strict=True))


def _length(group: Node, axis: str) -> int | None:
    node = group.dataset(AXES.get(axis, ("", ""))[1])
    return prod(node.shape or ()) if node is not None else None


def _array(group: Node, tree: Tree, node: Node, axes: list[str]) -> Signal:
    dims = [AXES.get(axis, (axis, ""))[0] for axis in axes]
    presented = sorted(dims, key=lambda dim: dim != TIME)
    rank = len(dims)
    times = group.dataset("time") if TIME in dims else None
    return Signal(
        path=node.path,
        values=pairs.values(node, order=tuple(rank - 1 - dims.index(dim) for dim in presented)),
        dims=tuple(presented),
        kind=node.name,
        clock=Timestamps(times) if times is not None and is_real(times) else None,
        coords=partial(_coords, group, tree, dict(zip(dims, (node.shape or ())[::-1], strict=True))),
    )


def _coords(group: Node, tree: Tree, sizes: dict[str, int], notes: list[str]) -> Coords:
    coords = _labels(group, tree, sizes["channel"], notes) if "channel" in sizes else {}
    freq = group.dataset("freq")
    if "frequency" in sizes and freq is not None and is_real(freq) and prod(freq.shape or ()) == sizes["frequency"]:
        values = np.asarray(freq.read(), dtype=np.float64).ravel()
        coords["frequency"] = xr.Variable("frequency", values, {"units": "Hz"})
    return coords
