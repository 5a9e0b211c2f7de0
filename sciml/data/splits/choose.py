"""Which unit to split by: the coarsest that fills the parts with every class, or what was asked for."""

import warnings
from collections.abc import Sequence

import numpy as np

from sciml.data.splits.by_time import split_by_time
from sciml.data.splits.by_unit import deal_units, split_by_unit, unit_counts
from sciml.data.splits.parts import PARTS, absent_classes, check_proportions, complain, unit_numbers
from sciml.data.splits.split import RANDOM, Split, make_split
from sciml.data.windows import Windows
from sciml.errors import ConfigError, DataError, ScimlWarning

__all__ = ["COARSE", "check_random", "coarsest", "default_gap", "shared_units", "split_by", "warn_of_coarser"]

COARSE = ("subject", "session", "file")  # what `auto` takes before time, the coarsest first


def split_by(
    windows: Windows,
    by: str = "auto",
    *,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    gap: float | None = None,
    n_blocks: int | None = None,
    allow_leakage: bool = False,
    seed: int,
) -> Split:
    """Split windows by the unit of independence.

    Parameters
    ----------
    windows
        The windows, in any order.
    by
        "auto": the coarsest of subject, session and file that fills the parts with every class, else blocks of time.
        "time", or a key of `windows.units`; or "random", which deals windows one by one.
    fractions
        Shares of train, validation and test.
    gap
        Seconds between windows of different parts in one file. Default: the length of a window, its horizon included;
        0 for trials and columns, which are taken as independent.
    n_blocks
        Number of blocks of time, if time is the unit.
    allow_leakage
        Without it "random" is refused: neighbors in time are alike, and a net that knows one names the other.
    seed
        Seed of the assignment.

    Raises
    ------
    ConfigError
        An unknown unit, or "random" without `allow_leakage`.
    DataError
        Too few units or windows, or a class that the train part does not have.

    Warns
    -----
    ScimlWarning
        A unit that is finer than one that is known: what this cannot exclude.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.data import sliding_windows
    >>> wave = xr.DataArray(np.zeros(600), dims="time", attrs={"sampling_rate": 1.0})
    >>> split_by(sliding_windows(wave, length=2, step=2), seed=0).unit
    'time block'
    """
    check_random(by, allow_leakage=allow_leakage)
    unit = coarsest(windows, fractions) if by == "auto" else by
    if unit == "random":
        split = _at_random(windows, fractions, seed)
    elif unit == "time":
        split = split_by_time(windows, fractions=fractions, gap=gap, n_blocks=n_blocks, seed=seed)
    else:
        split = split_by_unit(windows, unit, fractions=fractions, gap=default_gap(windows, unit, gap), seed=seed)
    warn_of_coarser(windows, [split])
    return split


def shared_units(windows: Windows, splits: Sequence[Split]) -> dict[str, tuple[int, int]]:
    """Return for each kind of unit how many units have windows in two parts of a split, and how many there are.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.data import sliding_windows
    >>> wave = xr.DataArray(np.zeros(600), dims="time", attrs={"sampling_rate": 1.0})
    >>> windows = sliding_windows(wave, length=2, step=2)
    >>> from dataclasses import replace
    >>> windows = replace(windows, units={"session": np.repeat(["a", "b"], 150)})
    >>> shared_units(windows, [split_by_time(windows, seed=0)])
    {'session': (2, 2)}
    """
    found = {}
    for kind in windows.units:
        unit_of, names = unit_numbers(windows, kind)
        in_two = np.zeros(len(names), dtype=np.bool_)
        for split in splits:
            parts = np.zeros((len(PARTS), len(names)), dtype=np.bool_)
            for p, indices in enumerate(split.parts.values()):
                parts[p, unit_of[indices]] = True
            in_two |= parts.sum(axis=0) > 1
        found[kind] = (int(in_two.sum()), len(names))
    return found


def check_random(by: str, *, allow_leakage: bool) -> None:
    """Refuse windows dealt one by one, unless that was allowed in so many words."""
    if by == "random" and not allow_leakage:
        raise ConfigError(
            "split.by = 'random' puts neighbors in time into different parts, where a net that knows one names the "
            "other; set split.allow_leakage = true to do it all the same, or split by 'auto'"
        )


def default_gap(windows: Windows, unit: str, gap: float | None) -> float:
    """Return the gap in seconds: what was asked for, else a window, but none between trials and the like."""
    if gap is not None:
        return float(gap)
    return windows.span / windows.rate if unit in (*COARSE, "time") else 0.0


def coarsest(windows: Windows, fractions: Sequence[float], least: int = 3) -> str:
    """Return the coarsest unit that fills all parts with every class, else time."""
    proportions = check_proportions(fractions, 0.0)
    for unit in COARSE:
        if unit not in windows.units:
            continue
        try:
            unit_of, names = unit_numbers(windows, unit)
        except DataError:  # not every window has one
            continue
        if len(names) >= least:
            part = deal_units(unit_counts(windows, unit_of), proportions, np.random.default_rng(0))[unit_of]
            parts = {PARTS[p]: np.flatnonzero(part == p) for p in np.flatnonzero(proportions)}
            if not absent_classes(windows, parts):
                return unit
    return "time"


def _at_random(windows: Windows, fractions: Sequence[float], seed: int) -> Split:
    """Deal windows one by one: what this lets through is the reader's to know."""
    proportions, each = check_proportions(fractions, 0.0), np.arange(len(windows))
    part = deal_units(unit_counts(windows, each), proportions, np.random.default_rng(seed))
    everything = np.ones(len(windows), dtype=np.bool_)
    split = make_split(windows, each, part, everything, gap=0.0, seed=seed, unit=RANDOM)
    complain(windows, absent_classes(windows, split.parts), "cut more windows")
    return split


def warn_of_coarser(windows: Windows, splits: Sequence[Split]) -> None:
    """Warn where what windows have in common within a coarser unit can pass for their class."""
    found = shared_units(windows, splits)
    kind = next((kind for kind in COARSE if kind in found and found[kind][0] and found[kind][1] > 1), None)
    if kind is None:
        return
    shared, n = found[kind]
    passes = "can pass for its class: the scores hold" if windows.labels is not None else "was learned: the scores hold"
    warnings.warn(
        f"split by {splits[0].unit}: {shared} of {n} {kind}s have windows in more than one part. What tells one {kind} "
        f"from another (electrodes, gains, drift) {passes} for these {kind}s, not for new ones",
        ScimlWarning,
        stacklevel=3,
    )
