"""Splits by time: contiguous blocks to train, validation and test, with a gap between windows of different parts.

Neighboring samples of a recording resemble each other, so windows drawn at random into parts would let a net
recognize the moment instead of the signal. The time block is the unit of independence here.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.data.windows import Windows
from sciml.errors import ConfigError, DataError, ScimlWarning

__all__ = ["PARTS", "Block", "Split", "split_by_time"]

PARTS = ("train", "validation", "test")
TOLERANCE = 0.01  # samples; clocks in seconds since 1980 resolve no better
DRAWS = 100  # assignments of blocks tried until each part has each class
FORMAT = 1


@dataclass(frozen=True)
class Block:
    """A contiguous interval of time, in seconds, and the part it belongs to."""

    start: float
    stop: float
    part: str


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Which windows train, which choose the best epoch, which evaluate; no two parts closer than `gap`.

    Attributes
    ----------
    train, validation, test
        Indices into the windows, sorted by time.
    gap
        Smallest distance in seconds between windows of different parts.
    blocks
        The blocks of time, in order.
    block
        Number of the block of each window, shape (n_windows,): the unit of independence.
    dropped
        Windows left out for the gap, by part.
    seed
        Seed of the assignment of blocks.
    windows
        Fingerprint of the windows that were split.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    gap: float
    blocks: tuple[Block, ...]
    block: NDArray[np.int64]
    dropped: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    windows: str = ""
    unit: str = "time block"

    @property
    def parts(self) -> dict[str, NDArray[np.int64]]:
        """Indices by name of the part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def sha256(self) -> str:
        """Hash of the split: equal hashes mean equal parts of equal windows."""
        return _digest({key: value for key, value in self.to_dict().items() if key != "sha256"})

    def class_counts(self, windows: Windows) -> dict[str, dict[str, int]]:
        """Return the number of windows of each class in each part; empty where windows have no label.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.zeros(9), dims="time", attrs={"sampling_rate": 1.0})
        >>> windows = sliding_windows(wave, length=1, step=1)
        >>> split_by_time(windows, gap=0, seed=0).class_counts(windows)
        {}
        """
        if windows.labels is None:
            return {}
        return {part: _counts(windows, indices) for part, indices in self.parts.items()}

    def check(self, windows: Windows) -> float:
        """Verify the split against windows; return the smallest distance in seconds between two parts.

        Raises
        ------
        DataError
            The windows are not those that were split, a window is in two parts, or two parts are closer than `gap`.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.zeros(60), dims="time", attrs={"sampling_rate": 1.0})
        >>> windows = sliding_windows(wave, length=2, step=1)
        >>> split_by_time(windows, n_blocks=5, seed=0).check(windows)
        2.0
        """
        if _fingerprint(windows) != self.windows:
            raise DataError(
                f"expected the {len(self.block)} windows that were split, got {len(windows)} windows "
                "with other starts or lengths; split these windows anew, or cut them as before"
            )
        chosen = np.concatenate(list(self.parts.values()))
        if len(np.unique(chosen)) != len(chosen):
            raise DataError(f"expected each window in one part, got {len(chosen) - len(np.unique(chosen))} in two")
        part = np.repeat(np.arange(3), [len(indices) for indices in self.parts.values()])
        order = np.argsort(windows.starts[chosen], kind="stable")
        return _distance(windows, chosen[order], part[order], self.gap)

    def summary(self) -> str:
        """Return the sizes of the parts in one line."""
        sizes = ", ".join(f"{len(indices)} {part}" for part, indices in self.parts.items())
        return f"{sizes} by {self.unit} (n = {len(self.blocks)}), {self.gap:g} s apart"

    def __repr__(self) -> str:
        return f"Split({self.summary()})"

    def to_dict(self) -> dict[str, Any]:
        """Return the split as plain numbers and strings, with its hash, to be stored as JSON.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.zeros(60), dims="time", attrs={"sampling_rate": 1.0})
        >>> split = split_by_time(sliding_windows(wave, length=2, step=1), n_blocks=5, seed=0)
        >>> Split.from_dict(split.to_dict()).sha256 == split.sha256
        True
        """
        content: dict[str, Any] = {
            "format": FORMAT,
            **{part: indices.tolist() for part, indices in self.parts.items()},
            "gap": self.gap,
            "blocks": [[block.start, block.stop, block.part] for block in self.blocks],
            "block": self.block.tolist(),
            "dropped": dict(self.dropped),
            "seed": self.seed,
            "windows": self.windows,
            "unit": self.unit,
        }
        return {**content, "sha256": _digest(content)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Split":
        """Return the split that `to_dict` described.

        Raises
        ------
        DataError
            A key is missing, the format is another, or the content does not match its hash.

        Examples
        --------
        >>> Split.from_dict({"format": 1})
        Traceback (most recent call last):
        sciml.errors.DataError: expected a stored split with its hash, got keys ['format']; split the windows anew
        """
        stored = content.get("sha256")
        if stored is None or content.get("format") != FORMAT:
            raise DataError(
                f"expected a stored split with its hash, got keys {sorted(content)}; split the windows anew"
            )
        if _digest({key: value for key, value in content.items() if key != "sha256"}) != stored:
            raise DataError(
                f"expected a split with sha256 {stored[:12]}, got another content: the stored split was changed; "
                "restore it, or split the windows anew"
            )
        fields: dict[str, Any] = {name: content[name] for name in ("gap", "dropped", "seed", "windows", "unit")}
        fields |= {name: np.asarray(content[name], dtype=np.int64) for name in (*PARTS, "block")}
        return cls(blocks=tuple(Block(start, stop, part) for start, stop, part in content["blocks"]), **fields)


def split_by_time(
    windows: Windows,
    *,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    gap: float | None = None,
    n_blocks: int | None = None,
    seed: int,
) -> Split:
    """Cut time into contiguous blocks of equally many windows and deal them to train, validation and test.

    Blocks are dealt in rounds, each with every part in its proportion and in random order, so that every part
    sees the whole session. A window closer than `gap` to a window of another part is dropped, from the part that
    has most windows at that moment. Of up to 100 assignments the first
    with every class in every part is taken, else the one that lacks least.

    Parameters
    ----------
    windows
        The windows, in any order.
    fractions
        Shares of train, validation and test; sum one. Validation or test may be 0.
    gap
        Seconds between the end of a window (its horizon included) and the start of one of another part.
        Default: the length of a window, its horizon included.
    n_blocks
        Number of blocks. Default: as many as fit with eight windows and gaps in each, at most 30.
    seed
        Seed of the order within rounds.

    Raises
    ------
    ConfigError
        Fractions that do not sum to one, a negative gap, or too few blocks.
    DataError
        Too few windows, or a class that the train part does not have.

    Warns
    -----
    ScimlWarning
        A class that the validation or test part does not have.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.data import sliding_windows
    >>> wave = xr.DataArray(np.zeros(600), dims="time", attrs={"sampling_rate": 1.0})
    >>> split = split_by_time(sliding_windows(wave, length=2, step=2), n_blocks=10, seed=0)
    >>> [len(part) for part in split.parts.values()], dict(split.dropped)
    ([177, 59, 59], {'train': 3, 'validation': 1, 'test': 1})
    """
    gap = windows.span / windows.rate if gap is None else float(gap)
    proportions = _proportions(fractions, gap)
    order = np.argsort(windows.starts, kind="stable")
    n_blocks = _block_count(windows, proportions, gap, n_blocks)
    block_of = np.arange(len(order)) * n_blocks // len(order)
    rng = np.random.default_rng(seed)
    part_of_block, kept, absent = _draw(windows, order, block_of, proportions, gap, rng)
    for _ in range(DRAWS - 1):
        if not absent:
            break
        other = _draw(windows, order, block_of, proportions, gap, rng)
        if _badness(other[2]) < _badness(absent):
            part_of_block, kept, absent = other
    _complain(windows, absent)
    return _describe(windows, order, block_of, part_of_block, kept, gap, seed)


def _proportions(fractions: Sequence[float], gap: float) -> NDArray[np.float64]:
    proportions = np.asarray(fractions, dtype=np.float64)
    if proportions.shape != (3,) or np.any(proportions < 0) or proportions[0] <= 0 or abs(proportions.sum() - 1) > 1e-6:
        raise ConfigError(
            f"expected fractions of train, validation and test that sum to 1, got {tuple(map(float, fractions))}; "
            "for example (0.6, 0.2, 0.2)"
        )
    if not gap >= 0:
        raise ConfigError(f"expected a gap of at least 0 s, got {gap}")
    return proportions


def _block_count(windows: Windows, proportions: NDArray[np.float64], gap: float, n_blocks: int | None) -> int:
    """Return the number of blocks: a whole number of rounds where nothing was asked for."""
    parts = int(np.count_nonzero(proportions))
    if len(windows) < 2 * parts:
        raise DataError(
            f"expected at least {2 * parts} windows for {parts} parts, got {len(windows)}; "
            "cut more windows: shorter ones, or a smaller step"
        )
    if n_blocks is not None:
        if not parts <= n_blocks <= len(windows):
            raise ConfigError(
                f"expected n_blocks from {parts} (parts) to {len(windows)} (windows), got {n_blocks}; choose between"
            )
        return int(n_blocks)
    width = 8 * (windows.span / windows.rate + gap)
    duration = float(windows.stops.max() - windows.times.min())
    fitting = int(min(30, duration / width, len(windows) / 2))
    a_round = max(Fraction(float(each)).limit_denominator(10).denominator for each in proportions)
    return max(fitting // a_round * a_round, min(a_round, len(windows) // 2), parts)


def _deal(n_blocks: int, proportions: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the part of each block: in each round the parts come in random order, each in its proportion."""
    counts = np.floor(proportions * n_blocks + 1e-9).astype(np.int64)
    counts = np.maximum(counts, proportions > 0)
    while counts.sum() != n_blocks:  # hand out (or take back) what rounding left, where it is missed most
        excess = counts - proportions * n_blocks
        missed = -excess if counts.sum() < n_blocks else np.where(counts > 1, excess, -np.inf)
        counts[np.argmax(missed)] += np.sign(n_blocks - counts.sum())
    rounds = int(counts[counts > 0].min())
    part = []
    for k in range(rounds):
        quota = (counts * (k + 1)) // rounds - (counts * k) // rounds
        part += [np.repeat(p, quota[p]) for p in rng.permutation(len(proportions))]
    return np.concatenate(part)


def _draw(
    windows: Windows,
    order: NDArray[np.int64],
    block_of: NDArray[np.int64],
    proportions: NDArray[np.float64],
    gap: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.bool_], dict[str, list[str]]]:
    """Deal the blocks once: the part of each, the windows that stay, the classes that a part lacks."""
    part_of_block = _deal(int(block_of[-1]) + 1, proportions, rng)
    part = part_of_block[block_of]
    kept = _separate(windows, order, part, gap)
    return part_of_block, kept, _absent(windows, order, part, kept, proportions)


def _badness(absent: Mapping[str, list[str]]) -> tuple[bool, int, int]:
    """Order assignments: a class missing from training is worst, then parts that lack one, then how many."""
    return "train" in absent, len(absent), sum(map(len, absent.values()))


def _separate(windows: Windows, order: NDArray[np.int64], part: NDArray[np.int64], gap: float) -> NDArray[np.bool_]:
    """Return which of the windows (in order of time) stay so that no two parts come closer than the gap.

    All windows have one length, so they end in the order in which they start, and a conflict between any two
    windows implies one between neighbors: it is enough to look at the last window that stays.
    """
    starts, times, stops = windows.starts[order], windows.times[order], windows.stops[order]
    count = np.bincount(part, minlength=len(PARTS))
    keep = np.ones(len(order), dtype=np.bool_)
    stack: list[int] = []
    for k in range(len(order)):
        while stack and part[stack[-1]] != part[k]:
            last = stack[-1]
            apart = starts[k] - starts[last] >= windows.span
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
    return keep


def _distance(windows: Windows, chosen: NDArray[np.int64], part: NDArray[np.int64], gap: float) -> float:
    """Return the smallest distance between windows of different parts (in order of time), at least the gap."""
    change = np.flatnonzero(part[1:] != part[:-1])
    if not len(change):
        return float("inf")
    left, right = chosen[change], chosen[change + 1]
    distance = windows.times[right] - windows.stops[left]
    overlap = windows.starts[right] - windows.starts[left] < windows.span
    if overlap.any() or distance.min() < gap - TOLERANCE / windows.rate:
        worst = int(np.argmin(distance))
        raise DataError(
            f"expected {gap:g} s between windows of different parts, got {distance[worst]:g} s between "
            f"{PARTS[part[change[worst]]]} and {PARTS[part[change[worst] + 1]]} at {windows.times[right[worst]]:g} s; "
            "split the windows anew"
        )
    return float(np.round(distance.min(), 9))


def _absent(
    windows: Windows,
    order: NDArray[np.int64],
    part: NDArray[np.int64],
    kept: NDArray[np.bool_],
    proportions: NDArray[np.float64],
) -> dict[str, list[str]]:
    """Return the classes that a part has not; a part without any window is listed too."""
    absent: dict[str, list[str]] = {}
    for p in np.flatnonzero(proportions):
        indices = order[kept & (part == p)]
        counts = _counts(windows, indices)
        if not len(indices) or 0 in counts.values():
            absent[PARTS[p]] = [name for name, count in counts.items() if not count]
    return absent


def _counts(windows: Windows, indices: NDArray[np.int64]) -> dict[str, int]:
    if windows.labels is None:
        return {}
    counts = np.bincount(windows.labels[indices], minlength=len(windows.classes))
    return dict(zip(windows.classes, counts.tolist(), strict=True))


def _complain(windows: Windows, absent: Mapping[str, list[str]]) -> None:
    """Say which classes are not in which part: an error where nothing could be learned or evaluated, else a warning."""
    import warnings

    remedy = "choose more blocks, a smaller gap, or shorter windows"
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
            stacklevel=3,
        )


def _describe(
    windows: Windows,
    order: NDArray[np.int64],
    block_of: NDArray[np.int64],
    part_of_block: NDArray[np.int64],
    kept: NDArray[np.bool_],
    gap: float,
    seed: int,
) -> Split:
    """Gather what was decided, in the numbering of the windows."""
    part = part_of_block[block_of]
    indices = {name: order[kept & (part == p)] for p, name in enumerate(PARTS)}
    dropped = {name: int(np.count_nonzero(~kept & (part == p))) for p, name in enumerate(PARTS)}
    block = np.empty(len(order), dtype=np.int64)
    block[order] = block_of
    times, stops = windows.times[order], windows.stops[order]
    edges = np.searchsorted(block_of, np.arange(len(part_of_block) + 1))
    blocks = tuple(
        Block(float(times[first]), float(stops[last - 1]), PARTS[p])
        for first, last, p in zip(edges[:-1], edges[1:], part_of_block, strict=True)
    )
    return Split(
        **indices, gap=gap, blocks=blocks, block=block, dropped=dropped, seed=seed, windows=_fingerprint(windows)
    )


def _fingerprint(windows: Windows) -> str:
    digest = hashlib.sha256(f"{windows.length} {windows.horizon} {windows.classes}".encode())
    digest.update(np.ascontiguousarray(windows.starts).tobytes())
    if windows.labels is not None:
        digest.update(np.ascontiguousarray(windows.labels).tobytes())
    return digest.hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
