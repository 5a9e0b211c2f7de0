"""What a reader says about a file: signals, tables and findings, as declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from sciml._later import xr
from sciml.io.hdf5.issues import Remark
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Clock
from sciml.io.schema.values import Values

__all__ = ["Contents", "Coords", "Reader", "Signal", "Table"]

Coords: TypeAlias = "dict[str, xr.Variable]"


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
