"""One signal in depth: its axes, clock, scale, masks and storage, and a bounded sample of its values in numbers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits
from sciml.io.hdf5.issues import Issue, code_of
from sciml.io.hdf5.tree import open_tree
from sciml.io.recordings.assemble import build, info, stacked
from sciml.io.recordings.open import describe, select
from sciml.io.recordings.sample import Sample, sampled
from sciml.io.registry import survey
from sciml.io.schema.clock import EAGER, Rate
from sciml.io.schema.declarations import Signal
from sciml.io.schema.listing import SignalInfo
from sciml.recording import TIME, segments

__all__ = ["AxisInfo", "SignalDetail", "signal_detail"]

BUDGET = 2**25  # bytes of values that are read
SHOWN = 8  # gaps and notes that are kept
WIDTH = 60  # places of the trace
SMALL = 2**16  # coordinates up to this size are looked into


@dataclass(frozen=True)
class AxisInfo:
    """A coordinate: its name, dims, dtype and unit, and its first and last value in words ("" if it is long)."""

    name: str
    dims: tuple[str, ...]
    dtype: str
    unit: str
    span: str


@dataclass(frozen=True)
class SignalDetail:
    """What is known of one signal.

    Attributes
    ----------
    info
        What `list_signals` says of it; for a stack of several that of the first, with the dims and shape of the stack.
    coords
        Its coordinates.
    clock, scale
        In words: how its samples lie in time, and how stored values become physical ones.
    n_gaps, gaps
        How many gaps the clock has, and the first of them as (last time before, first time after) in seconds.
    masks
        How many values (or rows, or channels: the dims of the mask) each named reason leaves out, of how many.
    chunks, filters, ratio
        The chunks and filters of the HDF5 dataset, and bytes of values per byte in the file (None if none are stored).
    statistics
        Of the physical values in the sample that are finite: min, median, max, mean, std; and the share of all that
        are not finite, "not_finite".
    n_sampled, n_values
        How many values were read for that, and how many there are.
    trace
        Mean over the columns at up to 60 places along the first dim.
    findings
        What is odd about it.
    notes
        What the reader says about it, as in the history of the recording.
    """

    info: SignalInfo
    coords: tuple[AxisInfo, ...] = ()
    clock: str = ""
    n_gaps: int = 0
    gaps: tuple[tuple[float, float], ...] = ()
    scale: str = ""
    masks: Mapping[str, str] = field(default_factory=dict)
    chunks: tuple[int, ...] | None = None
    filters: tuple[str, ...] = ()
    ratio: float | None = None
    statistics: Mapping[str, float] = field(default_factory=dict)
    n_sampled: int = 0
    n_values: int = 0
    trace: tuple[float, ...] = ()
    findings: tuple[Issue, ...] = ()
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return what the signal is, its clock and its values in words."""
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.statistics.items())
        return "\n".join(
            line for line in (self.info.summary(), f"  clock: {self.clock}", f"  values: {values}") if line
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, for JSON."""
        return {
            **vars(self),
            "info": self.info.to_dict(),
            "coords": [vars(axis) for axis in self.coords],
            "findings": [issue.to_dict() for issue in self.findings],
        }


def signal_detail(
    path: str | os.PathLike[str], signal: str | None = None, *, limits: Limits = DEFAULT_LIMITS
) -> SignalDetail:
    """Return one signal in depth; at most about 32 MiB of its values are read.

    Parameters
    ----------
    path
        The file.
    signal
        A path, a unique end of one, or a pattern with `*` for several that stack; None takes the file's only or
        default signal.

    Raises
    ------
    DataError
        The file cannot be read, or has no such signal. Values that cannot be read are among the findings.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.h5"
    >>> with h5py.File(path, "w") as file:
    ...     x = file.create_dataset("x", data=np.arange(6, dtype="i2"), chunks=(3,), compression="gzip")
    ...     x.attrs["units"] = "mV"
    >>> found = signal_detail(path)
    >>> found.filters, found.chunks, found.statistics["median"]
    (('deflate 4',), (3,), 2.5)
    """
    with open_tree(path, limits) as tree:
        reader, contents = survey(tree)
        chosen = select(contents, tree, signal)
        first = chosen[0]
        made: dict[str, Any] = {"path": tree.files.main, "reader": reader.name, "raw": False, "dtype": None}
        recording = build(first, **made) if len(chosen) == 1 else stacked(chosen, str(signal), **made)
        detail = SignalDetail(
            info=_info(chosen, recording, reader.name),
            coords=_coords(recording),
            scale=first.values.formula,
            chunks=first.data.chunks,
            filters=first.data.filters(),
            ratio=_ratio(chosen),
            n_values=recording.size,
            notes=tuple(line.removeprefix("note: ") for line in _history(recording) if line.startswith("note: ")),
        )
        detail = replace(detail, **_times(recording, first))
        try:
            sample = sampled(recording.variable, first, budget=BUDGET // len(chosen))
            detail = replace(detail, masks=_masks(recording), n_sampled=sample.values.size, **_values(sample))
        except DataError as error:
            code = code_of(error, code_of(first.data.read_error(), "unreadable"))
            detail = replace(detail, findings=(Issue(code, str(error), first.path),))
    paths = {each.path for each in chosen}
    said = tuple(found for found in describe(path, limits=limits).findings if found.path in paths)
    return replace(detail, findings=(*detail.findings, *(one for one in said if "cannot be read" not in one.message)))


def _info(chosen: Sequence[Signal], recording: xr.DataArray, reader: str) -> SignalInfo:
    each = [info(signal, reader) for signal in chosen]
    return replace(
        each[0],
        path=str(recording.attrs.get("signal", each[0].path)) if len(each) > 1 else each[0].path,
        dims=tuple(map(str, recording.dims)),
        shape=recording.shape,
        n_bytes=sum(one.n_bytes for one in each),
        stored_bytes=sum(one.stored_bytes for one in each),
        memory_bytes=sum(one.memory_bytes for one in each),
    )


def _history(recording: xr.DataArray) -> list[str]:
    return str(recording.attrs.get("history", "")).splitlines()


def _coords(recording: xr.DataArray) -> tuple[AxisInfo, ...]:
    return tuple(
        AxisInfo(
            str(name),
            tuple(map(str, coord.dims)),
            str(coord.dtype),
            str(coord.attrs.get("units", "")),
            _span(coord),
        )
        for name, coord in recording.coords.items()
    )


def _span(coord: xr.DataArray) -> str:
    """Return the first and the last value of a short coordinate of one axis, in words."""
    if coord.ndim != 1 or not 0 < coord.size <= SMALL:
        return str(coord.values) if not coord.ndim else ""
    ends = [value.item() if isinstance(value, np.generic) else value for value in (coord.values[0], coord.values[-1])]
    words = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in ends]
    return words[0] if words[0] == words[1] else " .. ".join(words)


def _ratio(chosen: Sequence[Signal]) -> float | None:
    stored = sum(signal.data.stored_bytes for signal in chosen)
    return sum(signal.data.n_bytes for signal in chosen) / stored if stored else None


def _times(recording: xr.DataArray, signal: Signal) -> dict[str, Any]:
    """Return the clock in words, and the gaps in it."""
    if TIME not in recording.coords or TIME not in recording.dims:
        return {"clock": "none: the file states no rate and no times"}
    size = recording.sizes[TIME]
    if (rate := recording.attrs.get("sampling_rate")) is not None:
        start = float(recording[TIME][0])
        kind = "" if isinstance(signal.clock, Rate) else ", from time stamps"
        return {"clock": f"regular, {rate:.10g} Hz from {start:.10g} s{kind}"}
    if size > EAGER:
        return {"clock": f"{size} time stamps, not read"}
    times = recording[TIME].values
    parts = segments(recording)
    gaps = tuple((float(times[part.start - 1]), float(times[part.start])) for part in parts[1:])
    step = float(np.median(np.diff(times))) if size > 1 else math.nan
    words = f"{size} time stamps from {times[0]:.10g} to {times[-1]:.10g} s, median step {step:.6g} s"
    return {"clock": words, "n_gaps": len(gaps), "gaps": gaps[:SHOWN]}


def _masks(recording: xr.DataArray) -> dict[str, str]:
    """Return for each reason how much of the recording it leaves out."""
    found = {}
    for name in ("mask", "quality", "mask_bits"):
        if name not in recording.coords or recording.coords[name].size > EAGER:
            continue
        coord = recording.coords[name]
        values, flags = coord.values, [str(flag) for flag in coord.attrs.get("flags", ())]
        of = f"of {values.size} ({', '.join(map(str, coord.dims))})"
        if values.dtype.kind == "b":
            why = ", ".join(flags) or str(coord.attrs.get("reason", ""))
            found[f"{name}: {why}" if why else name] = f"{int(values.sum())} {of}"
        elif values.dtype.kind in "iu":
            for bit, flag in enumerate(flags):
                found[f"{name} bit {bit}: {flag}"] = f"{int((values >> bit & 1).sum())} {of}"
    return found


def _values(sample: Sample) -> dict[str, Any]:
    """Return statistics and trace of the values that were read; those of a complex signal are of its magnitude."""
    values = np.abs(sample.blocks) if sample.values.dtype.kind == "c" else sample.blocks
    if values.dtype.kind not in "iufb":
        return {}
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    statistics = {"not_finite": 1 - finite.size / max(values.size, 1)}
    if finite.size:
        statistics |= {"min": float(finite.min()), "median": float(np.median(finite)), "max": float(finite.max())}
        statistics |= {"mean": float(finite.mean()), "std": float(finite.std())}
    return {"statistics": statistics, "trace": _trace(values)}


def _trace(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the mean over columns at up to 60 places along the rows."""
    rows = values.reshape(-1, values.shape[-1]) if values.shape[0] == 1 else values
    parts = np.array_split(rows, min(WIDTH, len(rows))) if values.shape[0] == 1 else list(rows)
    means = [part[np.isfinite(part)] for part in parts]
    return tuple(float(one.mean()) if one.size else math.nan for one in means) if len(parts) > 1 else ()
