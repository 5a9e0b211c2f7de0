"""Which windows of a recording a net was trained on: those say nothing of how it does on others.

A run keeps, for each piece that it learned from (a file, or a trial of one, by its digest), the intervals of time that
its train and validation windows cover, on the piece's own clock.
"""

import numpy as np
from numpy.typing import NDArray

from sciml.data import Spans, Split, Windows
from sciml.pipeline.run_folder import RunFolder

__all__ = ["FILE", "intervals_learned_from", "windows_in_training"]

FILE = "training.json"


def intervals_learned_from(windows: Windows, split: Split, spans: Spans) -> dict[str, list[list[float]]]:
    """Return by piece the intervals [start, stop) s that train and validation windows cover."""
    used = windows.chosen(np.concatenate([split.train, split.validation]))
    piece = spans.piece(used.starts)
    found: dict[str, list[list[float]]] = {}
    for k in np.unique(piece):
        inside, shift = piece == k, spans.shifts[k]
        found.setdefault(spans.digests[k], []).extend(_union(used.times[inside] - shift, used.stops[inside] - shift))
    return found


def windows_in_training(folder: RunFolder, windows: Windows, spans: Spans) -> NDArray[np.bool_]:
    """Return which windows overlap one that the net was trained, or its epoch chosen, on.

    A recording is known by the digest of its values, wherever its file lies. A run that kept no intervals, as those of
    earlier versions, counts all windows of its files as trained on.
    """
    known = folder.intervals()
    if known is None:
        files = str(folder.status().get("data", {}).get("sha256", "")).split()
        own = str(windows.recording.attrs.get("sha256", "")).split()
        return np.full(len(windows), any(digest in files for digest in own))
    piece, used = spans.piece(windows.starts), np.zeros(len(windows), np.bool_)
    times, stops = windows.times, windows.stops
    for k in np.unique(piece):
        inside = piece == k
        intervals = np.array(known.get(spans.digests[k], []), dtype=np.float64).reshape(-1, 2)
        used[inside] = _overlapping(times[inside] - spans.shifts[k], stops[inside] - spans.shifts[k], intervals)
    return used


def _union(starts: NDArray[np.float64], stops: NDArray[np.float64]) -> list[list[float]]:
    """Return the union of intervals as intervals that rise and do not touch."""
    order = np.argsort(starts, kind="stable")
    starts, stops = starts[order], np.maximum.accumulate(stops[order])
    new = np.flatnonzero(np.concatenate([[True], starts[1:] > stops[:-1]]))
    last = np.append(new[1:] - 1, len(starts) - 1)
    return [[float(starts[i]), float(stops[j])] for i, j in zip(new, last, strict=True)]


def _overlapping(
    starts: NDArray[np.float64], stops: NDArray[np.float64], intervals: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which intervals [start, stop) overlap one of others, which rise and do not touch."""
    if not len(intervals):
        return np.zeros(len(starts), np.bool_)
    last = np.searchsorted(intervals[:, 0], stops) - 1  # the last that begins before the end
    return np.asarray((last >= 0) & (intervals[np.maximum(last, 0), 1] > starts))
