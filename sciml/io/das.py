"""Strain and temperature along an optical fiber: PRODML, Silixa iDAS, OptoDAS, Terra15, AP Sensing and DASDAE files.

All are presented as (time, channel) with the distance along the fiber in meters. PRODML 2.0 and Silixa were tried on
real files; PRODML 2.1, OptoDAS, Terra15, AP Sensing and DASDAE are written to what is known of the formats.

References
----------
Energistics PRODML 2.1, Distributed Acoustic Sensing, https://docs.energistics.org/#PRODML/PRODML_TOPICS; Silixa iDAS
HDF5 export (attributes of the data); ASN OptoDAS file version 8; Terra15 Treble file versions 4 to 6; AP Sensing;
DASCore, https://dascore.org (DASDAE version 1).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io._axes import unique
from sciml.io._clock import Clock, Rate, Stamps
from sciml.io._lazy import Scale
from sciml.io._model import Contents, Coords, Signal
from sciml.io._text import clean_unit
from sciml.io._tree import Node, Tree
from sciml.recording import TIME

__all__ = ["Das"]

AXES = {"time": TIME, "locus": "channel", "distance": "channel", "channel": "channel"}
METERS = {"": 1.0, "m": 1.0, "meter": 1.0, "meters": 1.0, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "ft": 0.3048}
PRODML_ARRAY = re.compile(r"(Raw|Fbe|Spectrum)Data(\[\d+\])?")
PER_SECOND = (1, 10**3, 10**6, 10**9)
SILIXA_RATE = "SamplingFrequency[Hz]"


class Das:
    """The reader of distributed acoustic (and temperature) sensing."""

    name = "das"

    def sniff(self, tree: Tree) -> int:
        """Look for the layout of one of the dialects."""
        return 95 if any(find(tree) for find, _ in DIALECTS.values()) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the arrays of the dialect that the file is written in."""
        dialect = next((name for name, (find, _) in DIALECTS.items() if find(tree)), "")
        find, declare = DIALECTS[dialect]
        signals, findings = [], []
        for node in find(tree):
            try:
                signals.append(declare(node, tree))
            except DataError as error:
                findings.append(str(error))
        raw = [signal.path for signal in signals if signal.kind == "RawData"]
        meta = {key: str(value) for key, value in (signals[0].attrs if signals else {}).items()}
        return Contents(
            format=f"DAS ({dialect})",
            signals=tuple(signals),
            findings=tuple(findings),
            attrs={key: meta[key] for key in ("instrument", "start", "description") if meta.get(key)},
            default=raw[0] if len(raw) == 1 else None,
            reason=None if signals else f"the file has the layout of {dialect} but no array that can be read",
        )


def _signal(
    data: Node,
    *,
    names: Sequence[str],
    clock: Clock | None,
    unit: str,
    kind: str,
    distance: Callable[[int], NDArray[Any]] | None,
    attrs: Mapping[str, Any],
    notes: Sequence[str] = (),
    scale: Scale | None = None,
) -> Signal:
    """Return an array as a signal with time first; `names` are those of its axes as the file has them."""
    rank = len(data.shape or ())
    if not data.is_numeric or rank < 2:
        raise DataError(f"{data.path}: expected numbers along time and distance, got shape {data.shape} {data.dtype}")
    remarks = list(notes)
    if len(names) != rank:
        first = _guess(data.shape or (), clock)
        remarks.append(f"the file names the axes {tuple(names)} of an array of rank {rank}; taken as {first}")
        names = (*first, *(f"dim_{axis}" for axis in range(2, rank)))
    dims = unique([AXES.get(name.lower(), name) for name in names])
    along = dims.index(TIME) if TIME in dims else 0
    order = (along, *(axis for axis in range(rank) if axis != along))
    return Signal(
        path=data.path,
        data=data,
        dims=tuple(dims[axis] for axis in order),
        kind=kind,
        unit="" if clean_unit(unit).lower() == "unitless" else clean_unit(unit),
        raw_unit=unit,
        clock=clock if TIME in dims else None,
        scale=scale or Scale(),
        order=order if along else None,
        coords=partial(_distances, distance, (data.shape or ())[dims.index("channel")]) if "channel" in dims else None,
        attrs={key: value for key, value in attrs.items() if value not in ("", None)},
        notes=tuple(remarks),
    )


