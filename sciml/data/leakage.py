"""What may let a net score without learning: units in two parts, near neighbors, equal windows, sessions recognized."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.data.splits import Split, nearest_parts, shared_units, unit_numbers
from sciml.data.splits.by_unit import deal_units, unit_counts
from sciml.data.splits.choose import COARSE
from sciml.data.windows import Windows
from sciml.errors import ScimlError
from sciml.wording import percent

__all__ = ["Leakage", "SessionTest", "find_leakage", "session_test"]

MOST_FOLDS = 5
MOST_WINDOWS = 3000  # that the session test learns from, spread evenly
DROP = 0.1  # of accuracy with whole sessions held out, beyond which it is said
INFORMED = 0.05  # of windows whose class is told by their session alone, beyond which it may pass for recognition
Part = tuple[AnyArray, NDArray[Any]]
Classify = Callable[[Part, Part, Part], NDArray[Any]]  # train, validation, test -> labels of the test windows


@dataclass(frozen=True)
class SessionTest:
    """The accuracy of a baseline on the split that is used, and with whole sessions held out.

    Attributes
    ----------
    unit
        What was held out: "session", or the coarsest unit that shares parts.
    on_split, held_out
        Accuracies of the same baseline; NaN where it is not testable.
    n, n_units
        Windows that were told with their session held out, and sessions.
    by_unit
        How many more windows of 1 are told by naming the most frequent class of their session than of all sessions.
    note
        Why it is not testable; empty if it is.
    """

    unit: str
    on_split: float = float("nan")
    held_out: float = float("nan")
    n: int = 0
    n_units: int = 0
    by_unit: float = 1.0
    note: str = ""

    @property
    def falls(self) -> bool:
        """Whether the accuracy falls by more than .1, and two standard errors of it, where sessions are held out."""
        if self.note:
            return False
        error = np.sqrt(self.on_split * (1 - self.on_split) / self.n + self.held_out * (1 - self.held_out) / self.n)
        return bool(self.on_split - self.held_out > max(DROP, 2 * error))

    @property
    def alarm(self) -> bool:
        """Whether it falls where who recognizes a session knows more of the class than without it."""
        return self.falls and self.by_unit > INFORMED

    def summary(self) -> str:
        """Return both accuracies in a sentence.

        Examples
        --------
        >>> SessionTest("session", 0.98, 0.45, 180, 6).summary()
        'covariances tell the class of 98 % of windows on this split, of 45 % with whole sessions held out (n = 6)'
        """
        if self.note:
            return self.note
        return (
            f"covariances tell the class of {percent(self.on_split)} of windows on this split, of "
            f"{percent(self.held_out)} with whole {self.unit}s held out (n = {self.n_units})"
        )

    def finding(self) -> str:
        """Return what follows from it, in a sentence; empty where the accuracy does not fall."""
        if self.alarm:
            return f"{self.summary()}: a net may recognize the {self.unit} instead of the class"
        return f"{self.summary()}: scores hold for these {self.unit}s, not for new ones" if self.falls else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and whether there is an alarm."""
        return {**vars(self), "alarm": self.alarm, "summary": self.finding() or self.summary()}


