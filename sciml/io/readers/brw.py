"""3Brain BioCAM: raw recordings of high-density arrays, BRW files of version 3 and version 4.

Written to the specification; not tried on real files. What version 4 stores compressed by 3Brain's own schemes
(EventsBasedSparseRaw, WaveletBasedEncodedRaw) is named and not read.

References
----------
3Brain AG, BrainWave BRW-File 3.x and 4.x documentation: version 3 has value = SignalInversion * (MinVolt + raw *
(MaxVolt - MinVolt) / 2**BitDepth) in microvolts; version 4 maps the digital range linearly on the analog range.
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

import numpy as np

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Scale
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Clock, Rate, segmented
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.records import along, records
from sciml.io.schema.values import folded, scaled
from sciml.recording import TIME

__all__ = ["Brw"]

UNIT = "uV"
VARIABLES, CHANNELS, RAW = "3BRecInfo/3BRecVars", "3BRecInfo/3BMeaStreams/Raw/Chs", "3BData/Raw"
ENCODED = ("EventsBasedSparseRaw", "WaveletBasedEncodedRaw")
CHIP = 64  # electrodes in a row of a chip of one well
CONVERTERS = ("ValueConverter", "TimeConverter")
DEPTH = 16  # levels of the settings that are searched


class Brw:
    """The reader of BRW files."""

    name = "brw"

    def sniff(self, tree: Tree) -> int:
        """Look for the variables and the data of version 3, or for the wells of version 4."""
        if tree.get(VARIABLES) is not None and tree.get(RAW) is not None:
            return 95
        return 95 if _wells(tree) and (tree.root.dataset("TOC") or tree.root.attr("SamplingRate")) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the raw traces: one signal in version 3, one a well in version 4."""
        if tree.get(VARIABLES) is not None:
            return Contents(format="BRW 3", signals=(_version_3(tree),), attrs=_described(tree))
        settings = _settings(tree)
        signals = [_well(well, settings, tree) for well in _wells(tree) if well.dataset("Raw") is not None]
        findings = [
            f"{well.path} is stored as {name}, which only 3Brain's software decodes; export it from there as raw data"
            for well in _wells(tree)
            for name in ENCODED
            if name in well.children
        ]
        return Contents(
            format="BRW 4",
            signals=tuple(signals),
            findings=tuple(findings),
            attrs=_described(tree),
            reason=None if signals else "no well holds raw data",
        )


def _wells(tree: Tree) -> list[Node]:
    wells = [node for name, node in tree.root.children.items() if name.startswith("Well_") and not node.is_dataset]
    return [well for well in wells if any(name in well.children for name in ("Raw", *ENCODED))]


def _described(tree: Tree) -> dict[str, str]:
    declared = {"description": tree.root.text("Description"), "program": tree.root.text("SoftwareVersion")}
    return {"instrument": "3Brain BioCAM"} | {label: text for label, text in declared.items() if text}


