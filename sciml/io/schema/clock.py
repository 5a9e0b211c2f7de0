"""The clock of a signal: a start and a rate, or one time stamp per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, nan, prod

import numpy as np
from numpy.typing import NDArray

from sciml._later import xr
from sciml.errors import DataError
from sciml.io.arrays import Computed, RegularTimes, Scale, Stored, lazy
from sciml.io.hdf5.issues import Issue, Remark, counted
from sciml.io.hdf5.tree import Node
from sciml.recording import TIME

__all__ = ["EAGER", "Clock", "Rate", "RegularSegments", "Span", "TimeAxis", "Timestamps", "segmented", "time_axis_of"]

EAGER = 2**22  # samples up to which the time coordinate is held in memory and indexed
PEEK = 1000  # stamps that are read to tell the rate when signals are only listed
JITTER = 1e-3  # of a step: stamps that stray less than this are a regular clock


@dataclass(frozen=True)
class Span:
    """What is told of a clock before it is read: rate in Hz, duration and start in seconds; None if not known."""

    rate: float | None = None
    duration: float | None = None
    start: float | None = None


@dataclass(frozen=True)
class Rate:
    """Sample i is at `start + i / rate` seconds."""

    rate: float
    start: float = 0.0

    def problem(self, n_samples: int) -> str | None:  # noqa: ARG002 - the same question as to Stamps
        """Return why there are no such times, None if there are."""
        if not (isfinite(self.rate) and self.rate > 0):
            return f"its sampling rate is {self.rate} Hz; expected a number above 0"
        return None if isfinite(self.start) else f"its clock starts at {self.start} s; expected a finite number"

    def oddity(self, n_samples: int, *, whole: bool = True) -> Issue | None:  # noqa: ARG002 - as of Timestamps
        """Return what is odd about the order of the times: nothing."""
        return None

    def span(self, n_samples: int) -> Span:
        """Return rate, duration and start."""
        return Span() if self.problem(n_samples) else Span(self.rate, n_samples / self.rate, self.start)


@dataclass(frozen=True)
class RegularSegments:
    """Runs of a regular clock: sample `firsts[k] + i` is at `starts[k] + i / rate` seconds."""

    rate: float
    firsts: tuple[int, ...]
    starts: tuple[float, ...]

    def problem(self, n_samples: int) -> str | None:
        """Return why there are no such times, None if there are."""
        if trouble := Rate(self.rate).problem(n_samples):
            return trouble
        edges = (*self.firsts, n_samples)
        if self.firsts[:1] != (0,) or any(left >= right for left, right in pairwise(edges)):
            return f"its clock has runs from {self.firsts}; expected them to rise from 0 to below {n_samples} samples"
        return None if np.isfinite(self.starts).all() else f"its clock has runs that start at {self.starts} s"

    def oddity(self, n_samples: int, *, whole: bool = True) -> Issue | None:  # noqa: ARG002 - as of Timestamps
        """Return whether a run begins before the one before it ended."""
        if self.problem(n_samples) or len(self.firsts) < 2:
            return None
        lasting = np.diff(self.firsts) / self.rate
        back = int((np.diff(self.starts) < lasting - 0.5 / self.rate).sum())
        said = f"the clock runs backward {counted(back, 'time')}"
        return Issue("clock_order", said) if back else None

    def span(self, n_samples: int) -> Span:
        """Return rate, duration (gaps included) and start."""
        if self.problem(n_samples):
            return Span()
        last = float(self(np.array([n_samples - 1]))[0])
        return Span(self.rate, last - self.starts[0] + 1 / self.rate, self.starts[0])

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the times in seconds at some positions."""
        firsts = np.asarray(self.firsts)
        run = np.searchsorted(firsts, positions, side="right") - 1
        return np.asarray(np.asarray(self.starts)[run] + (positions - firsts[run]) / self.rate)


def segmented(rate: float, firsts: Sequence[int], starts: Sequence[float]) -> Rate | RegularSegments:
    """Return the clock of runs of samples; runs that follow each other within half a sample are one.

    Examples
    --------
    >>> segmented(10.0, [0, 5], [1.0, 1.5]), segmented(10.0, [0, 5], [1.0, 2.0])
    (Rate(rate=10.0, start=1.0), RegularSegments(rate=10.0, firsts=(0, 5), starts=(1.0, 2.0)))
    """
    kept = [0]
    for run in range(1, len(firsts)):
        expected = starts[kept[-1]] + (firsts[run] - firsts[kept[-1]]) / rate if rate else nan
        if not abs(starts[run] - expected) <= 0.5 / abs(rate or nan):
            kept.append(run)
    if len(kept) == 1 and firsts[0] == 0:
        return Rate(rate, starts[0])
    return RegularSegments(rate, tuple(firsts[run] for run in kept), tuple(starts[run] for run in kept))


