"""From the declaration of a signal to a recording: lazy values, coordinates, clock, provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import DTypeLike

from sciml import __version__
from sciml._later import xr
from sciml.errors import ConfigError, DataError
from sciml.io.arrays import Computed, LazyArray, Stacked, Stored, Within, WithMissing, lazy
from sciml.io.hdf5.remote import Place
from sciml.io.hdf5.text import unit_symbol
from sciml.io.schema.clock import EAGER, Rate, Span, TimeAxis, Timestamps, time_axis_of
from sciml.io.schema.declarations import Coords, Signal
from sciml.io.schema.listing import SignalInfo
from sciml.recording import TIME

__all__ = ["Chunks", "build", "chunked", "chunks_in_file", "info", "stacked"]

Chunks = int | Mapping[str, int] | Literal["auto"]

DASK_BYTES = 2**26


def info(signal: Signal, reader: str) -> SignalInfo:
    """Return what the user is told of a signal."""
    shape = signal.shape
    span = signal.clock.span(shape[0]) if signal.clock and shape else Span()
    return SignalInfo(
        path=signal.path,
        dims=signal.dims,
        shape=shape[: len(signal.dims)],
        dtype=signal.values.dtype,
        unit=signal.unit,
        rate=span.rate,
        duration=span.duration,
        start=span.start,
        n_bytes=signal.data.n_bytes,
        kind=signal.kind,
        reader=reader,
        stored_bytes=signal.data.stored_bytes,
        memory_bytes=math.prod(shape) * signal.values.item_bytes,
        stack=signal.stack if signal.values.is_scaled else "",
    )


def build(
    signal: Signal, *, path: Place, reader: str, raw: bool, dtype: DTypeLike | None, masked: bool = False
) -> xr.DataArray:
    """Return the recording of one signal, its values still in the file; `masked`: missing ones are NaN and masked."""
    values: LazyArray = _values(signal, raw, dtype)
    if signal.values.is_restored:
        return _restored(signal, values)
    notes = list(map(str, signal.notes))
    time_axis = _time_axis(signal)
    coords = signal.coords(notes) if signal.coords else {}
    if masked and isinstance(values, Stored) and (trouble := signal.data.read_error()):
        notes.append(f"values that cannot be had are NaN and masked: {trouble}")
        values, gone = _around(values, signal)
        coords["mask"] = coords["mask"] | gone if "mask" in coords else gone
    attrs = _attrs(signal, signal.path, path, reader, raw, time_axis, notes)
    return _assemble(values, signal.dims, coords, time_axis, attrs, signal.path.rpartition("/")[2])


def _around(values: Stored, signal: Signal) -> tuple[WithMissing, xr.Variable]:
    """Return values with NaN where there are none, and the mask of the rows that this touches."""
    found = None if signal.values.is_folded else signal.data.missing_regions()
    whole = tuple((0, size) for size in values.shape)
    boxes = (whole,) if found is None else tuple(tuple(box[axis] for axis in values.order) for box in found)
    if found is not None:
        values.source = replace(values.source, missing_regions=found)
    ranges = Within(tuple(box[0] for box in boxes))
    mask = xr.Variable(signal.dims[0], lazy(Computed(ranges, values.shape[0], bool)), {"reason": "values are missing"})
    return WithMissing(
        values, boxes, part=None if found is None else values
    ), mask if mask.size > EAGER else mask.load()


def stacked(
    signals: Sequence[Signal], pattern: str, *, path: Place, reader: str, raw: bool, dtype: DTypeLike | None
) -> xr.DataArray:
    """Return several signals of one clock side by side along a new dim, the second.

    Raises
    ------
    DataError
        Their shapes, units or clocks differ; the message names which.
    """
    first = signals[0]
    if not all(signal.values.is_scaled for signal in signals):
        raise DataError(f"{pattern}: expected one signal, got {len(signals)}")
    for other in signals[1:]:
        for what in ("shape", "dims", "unit"):
            if getattr(other, what) != getattr(first, what):
                raise DataError(
                    f"{pattern}: expected signals of one {what}, got {getattr(first, what)!r} of {first.path} "
                    f"and {getattr(other, what)!r} of {other.path}; choose a narrower pattern"
                )
    parts = [_values(signal, raw, dtype) for signal in signals]
    starts = _starts(signals)
    time_axis = _common_time_axis(signals, pattern) if starts is None else time_axis_of(Rate(starts[0]), first.shape[0])
    dim = first.stack if first.stack not in first.dims else "series"
    dims = (first.dims[0], dim, *first.dims[1:])
    notes = [str(note) for signal in signals for note in signal.notes]
    notes.insert(0, f"{len(signals)} signals of equal clocks stacked along {dim}")
    names = _short_names([signal.path for signal in signals])
    coords: Coords = {dim: xr.Variable(dim, np.array(names, dtype=str))}
    if starts is not None:
        notes.insert(1, "time counts from the start of each trial; start_time is when that was")
        coords["start_time"] = xr.Variable(dim, np.array(starts[1]), {"units": "s"})
    common = {key: one for key, one in first.attrs.items() if all(other.attrs.get(key) == one for other in signals)}
    attrs = _attrs(replace(first, attrs=common), pattern, path, reader, raw, time_axis, notes)
    values = Stacked([part for part in parts if isinstance(part, Stored)])
    return _assemble(values, dims, coords, time_axis, attrs, pattern.rpartition("/")[2])


def _values(signal: Signal, raw: bool, dtype: DTypeLike | None) -> LazyArray:
    if signal.problem:
        raise DataError(f"{signal.path}: {signal.problem}")
    if dtype is not None and np.dtype(dtype).kind not in "iufcb":
        raise ConfigError(f"dtype={dtype}: expected a dtype of numbers, for example 'float32'")
    return signal.values.array(raw=raw, dtype=dtype)


def _time_axis(signal: Signal) -> TimeAxis | None:
    if signal.clock is None:
        return None
    if trouble := signal.clock.problem(signal.shape[0]):
        raise DataError(f"{signal.path}: {trouble}; open its values alone with the path {signal.data.path}")
    return time_axis_of(signal.clock, signal.shape[0])


def _starts(signals: Sequence[Signal]) -> tuple[float, list[float]] | None:
    """Return the rate of trials that follow each other, and when each started; None for all other signals."""
    clocks = [signal.clock for signal in signals if isinstance(signal.clock, Rate) and signal.stack == "trial"]
    rates, starts = {clock.rate for clock in clocks}, [clock.start for clock in clocks]
    if len(clocks) < len(signals) or len(rates) != 1 or len(set(starts)) == 1 or not min(rates) > 0:
        return None
    return clocks[0].rate, starts


def _common_time_axis(signals: Sequence[Signal], pattern: str) -> TimeAxis | None:
    """Return the clock that all signals share: the same object, the same rate and start, or the same stamps."""
    first = _time_axis(signals[0])
    for other in signals[1:]:
        if other.clock == signals[0].clock:
            continue
        time_axis = _time_axis(other)
        if first is None or time_axis is None or not _same_times(signals[0], other, first, time_axis):
            raise DataError(
                f"{pattern}: expected signals of one clock to stack them, but the clocks of {signals[0].path} and "
                f"{other.path} differ; open them one by one, or choose a narrower pattern"
            )
    return first


def _same_times(one: Signal, other: Signal, first: TimeAxis, second: TimeAxis) -> bool:
    if isinstance(one.clock, Rate) and isinstance(other.clock, Rate):
        return False  # equal ones are equal declarations
    if isinstance(one.clock, Timestamps) and isinstance(other.clock, Timestamps) and one.clock.node is other.clock.node:
        return one.clock == other.clock
    times, others = first.variable.values, second.variable.values
    step = float(np.median(np.abs(np.diff(times)))) if times.size > 1 else 0.0
    return bool(np.allclose(times, others, rtol=0.0, atol=1e-3 * step, equal_nan=True))


def _short_names(paths: Sequence[str]) -> list[str]:
    last = [path.rpartition("/")[2] for path in paths]
    return last if len(set(last)) == len(last) else list(paths)


def _assemble(
    values: LazyArray,
    dims: Sequence[str],
    coords: Coords,
    time_axis: TimeAxis | None,
    attrs: Mapping[str, Any],
    name: str | None,
) -> xr.DataArray:
    coords = {label: variable for label, variable in coords.items() if set(variable.dims) <= set(dims)}
    if time_axis is not None:
        coords[TIME] = time_axis.variable
    from sciml.io.arrays.indexing import is_lazy

    # An index would read what is lazy: long clocks come without one.
    indexed = {label: variable for label, variable in coords.items() if not is_lazy(variable)}
    unread = xr.Coordinates({k: v for k, v in coords.items() if k not in indexed}, indexes={})
    recording = xr.DataArray(lazy(values), dims=tuple(dims), coords=indexed, attrs=dict(attrs), name=name)
    return recording.assign_coords(unread) if unread else recording


def _restored(signal: Signal, values: LazyArray) -> xr.DataArray:
    coords = signal.coords([]) if signal.coords else {}
    return _assemble(values, signal.dims, coords, None, signal.attrs, signal.values.name)


def _attrs(
    signal: Signal, label: str, path: Place, reader: str, raw: bool, time_axis: TimeAxis | None, notes: list[str]
) -> dict[str, Any]:
    attrs: dict[str, Any] = {"units": signal.unit}
    if signal.raw_unit != signal.unit:
        attrs["units_raw"] = signal.raw_unit
    if symbol := unit_symbol(signal.unit):
        attrs["units_symbol"] = symbol
    attrs |= _enumerated(signal.data.dtype)
    if raw and not signal.values.scale.identity:
        attrs["units"] = ""
        attrs.pop("units_symbol", None)
        notes.append(f"values as stored; physical = {signal.values.scale.formula}")
    if time_axis is not None:
        notes.extend(time_axis.notes)
        if time_axis.rate is not None:
            attrs["sampling_rate"] = time_axis.rate
    attrs |= {"source": path.name, "signal": label, "reader": reader, **signal.data.digest, **signal.attrs}
    read = f"read {label} of {path.name} with sciml {__version__} (reader {reader})"
    attrs["history"] = "\n".join([read, *(f"note: {note}" for note in notes)])
    return attrs


def _enumerated(dtype: np.dtype[Any] | None) -> dict[str, list[Any]]:
    """Return the names that an HDF5 enumeration gives its numbers, as the CF conventions call them."""
    named = (h5py.check_enum_dtype(dtype) if dtype is not None else None) or {}
    by_value = sorted((value, name) for name, value in named.items())
    if not by_value:
        return {}
    return {"flag_values": [value for value, _ in by_value], "flag_meanings": [name for _, name in by_value]}


def chunks_in_file(signal: Signal) -> dict[str, int]:
    """Return the chunk size of each dim of a signal in the file, nothing if its values lie in one piece."""
    return dict(zip(signal.dims, signal.values.chunks, strict=False))


def chunked(recording: xr.DataArray, in_file: Mapping[str, int], chunks: Chunks) -> xr.DataArray:
    """Return the recording as dask arrays whose chunks are whole multiples of the chunks in the file.

    "auto" makes blocks of about 64 MiB along the first dim.
    """
    sizes = {str(dim): size for dim, size in recording.sizes.items()}
    first = str(recording.dims[0])
    if isinstance(chunks, Mapping):
        wanted = {str(dim): int(size) for dim, size in chunks.items()}
    else:
        rows = chunks if isinstance(chunks, int) else _auto_rows(recording, in_file.get(first, 1))
        wanted = {first: rows}
    if unknown := sorted(set(wanted) - set(sizes)):
        raise ConfigError(f"chunks: expected dims of {tuple(sizes)}, got {', '.join(unknown)}")
    aligned = {dim: _aligned(wanted.get(dim, -1), in_file.get(dim, 1), size) for dim, size in sizes.items()}
    return recording.chunk(aligned)


def _auto_rows(recording: xr.DataArray, rows_in_file: int) -> int:
    row_bytes = max(1, math.prod(recording.shape[1:]) * recording.dtype.itemsize)
    return max(rows_in_file, DASK_BYTES // row_bytes, 1)


def _aligned(wanted: int, in_file: int, size: int) -> int:
    if wanted <= 0 or wanted >= size:
        return size
    return min(size, -(-wanted // in_file) * in_file)
