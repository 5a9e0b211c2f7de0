"""Smaller dialects of distributed sensing: Neubrex, GDR, OptaSense ODH4, HDAS of Aragon, AI4EPS, Febus T1.

Written to what is known of the formats; not tried on real files.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.text import METERS
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.das.fiber import fiber, ramp, spaced, timestamps
from sciml.io.schema.clock import Clock, Rate
from sciml.io.schema.declarations import Signal

__all__ = ["DIALECTS"]

PER_SECOND = (1, 10**3, 10**6, 10**9)
YEAR_2100 = 4_102_444_800  # seconds since 1970; whole time stamps that exceed it are in smaller units


def _unit_of(times: Node | None) -> int:
    """Return how many of a unit make a second, for time stamps since 1970: the largest that is no far future."""
    if times is None or not times.is_numeric or len(times.shape or ()) != 1:
        return 1
    first = abs(float(times.read(slice(0, 1))[0]))
    return next((one for one in PER_SECOND if first / one <= YEAR_2100), PER_SECOND[-1])


def _clocked(times: Node | None, notes: list[str]) -> tuple[Clock | None, int | None]:
    try:
        return timestamps(times, _unit_of(times))
    except DataError as error:
        notes.append(f"{error}; no clock")
        return None, None


# Neubrex acoustic: one array whose attributes describe everything.


def _neubrex_arrays(tree: Tree) -> list[Node]:
    data = tree.root.dataset("Acoustic")
    return [data] if data is not None and data.attr("NEUBRESCOPE.DAS.Model") is not None else []


def _neubrex(data: Node, _tree: Tree) -> Signal:
    step = data.number("TimeSamplingInterval(seconds)", 0.0) or 0.0
    start, spacing = data.number("StartPosition", math.nan), data.number("SpatialSamplingInterval", math.nan)
    meters = METERS.get(data.text("StartStopPositionUnit").lower(), math.nan)
    known = start is not None and spacing is not None and math.isfinite(start + spacing + meters)
    return fiber(
        data,
        names=("time", "distance"),
        clock=Rate(1 / step if step else math.nan),
        unit=data.text("DataPhysicalUnit"),
        kind="Acoustic",
        distance=partial(ramp, (start or 0.0) * meters, (spacing or 0.0) * meters) if known else None,
        attrs={
            "start": data.text("GPSTimeStamp(UTC)") or data.text("CPUTimeStamp(UTC)"),
            "instrument": f"Neubrex {data.text('NEUBRESCOPE.DAS.Model')}".strip(),
            "gauge_length": data.number("GaugeLength"),
        },
    )


# Neubrex strain and temperature: (time, depth) beside the stamps and the depths.


def _depth_arrays(tree: Tree) -> list[Node]:
    data = tree.root.dataset("data")
    marked = data is not None and data.attr("DataUnitLabel") is not None
    return [data] if data is not None and marked and {"depth", "stamps"} <= set(tree.root.children) else []


def _depth(data: Node, tree: Tree) -> Signal:
    notes: list[str] = []
    clock, epoch = _clocked(tree.root.dataset("stamps_unix"), notes)
    depth = tree.root.dataset("depth")
    return fiber(
        data,
        names=("time", "distance"),
        clock=clock,
        unit=data.text("DataUnitLabel"),
        kind=data.text("FieldName") or "data",
        distance=None if depth is None else partial(spaced, depth, 1.0),
        notes=notes,
        attrs={"unix_epoch": epoch, "start": data.text("StartDateTime"), "well": data.text("WellName")},
    )


# GDR: metadata of DAS-RCN beside raw data as in PRODML.


def _gdr_arrays(tree: Tree) -> list[Node]:
    data = tree.get("DasRawData/RawData")
    return [data] if data is not None and data.is_dataset and tree.root.child("DasMetadata") is not None else []


def _gdr(data: Node, tree: Tree) -> Signal:
    notes: list[str] = []
    times = tree.get("DasRawData/DasTimeArray")
    clock, epoch = _clocked(times if times is not None and times.is_dataset else None, notes)
    interrogator = tree.get("DasMetadata/Interrogator") or tree.root
    acquisition = tree.get("DasMetadata/Interrogator/Acquisition") or tree.root
    meters = METERS.get(acquisition.text("SpatialSamplingIntervalUnit").lower(), math.nan)
    spacing = (acquisition.number("SpatialSamplingInterval") or math.nan) * meters
    return fiber(
        data,
        names=[name.partition(" ")[0] for name in data.texts("DasDimensions")] or ("time", "locus"),
        clock=clock,
        unit=acquisition.text("UnitOfMeasure"),
        kind="RawData",
        distance=partial(ramp, 0.0, spacing) if math.isfinite(spacing) else None,
        notes=notes,
        attrs={
            "unix_epoch": epoch,
            "instrument": interrogator.text("Model") or interrogator.text("SerialNumber"),
            "gauge_length": acquisition.number("GaugeLength"),
        },
    )


# OptaSense ODH4: everything in attributes of the file, (channel, time).


def _odh4_arrays(tree: Tree) -> list[Node]:
    data = tree.root.dataset("raw_data")
    return [data] if data is not None and tree.root.attr("sampling rate Hz") is not None else []


def _odh4(data: Node, tree: Tree) -> Signal:
    root = tree.root
    step, first = (root.number(name, math.nan) or 0.0 for name in ("channel spacing m", "channel_start"))
    unit = root.text("raw_data_units")
    return fiber(
        data,
        names=("distance", "time"),
        clock=Rate(root.number("sampling rate Hz") or math.nan),
        unit="radian" if "radian" in unit else unit,
        kind="raw_data",
        distance=partial(ramp, first * step, step) if math.isfinite(first * step) else None,
        attrs={
            "start": root.text("starttime"),
            "instrument": "OptaSense ODH4",
            "gauge_length": root.number("GL m"),
            "scale_to_strain": root.number("scale factor to strain"),
        },
    )


# AI4EPS: one event, everything in attributes of the array, (distance, time).


def _ai4eps_arrays(tree: Tree) -> list[Node]:
    data = tree.root.dataset("data")
    marked = data is not None and {"dt_s", "dx_m", "begin_time"} <= set(data.attribute_names())
    return [data] if data is not None and marked else []


def _ai4eps(data: Node, _tree: Tree) -> Signal:
    step, spacing = data.number("dt_s") or 0.0, data.number("dx_m")
    return fiber(
        data,
        names=("distance", "time"),
        clock=Rate(1 / step if step else math.nan),
        unit=data.text("unit"),
        kind="event",
        distance=partial(ramp, 0.0, spacing) if spacing else None,
        attrs={"start": data.text("begin_time"), "magnitude": data.number("magnitude"), "event": data.text("event_id")},
    )


# HDAS: a header of 200 numbers, (time, distance) in version 1 and (distance, time) in version 2.

HDAS = (("File_Header", "HDAS_DATA", ("time", "distance")), ("hdas_header", "data", ("distance", "time")))
HEADER = 200


def _hdas_arrays(tree: Tree) -> list[Node]:
    found = [(tree.root.dataset(header), tree.root.dataset(data)) for header, data, _ in HDAS]
    known = [data for header, data in found if header is not None and math.prod(header.shape or ()) == HEADER]
    return [data for data in known if data is not None]


def _hdas(data: Node, tree: Tree) -> Signal:
    name, _, names = next(one for one in HDAS if one[1] == data.name)
    header = np.asarray(tree.root.children[name].read(), dtype=np.float64).ravel()
    trigger, divisors, spacing, offset = header[6], header[15] * header[98], header[1], header[11]
    if not (np.isfinite([trigger, divisors, spacing, offset]).all() and trigger > 0 < divisors and spacing > 0):
        raise DataError(f"{name}: expected a rate and a spacing above 0, got {trigger} / {divisors} Hz and {spacing} m")
    declared = data.text("start_time")
    return fiber(
        data,
        names=names,
        clock=Rate(trigger / divisors),
        unit="strain/s" if name == "File_Header" else "",
        kind="HDAS",
        distance=partial(ramp, offset, spacing),
        attrs={"unix_epoch": None if declared else int(header[100]), "start": declared, "instrument": "Aragon HDAS"},
    )


# Febus T1: temperature (time, distance) beside its times and distances.


def _t1_arrays(tree: Tree) -> list[Node]:
    group = tree.root.child("Data")
    known = group is not None and {"Temperature", "Distance", "Time"} <= set(group.children)
    return [group.children["Temperature"]] if group is not None and known else []


def _t1(data: Node, tree: Tree) -> Signal:
    group, notes = tree.root.children["Data"], list[str]()
    times = np.asarray(group.children["Time"].read(), dtype=np.float64).ravel()
    step = float(np.median(np.diff(times))) if times.size > 1 else math.nan
    epoch = math.floor(times[0]) if times.size and math.isfinite(times[0]) else 0
    if times.size > 1 and np.abs(np.diff(times) - step).max() > 0.5 * step:
        notes.append("the times of the readings are not regular; their median spacing is taken")
    return fiber(
        data,
        names=("time", "distance"),
        clock=Rate(1 / step, float(times[0]) - epoch) if step > 0 else None,
        unit="degC",
        kind="Temperature",
        distance=partial(_measured, group.children["Distance"]),
        notes=notes,
        attrs={"unix_epoch": epoch, "instrument": "Febus T1"},
    )


def _measured(node: Node, _size: int) -> NDArray[np.float64]:
    return np.asarray(node.read(), dtype=np.float64).ravel()


DIALECTS: dict[str, tuple[Callable[[Tree], list[Node]], Callable[[Node, Tree], Signal]]] = {
    "Neubrex acoustic": (_neubrex_arrays, _neubrex),
    "Neubrex strain and temperature": (_depth_arrays, _depth),
    "GDR": (_gdr_arrays, _gdr),
    "OptaSense ODH4": (_odh4_arrays, _odh4),
    "AI4EPS": (_ai4eps_arrays, _ai4eps),
    "HDAS": (_hdas_arrays, _hdas),
    "Febus T1": (_t1_arrays, _t1),
}
