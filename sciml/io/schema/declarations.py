"""What a reader says about a file: signals, tables and findings, as declarations; and what the user is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from sciml._later import xr
from sciml.io.hdf5.issues import Issue, Remark
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Clock
from sciml.io.schema.values import Values

__all__ = ["Contents", "FileInfo", "Reader", "Signal", "SignalInfo", "Table", "TableInfo"]

Coords: TypeAlias = "dict[str, xr.Variable]"


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


@dataclass(frozen=True)
class TableInfo:
    """A table of a file: its name for `read_events`, its number of rows and its columns."""

    name: str
    rows: int
    columns: tuple[str, ...]


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


@dataclass(frozen=True)
class Signal:
    """Where a signal is and how it becomes a recording. A reader declares it, the engine opens it.

    Attributes
    ----------
    path
        The name under which it is listed.
    values
        What the values are: `scaled`, `folded`, `computed` or `saved` of a dataset (`sciml.io.schema.values`).
    dims
        Names of the axes as presented.
    coords
        Called when the signal is opened; returns coordinates by name and may append to the list it is given what is
        odd about them.
    stack
        The name of the new dim when several such signals are stacked.
    problem
        Why it cannot be opened.
    rebin
        Returns the same signal at another rate, where its values are counts in bins; None for all others.
    """

    path: str
    values: Values
    dims: tuple[str, ...]
    kind: str
    unit: str = ""
    raw_unit: str = ""
    clock: Clock | None = None
    coords: Callable[[list[str]], Coords] | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Remark, ...] = ()
    stack: str = "channel"
    problem: Remark | None = None
    rebin: Callable[[float], Signal] | None = None

    @property
    def data(self) -> Node:
        """The dataset that holds the values."""
        return self.values.node

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the recording."""
        return self.values.shape


@dataclass(frozen=True)
class Table:
    """A table; `events` reads it as one row an event, None if it has no start times."""

    name: str
    rows: int
    columns: tuple[str, ...]
    events: Callable[[], xr.Dataset] | None = None


@dataclass(frozen=True)
class Contents:
    """Everything a reader found in a file."""

    format: str
    signals: tuple[Signal, ...] = ()
    tables: tuple[Table, ...] = ()
    findings: tuple[Remark, ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    reason: str | None = None


class Reader(Protocol):
    """A file format. Packages add their own under the entry point group `sciml.readers`."""

    name: str

    def sniff(self, tree: Tree) -> int:
        """Return how surely the file is of this format: 0 not at all, 100 it says so itself."""

    def scan(self, tree: Tree) -> Contents:
        """Return what is in the file, reading only structure and attributes."""
