"""What all ways to split share: which units a window belongs to, distances between parts, classes that a part lacks."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciml.data.windows import Windows
from sciml.errors import ConfigError, DataError, ScimlWarning
from sciml.wording import clean, natural

__all__ = [
    "PARTS",
    "TOLERANCE",
    "Nearest",
    "absent_classes",
    "check_proportions",
    "class_counts",
    "complain",
    "files_of",
    "nearest_parts",
    "separate",
    "unit_numbers",
]

PARTS = ("train", "validation", "test")
TOLERANCE = 0.01  # samples; clocks in seconds since 1980 resolve no better


def check_proportions(fractions: Sequence[float], gap: float) -> NDArray[np.float64]:
    """Return the shares of train, validation and test, or say what is wrong with them or the gap."""
    proportions = np.asarray(fractions, dtype=np.float64)
    if proportions.shape != (3,) or np.any(proportions < 0) or proportions[0] <= 0 or abs(proportions.sum() - 1) > 1e-6:
        raise ConfigError(
            f"expected fractions of train, validation and test that sum to 1, got {tuple(map(float, fractions))}; "
            "for example (0.6, 0.2, 0.2)"
        )
    if not gap >= 0:
        raise ConfigError(f"expected a gap of at least 0 s, got {gap}")
    return proportions


def unit_numbers(windows: Windows, unit: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the number of the unit of each window, shape (n,), and the names of the units, as people count them.

    Raises
    ------
    ConfigError
        Nothing is known of such a unit.
    DataError
        Windows that belong to none.
    """
    if unit not in windows.units:
        known = ", ".join(sorted(windows.units)) or "none"
        raise ConfigError(
            f"expected a unit of the windows, got {unit!r}; known are time and {known}: "
            "name one of them, or a column of the events table"
        )
    values = np.array([_text(value) for value in np.asarray(windows.units[unit]).tolist()], dtype=object)
    missing = int(np.count_nonzero(values == ""))
    if missing:
        raise DataError(
            f"expected the {unit} of every window, got none for {missing} of {len(values)}; "
            "fill it in, or split by another unit"
        )
    names = tuple(sorted(set(values.tolist()), key=natural))
    number = {name: k for k, name in enumerate(names)}
    return np.array([number[value] for value in values], dtype=np.int64), names


def _text(value: object) -> str:
    if value is None or value != value:  # NaN
        return ""
    return clean(value.decode(errors="replace") if isinstance(value, bytes) else str(value))  # as JSON will hold it


def files_of(windows: Windows) -> NDArray[np.int64]:
    """Return the number of the file of each window, shape (n,): zeros where all are of one."""
    if "file" not in windows.units:
        return np.zeros(len(windows), dtype=np.int64)
    return unit_numbers(windows, "file")[0]


def separate(windows: Windows, order: NDArray[np.int64], part: NDArray[np.int64], gap: float) -> NDArray[np.bool_]:
    """Return which windows (in order of time) stay so that within a file no two parts come closer than the gap.

    Windows of one length end in the order in which they start, and a conflict between any two of them implies one
    between neighbors: it is enough to look at the last window that stays. Of two in conflict the one goes whose part
    has more. Windows of unequal length are looked at once more, each with the latest end before it.
    """
    starts, times, stops, spans = (
        each[order] for each in (windows.starts, windows.times, windows.stops, windows.spans)
    )
    file = files_of(windows)[order]
    count = np.bincount(part, minlength=len(PARTS))
    keep = np.ones(len(order), dtype=np.bool_)
    stack: list[int] = []
    for k in range(len(order)):
        while stack and part[stack[-1]] != part[k] and file[stack[-1]] == file[k]:
            last = stack[-1]
            apart = starts[k] - starts[last] >= spans[last]
            if apart and times[k] - stops[last] >= gap - TOLERANCE / windows.rate:
                break
            out = last if count[part[last]] >= count[part[k]] else k
            keep[out] = False
            count[part[out]] -= 1
            if out == k:
                break
            stack.pop()
        if keep[k]:
            stack.append(k)
    if windows.lengths is not None:
        keep &= _distances(windows, order, np.where(keep, part, -1))[0] >= gap - TOLERANCE / windows.rate
    return keep


