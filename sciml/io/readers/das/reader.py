"""Strain and temperature along an optical fiber: PRODML, Silixa, OptoDAS, Febus, Terra15, DASDAE and other files.

All are presented as (time, channel) with the distance along the fiber in meters. PRODML 2.0 and Silixa were tried on
real files, DASDAE on a file that dascore 0.1.24 wrote; PRODML 2.1, OptoDAS, Febus, Terra15, AP Sensing, Neubrex, ODH4,
HDAS, AI4EPS and the standard of the Geothermal Data Repository (GDR) are written to what is known of them.

References
----------
Energistics, PRODML 2.1, Distributed Acoustic Sensing (schema 2.0 and 2.1); Silixa iDAS HDF5 export (attributes of the
data); ASN OptoDAS file version 8; Terra15 Treble file versions 4 to 6; AP Sensing; DASCore, https://dascore.org (DASDAE
version 1).
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.das import dasdae, febus, febus_g1, more_dialects, prodml
from sciml.io.readers.das.fiber import fiber, parent_of, ramp, spaced, timestamps, value, word
from sciml.io.schema.clock import Clock, Rate
from sciml.io.schema.declarations import Contents, Signal

__all__ = ["Das"]

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


# Silixa: one array whose attributes describe everything, most of them as text.


def _silixa_arrays(tree: Tree) -> list[Node]:
    return [node for node in tree.datasets() if node.path.count("/") <= 1 and node.attr(SILIXA_RATE) is not None]


def _silixa(data: Node, _tree: Tree) -> Signal:
    start, stop = (data.number(f"{end} Distance (m)", math.nan) or 0.0 for end in ("Start", "Stop"))
    gauge, calibration = data.number("GaugeLength"), data.number("Unit Calibration (nm)")
    note = "values are counts of the interrogator"
    if gauge and calibration:
        note += f"; strain rate in nm/m/s = counts * {calibration:g} / 8192 * sampling rate / {gauge:g} m"
    return fiber(
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
    step, scale = value(header, "dt"), value(header, "dataScale")
    named = header.dataset("dimensionNames")
    declared = np.atleast_1d(named.read()).ravel() if named is not None else np.zeros(0)
    names = [str(name) for name in declared] if declared.dtype.kind == "U" else ["time", "distance"]
    began = value(header, "time") + value(tree.root, "timing/sampleSkew", 0.0)
    along = names.index("time") if "time" in names else 0
    began += value(header, f"dimensionRanges/dimension{along}/min", 0.0) * step
    epoch = math.floor(began) if math.isfinite(began) else 0
    channels = header.dataset("channels")
    sensitivity = header.dataset("sensitivities")
    return fiber(
        data,
        names=names,
        clock=Rate(1 / step if step else math.nan, began - epoch if math.isfinite(began) else 0.0),
        unit=word(header, "unit"),
        kind="OptoDAS",
        scale=Scale(scale if math.isfinite(scale) else 1.0),
        distance=None if channels is None else partial(spaced, channels, value(header, "dx")),
        notes=() if math.isfinite(scale) else ("header/dataScale holds no number; values are as stored",),
        attrs={
            "unix_epoch": epoch if math.isfinite(began) else None,
            "instrument": word(header, "instrument"),
            "gauge_length": value(header, "gaugeLength", None),
            "sensitivity": value(header, "sensitivities", None) if sensitivity is not None else None,
            "sensitivity_units": word(header, "sensitivityUnits"),
        },
    )


# Terra15: everything in attributes of the file, stamps in seconds.


def _terra15_arrays(tree: Tree) -> list[Node]:
    if tree.root.attr("sensing_range_start") is None or tree.root.attr("data_product") is None:
        return []
    groups = [tree.root.child(name) for name in ("data_product", tree.root.text("data_product"))]
    return [group.children["data"] for group in groups if group is not None and group.dataset("data") is not None][:1]


def _terra15(data: Node, tree: Tree) -> Signal:
    root, group = tree.root, parent_of(data, tree)
    start, step = (root.number(name, math.nan) or 0.0 for name in ("sensing_range_start", "dx"))
    times = group.dataset("gps_time") or group.dataset("posix_time")
    clock: Clock | None = None
    epoch, notes = None, []
    try:
        clock, epoch = timestamps(times, 1)
    except DataError as error:
        notes.append(f"{error}; no clock")
    return fiber(
        data,
        names=("time", "distance"),
        clock=clock,
        unit=root.text("data_product_units"),
        kind=root.text("data_product"),
        distance=partial(ramp, start, step) if math.isfinite(start + step) else None,
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
    start, stop = value(root, "DAQ/PositionStart"), value(root, "DAQ/PositionEnd")
    return fiber(
        data,
        names=("time", "distance"),
        clock=Rate(value(root, "ProcessingServer/DataRate")),
        unit=data.text("Unit"),
        kind="DAS",
        distance=partial(np.linspace, start, stop, endpoint=False) if math.isfinite(stop - start) else None,
        attrs={
            "start": word(root.children["Metadata"], "Timestamp"),
            "instrument": f"AP Sensing {word(root.children['DAQ'], 'SerialNumber')}".strip(),
            "gauge_length": value(root, "ProcessingServer/GaugeLength", None),
            "radians_to_nanostrain": value(root, "ProcessingServer/RadiansToNanoStrain", None),
        },
    )


DIALECTS: dict[str, tuple[Callable[[Tree], list[Node]], Callable[[Node, Tree], Signal]]] = {
    "PRODML": (prodml.arrays, prodml.declare),
    "Silixa iDAS": (_silixa_arrays, _silixa),
    "OptoDAS": (_optodas_arrays, _optodas),
    "Terra15": (_terra15_arrays, _terra15),
    "AP Sensing": (_ap_sensing_arrays, _ap_sensing),
    "DASDAE": (dasdae.arrays, dasdae.declare),
    "Febus A1": (febus.arrays, febus.declare),
    "Febus G1": (febus_g1.arrays, febus_g1.declare),
    **more_dialects.DIALECTS,
}
