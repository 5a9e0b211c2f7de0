"""Visibilities of radio interferometers in UVH5: complex numbers by baseline and time, frequency and polarization.

Written to the UVH5 memo of pyuvdata (https://pyuvdata.readthedocs.io, "UVH5 File Format"; Hazelton et al. 2017,
JOSS 2:140, https://doi.org/10.21105/joss.00140) and tried on real files. Rows that hold the same baselines at each
time, one time after the other, are presented as (time, baseline); others stay one dim, `baseline_time`.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import LazyArray, Mapped, Scale, Stored, lazy
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.declarations import Contents, Coords, Signal
from sciml.io.schema.values import computed
from sciml.recording import TIME

__all__ = ["Uvh5"]

ROWS, BASELINE = "baseline_time", "baseline"
AFTER = ("window", "frequency", "polarization")  # the dims that follow those of the rows
# AIPS memo 117: Stokes parameters, circular and linear products.
POLARIZATIONS = {1: "I", 2: "Q", 3: "U", 4: "V", -1: "RR", -2: "LL", -3: "RL", -4: "LR"}
POLARIZATIONS |= {-5: "XX", -6: "YY", -7: "XY", -8: "YX"}
DAY = 86400.0
COLUMNS = {
    TIME: "time_array",
    "antenna_1": "ant_1_array",
    "antenna_2": "ant_2_array",
    "integration_time": "integration_time",
}


class Uvh5:
    """The reader of UVH5 files."""

    name = "uvh5"

    def sniff(self, tree: Tree) -> int:
        """Look for visibilities and the header that names their axes."""
        data, header = tree.get("Data/visdata"), tree.get("Header")
        return 95 if data is not None and header is not None and "freq_array" in header.children else 0

    def scan(self, tree: Tree) -> Contents:
        """Return the visibilities."""
        group, header = tree.root.children["Data"], tree.root.children["Header"]
        data = group.children["visdata"]
        findings: list[str] = []
        dims = _dims(data, header, findings)
        signals = (_signal(group, header, dims, _n_baselines(data, header)),) if dims else ()
        return Contents(
            format=f"UVH5 {_value(header, 'version', '')}".strip(),
            signals=signals,
            findings=tuple(findings),
            attrs=_about(header),
            default=signals[0].path if signals else None,
            reason=None if signals else "its visibilities cannot be read; see the findings",
        )


def _value(header: Node, name: str, default: object = None) -> object:
    node = header.dataset(name)
    return default if node is None or (node.shape or (1,)) != (1,) else node.scalar(default)


def _size(header: Node, name: str) -> int | None:
    value = _value(header, name)
    return value if isinstance(value, int) else None


def _dims(data: Node, header: Node, findings: list[str]) -> tuple[str, ...] | None:
    """Return the name of each axis: by the memo, unless the sizes in the header say that they are transposed."""
    shape = data.shape or ()
    rank = len(shape)
    if rank not in (3, 4) or 0 in shape or not (data.is_numeric or _is_pair(data)):
        findings.append(
            f"{data.path}: expected complex numbers (baseline-time, frequency, polarization), got {data.dtype} "
            f"of shape {shape}"
        )
        return None
    declared = {
        "frequency": _size(header, "Nfreqs"),
        "polarization": _size(header, "Npols"),
        "window": _size(header, "Nspws"),
    }
    memo = (ROWS, *(("window",) if rank == 4 else ()), "frequency", "polarization")
    swapped = (*memo[:-2], memo[-1], memo[-2])
    for dims in (memo, swapped):
        if all(declared.get(dim) in (None, size) for dim, size in zip(dims, shape, strict=True)):
            return dims
    findings.append(f"{data.path}: its shape {shape} does not fit the header, which states {declared}")
    return None


def _n_baselines(data: Node, header: Node) -> int | None:
    """Return how many rows there are of each time if all times have the same baselines in the same order, else None."""
    n_rows = (data.shape or (0,))[0]
    columns = [header.dataset(name) for name in ("time_array", "ant_1_array", "ant_2_array")]
    found = [node for node in columns if node is not None and node.is_numeric and node.shape == (n_rows,)]
    try:
        read = [node.read() for node in found]
    except DataError:
        return None
    if len(read) < len(columns):
        return None
    later = np.flatnonzero(read[0] != read[0][0])
    n_baselines = int(later[0]) if later.size else n_rows
    if not n_baselines or n_rows % n_baselines:  # a first time of NaN differs from itself
        return None
    times, one, other = (column.reshape(-1, n_baselines) for column in read)
    regular = (times == times[:, :1]).all() and (one == one[0]).all() and (other == other[0]).all()
    return n_baselines if regular and (np.diff(times[:, 0]) > 0).all() else None


def _is_pair(data: Node) -> bool:
    """Whether the values are pairs of numbers named r and i."""
    fields = data.dtype.fields if data.dtype is not None else None
    return bool(fields and set(fields) == {"r", "i"} and all(kind[0].kind in "iuf" for kind in fields.values()))


def _signal(group: Node, header: Node, dims: tuple[str, ...], n_baselines: int | None) -> Signal:
    data = group.children["visdata"]
    raw_unit = str(_value(header, "vis_units", ""))
    shape = data.shape or ()
    if n_baselines:
        dims, shape = (TIME, BASELINE, *dims[1:]), (shape[0] // n_baselines, n_baselines, *shape[1:])
    return Signal(
        path=data.path,
        values=computed(data, partial(_values, data, shape), shape),
        dims=dims,
        kind="visibilities",
        unit="" if raw_unit.lower() == "uncalib" else clean_unit(raw_unit),
        raw_unit=raw_unit,
        coords=partial(_coords, group, header, dims, shape),
        notes=(
            *(("the visibilities are not calibrated",) if raw_unit.lower() == "uncalib" else ()),
            *_misfits(header, dict(zip(dims, shape, strict=True))),
        ),
    )


def _values(data: Node, shape: tuple[int, ...]) -> LazyArray:
    if not _is_pair(data):
        return _folded(Stored(data.source(), scale=Scale()), shape)
    small = data.dtype is not None and data.dtype["r"].itemsize <= (4 if data.dtype["r"].kind == "f" else 2)
    return _folded(Mapped(Stored(data.source()), _complex, np.complex64 if small else np.complex128), shape)


def _complex(pairs: NDArray[np.void]) -> NDArray[np.complexfloating]:
    return np.asarray(pairs["r"] + 1j * pairs["i"])


def _folded(part: LazyArray, shape: tuple[int, ...]) -> LazyArray:
    return part if part.shape == shape else _Grid(part, shape)


class _Grid(LazyArray):
    """An array whose first axis, one time after the other, is presented as two: (time, baseline)."""

    def __init__(self, part: LazyArray, shape: tuple[int, ...]) -> None:
        self.part = part
        self.shape = shape
        self.dtype = part.dtype

    def read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        first, second = (
            np.atleast_1d(np.arange(size)[item]) for size, item in zip(self.shape[:2], key[:2], strict=True)
        )
        rows = (first[:, None] * self.shape[1] + second).ravel()
        # The engine reads one vector at a time: the rows, unless they lie side by side.
        start, stop = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        whole = len(rows) == stop - start
        one = slice(start, stop) if whole else rows
        rest = key[2:] if whole else tuple(slice(None) if isinstance(item, np.ndarray) else item for item in key[2:])
        values = self.part.read((one, *rest))
        values = values.reshape(len(first), len(second), *values.shape[1:])
        axes = [axis for axis, item in enumerate(key) if not isinstance(item, (int, np.integer))]
        for axis, item in enumerate(key[2:], start=2):
            if isinstance(item, np.ndarray) and not whole:
                values = values.take(item, axis=2 + sum(2 <= kept < axis for kept in axes))
        return values[tuple(0 if isinstance(item, (int, np.integer)) else slice(None) for item in key[:2])]


def _coords(group: Node, header: Node, dims: tuple[str, ...], shape: tuple[int, ...], notes: list[str]) -> Coords:
    sizes = dict(zip(dims, shape, strict=True))
    coords = _rows(header, dims[: dims.index(next(dim for dim in dims if dim in AFTER))], sizes, notes)
    frequencies = _column(header, "freq_array", sizes["frequency"], notes)
    if frequencies is not None:
        coords["frequency"] = xr.Variable("frequency", frequencies, {"units": "Hz"})
    numbers = _column(header, "polarization_array", sizes["polarization"], notes)
    if numbers is not None:
        names = [POLARIZATIONS.get(number, str(number)) for number in numbers.tolist()]
        coords["polarization"] = xr.Variable("polarization", np.array(names))
    return coords | _baseline_coords(group, dims, shape, notes)


def _misfits(header: Node, sizes: dict[str, int]) -> list[str]:
    """Return the columns of the header that do not fit the visibilities."""
    n_rows = prod(size for dim, size in sizes.items() if dim not in AFTER)
    wanted = dict.fromkeys(COLUMNS.values(), n_rows)
    wanted |= {"freq_array": sizes["frequency"], "polarization_array": sizes["polarization"]}
    named = ((header.dataset(name), size) for name, size in wanted.items())
    return [
        f"{node.path} has shape {node.shape} of {node.dtype}, expected numbers ({size},); it is left out of the "
        "coordinates"
        for node, size in named
        if node is not None and not _is_column(node, size)
    ]


def _is_column(node: Node, size: int) -> bool:
    # Old files keep an axis of spectral windows in front.
    return node.dtype is not None and node.dtype.kind in "iuf" and node.shape in ((size,), (1, size))


def _column(header: Node, name: str, size: int, notes: list[str]) -> NDArray[Any] | None:
    """Return a column of the header; None if it is absent or does not fit, which `_misfits` says."""
    node = header.dataset(name)
    if node is None or not _is_column(node, size):
        return None
    try:
        return node.read().reshape(size)
    except DataError as error:
        notes.append(f"{error}; it is left out of the coordinates")
        return None


def _rows(header: Node, rows: tuple[str, ...], sizes: dict[str, int], notes: list[str]) -> Coords:
    """Return the time in seconds since the first, the antennas and the place in the uvw plane of each row.

    Where rows are (time, baseline), times have one dim and antennas the other.
    """
    shape = tuple(sizes[dim] for dim in rows)
    size = int(np.prod(shape))
    found = {label: _column(header, name, size, notes) for label, name in COLUMNS.items()}
    columns = {label: column.reshape(shape) for label, column in found.items() if column is not None}
    coords: Coords = {}
    if TIME in columns:
        # A Julian date resolves only 40 us; it is taken off before the seconds are counted.
        first = float(columns[TIME].min())
        days = (columns[TIME][:, 0] if len(rows) == 2 else columns[TIME]) - first
        coords[TIME] = xr.Variable(rows[0], days * DAY, {"units": "s", "epoch_julian_date": first})
    for label in ("antenna_1", "antenna_2"):
        if label in columns:
            coords[label] = xr.Variable(rows[-1], columns[label][0] if len(rows) == 2 else columns[label])
    if {"antenna_1", "antenna_2"} <= set(coords):
        pairs = zip(coords["antenna_1"].values, coords["antenna_2"].values, strict=True)
        coords[BASELINE] = xr.Variable(rows[-1], np.array([f"{one}-{other}" for one, other in pairs]))
    if "integration_time" in columns:
        coords["integration_time"] = xr.Variable(rows, columns["integration_time"], {"units": "s"})
    uvw = header.dataset("uvw_array")
    if uvw is not None and uvw.is_numeric and uvw.shape == (size, 3) and not uvw.read_error():
        places = zip("uvw", uvw.read().T, strict=True)
        coords |= {name: xr.Variable(rows, column.reshape(shape), {"units": "m"}) for name, column in places}
    return coords


def _baseline_coords(group: Node, dims: tuple[str, ...], shape: tuple[int, ...], notes: list[str]) -> Coords:
    """Return the flags (True = leave out) and the numbers of samples, which lie as the visibilities do."""
    coords: Coords = {}
    for name, label, flags in (("flags", "mask", ["flagged"]), ("nsamples", "n_samples", [])):
        node = group.dataset(name)
        if node is None:
            continue
        trouble = node.read_error() or ("" if node.is_numeric else f"holds {node.dtype}, no numbers")
        if node.shape != group.children["visdata"].shape or trouble:
            notes.append(f"{node.path} of shape {node.shape} is left out: {trouble or 'not that of the visibilities'}")
            continue
        stored = _folded(Stored(node.source()), shape)
        values = Mapped(stored, _nonzero, bool) if label == "mask" else stored
        coords[label] = xr.Variable(dims, lazy(values), {"flags": flags} if flags else {})
    return coords


def _nonzero(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    return np.asarray(values != 0)


def _about(header: Node) -> dict[str, str]:
    named = {"telescope_name": "instrument", "object_name": "object", "phase_type": "phasing"}
    found = {label: str(_value(header, name, "")) for name, label in named.items()}
    return {label: value for label, value in found.items() if value}