@dataclass(frozen=True)
class Leakage:
    """What was found on the windows of a split, or of folds.

    Attributes
    ----------
    units
        For each kind of unit, how many have windows in two parts, and how many there are.
    nearest
        Least time in seconds between windows of different parts in one file, infinite if none are near.
    nearest_at
        Their parts, and where: file and time.
    equal
        Windows of validation or test whose samples equal those of a train window, and the first such pair.
    random
        Whether windows were dealt one by one.
    session
        The session test, where sessions share parts and windows have classes.
    """

    units: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    nearest: float = float("inf")
    nearest_at: str = ""
    equal: int = 0
    equal_pair: tuple[int, ...] = ()
    random: bool = False
    session: SessionTest | None = None

    @property
    def alarms(self) -> tuple[str, ...]:
        """What makes the scores doubtful, in sentences."""
        found = []
        if self.random:
            found.append("windows were dealt at random (allow_leakage): neighbors in time are in different parts")
        if self.equal:
            found.append(
                f"{self.equal} windows of validation or test equal a train window sample by sample (the first are "
                f"windows {self.equal_pair[0]} and {self.equal_pair[1]}): the same data twice, or constant ones"
            )
        if self.session is not None and self.session.alarm:
            found.append(self.session.finding())
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the alarms are sentences.

        Examples
        --------
        >>> Leakage(random=True).to_dict()["alarms"]
        ['windows were dealt at random (allow_leakage): neighbors in time are in different parts']
        """
        session = None if self.session is None else self.session.to_dict()
        units = {kind: {"in two parts": shared, "n": n} for kind, (shared, n) in self.units.items()}
        return {**vars(self), "units": units, "session": session, "alarms": list(self.alarms)}


def find_leakage(windows: Windows, splits: Sequence[Split], hashes: Sequence[str] = ()) -> Leakage:
    """Look for units in two parts, the nearest windows of different parts, and equal windows.

    Parameters
    ----------
    windows, splits
        The windows, and one split or the folds.
    hashes
        Of the samples of each window (`sciml.data.identity.hash_items`); without them equal windows are not found.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.data import sliding_windows, split_by_time
    >>> from sciml.data.identity import hash_items
    >>> wave = xr.DataArray(np.arange(600.0) % 60, dims="time", attrs={"sampling_rate": 1.0})
    >>> windows = sliding_windows(wave, length=2, step=2)
    >>> found = find_leakage(windows, [split_by_time(windows, seed=0)], hash_items(windows).samples)
    >>> found.nearest, found.equal > 0
    (2.0, True)
    """
    nearest = min((nearest_parts(windows, split.parts) for split in splits), key=lambda each: each.seconds)
    equal = [_equal(split, hashes) for split in splits] if len(hashes) else []
    return Leakage(
        units=shared_units(windows, splits),
        nearest=nearest.seconds,
        nearest_at=" and ".join(nearest.parts) + _place(windows, nearest.windows[1]) if nearest.windows else "",
        equal=len({pair[0] for pairs in equal for pair in pairs}),
        equal_pair=next((pairs[0] for pairs in equal if pairs), ()),
        random=any(split.leaks for split in splits),
    )


def _place(windows: Windows, index: int) -> str:
    file = f" of {windows.units['file'][index]}" if "file" in windows.units else ""
    return f" at {windows.times[index]:g} s{file}"


def _equal(split: Split, hashes: Sequence[str]) -> list[tuple[int, int]]:
    """Return windows of validation or test, each with a train window of the same samples."""
    known = {hashes[k]: k for k in reversed(split.train.tolist())}
    held_out = np.concatenate([split.validation, split.test]).tolist()
    return [(k, known[hashes[k]]) for k in held_out if hashes[k] in known]


def session_test(
    windows: Windows, splits: Sequence[Split], classify: Classify, *, on_split: float, seed: int
) -> SessionTest | None:
    """Return the accuracy of a baseline with whole sessions held out, next to that on the split that is used.

    Where sessions have windows in two parts, a class that is bound to sessions can be told by what tells the sessions
    apart. The same baseline, tested on sessions that it did not learn from, shows how much of its score that was.

    Parameters
    ----------
    windows, splits
        Windows with classes, and one split or the folds.
    classify
        Returns the labels that the baseline gives to the windows of its third part, each part a pair (X, y).
    on_split
        Accuracy of that baseline on the test part of the split that is used.
    seed
        Of the folds of sessions.

    Returns
    -------
    SessionTest or None
        None where no session has windows in two parts, or there is but one.
    """
    unit = _shared_unit(windows, splits)
    if unit is None or windows.labels is None:
        return None
    unit_of, names = unit_numbers(windows, unit)
    counts = unit_counts(windows, unit_of)
    units_of_class = (counts > 0).sum(axis=0)
    if units_of_class.min() < 2:
        alone = ", ".join(windows.classes[c] for c in np.flatnonzero(units_of_class < 2))
        note = f"not testable: class {alone} has one {unit}, and cannot be told from what is peculiar to it"
        return SessionTest(unit, on_split, n_units=len(names), note=note)
    rng, n_folds = np.random.default_rng(seed), min(MOST_FOLDS, int(units_of_class.min()))
    fold_of = deal_units(counts, np.full(n_folds, 1 / n_folds), rng)
    rows = np.unique(np.linspace(0, len(windows) - 1, min(len(windows), MOST_WINDOWS)).astype(np.int64))
    right = [_right(windows, unit_of, counts, rows, fold_of == k, classify, rng) for k in range(n_folds)]
    n, told = len(rows), sum(right)
    by_unit = float((counts.max(axis=1).sum() - counts.sum(axis=0).max()) / counts.sum())
    return SessionTest(unit, on_split, told / n, n, len(names), by_unit)


def _shared_unit(windows: Windows, splits: Sequence[Split]) -> str | None:
    """Return the coarsest unit of which there are several, some in two parts."""
    try:
        found = shared_units(windows, splits)
    except ScimlError:  # not every window has one
        return None
    return next((unit for unit in COARSE if unit in found and found[unit][0] and found[unit][1] > 1), None)


def _right(
    windows: Windows,
    unit_of: NDArray[np.int64],
    counts: NDArray[np.int64],
    rows: NDArray[np.int64],
    tested: NDArray[np.bool_],
    classify: Classify,
    rng: np.random.Generator,
) -> int:
    """Return how many windows of the units that are tested are told by a baseline that learned from the others."""
    test, rest = rows[tested[unit_of[rows]]], rows[~tested[unit_of[rows]]]
    chosen = np.zeros(len(rest), dtype=np.bool_)
    if ((counts[~tested] > 0).sum(axis=0) >= 2).all():  # a unit of each class for validation too
        part_of_unit = np.zeros(len(tested), dtype=np.int64)
        part_of_unit[~tested] = deal_units(counts[~tested], np.array([0.75, 0.25]), rng)
        chosen = part_of_unit[unit_of[rest]] == 1
    else:
        chosen[::4] = True
    parts = [_arrays(windows, each) for each in (rest[~chosen], rest[chosen], test)]
    return int(np.count_nonzero(classify(*parts) == parts[2][1])) if len(test) else 0


def _arrays(windows: Windows, indices: NDArray[np.int64]) -> Part:
    X, y = windows.arrays(indices)
    return X, np.asarray(y)