def _version_3(tree: Tree) -> Signal:
    data, notes = tree.get(RAW), list[str]()
    if data is None:
        raise DataError(f"{tree.files.main}: expected the dataset {RAW}")
    variables = {name: _number(node) for name, node in (tree.get(VARIABLES) or tree.root).children.items()}
    try:
        table = records(tree.get(CHANNELS))
    except DataError as error:
        notes.append(str(error))
        table = {}
    n_channels = len(next(iter(table.values()), ()))
    if not n_channels and len(data.shape or ()) == 1:
        frames = variables.get("NRecFrames", math.nan)
        n_channels = int(math.prod(data.shape or ()) // frames) if frames >= 1 else 0
    low, high, bits = (variables.get(name, math.nan) for name in ("MinVolt", "MaxVolt", "BitDepth"))
    sign = variables.get("SignalInversion", 1.0)
    return _signal(
        data,
        n_channels,
        clock=Rate(variables.get("SamplingRate", math.nan)),
        scale=Scale(sign * (high - low) / 2**bits if 0 < bits < 64 else math.nan, sign * low),
        coords=dict(along("channel", {f"electrode_{name.lower()}": cells for name, cells in table.items()})),
        notes=notes,
    )


def _well(well: Node, settings: dict[str, float], tree: Tree) -> Signal:
    data, stored, notes = well.children["Raw"], well.dataset("StoredChIdxs"), list[str]()
    coords: Coords = {}
    n_channels = 0
    if stored is not None and stored.is_numeric and len(stored.shape or ()) == 1:
        index = stored.read()
        n_channels = index.size
        coords["electrode"] = xr.Variable("channel", index)
        if len(_wells(tree)) == 1 and index.dtype.kind in "iu" and index.max() < CHIP**2:
            coords["electrode_row"] = xr.Variable("channel", index // CHIP + 1)
            coords["electrode_col"] = xr.Variable("channel", index % CHIP + 1)
    names = ("MinAnalogValue", "MaxAnalogValue", "MinDigitalValue", "MaxDigitalValue")
    low, high, first, last = (settings.get(name, math.nan) for name in names)
    factor = settings.get("ScaleFactor", 1.0)
    gain = factor * (high - low) / (last - first) if last != first else math.nan
    rate = settings.get("SamplingRate", settings.get("FrameRate", settings.get("FrameRateHertz", math.nan)))
    n_frames = math.prod(data.shape or (0,)) // n_channels if n_channels else 0
    return _signal(
        data,
        n_channels,
        clock=_clock(tree.root.dataset("TOC"), rate, n_frames, notes),
        scale=Scale(gain, factor * low, zero=int(first) if abs(first) < 2**53 else 0),
        coords=coords,
        notes=notes,
    )


def _signal(data: Node, n_channels: int, *, clock: Clock, scale: Scale, coords: Coords, notes: list[str]) -> Signal:
    """Return traces that are stored as (frame, channel), or frame after frame along one axis."""
    shape = data.shape or ()
    n_channels = shape[1] if len(shape) == 2 else n_channels
    known = math.isfinite(scale.factor) and math.isfinite(scale.offset) and scale.factor != 0
    if not known:
        notes.append("the range of the converter is not stated; values are as stored")
    used = scale if known else Scale()
    return Signal(
        path=data.path,
        values=folded(data, n_channels, used) if len(shape) == 1 and n_channels else scaled(data, used),
        dims=(TIME, "channel"),
        kind="raw",
        unit=UNIT if known else "",
        raw_unit=UNIT if known else "",
        clock=clock,
        coords=partial(_fitting, coords, n_channels),
        notes=tuple(notes),
        problem=_misfit(data, n_channels),
    )


def _misfit(data: Node, n_channels: int) -> str | None:
    shape = data.shape or ()
    if not data.is_numeric or len(shape) not in (1, 2):
        return f"expected numbers along one or two axes, got shape {shape} of {data.dtype}"
    if len(shape) == 1 and (not n_channels or shape[0] % n_channels):
        return f"its {shape[0]} values are no whole number of frames of {n_channels or 'an unknown number of'} channels"
    return None


def _fitting(coords: Coords, n_channels: int, notes: list[str]) -> Coords:
    wrong = [name for name, variable in coords.items() if variable.sizes["channel"] != n_channels]
    notes.extend(f"{name} does not fit the {n_channels} channels and is left out" for name in wrong)
    return {name: variable for name, variable in coords.items() if name not in wrong}


def _clock(chunks: Node | None, rate: float, n_frames: int, notes: list[str]) -> Clock:
    """Return the clock of the chunks of frames that the table of contents lists: first frame, end of the last."""
    if chunks is None or not chunks.is_numeric or len(chunks.shape or ()) != 2 or (chunks.shape or ())[1] != 2:
        return Rate(rate)
    if chunks.dtype is None or chunks.dtype.kind not in "iu" or not rate > 0:
        return Rate(rate)
    rows = chunks.read().astype(np.int64)
    lengths = rows[:, 1] - rows[:, 0]
    if lengths.min() <= 0 or lengths.sum() != n_frames:
        notes.append(f"{chunks.path} lists {lengths.sum()} frames of {n_frames}; time is counted from the first")
        return Rate(rate)
    return segmented(rate, [0, *np.cumsum(lengths)[:-1].tolist()], (rows[:, 0] / rate).tolist())


def _number(node: Node) -> float:
    value = node.scalar() if node.is_dataset else None
    return float(value) if isinstance(value, (int, float)) else math.nan


def _settings(tree: Tree) -> dict[str, float]:
    """Return the numbers of the settings by name: attributes of the file (4.2 and later), or text in JSON."""
    found: dict[str, float] = {}
    for name in ("ExperimentInfo", "ExperimentSettings"):
        node = tree.root.dataset(name)
        try:
            declared = json.loads(str(node.scalar("{}"))) if node is not None else {}
        except (ValueError, RecursionError):
            tree.findings.append(f"{name} is no JSON; its settings are left out")
            continue
        _collect(declared, found, DEPTH)
        for section in CONVERTERS:  # what other sections say under the same name counts less
            _collect(declared.get(section) if isinstance(declared, dict) else None, found, 1)
    attributes = {name: tree.root.number(name) for name in tree.root.attribute_names()}
    return found | {name: value for name, value in attributes.items() if value is not None}


def _collect(declared: Any, found: dict[str, float], depth: int) -> None:
    if isinstance(declared, dict) and depth:
        for name, value in declared.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found[name] = float(value)
            else:
                _collect(value, found, depth - 1)