def _distances(
    windows: Windows, order: NDArray[np.int64], part: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return for windows in order of time the distance from the latest end of another part, and whose end it is.

    Windows of part -1 are left out; no earlier window of another part in the file is infinitely far.
    """
    file, stops, times = files_of(windows)[order], windows.stops[order], windows.times[order]
    # by samples where they overlap: across a gap of the clock the times of an overlap would not show it
    ends, starts = windows.starts[order] + windows.spans[order], windows.starts[order]
    distance, other = np.full(len(order), np.inf), np.full(len(order), -1, dtype=np.int64)
    for p in np.unique(part[part >= 0]):
        for rows in _by_file(file, part >= 0):
            ended = np.where(part[rows] == p, -np.inf, stops[rows])
            latest = np.maximum.accumulate(ended)
            which = rows[np.maximum.accumulate(np.where(ended == latest, np.arange(len(rows)), 0))]
            mine = np.flatnonzero((part[rows] == p) & np.isfinite(latest))
            here, before = rows[mine], which[mine]
            overlap = (ends[before] - starts[here]) / windows.rate
            apart = times[here] - stops[before]
            distance[here] = np.where(overlap > 0, np.minimum(apart, -overlap), apart)
            other[here] = before
    return distance, other


def _by_file(file: NDArray[np.int64], used: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the rows of each file that are used, in their order."""
    rows = np.flatnonzero(used)
    rows = rows[np.argsort(file[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(file[rows])) + 1)


@dataclass(frozen=True)
class Nearest:
    """Two windows of different parts with least time between them, within a file.

    Attributes
    ----------
    seconds
        From the end of the first to the start of the second; negative where they overlap; infinite if there are none.
    windows, parts
        Their numbers, and the parts that they are in.
    """

    seconds: float
    windows: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()


def nearest_parts(windows: Windows, parts: Mapping[str, NDArray[np.int64]]) -> Nearest:
    """Return the nearest two windows of different parts; windows of different files are never near."""
    part = np.full(len(windows), -1, dtype=np.int64)
    for number, indices in enumerate(parts.values()):
        part[indices] = number
    order = np.argsort(windows.starts, kind="stable")
    distance, other = _distances(windows, order, part[order])
    worst = int(np.argmin(distance)) if len(distance) else 0
    if not len(distance) or not np.isfinite(distance[worst]):
        return Nearest(float("inf"))
    pair = order[[other[worst], worst]]
    names = list(parts)
    first, second = (names[number] for number in part[pair])
    return Nearest(float(np.round(distance[worst], 9)), tuple(pair.tolist()), (first, second))


def class_counts(windows: Windows, indices: NDArray[np.int64]) -> dict[str, int]:
    """Return how many of the windows are of each class; empty where windows have no label."""
    if windows.labels is None:
        return {}
    counts = np.bincount(windows.labels[indices], minlength=len(windows.classes))
    return dict(zip(windows.classes, counts.tolist(), strict=True))


def absent_classes(windows: Windows, parts: Mapping[str, NDArray[np.int64]]) -> dict[str, list[str]]:
    """Return the classes that a part has not, by part; a part without any window is listed too."""
    absent: dict[str, list[str]] = {}
    for part, indices in parts.items():
        counts = class_counts(windows, indices)
        if not len(indices) or 0 in counts.values():
            absent[part] = [name for name, count in counts.items() if not count]
    return absent


def complain(windows: Windows, absent: Mapping[str, list[str]], remedy: str) -> None:
    """Say which classes are not in which part: an error where nothing could be learned or evaluated, else a warning."""
    for part, classes in absent.items():
        if part == "train" or not classes or len(classes) == len(windows.classes):
            wanted = "every class" if classes else "windows"
            what = f"none of class {', '.join(classes)}" if classes else "none"
            raise DataError(
                f"expected {wanted} in the {part} part, got {what} of {len(windows)} windows after the gap was cut; "
                f"{remedy}, or give a longer recording"
            )
        warnings.warn(
            f"the {part} part has no window of class {', '.join(classes)}: its scores say nothing about it; {remedy}",
            ScimlWarning,
            stacklevel=4,
        )