@dataclass(frozen=True)
class Timestamps:
    """Sample i is at `(node[i] - origin) * seconds`; the origin keeps large integer stamps exact."""

    node: Node
    seconds: float = 1.0
    origin: float = 0

    def problem(self, n_samples: int) -> Remark | None:
        """Return why there are no such times, None if there are."""
        if not self.node.is_numeric or not self.is_row or self.size != n_samples:
            return (
                f"its clock {self.node.path} has shape {self.node.shape}; expected ({n_samples},), one stamp a sample"
            )
        if self.node.dtype is not None and self.node.dtype.kind == "c":
            return f"its clock {self.node.path} holds complex numbers; expected times"
        return self.node.read_error()

    @property
    def size(self) -> int:
        """How many time stamps there are."""
        return prod(self.node.shape or (0,))

    @property
    def is_row(self) -> bool:
        """Whether the stamps lie along one axis: a row, or a matrix of one column or one row, as MATLAB writes them."""
        return max(self.node.shape or (0,)) == self.size

    def _part(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return some of the time stamps in seconds."""
        if (self.node.shape or (0,))[0] == self.size:
            return np.asarray(self.scale.apply(self.node.read(slice(start, stop)).ravel(), ()), dtype=np.float64)
        return self.read()[start:stop]

    def span(self, n_samples: int) -> Span:
        """Return rate (of the first stamps), duration and start."""
        if n_samples < 2 or self.problem(n_samples):
            return Span()
        try:
            first = self._part(0, PEEK)
            last = float(self._part(n_samples - 1, n_samples)[0])
        except DataError:
            return Span()
        step = float(np.median(np.diff(first)))
        return Span(1 / step if step > 0 else None, last - float(first[0]) + max(step, 0.0), float(first[0]))

    def final_rate(self, n_samples: int) -> float | None:
        """Return the rate in Hz of the last stamps, None if they cannot be had or do not rise."""
        try:
            last = self._part(max(n_samples - PEEK, 0), n_samples)
        except DataError:
            return None
        step = float(np.median(np.diff(last)))
        return 1 / step if step > 0 else None

    def read(self) -> NDArray[np.float64]:
        """Return all time stamps in seconds."""
        return np.asarray(self.scale.apply(self.node.read().ravel(), ()), dtype=np.float64)

    def oddity(self, n_samples: int, *, whole: bool = True) -> Issue | None:
        """Return what is odd about the order of the stamps: of all, or of the first and the last ones alone."""
        if n_samples < 2 or self.problem(n_samples):
            return None
        try:
            if whole or n_samples <= 2 * PEEK:
                found = _oddities(self.read())
            else:
                first, last = self._part(0, PEEK), self._part(n_samples - PEEK, n_samples)
                found = _oddities(np.concatenate([first, last]))
        except DataError:
            return None
        return Issue("clock_order", found[0], self.node.path) if found else None

    @property
    def scale(self) -> Scale:
        """How stored time stamps become seconds."""
        return Scale(self.seconds, zero=self.origin)


Clock = Rate | RegularSegments | Timestamps


@dataclass(frozen=True)
class TimeAxis:
    """A time coordinate, its rate if it is regular, and what is odd about it."""

    variable: xr.Variable
    rate: float | None
    notes: tuple[str, ...] = ()

    @property
    def coordinates(self) -> xr.Coordinates:
        """The time coordinate; without an index where it is too long to be held in memory."""
        return xr.Coordinates({TIME: self.variable}, indexes=None if self.in_memory else {})

    @property
    def in_memory(self) -> bool:
        """Whether the times are few enough to be held."""
        return bool(self.variable.size <= EAGER)


def time_axis_of(clock: Clock, n_samples: int) -> TimeAxis:
    """Return the time coordinate of a clock: in memory up to `EAGER` samples, computed or read on demand beyond."""
    attributes = {"units": "s", "long_name": "time"}
    if isinstance(clock, Rate):
        times = RegularTimes(clock.start, clock.rate)
        if n_samples <= EAGER:
            return TimeAxis(xr.Variable(TIME, times(np.arange(n_samples)), attributes), clock.rate)
        return TimeAxis(xr.Variable(TIME, lazy(Computed(times, n_samples, np.float64)), attributes), clock.rate)
    if isinstance(clock, RegularSegments):
        note = f"the clock has {counted(len(clock.firsts) - 1, 'gap')}" if len(clock.firsts) > 1 else None
        notes = () if note is None else (note,)
        if n_samples <= EAGER:
            stamped = clock(np.arange(n_samples))
            return TimeAxis(xr.Variable(TIME, stamped, attributes), None, (*notes, *_oddities(stamped)))
        return TimeAxis(xr.Variable(TIME, lazy(Computed(clock, n_samples, np.float64)), attributes), None, notes)
    if n_samples > EAGER and clock.node.shape == (n_samples,):
        stored = Stored(clock.node.source(), scale=clock.scale, dtype=np.float64)
        note = f"the clock has {n_samples} stamps and was not checked for gaps"
        return TimeAxis(xr.Variable(TIME, lazy(stored), attributes), None, (note,))
    timestamps = clock.read()
    return TimeAxis(xr.Variable(TIME, timestamps, attributes), _regular_rate(timestamps), _oddities(timestamps))


def _regular_rate(timestamps: NDArray[np.float64]) -> float | None:
    if timestamps.size < 3 or not np.isfinite(timestamps).all():
        return None
    steps = np.diff(timestamps)
    step = float(np.median(steps))
    rounding = 4 * np.finfo(np.float64).eps * float(np.abs(timestamps).max())
    if not (step > 0 and np.abs(steps - step).max() <= JITTER * step + rounding):
        return None
    return float((timestamps.size - 1) / (timestamps[-1] - timestamps[0]))


def _oddities(timestamps: NDArray[np.float64]) -> tuple[str, ...]:
    if not np.isfinite(timestamps).all():
        return (f"{int((~np.isfinite(timestamps)).sum())} time stamps are not finite",)
    backward = int((np.diff(timestamps) <= 0).sum())
    return (f"the clock stands still or runs backward {counted(backward, 'time')}",) if backward else ()
