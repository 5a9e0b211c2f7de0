"""What is kept of a long recording for the spectra of its noise: a few segments, and all of it at a lower rate."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sciml._typing import AnyArray, IntArray

__all__ = ["Subsample", "Subsampler", "enough"]

SUBSAMPLE_BYTES = 2**26  # of segments, and as much of the decimated series
N_SEGMENTS = 4
LONGEST_SEGMENT = 2**16  # finer lines than this many samples resolve are left to the decimated series
LONG_SEGMENT = 4096  # resolves what lines laboratories have
SHORTEST = 512
Segment = tuple[int, AnyArray]  # the sample it begins with, and its values


@dataclass(frozen=True)
class Subsample:
    """Segments (n, length, N) of consecutive samples, and a series `decimated` (rows, N) of means over `every` samples.

    `starts` are the samples at which the segments begin, counted from where the decimated series begins.
    The segments hold the high frequencies of a recording, the decimated series those whose periods are longer than a
    segment: most of the power of 1/f noise lies there, and decides how far its eigenvalues spread.
    """

    segments: AnyArray
    starts: IntArray
    decimated: AnyArray
    every: int

    def combined(self, combinations: AnyArray) -> "Subsample":
        """Return linear combinations (N, M) of the channels."""
        factors = combinations.astype(np.result_type(self.segments.dtype, np.float32))
        return replace(self, segments=self.segments @ factors, decimated=self.decimated @ factors)

    def standardized(self, channels: IntArray, mean: AnyArray, scale: AnyArray) -> "Subsample":
        """Return some channels less their mean, divided by their scale."""
        return replace(
            self,
            segments=_standardized(self.segments, channels, mean, scale),
            decimated=_standardized(self.decimated, channels, mean, scale),
        )


def _standardized(values: AnyArray, channels: IntArray, mean: AnyArray, scale: AnyArray) -> AnyArray:
    chosen = values[..., channels]
    chosen -= mean.astype(chosen.dtype)
    chosen /= scale.astype(chosen.real.dtype)
    return chosen


def enough(n_samples: int, n_channels: int) -> bool:
    """Tell whether a subsample says of the spectra what so many samples do, for less work."""
    rows = SUBSAMPLE_BYTES // (4 * n_channels)
    return n_samples > rows and rows // (N_SEGMENTS + 1) >= LONG_SEGMENT


class Subsampler:
    """Collects a `Subsample` from samples as they come, in single precision; memory does not depend on their number.

    Parameters
    ----------
    n_channels, dtype
        Of the samples to come.
    span
        Only the last so many samples matter; None lets all matter alike.
    """

    def __init__(self, n_channels: int, dtype: np.dtype[Any], *, span: int | None = None) -> None:
        self.dtype = np.dtype(np.complex64 if dtype.kind == "c" else np.float32)
        rows = max(SHORTEST, SUBSAMPLE_BYTES // (self.dtype.itemsize * n_channels))
        self.span, self.length = span, min(LONGEST_SEGMENT, max(SHORTEST, rows // (N_SEGMENTS + 1)))
        self.segments = _Segments(self.length, spread=span is None)
        self.most_rows = 2 * (rows // 2)
        self.rows = np.empty((0, n_channels), self.dtype)
        self.n_rows, self.every, self.origin = 0, 1, 0
        self.open, self.n_open = np.zeros(n_channels, self.dtype), 0

    def add(self, values: AnyArray) -> None:
        """Add the next samples (n, N)."""
        self.segments.add(values, self.dtype)
        while len(values):
            most = (self.most_rows - self.n_rows) * self.every - self.n_open
            self._average(values[:most])
            values = values[most:]
            if self.n_rows == self.most_rows:
                self._make_room()

    def cut(self) -> None:
        """Let no segment go on: the next samples come after a gap."""
        self.segments.cut()

    def _average(self, values: AnyArray) -> None:
        """Append the means of `every` samples; what is left over stays open."""
        if self.n_open:
            first, values = values[: self.every - self.n_open], values[self.every - self.n_open :]
            self.open, self.n_open = self.open + first.sum(axis=0, dtype=self.dtype), self.n_open + len(first)
            if self.n_open < self.every:
                return
            self._append(self.open[None] / self.every)
        whole = len(values) // self.every
        used = values[: whole * self.every]
        grouped = used.reshape(whole, self.every, used.shape[1])
        self._append(used if self.every == 1 else grouped.mean(axis=1, dtype=self.dtype))
        rest = values[whole * self.every :]
        self.open, self.n_open = rest.sum(axis=0, dtype=self.dtype), len(rest)

    def _append(self, rows: AnyArray) -> None:
        total = self.n_rows + len(rows)
        if total > len(self.rows):
            grown = np.empty((min(max(total, 2 * self.n_rows), self.most_rows), rows.shape[1]), self.dtype)
            grown[: self.n_rows] = self.rows[: self.n_rows]
            self.rows = grown
        self.rows[self.n_rows : total] = rows
        self.n_rows = total

    def _make_room(self) -> None:
        half = len(self.rows) // 2
        if self.span is not None and half * self.every >= self.span:
            self.rows[:half] = self.rows[half:]
            self.origin += half * self.every
        else:
            self.rows[:half] = (self.rows[::2] + self.rows[1::2]) / 2
            self.every *= 2
        self.n_rows = half

    def subsample(self) -> Subsample:
        """Return what is kept by now."""
        first = 0 if self.span is None else max(0, self.n_rows - -(-self.span // self.every))
        segments, starts = self.segments.equal()
        starts = starts - (self.origin + first * self.every)
        inside = starts >= 0 if self.every > 1 else np.ones(len(starts), np.bool_)
        return Subsample(segments[inside], starts[inside], self.rows[first : self.n_rows], self.every)


class _Segments:
    """A few segments of consecutive samples: the last ones, or ones spread evenly over all that came."""

    def __init__(self, length: int, *, spread: bool) -> None:
        self.length, self.spread = length, spread
        self.every = 1  # of the segments that come, one in this many is kept
        self.n_segments = self.n_samples = 0
        self.kept: list[Segment] = []
        self.open: list[AnyArray] = []
        self.first = 0  # sample of the segment that is open
        self.longest: Segment | None = None  # that a gap cut short

    def add(self, values: AnyArray, dtype: np.dtype[Any]) -> None:
        while len(values):
            room = self.length - (self.n_samples - self.first)
            part, values = values[:room], values[room:]
            if self.n_segments % self.every == 0:
                self.open.append(part.astype(dtype))
            self.n_samples += len(part)
            if len(part) == room:
                self._close()

    def cut(self) -> None:
        """End the segment that is open: what comes does not follow it."""
        if self.open and not self.kept:
            self.longest = self._longest()
        self.open, self.first = [], self.n_samples

    def _close(self) -> None:
        if self.open:
            self.kept.append((self.first, np.concatenate(self.open)))
        self.n_segments += 1
        self.open, self.first = [], self.n_samples
        if len(self.kept) > N_SEGMENTS:
            self.kept = self.kept[::2] if self.spread else self.kept[1:]
            self.every = 2 * self.every if self.spread else 1

    def _longest(self) -> Segment:
        found = [(self.first, np.concatenate(self.open))] if self.open else []
        return max(found + ([self.longest] if self.longest else []), key=lambda each: len(each[1]))

    def equal(self) -> tuple[AnyArray, IntArray]:
        """Return segments of one length, the full ones or the longest there is, and where they begin."""
        kept = self.kept or [self._longest()]
        return np.stack([values for _, values in kept]), np.array([start for start, _ in kept])
