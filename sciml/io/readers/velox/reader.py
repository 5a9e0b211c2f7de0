"""Electron micrographs as Velox of Thermo Fisher Scientific (FEI) writes them: EMD with the metadata as JSON.

Each image lies under Data/Image/<id> as (y, x, frame), beside bytes that hold a JSON document for each frame. Tried on
real files of a camera and of four scanning detectors; spectra and spectrum images (streams of counts) are read to the
specification.

References
----------
The layout is described at https://hyperspy.org/rosettasciio (Electron Microscopy Dataset, Velox).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from sciml.errors import DataError
from sciml.io.arrays import Stored
from sciml.io.hdf5.text import text
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.readers.velox.stream import SpectrumImage
from sciml.io.schema import pairs
from sciml.io.schema.axes import grid
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import computed

__all__ = ["Velox"]

HALF = "the file keeps one half of the transform, as it is: the other is its complex conjugate"
METADATA_BYTES = 2**20
STREAM = "SpectrumStream"
MOST = 1000  # images and spectra that are listed
# The dims as presented, and which stored axis each is.
LAYOUTS = {
    "Image": (("frame", "y", "x"), (2, 0, 1)),
    "FFT": (("frame", "y", "x"), (2, 0, 1)),
    "Spectrum": (("frame", "energy"), (1, 0)),
}
# Attribute: where the metadata states it.
NUMBERS = {
    "acceleration_voltage": "Optics/AccelerationVoltage",
    "dwell_time": "Scan/DwellTime",
    "frame_time": "Scan/FrameTime",
    "camera_length": "Optics/CameraLength",
}


class Velox:
    """The reader of EMD files of Velox."""

    name = "velox"

    def sniff(self, tree: Tree) -> int:
        """Look for arrays with their metadata under Data/Image, Data/Spectrum or Data/SpectrumStream."""
        return 90 if any(_groups(tree, kind) for kind in (*LAYOUTS, STREAM)) else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the images and spectra; the JSON of the first frame of each is read, since it holds the units."""
        findings: list[str] = []
        groups = [(kind, group) for kind in LAYOUTS for group in _groups(tree, kind)]
        if len(groups) > MOST:
            findings.append(f"the file holds {len(groups)} images and spectra; only the first {MOST} are listed")
        found = [(kind, group, _metadata(group, findings)) for kind, group in groups[:MOST]]
        signals = [signal for kind, group, metadata in found if (signal := _signal(kind, group, metadata, findings))]
        signals += [one for group in _groups(tree, STREAM)[:MOST] if (one := _spectrum_image(group, findings))]
        return Contents(
            format="EMD (Velox)",
            signals=tuple(signals),
            findings=tuple(findings),
            attrs=_about(found[0][2]) if found else {},
            reason=None if signals else "no image or spectrum of the file is an array of numbers",
        )


def _spectrum_image(group: Node, findings: list[str]) -> Signal | None:
    """Return the counts of a stream by pixel and energy."""
    data, settings = group.children["Data"], _parsed(group.dataset("AcquisitionSettings"))
    channels = settings.number("bincount")
    height, width = (settings.number(f"RasterScanDefinition/{name}") for name in ("Height", "Width"))
    sizes = tuple(int(size) if size and 0 < size < 2**31 else 0 for size in (height, width, channels))
    if not all(sizes) or not data.is_numeric or data.dtype is None or data.dtype.kind != "u":
        findings.append(
            f"{group.path} holds single X-ray counts in the order of the scan; its AcquisitionSettings state no raster "
            "and bincount, so that it cannot be opened as an image"
        )
        return None
    metadata = _metadata(group, findings)
    return Signal(
        path=data.path,
        values=computed(data, partial(_counted, data, sizes), sizes),
        dims=("y", "x", "energy"),
        kind=f"spectrum image {metadata.text('BinaryResult/Detector')}".strip(),
        unit="counts",
        raw_unit="counts",
        coords=partial(_of_spectra, sizes, metadata),
        attrs=_remarks(metadata) | _about(metadata),
        notes=("the frames of the scan are added up",),
    )


def _counted(data: Node, sizes: tuple[int, ...]) -> SpectrumImage:
    if trouble := data.read_error():
        raise DataError(f"{data.path}: {trouble}")
    height, width, channels = sizes
    return SpectrumImage(Stored(data.source()), (height, width, channels))


def _of_spectra(sizes: tuple[int, ...], metadata: _Metadata, notes: list[str]) -> Coords:
    return _pixels(sizes[:2], metadata, notes) | _energies(sizes[2], metadata)


def _parsed(node: Node | None) -> _Metadata:
    """Return the JSON of a dataset of texts, of the first if there are several."""
    try:
        return _Metadata(json.loads(str(node.scalar("{}")))) if node is not None else _Metadata({})
    except (ValueError, RecursionError):
        return _Metadata({})