def _guess(shape: tuple[int, ...], clock: Clock | None) -> tuple[str, str]:
    """Return what the first two axes are: time is the one that has as many values as there are time stamps."""
    swapped = isinstance(clock, Stamps) and clock.node.shape == (shape[1],) != (shape[0],)
    return ("distance", "time") if swapped else ("time", "distance")


def _distances(distance: Callable[[int], NDArray[Any]] | None, size: int, notes: list[str]) -> Coords:
    if distance is None:
        notes.append("the file does not say where along the fiber the channels are")
        return {}
    try:
        values = distance(size)
    except DataError as error:
        notes.append(f"{error}; the distance along the fiber is left out")
        return {}
    if values.shape != (size,):
        notes.append(f"the file gives {values.size} distances for {size} channels; they are left out")
        return {}
    return {"distance": xr.Variable("channel", values, {"units": "m"})}


def _ramp(start: float, step: float, size: int) -> NDArray[Any]:
    return start + step * np.arange(size)


def _stamps(node: Node | None, per_second: int) -> tuple[Stamps, int]:
    """Return a clock of absolute time stamps, counted from a whole second, and that second since 1970."""
    if node is None or not node.is_numeric or len(node.shape or ()) != 1:
        raise DataError("the file holds no time stamps")
    first = node.read(slice(0, 1))
    epoch = int(first[0]) // per_second if (np.abs(first.astype(np.float64)) < 2.0**62).all() else 0
    return Stamps(node, 1 / per_second, epoch * per_second), epoch


def _per_second(node: Node, rate: float | None) -> int:
    """Return the unit of time stamps: microseconds, unless the stated rate shows that the writer uses another."""
    first = node.read(slice(0, 2)).astype(np.float64).ravel()
    step = float(first[1] - first[0]) if first.size > 1 else 0.0
    if not (rate and 0 < rate < math.inf and 0 < step < math.inf):
        return 10**6
    return min(PER_SECOND, key=lambda one: abs(math.log(step * rate / one)))


# PRODML: Acquisition/Raw[0]/RawData beside RawDataTime, and the processed bands in the same manner.


def _prodml_arrays(tree: Tree) -> list[Node]:
    group = tree.root.child("Acquisition")
    if group is None or group.is_dataset or group.attr("SpatialSamplingInterval") is None:
        return []
    inside = (node for node in tree.datasets() if node.path.startswith("Acquisition/"))
    return [node for node in inside if PRODML_ARRAY.fullmatch(node.name)]


def _prodml(data: Node, tree: Tree) -> Signal:
    acquisition, group = tree.root.children["Acquisition"], _parent(data, tree)
    prefix = data.name.partition("Data")[0]
    rate = group.number("OutputDataRate")
    clock, epoch, notes = _prodml_clock(group.dataset(f"{prefix}DataTime"), rate)
    names = [name.strip() for text in data.texts("Dimensions") for name in text.split(",")]
    start = group.number("StartLocusIndex", acquisition.number("StartLocusIndex", 0.0)) or 0.0
    unit = acquisition.text("SpatialSamplingIntervalUnit") or acquisition.text("SpatialSamplingInterval.uom")
    step = (acquisition.number("SpatialSamplingInterval") or math.nan) * METERS.get(unit.lower(), math.nan)
    return _signal(
        data,
        names=names or ("time", "locus"),
        clock=clock,
        unit=group.text(f"{prefix}DataUnit"),
        kind=f"{prefix}Data",
        distance=partial(_ramp, start * step, step) if math.isfinite(start * step) else None,
        notes=notes,
        attrs={
            "start": data.text("PartStartTime") or acquisition.text("MeasurementStartTime"),
            "unix_epoch": epoch,
            "instrument": acquisition.text("VendorCode"),
            "description": group.text(f"{prefix}Description"),
            "gauge_length": acquisition.number("GaugeLength"),
            "pulse_rate": acquisition.number("PulseRate"),
        },
    )


def _prodml_clock(times: Node | None, rate: float | None) -> tuple[Clock | None, int | None, list[str]]:
    try:
        clock, epoch = _stamps(times, _per_second(times, rate) if times is not None and times.is_numeric else 1)
        return clock, epoch, []
    except DataError as error:
        trouble = str(error)
    counted = "no clock" if rate is None else "time is counted from the first sample"
    return (None if rate is None else Rate(rate)), None, [f"{trouble}; {counted}"]


# Silixa: one array whose attributes describe everything, most of them as text.


def _silixa_arrays(tree: Tree) -> list[Node]:
    return [node for node in tree.datasets() if node.attr(SILIXA_RATE) is not None]


