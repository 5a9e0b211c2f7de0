"""Smaller dialects of distributed sensing: Neubrex, and the DAS standard of the Geothermal Data Repository (GDR).

Written to what is known of the formats; not tried on real files.
"""

import math
from collections.abc import Callable
from functools import partial

from sciml.errors import DataError
from sciml.io._clock import Clock, Rate
from sciml.io._fiber import METERS, fiber, ramp, spaced, stamps
from sciml.io._model import Signal
from sciml.io._tree import Node, Tree

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
        return stamps(times, _unit_of(times))
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


DIALECTS: dict[str, tuple[Callable[[Tree], list[Node]], Callable[[Node, Tree], Signal]]] = {
    "Neubrex acoustic": (_neubrex_arrays, _neubrex),
    "Neubrex strain and temperature": (_depth_arrays, _depth),
    "GDR": (_gdr_arrays, _gdr),
}