@dataclass(frozen=True)
class _Metadata:
    """The metadata of a frame: nested texts, by paths like Optics/CameraLength."""

    content: Any

    def text(self, path: str) -> str:
        found = self.content
        for name in path.split("/"):
            found = found.get(name) if isinstance(found, Mapping) else None
        return str(found).strip() if isinstance(found, (str, int, float)) else ""

    def number(self, path: str) -> float | None:
        try:
            value = float(self.text(path))
        except ValueError:
            return None
        return value if isfinite(value) else None


def _groups(tree: Tree, kind: str) -> list[Node]:
    parent = tree.get(f"Data/{kind}")
    children = parent.children.values() if parent is not None else ()
    return [child for child in children if {"Data", "Metadata"} <= set(child.children)]


def _metadata(group: Node, findings: list[str]) -> _Metadata:
    """Return the metadata of the first frame: JSON in the bytes of the first column, padded with zeros."""
    node = group.dataset("Metadata")
    if node is None or not node.is_numeric or node.dtype != np.uint8:
        findings.append(f"{group.path}/Metadata holds no bytes; the images come without units")
        return _Metadata({})
    try:
        if trouble := node.read_error():
            raise DataError(f"{node.path}: {trouble}")
        first = [0] * (len(node.shape or ()) - 1)
        column = Stored(node.source()).read((slice(0, METADATA_BYTES), *first))
        return _Metadata(json.loads(text(column.tobytes().split(b"\0")[0])))
    except (DataError, ValueError, RecursionError) as error:
        findings.append(f"{group.path}/Metadata cannot be read as JSON ({error}); the images come without units")
        return _Metadata({})


def _signal(kind: str, group: Node, metadata: _Metadata, findings: list[str]) -> Signal | None:
    data = group.dataset("Data")
    dims, order = LAYOUTS[kind]
    if data is None or not (data.is_numeric or pairs.is_complex(data)) or len(data.shape or ()) != len(dims):
        what = f"shape {data.shape} of {data.dtype}" if data is not None else "no dataset"
        findings.append(f"{group.path}/Data: expected numbers along {len(dims)} axes, got {what}; it is not listed")
        return None
    detector = metadata.text("BinaryResult/Detector")
    return Signal(
        path=data.path,
        values=pairs.values(data, order=order),
        dims=dims,
        kind=f"{kind.lower()} {detector}".strip(),
        coords=partial(_coords, kind, data, metadata),
        attrs=_remarks(metadata) | _about(metadata),
        notes=(HALF,) if pairs.is_complex(data) and "half" in str(data.dtype).lower() else (),
    )


def _coords(kind: str, data: Node, metadata: _Metadata, notes: list[str]) -> Coords:
    shape = data.shape or ()
    return _energies(shape[0], metadata) if kind == "Spectrum" else _pixels(shape[:2], metadata, notes)


def _energies(size: int, metadata: _Metadata) -> Coords:
    detector = f"Detectors/Detector-{metadata.text('BinaryResult/DetectorIndex')}"
    step, start = metadata.number(f"{detector}/Dispersion"), metadata.number(f"{detector}/OffsetEnergy")
    return grid("energy", size, step=step, start=start, unit="eV")


def _pixels(shape: tuple[int, ...], metadata: _Metadata, notes: list[str]) -> Coords:
    result = "BinaryResult"
    coords: Coords = {}
    for dim, size, extent in (("y", shape[0], "height"), ("x", shape[1], "width")):
        coords |= grid(
            dim,
            size,
            step=metadata.number(f"{result}/PixelSize/{extent}"),
            start=metadata.number(f"{result}/Offset/{dim}") or 0.0,
            unit=metadata.text(f"{result}/PixelUnit{dim.upper()}"),
        )
    if len(coords) < 2:
        notes.append("the metadata states no size of the pixels")
    return coords


def _remarks(metadata: _Metadata) -> dict[str, Any]:
    numbers = {label: metadata.number(path) for label, path in NUMBERS.items()}
    detector = metadata.text("BinaryResult/Detector")
    return {label: value for label, value in {"detector": detector or None, **numbers}.items() if value is not None}


def _about(metadata: _Metadata) -> dict[str, str]:
    maker, model = metadata.text("Instrument/Manufacturer"), metadata.text("Instrument/InstrumentModel")
    found = {"instrument": f"{maker} {model}".strip(), "start": ""}
    seconds = metadata.number("Acquisition/AcquisitionStartDatetime/DateTime")
    if seconds is not None and 0 < seconds < 2**33:
        found["start"] = datetime.fromtimestamp(seconds, UTC).isoformat()
    return {label: value for label, value in found.items() if value}