def _silixa(data: Node, _tree: Tree) -> Signal:
    start, stop = (data.number(f"{end} Distance (m)", math.nan) or 0.0 for end in ("Start", "Stop"))
    gauge, calibration = data.number("GaugeLength"), data.number("Unit Calibration (nm)")
    note = "values are counts of the interrogator"
    if gauge and calibration:
        note += f"; strain rate in nm/m/s = counts * {calibration:g} / 8192 * sampling rate / {gauge:g} m"
    return _signal(
        data,
        names=("time", "channel"),
        clock=Rate(data.number(SILIXA_RATE, math.nan) or math.nan),
        unit=data.text("units"),
        kind="iDAS",
        distance=partial(np.linspace, start, stop) if math.isfinite(stop - start) else None,
        notes=(note,),
        attrs={
            "start": data.text("ISO8601 Timestamp") or data.text("GPSTimeStamp") or data.text("CPUTimeStamp"),
            "instrument": f"Silixa iDAS {data.text('iDASVersion')}".strip(),
            "gauge_length": gauge,
            "unit_calibration_nm": calibration,
        },
    )


# OptoDAS: an array beside a group of scalars.


def _optodas_arrays(tree: Tree) -> list[Node]:
    data, header = tree.root.dataset("data"), tree.root.child("header")
    marked = header is not None and {"dt", "dx", "dataScale"} <= set(header.children)
    return [data] if marked and data is not None else []


def _optodas(data: Node, tree: Tree) -> Signal:
    header = tree.root.children["header"]
    step, scale = _value(header, "dt"), _value(header, "dataScale")
    named = header.dataset("dimensionNames")
    stated = np.atleast_1d(named.read()).ravel() if named is not None else np.zeros(0)
    names = [str(name) for name in stated] if stated.dtype.kind == "U" else ["time", "distance"]
    began = _value(header, "time") + _value(tree.root, "timing/sampleSkew", 0.0)
    along = names.index("time") if "time" in names else 0
    began += _value(header, f"dimensionRanges/dimension{along}/min", 0.0) * step
    epoch = math.floor(began) if math.isfinite(began) else 0
    channels = header.dataset("channels")
    sensitivity = header.dataset("sensitivities")
    return _signal(
        data,
        names=names,
        clock=Rate(1 / step if step else math.nan, began - epoch if math.isfinite(began) else 0.0),
        unit=_word(header, "unit"),
        kind="OptoDAS",
        scale=Scale(scale if math.isfinite(scale) else 1.0),
        distance=None if channels is None else partial(_channels, channels, _value(header, "dx")),
        notes=() if math.isfinite(scale) else ("header/dataScale holds no number; values are as stored",),
        attrs={
            "unix_epoch": epoch if math.isfinite(began) else None,
            "instrument": _word(header, "instrument"),
            "gauge_length": _value(header, "gaugeLength", None),
            "sensitivity": _value(header, "sensitivities", None) if sensitivity is not None else None,
            "sensitivity_units": _word(header, "sensitivityUnits"),
        },
    )


def _channels(channels: Node, spacing: float, _size: int) -> NDArray[Any]:
    """Return distances: channels are numbered in units of the finest spacing, and some may be skipped."""
    if not channels.is_numeric or not math.isfinite(spacing):
        raise DataError(f"{channels.path}: expected numbers at a known spacing, got {channels.dtype} and {spacing}")
    return np.asarray(channels.read(), dtype=np.float64).ravel() * spacing


def _value(group: Node, path: str, default: Any = math.nan) -> Any:
    """Return the number in a scalar dataset below a group."""
    node: Node | None = group
    for part in path.split("/"):
        node = node.child(part) if node is not None else None
    value = node.scalar() if node is not None and node.is_dataset else None
    return float(value) if isinstance(value, (int, float)) else default


def _word(group: Node, name: str) -> str:
    node = group.dataset(name)
    return str(node.scalar("")).strip() if node is not None else ""


# Terra15: everything in attributes of the file, stamps in seconds.


def _terra15_arrays(tree: Tree) -> list[Node]:
    if tree.root.attr("sensing_range_start") is None or tree.root.attr("data_product") is None:
        return []
    groups = [tree.root.child(name) for name in ("data_product", tree.root.text("data_product"))]
    return [group.children["data"] for group in groups if group is not None and group.dataset("data") is not None][:1]


