"""Splits by time: contiguous blocks to train, validation and test, with a gap between windows of different parts.

Neighboring samples of a recording resemble each other, so windows drawn at random into parts would let a net
recognize the moment instead of the signal. The time block is the unit of independence here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sciml.data.splits.parts import PARTS, absent_classes, check_proportions, complain, files_of, separate
from sciml.data.splits.split import TIME_BLOCK, Split, make_split
from sciml.data.windows import Windows
from sciml.errors import ConfigError, DataError

__all__ = ["deal_rounds", "split_by_time", "time_blocks"]

MOST = 30  # blocks of a file, where nothing was asked for
DRAWS = 100  # assignments of blocks until each part has each class
REMEDY = "choose more blocks, a smaller gap, or shorter windows"


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
    sees the whole session. A window closer than `gap` to a window of another part of its file is dropped, from the
    part that has most windows at that moment. Of up to 100 assignments the first
    with every class in every part is taken, else the one that lacks least. No block reaches over two files.

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
        Number of blocks. Default: as many as fit with eight windows and gaps in each, at most 30 in a file.
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
    proportions = check_proportions(fractions, gap)
    block_of = time_blocks(windows, proportions, gap, n_blocks)
    rng, n = np.random.default_rng(seed), int(block_of.max()) + 1
    best = first_complete(windows, block_of, lambda: deal_rounds(n, proportions, rng), proportions, gap)
    complain(windows, best.absent, REMEDY)
    return make_split(windows, block_of, best.part_of_unit, best.kept, gap=gap, seed=seed, unit=TIME_BLOCK)


@dataclass(frozen=True, eq=False)
class Dealt:
    """The part of each unit, which windows stay, and the classes that a part lacks."""

    part_of_unit: NDArray[np.int64]
    kept: NDArray[np.bool_]
    absent: dict[str, list[str]]

    @property
    def badness(self) -> tuple[bool, int, int]:
        """Order assignments: a class missing from training is worst, then parts that lack one, then how many."""
        return "train" in self.absent, len(self.absent), sum(map(len, self.absent.values()))


def first_complete(
    windows: Windows,
    unit_of: NDArray[np.int64],
    deal: Callable[[], NDArray[np.int64]],
    proportions: NDArray[np.float64],
    gap: float,
) -> Dealt:
    """Deal until each part has each class, at most 100 times; else return what lacks least."""
    best = _deal_once(windows, unit_of, deal(), proportions, gap)
    for _ in range(DRAWS - 1):
        if not best.absent:
            break
        best = min(best, _deal_once(windows, unit_of, deal(), proportions, gap), key=lambda dealt: dealt.badness)
    return best


def _deal_once(
    windows: Windows,
    unit_of: NDArray[np.int64],
    part_of_unit: NDArray[np.int64],
    proportions: NDArray[np.float64],
    gap: float,
) -> Dealt:
    order = np.argsort(windows.starts, kind="stable")
    part = part_of_unit[unit_of]
    kept = np.empty(len(order), dtype=np.bool_)
    kept[order] = separate(windows, order, part[order], gap)
    wanted = {PARTS[p]: np.flatnonzero(kept & (part == p)) for p in np.flatnonzero(proportions)}
    return Dealt(part_of_unit, kept, absent_classes(windows, wanted))


def time_blocks(
    windows: Windows, proportions: NDArray[np.float64], gap: float, n_blocks: int | None
) -> NDArray[np.int64]:
    """Return the number of the block of each window, shape (n,): equally many windows a block, files apart."""
    order = np.argsort(windows.starts, kind="stable")
    changes = np.flatnonzero(np.diff(files_of(windows)[order])) + 1
    runs = np.split(order, changes)  # files, one after the other
    _check_count(windows, proportions, n_blocks)
    block_of, done = np.empty(len(order), dtype=np.int64), 0
    for rows in runs:
        if n_blocks is None:
            n = min(_fitting(windows, rows, proportions, gap), len(rows))
        else:
            n = n_blocks if len(runs) == 1 else min(max(1, round(n_blocks * len(rows) / len(order))), len(rows))
        block_of[rows] = done + np.arange(len(rows)) * n // len(rows)
        done += n
    return block_of


def _check_count(windows: Windows, proportions: NDArray[np.float64], n_blocks: int | None) -> None:
    """Refuse fewer windows, or blocks, than the parts need."""
    parts = int(np.count_nonzero(proportions))
    if len(windows) < 2 * parts:
        raise DataError(
            f"expected at least {2 * parts} windows for {parts} parts, got {len(windows)}; "
            "cut more windows: shorter ones, or a smaller step"
        )
    if n_blocks is not None and not parts <= n_blocks <= len(windows):
        raise ConfigError(
            f"expected n_blocks from {parts} (parts) to {len(windows)} (windows), got {n_blocks}; choose between"
        )


def _fitting(windows: Windows, rows: NDArray[np.int64], proportions: NDArray[np.float64], gap: float) -> int:
    """Return the number of blocks of the windows of a file: a whole number of rounds, of eight windows and more."""
    width = 8 * (windows.span / windows.rate + gap)
    duration = float(windows.stops[rows].max() - windows.times[rows].min())
    fitting = int(min(MOST, duration / width, len(rows) / 2))
    a_round = max(Fraction(float(each)).limit_denominator(10).denominator for each in proportions)
    parts = int(np.count_nonzero(proportions))
    return max(fitting // a_round * a_round, min(a_round, len(rows) // 2), parts)


def deal_rounds(n_units: int, proportions: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the part of each unit: in each round the parts come in random order, each in its proportion."""
    counts = np.floor(proportions * n_units + 1e-9).astype(np.int64)
    counts = np.maximum(counts, proportions > 0)
    while counts.sum() != n_units:  # hand out (or take back) what rounding left, where it is missed most
        excess = counts - proportions * n_units
        missed = -excess if counts.sum() < n_units else np.where(counts > 1, excess, -np.inf)
        counts[np.argmax(missed)] += np.sign(n_units - counts.sum())
    rounds = int(counts[counts > 0].min())
    part = []
    for k in range(rounds):
        quota = (counts * (k + 1)) // rounds - (counts * k) // rounds
        part += [np.repeat(p, quota[p]) for p in rng.permutation(len(proportions))]
    return np.concatenate(part)
