"""Folds: each unit of independence is tested once, by a net that learned from none of its windows."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sciml.data.splits.by_time import REMEDY, deal_rounds, first_complete, time_blocks
from sciml.data.splits.by_unit import apart, check_groups, deal_units, unit_counts
from sciml.data.splits.choose import check_random, coarsest, default_gap, warn_of_coarser
from sciml.data.splits.parts import absent_classes, check_proportions, complain, unit_numbers
from sciml.data.splits.split import RANDOM, TIME_BLOCK, Split, make_split
from sciml.data.windows import Windows
from sciml.errors import ConfigError, DataError

__all__ = ["folds_by"]

MOST_FOLDS = 50
Deal = Callable[[NDArray[np.int64], NDArray[np.float64]], NDArray[np.int64]]  # chosen units, shares -> their parts


def folds_by(
    windows: Windows,
    by: str = "auto",
    *,
    n_folds: int,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    gap: float | None = None,
    n_blocks: int | None = None,
    allow_leakage: bool = False,
    seed: int,
) -> tuple[Split, ...]:
    """Split windows several times by the unit of independence, so that each unit is in the test part once.

    Units are dealt into `n_folds` groups with every class in each where possible. In each fold one group is the test
    part; the others are dealt to train and validation, whose shares have the ratio that `fractions` gives them.

    Parameters
    ----------
    windows, by, fractions, gap, n_blocks, allow_leakage, seed
        As in `split_by`.
    n_folds
        From 2 to 50.

    Raises
    ------
    ConfigError, DataError
        As `split_by`; fewer units than folds.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.data import sliding_windows
    >>> wave = xr.DataArray(np.zeros(600), dims="time", attrs={"sampling_rate": 1.0})
    >>> folds = folds_by(sliding_windows(wave, length=2, step=2), n_folds=5, gap=0, seed=0)
    >>> sorted(np.concatenate([fold.test for fold in folds])) == list(range(300))
    True
    """
    check_random(by, allow_leakage=allow_leakage)
    if not 2 <= n_folds <= MOST_FOLDS:
        raise ConfigError(f"expected from 2 to {MOST_FOLDS} folds, got {n_folds}")
    unit = coarsest(windows, fractions, least=max(3, n_folds)) if by == "auto" else by
    gap = 0.0 if unit == "random" else default_gap(windows, unit, gap)
    shares = check_proportions(fractions, gap)[:2]
    unit_of, names = _units(windows, unit, n_folds, gap, n_blocks)
    deal = _dealer(windows, unit, unit_of, np.random.default_rng(seed))
    group = deal(np.arange(int(unit_of.max()) + 1), np.full(n_folds, 1 / n_folds))
    folds = tuple(
        _fold(windows, (unit, unit_of, names), group == k, shares / shares.sum(), deal, gap=gap, seed=seed)
        for k in range(n_folds)
    )
    warn_of_coarser(windows, folds)
    return folds


def _units(
    windows: Windows, unit: str, n_folds: int, gap: float, n_blocks: int | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the unit of each window, and the names of the units; there are as many as folds, and three, at least."""
    least = max(3, n_folds)
    if unit == "random":
        return np.arange(len(windows)), ()
    if unit == "time":
        return time_blocks(windows, np.full(least, 1 / least), gap, n_blocks), ()
    unit_of, names = unit_numbers(windows, unit)
    if len(names) < least:
        raise DataError(
            f"expected at least {least} units ({unit}) for {n_folds} folds, got {len(names)} "
            f"({', '.join(names[:5])}); ask for fewer folds, or split by a finer unit"
        )
    check_groups(windows, unit, names)
    return unit_of, names


def _dealer(windows: Windows, unit: str, unit_of: NDArray[np.int64], rng: np.random.Generator) -> Deal:
    """Return how units are dealt: blocks of time in rounds, other units by their classes."""
    counts = unit_counts(windows, unit_of)
    if unit == "time":
        return lambda chosen, shares: deal_rounds(len(chosen), shares, rng)
    return lambda chosen, shares: deal_units(counts[chosen], shares, rng)


def _fold(
    windows: Windows,
    units: tuple[str, NDArray[np.int64], tuple[str, ...]],
    tested: NDArray[np.bool_],
    shares: NDArray[np.float64],
    deal: Deal,
    *,
    gap: float,
    seed: int,
) -> Split:
    """Return the split that tests some units, and deals the others to train and validation."""
    unit, unit_of, names = units

    def parts() -> NDArray[np.int64]:
        part_of_unit = np.full(len(tested), 2, dtype=np.int64)
        part_of_unit[~tested] = deal(np.flatnonzero(~tested), shares)
        return part_of_unit

    if unit == "time":
        dealt = first_complete(windows, unit_of, parts, np.array([*shares, 0.0]), gap)
        part_of_unit, kept = dealt.part_of_unit, dealt.kept
    else:
        part_of_unit = parts()
        kept = np.ones(len(windows), np.bool_) if unit == "random" else apart(windows, unit_of, part_of_unit, gap)
    name = {"time": TIME_BLOCK, "random": RANDOM}.get(unit, unit)
    split = make_split(windows, unit_of, part_of_unit, kept, gap=gap, seed=seed, unit=name, names=names)
    _complain(windows, split, name)
    return split


def _complain(windows: Windows, split: Split, name: str) -> None:
    """Refuse a fold that cannot be learned from, or has nothing to test; a class may be missing from a test part."""
    absent = absent_classes(windows, {"train": split.train, "validation": split.validation})
    remedy = REMEDY if name == TIME_BLOCK else f"each class needs as many units ({name}) as there are parts"
    complain(windows, absent, f"{remedy}; or ask for fewer folds")
    if not len(split.test):
        complain(windows, {"test": []}, remedy)
