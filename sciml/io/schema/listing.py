"""What the user is told of a file: its signals, its tables, and what is odd about it. Nothing of it has been read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sciml.io.hdf5.issues import Issue, counted

__all__ = ["FileInfo", "SignalInfo", "TableInfo"]


@dataclass(frozen=True)
class SignalInfo:
    """A signal of a file, as it can be opened: nothing of it has been read.

    Attributes
    ----------
    path
        The name for `open_recording(file, path)`.
    dims, shape
        Of the recording, time first.
    dtype
        Of the values as stored.
    unit
        Of the physical values; "" if the file states none.
    rate
        Samples per second in Hz; for time stamps that of the first ones; None if there is no clock.
    duration
        In seconds, gaps included; None if there is no clock.
    start
        Time of the first sample in seconds on the clock of the file; None if there is no clock.
    stack
        The dim along which such signals stack, "" if they do not: trials of one rate stack though they start at
        different times, all others if they share their clock.
    n_bytes
        Size of the stored values before compression.
    stored_bytes
        What they take in the file, after compression; 0 if they are elsewhere or nowhere.
    memory_bytes
        What the physical values take in memory when all are read.
    kind
        What the format calls it, for example "ElectricalSeries".
    reader
        The name of the reader that found it.
    """

    path: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    unit: str
    rate: float | None
    duration: float | None
    n_bytes: int
    kind: str
    reader: str
    stored_bytes: int = 0
    memory_bytes: int = 0
    start: float | None = None
    stack: str = "channel"

    def summary(self) -> str:
        """Return path, shape and unit in one line."""
        shape = ", ".join(f"{dim} {size}" for dim, size in zip(self.dims, self.shape, strict=False))
        rate = "" if self.rate is None else f", {self.rate:.6g} Hz"
        return f"{self.path} ({shape}) [{self.unit or 'no unit'}]{rate}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, for JSON."""
        return {**vars(self), "dtype": str(self.dtype), "dims": list(self.dims), "shape": list(self.shape)}


@dataclass(frozen=True)
class TableInfo:
    """A table of a file: its name for `read_events`, its number of rows and its columns."""

    name: str
    rows: int
    columns: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, for JSON."""
        return {**vars(self), "columns": list(self.columns)}


@dataclass(frozen=True)
class FileInfo:
    """What is in a file.

    Attributes
    ----------
    path, format
        The file, and what it was recognized as.
    signals, tables
        What can be opened with `open_recording` and, if it has start times, with `read_events`.
    findings
        What is odd about the file, in words; each has a `code`, a `path` and a `severity` for programs.
    reason
        Why there are no signals; None if there are some.
    attrs
        Instrument, start, description, ... as far as the file states them.
    default
        The signal that `open_recording` takes if none is named; None if one must be named.
    n_bytes
        Size of the file.
    """

    path: str
    format: str
    signals: tuple[SignalInfo, ...] = ()
    tables: tuple[TableInfo, ...] = ()
    findings: tuple[Issue, ...] = ()
    reason: str | None = None
    attrs: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    n_bytes: int = 0

    def summary(self) -> str:
        """Return what the file is and its signals in words, one a line."""
        head = f"{self.path}: {self.format}, {counted(len(self.signals), 'signal')}"
        return "\n".join(
            [head, *(f"  {signal.summary()}" for signal in self.signals), *([self.reason] if self.reason else [])]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, for JSON."""
        return {
            **vars(self),
            "signals": [signal.to_dict() for signal in self.signals],
            "tables": [table.to_dict() for table in self.tables],
            "findings": [issue.to_dict() for issue in self.findings],
            "attrs": dict(self.attrs),
        }
