"""Splits by what is independent: whole subjects, sessions, files, trials, or groups of a column, to one part each.

Windows of one session share its electrodes, gains and drift. Where a session has windows in two parts, a net may
name the class by the session it recognizes; where whole sessions are held out, it cannot.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sciml.data.splits.parts import (
    PARTS,
    absent_classes,
    check_proportions,
    complain,
    files_of,
    separate,
    unit_numbers,
)
from sciml.data.splits.split import Split, make_split
from sciml.data.windows import Windows
from sciml.errors import DataError

__all__ = ["apart", "check_groups", "deal_units", "split_by_unit", "unit_counts"]

DRAWS = 100  # assignments of units, of which the best is taken
WHOLE = ("subject", "session", "file", "trial")  # units that are independent, be they of one window
STEPS = 20_000  # of dealing one unit, all assignments together


def split_by_unit(
    windows: Windows,
    unit: str,
    *,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    gap: float = 0.0,
    seed: int,
) -> Split:
    """Deal whole units to train, validation and test, with every class in every part where that is possible.

    Of up to 100 random assignments the one is taken whose parts lack fewest classes and are nearest to their shares,
    class by class. Units of one file may be neighbors in time: windows closer than `gap` to one of another part of
    the same file, or that overlap it, are dropped.

    Parameters
    ----------
    windows
        The windows, in any order.
    unit
        A key of `windows.units`: "subject", "session", "file", "trial", or a column of the events table.
    fractions
        Shares of train, validation and test; sum one. Validation or test may be 0.
    gap
        Seconds between windows of different parts in one file.
    seed
        Seed of the assignments.

    Raises
    ------
    ConfigError
        No such unit, fractions that do not sum to one, or a negative gap.
    DataError
        Fewer units than parts, a column with another value for each window, or a class that is not in the train part.

    Warns
    -----
    ScimlWarning
        A class that the validation or test part does not have.

    Examples
    --------
    >>> import xarray as xr
    >>> from dataclasses import replace
    >>> from sciml.data import sliding_windows
    >>> wave = xr.DataArray(np.zeros(120), dims="time", attrs={"sampling_rate": 1.0})
    >>> windows = sliding_windows(wave, length=2, step=2)
    >>> windows = replace(windows, units={"session": np.repeat(list("abcdef"), 10)})
    >>> split_by_unit(windows, "session", seed=0).independence()
    'unit of independence: session, n = 6'
    """
    proportions = check_proportions(fractions, gap)
    unit_of, names = unit_numbers(windows, unit)
    wanted = int(np.count_nonzero(proportions))
    if len(names) < wanted:
        raise DataError(
            f"expected at least {wanted} units ({unit}) for {wanted} parts, got {len(names)} ({', '.join(names[:5])}); "
            "split by a finer unit, or by time"
        )
    check_groups(windows, unit, names)
    part_of_unit = deal_units(unit_counts(windows, unit_of), proportions, np.random.default_rng(seed))
    kept = apart(windows, unit_of, part_of_unit, gap)
    split = make_split(windows, unit_of, part_of_unit, kept, gap=gap, seed=seed, unit=unit, names=names)
    absent = absent_classes(windows, {PARTS[p]: split.parts[PARTS[p]] for p in np.flatnonzero(proportions)})
    complain(windows, absent, f"each class needs as many units ({unit}) as there are parts: split by a finer one")
    return split


def check_groups(windows: Windows, unit: str, names: tuple[str, ...]) -> None:
    """Refuse a column that has another value for each window: to split by it is to deal windows at random."""
    if len(names) == len(windows) and unit not in WHOLE:
        raise DataError(
            f"expected groups of windows in {unit!r}, got another value for each of {len(windows)} windows: splitting "
            "by it deals them one by one, neighbors in time into different parts; choose a column of groups, or "
            "split.by = 'auto'"
        )


def unit_counts(windows: Windows, unit_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many windows of each class each unit has, shape (n_units, n_classes); one class without labels."""
    labels = np.zeros(len(windows), dtype=np.int64) if windows.labels is None else windows.labels
    counts = np.zeros((int(unit_of.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(counts, (unit_of, labels), 1)
    return counts


def apart(
    windows: Windows, unit_of: NDArray[np.int64], part_of_unit: NDArray[np.int64], gap: float
) -> NDArray[np.bool_]:
    """Return which windows stay so that no two parts of a file overlap or are closer than the gap, shape (n,)."""
    order, part = np.argsort(windows.starts, kind="stable"), part_of_unit[unit_of]
    kept = np.ones(len(order), dtype=np.bool_)
    files = files_of(windows)
    shared = np.array([len(np.unique(part[files == file])) > 1 for file in range(int(files.max()) + 1)])
    if shared.any():
        kept[order] = separate(windows, order, part[order], gap)
    return kept


def deal_units(
    counts: NDArray[np.int64], proportions: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the part of each unit, whole units only.

    Parameters
    ----------
    counts
        Windows of each class in each unit, shape (n_units, n_classes).
    proportions
        Share of each part; the first is served first where units are few.
    """
    sizes = counts / np.maximum(counts.sum(axis=0), 1)
    draws = max(1, min(DRAWS, STEPS // len(counts)))
    dealt = [_deal_once(sizes, proportions, rng) for _ in range(draws)]
    return min(dealt, key=lambda part_of_unit: _badness(sizes, part_of_unit, proportions))


def _deal_once(
    sizes: NDArray[np.float64], proportions: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give each part a unit of each class, the rarest class first; then each other unit to who misses it most."""
    part_of_unit = np.full(len(sizes), -1, dtype=np.int64)
    shares = np.zeros((len(proportions), sizes.shape[1]))
    wanted = np.flatnonzero(proportions)
    for c in np.argsort((sizes > 0).sum(axis=0), kind="stable"):
        for p in (wanted[0], *rng.permutation(wanted[1:])):
            free = np.flatnonzero((part_of_unit < 0) & (sizes[:, c] > 0))
            if shares[p, c] == 0 and len(free):
                _give(part_of_unit, shares, sizes, int(rng.choice(free)), p)
    rest = rng.permutation(np.flatnonzero(part_of_unit < 0))
    for u in rest[np.argsort(-sizes[rest].sum(axis=1), kind="stable")]:
        missing = (proportions[:, None] - shares)[wanted]
        _give(part_of_unit, shares, sizes, int(u), wanted[np.argmax(missing @ sizes[u])])
    return part_of_unit


def _give(
    part_of_unit: NDArray[np.int64], shares: NDArray[np.float64], sizes: NDArray[np.float64], unit: int, part: int
) -> None:
    part_of_unit[unit] = part
    shares[part] += sizes[unit]


def _badness(
    sizes: NDArray[np.float64], part_of_unit: NDArray[np.int64], proportions: NDArray[np.float64]
) -> tuple[bool, int, float]:
    """Order assignments: a class missing from the first part is worst, then how many are missing, then the shares."""
    shares = np.zeros((len(proportions), sizes.shape[1]))
    np.add.at(shares, part_of_unit, sizes)
    missing = (shares == 0) & (proportions > 0)[:, None] & (sizes.sum(axis=0) > 0)
    return bool(missing[0].any()), int(missing.sum()), float(((shares - proportions[:, None]) ** 2).sum())
