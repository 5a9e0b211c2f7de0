"""PRODML: Acquisition/Raw[0]/RawData beside RawDataTime, and processed bands in the same manner."""

import math
import re
from functools import partial

import numpy as np

from sciml.errors import DataError
from sciml.io.hdf5.text import METERS
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.das.fiber import fiber, parent_of, ramp, timestamps
from sciml.io.schema.clock import Clock, Rate
from sciml.io.schema.declarations import Signal

__all__ = ["arrays", "declare"]

ARRAY = re.compile(r"(Raw|Fbe|Spectrum)Data(\[\d+\])?")
BANDS = {"start_frequency": "StartFrequency", "end_frequency": "EndFrequency"}  # of a band, in Hz
PER_SECOND = (1, 10**3, 10**6, 10**9)


def arrays(tree: Tree) -> list[Node]:
    """Return the arrays of data of an acquisition."""
    group = tree.root.child("Acquisition")
    if group is None or group.is_dataset or group.attr("SpatialSamplingInterval") is None:
        return []
    inside = (node for node in tree.datasets() if node.path.startswith("Acquisition/"))
    return [node for node in inside if ARRAY.fullmatch(node.name)]


def declare(data: Node, tree: Tree) -> Signal:
    """Return an array as a signal."""
    acquisition, group = tree.root.children["Acquisition"], parent_of(data, tree)
    prefix = data.name.partition("Data")[0]
    rate = _first_number("OutputDataRate", data, group)
    clock, epoch, notes = _clock(_times(group, prefix), rate)
    names = [name.strip() for text in data.texts("Dimensions") for name in text.split(",")]
    start = _first_number("StartLocusIndex", data, group, acquisition) or 0.0
    unit = acquisition.text("SpatialSamplingIntervalUnit") or acquisition.text("SpatialSamplingInterval.uom")
    step = (acquisition.number("SpatialSamplingInterval") or math.nan) * METERS.get(unit.lower(), math.nan)
    return fiber(
        data,
        names=names or ("time", "locus"),
        clock=clock,
        unit=data.text(f"{prefix}DataUnit") or group.text(f"{prefix}DataUnit"),
        kind=f"{prefix}Data",
        distance=partial(ramp, start * step, step) if math.isfinite(start * step) else None,
        notes=notes,
        attrs={
            "start": data.text("PartStartTime") or acquisition.text("MeasurementStartTime"),
            "unix_epoch": epoch,
            "instrument": acquisition.text("VendorCode"),
            "description": group.text(f"{prefix}Description"),
            "gauge_length": acquisition.number("GaugeLength"),
            "pulse_rate": acquisition.number("PulseRate"),
            **{label: _first_number(name, data, group) for label, name in BANDS.items()},
        },
    )


def _first_number(name: str, *holders: Node) -> float | None:
    return next((value for one in holders if (value := one.number(name)) is not None), None)


def _times(group: Node, prefix: str) -> Node | None:
    """Return the time stamps of an array: of its own kind, else the only ones in its group."""
    named = [node for name, node in group.children.items() if re.fullmatch(r"\w*DataTime(\[\d+\])?", name)]
    return group.dataset(f"{prefix}DataTime") or (named[0] if len(named) == 1 else None)


def _clock(times: Node | None, rate: float | None) -> tuple[Clock | None, int | None, list[str]]:
    try:
        clock, epoch = timestamps(times, _per_second(times, rate) if times is not None and times.is_numeric else 1)
        return clock, epoch, []
    except DataError as error:
        trouble = str(error)
    counted = "no clock" if rate is None else "time is counted from the first sample"
    return (None if rate is None else Rate(rate)), None, [f"{trouble}; {counted}"]


def _per_second(node: Node, rate: float | None) -> int:
    """Return the unit of time stamps: microseconds, unless the stated rate shows that the writer uses another."""
    first = node.read(slice(0, 2)).astype(np.float64).ravel()
    step = float(first[1] - first[0]) if first.size > 1 else 0.0
    if not (rate and 0 < rate < math.inf and 0 < step < math.inf):
        return 10**6
    return min(PER_SECOND, key=lambda one: abs(math.log(step * rate / one)))