def _terra15(data: Node, tree: Tree) -> Signal:
    root, group = tree.root, _parent(data, tree)
    start, step = (root.number(name, math.nan) or 0.0 for name in ("sensing_range_start", "dx"))
    times = group.dataset("gps_time") or group.dataset("posix_time")
    clock: Clock | None = None
    epoch, notes = None, []
    try:
        clock, epoch = _stamps(times, 1)
    except DataError as error:
        notes.append(f"{error}; no clock")
    return _signal(
        data,
        names=("time", "distance"),
        clock=clock,
        unit=root.text("data_product_units"),
        kind=root.text("data_product"),
        distance=partial(_ramp, start, step) if math.isfinite(start + step) else None,
        notes=notes,
        attrs={
            "unix_epoch": epoch,
            "instrument": f"Terra15 {root.text('serial_number')}".strip(),
            "gauge_length": root.number("gauge_length"),
            "pulse_rate": root.number("pulse_rate"),
        },
    )


# AP Sensing: one array beside groups of scalars.


def _ap_sensing_arrays(tree: Tree) -> list[Node]:
    data = tree.root.dataset("DAS")
    return [data] if data is not None and {"DAQ", "Metadata", "ProcessingServer"} <= set(tree.root.children) else []


def _ap_sensing(data: Node, tree: Tree) -> Signal:
    root = tree.root
    start, stop = _value(root, "DAQ/PositionStart"), _value(root, "DAQ/PositionEnd")
    return _signal(
        data,
        names=("time", "distance"),
        clock=Rate(_value(root, "ProcessingServer/DataRate")),
        unit=data.text("Unit"),
        kind="DAS",
        distance=partial(np.linspace, start, stop, endpoint=False) if math.isfinite(stop - start) else None,
        attrs={
            "start": _word(root.children["Metadata"], "Timestamp"),
            "instrument": f"AP Sensing {_word(root.children['DAQ'], 'SerialNumber')}".strip(),
            "gauge_length": _value(root, "ProcessingServer/GaugeLength", None),
            "radians_to_nanostrain": _value(root, "ProcessingServer/RadiansToNanoStrain", None),
        },
    )


# DASDAE: one group a patch, with its coordinates as datasets beside the data.


def _dasdae_arrays(tree: Tree) -> list[Node]:
    patches = tree.root.child("waveforms")
    if tree.root.text("__format__") != "DASDAE" or patches is None:
        return []
    return [patch.children["data"] for patch in patches.children.values() if patch.dataset("data") is not None]


def _dasdae(data: Node, tree: Tree) -> Signal:
    patch = _parent(data, tree)
    names = [name.strip() for name in patch.text("_dims").split(",")]
    times, along = patch.dataset("_coord_time"), patch.dataset("_coord_distance")
    clock, epoch, notes = _dasdae_clock(times)
    factor = METERS.get(_printable(patch.text("_attrs_distance_units")).lower(), 1.0)
    return _signal(
        data,
        names=names,
        clock=clock,
        unit=_printable(patch.text("_attrs_data_units")),
        kind=_printable(patch.text("_attrs_data_type")) or "patch",
        distance=None if along is None else partial(_channels, along, factor),
        notes=notes,
        attrs={
            "unix_epoch": epoch,
            "instrument": _printable(patch.text("_attrs_instrument_id")),
            "station": _printable(patch.text("_attrs_station")),
        },
    )


def _dasdae_clock(times: Node | None) -> tuple[Clock | None, int | None, list[str]]:
    if times is not None and times.is_numeric and not times.number("is_datetime64"):
        return Stamps(times, 1e-9 if times.number("is_timedelta64") else 1.0), None, []
    try:
        clock, epoch = _stamps(times, 10**9)
    except DataError as error:
        return None, None, [f"{error}; no clock"]
    return clock, epoch, []


def _printable(text: str) -> str:
    """Return text, "" for what is a pickled object: nothing is unpickled."""
    return text if text.isprintable() else ""


def _parent(node: Node, tree: Tree) -> Node:
    return tree.get(node.path.rpartition("/")[0]) or tree.root


DIALECTS: dict[str, tuple[Callable[[Tree], list[Node]], Callable[[Node, Tree], Signal]]] = {
    "PRODML": (_prodml_arrays, _prodml),
    "Silixa iDAS": (_silixa_arrays, _silixa),
    "OptoDAS": (_optodas_arrays, _optodas),
    "Terra15": (_terra15_arrays, _terra15),
    "AP Sensing": (_ap_sensing_arrays, _ap_sensing),
    "DASDAE": (_dasdae_arrays, _dasdae),
}
