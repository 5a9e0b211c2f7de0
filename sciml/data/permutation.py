"""Permutation tests at the unit of independence: which labels could as well have been exchanged, and are they told.

What windows of one session have in common (electrodes, gains, drift) lets a net name the session. That is no
recognition of the class, so labels are exchanged in a way that keeps it out of the comparison:

- a unit (subject, session, file) whose windows are all of one class keeps them: whole units exchange labels;
- inside a unit of several classes, its windows exchange labels, never with those of other units;
- where labels follow each other in runs (longer than chance makes them), whole runs exchange labels, for a drift
  of the signal would be told from the run it falls into;
- a unit or run of one class with windows in the train or validation part is no evidence: who recognizes it, knows
  its label. It takes no part in the test.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciml.data.splits import Split, unit_numbers
from sciml.data.splits.split import TIME_BLOCK
from sciml.data.windows import Windows
from sciml.errors import DataError, ScimlError

__all__ = ["ALPHA", "Exchange", "PermutationTest", "exchangeable", "permutation_test"]

ALPHA = 0.05
LEVELS = ("subject", "session", "file")  # coarse to fine
CLUSTERED = -1.645  # standard deviations of the number of runs below what random order gives
AT_ONCE = 2**20  # labels drawn at a time


@dataclass(frozen=True)
class PermutationTest:
    """Probability that exchanged labels are told as well; NaN where too few can be exchanged, and `note` says why.

    Attributes
    ----------
    p_value
        (1 + k) / (1 + n) for k of n permutations that are told as well as the true labels.
    n_permutations
        How many were drawn; 0 where nothing is tested.
    n_units
        Units (sessions, runs, windows) whose labels were exchanged.
    note
        What was exchanged, or why that is not enough.
    """

    p_value: float
    n_permutations: int
    n_units: int
    note: str

    @property
    def above_chance(self) -> bool | None:
        """Whether p < .05; None where it is not testable."""
        return self.p_value < ALPHA if self.n_permutations else None


@dataclass(frozen=True, eq=False)
class Exchange:
    """Which labels of the test windows may be exchanged; windows of one `atom` keep one label.

    Attributes
    ----------
    cell
        Atoms exchange labels within a cell: its number, shape (n,).
    atom
        Number of the atom of each window, shape (n,); -1 where its label was known from training.
    n_folds
        Number of splits that the windows were tested in.
    words
        What an atom is, as "sessions".
    """

    cell: NDArray[np.int64]
    atom: NDArray[np.int64]
    n_folds: int
    words: str


def permutation_test(
    labels: ArrayLike, predicted: ArrayLike, exchange: Exchange, *, rng: np.random.Generator, n_permutations: int = 2000
) -> PermutationTest:
    r"""Test whether labels are told better than exchanged ones.

    .. math:: T = \sum_a \frac{1}{n_a} \sum_{i \in a} 1[\hat y_i = y_a]

    over the atoms a that exchange labels, each of n_a windows: each counts alike, so that to name always one class
    gives the same T whatever is exchanged. Of several folds T's distance from its mean must reach the square root of
    two times that of exchanged labels: a label is tested in one fold and trained on in the others, so each pair of
    units counts twice, which doubles the variance of T over what predictions that stay the same would have.

    Parameters
    ----------
    labels, predicted
        Classes of the test windows, shape (n,), in the order of `exchange`.
    exchange
        From `exchangeable`.
    rng
        Source of the permutations.
    n_permutations
        How many to draw.

    References
    ----------
    Phipson and Smyth (2010), doi:10.2202/1544-6115.1585, for (1 + k) / (1 + n). Winkler, Webster, Vidaurre, Nichols
    and Smith (2015), doi:10.1016/j.neuroimage.2015.05.092, for exchange within and of whole blocks. Noirhomme et al.
    (2014), doi:10.1016/j.nicl.2014.04.004, for folds, where fixed predictions are too sure.

    Examples
    --------
    >>> exchange = Exchange(np.zeros(40, int), np.arange(40), 1, "windows")
    >>> y = np.arange(40) % 2
    >>> permutation_test(y, y, exchange, rng=np.random.default_rng(0)).p_value < 0.001
    True
    >>> permutation_test(y[:4], y[:4], Exchange(*(each[:4] for each in (exchange.cell, exchange.atom)), 1, "windows"),
    ...                  rng=np.random.default_rng(0)).note
    'not testable: 4 windows allow 6 exchanges of labels, and p < 0.05 needs more than 20 exchanges: ...'
    """
    y, z = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if not len(y) == len(z) == len(exchange.atom):
        raise DataError(
            f"expected as many labels and predictions as windows, got {len(y)}, {len(z)}, {len(exchange.atom)}"
        )
    tables = list(_tables(y, z, exchange))
    n_atoms = sum(len(classes) for _, classes in tables)
    note = _why_not(tables, n_atoms, exchange)
    if note:
        return PermutationTest(float("nan"), 0, n_atoms, note)
    total = sum(float(_above_mean(told, classes).sum()) for told, classes in tables)
    drawn = sum(_permuted(told, classes, rng, n_permutations) for told, classes in tables)
    scale = np.sqrt(2.0) if exchange.n_folds > 1 else 1.0
    as_good = int(np.count_nonzero(scale * np.asarray(drawn) >= total - 1e-9))
    words = f"labels of {n_atoms} {exchange.words} exchanged"
    return PermutationTest((1 + as_good) / (1 + n_permutations), n_permutations, n_atoms, words)


def _tables(
    y: NDArray[np.int64], z: NDArray[np.int64], exchange: Exchange
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Yield for each cell how often each atom is called each class, (n_atoms, n_classes), and the atoms' own classes.

    A cell whose atoms are all of one class is left out: nothing can be exchanged there.
    """
    used = exchange.atom >= 0
    n_classes = int(max(y.max(), z.max())) + 1
    for cell in np.unique(exchange.cell[used]):
        rows = np.flatnonzero(used & (exchange.cell == cell))
        _, first, atom = np.unique(exchange.atom[rows], return_index=True, return_inverse=True)
        classes = y[rows[first]]
        if len(np.unique(classes)) < 2:
            continue
        told = np.zeros((len(first), n_classes))
        np.add.at(told, (atom, z[rows]), 1.0)
        yield told / np.bincount(atom)[:, None], classes


def _above_mean(told: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how often the atoms are called their class, minus the mean over all exchanges within the cell."""
    mean = told @ (np.bincount(classes, minlength=told.shape[1]) / len(classes))
    return np.asarray(told[np.arange(len(classes)), classes] - mean)


def _permuted(
    told: NDArray[np.float64], classes: NDArray[np.int64], rng: np.random.Generator, n: int
) -> NDArray[np.float64]:
    """Return the sum of `_above_mean` for n random exchanges of the classes."""
    mean = float((told @ (np.bincount(classes, minlength=told.shape[1]) / len(classes))).sum())
    sums, rows = np.empty(n), np.arange(len(classes))
    step = max(1, AT_ONCE // len(classes))
    for start in range(0, n, step):
        drawn = rng.permuted(np.tile(classes, (min(step, n - start), 1)), axis=1)
        sums[start : start + step] = told[rows, drawn].sum(axis=1) - mean
    return sums


def _why_not(tables: list[tuple[NDArray[np.float64], NDArray[np.int64]]], n_atoms: int, exchange: Exchange) -> str:
    """Return why p < .05 cannot be reached, whatever the predictions; empty if it can."""
    log_exchanges = sum(_log_multinomial(np.bincount(classes)) for _, classes in tables)
    if log_exchanges > np.log(1 / ALPHA) + 1e-9:
        return ""
    known = int(np.count_nonzero(exchange.atom < 0))
    trained = (
        f"{known} of {len(exchange.atom)} test windows belong to units of one class that were trained on too; "
        if known
        else ""
    )
    allow = (
        f"{n_atoms} {exchange.words} allow {np.exp(log_exchanges):.0f} exchanges of labels"
        if n_atoms
        else "there is no other"
    )
    return (
        f"not testable: {trained}{allow}, and p < {ALPHA:g} needs more than {1 / ALPHA:.0f} exchanges: "
        "more sessions, or folds of whole ones"
    )


def _log_multinomial(counts: NDArray[np.int64]) -> float:
    """Return the logarithm of the number of distinct orders of labels with these counts."""
    return lgamma(counts.sum() + 1) - sum(lgamma(count + 1) for count in counts.tolist())


def exchangeable(windows: Windows, splits: Sequence[Split]) -> Exchange:
    """Return which labels of the test windows of splits, one after the other, may be exchanged.

    Parameters
    ----------
    windows
        Windows with labels.
    splits
        One split, or the folds.

    Raises
    ------
    DataError
        Windows without labels.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.data import split_by_time, windows_around
    >>> wave = xr.DataArray(np.zeros((600, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    >>> onsets, names = np.arange(1.0, 59.0), np.random.default_rng(0).permutation(np.arange(58) % 2)
    >>> trials = xr.Dataset({"start_time": ("event", onsets), "kind": ("event", names)})
    >>> windows = windows_around(wave, trials, label="kind", before=0.0, length=0.5)
    >>> exchangeable(windows, [split_by_time(windows, seed=0)]).words
    'windows'
    """
    if windows.labels is None:
        raise DataError("expected windows with labels, got none; there is nothing to exchange")
    nested = _Nested(windows, splits[0])
    cells, atoms = [], []
    for fold, split in enumerate(splits):
        test, trained = split.test, np.concatenate([split.train, split.validation])
        known = nested.known_from(trained)[test]
        cells.append(fold * (nested.cell.max() + 1) + nested.cell[test])
        atoms.append(np.where(known, -1, fold * (nested.atom.max() + 1) + nested.atom[test]))
    return Exchange(np.concatenate(cells), np.concatenate(atoms), len(splits), " and ".join(nested.kinds))


class _Nested:
    """Units within units, from the coarsest to windows: where labels vary, and what has but one.

    `pure` are the numberings of the windows by units; one of those that is of one class gives its label away.
    """

    def __init__(self, windows: Windows, split: Split) -> None:
        assert windows.labels is not None  # noqa: S101 - the caller checked
        self.labels = windows.labels
        self.cell = np.zeros(len(windows), dtype=np.int64)
        self.atom = np.full(len(windows), -1, dtype=np.int64)
        self.kinds: list[str] = []
        self.numberings: list[NDArray[np.int64]] = []
        for name in _levels(windows, split):
            self._descend(name, unit_numbers(windows, name)[0])
        self._divide(windows, split)

    def _descend(self, name: str, number: NDArray[np.int64]) -> None:
        """Make atoms of units of one class; go into those of several."""
        free = self.atom < 0
        node = np.unique(np.stack([self.cell, number]), axis=1, return_inverse=True)[1].ravel()
        pure = _one_class(node, self.labels) & free
        if pure.any():
            self.kinds.append(f"{name}s")
            self.atom[pure] = self.atom.max() + 1 + node[pure]
        inside = free & ~pure
        self.cell[inside] = self.cell.max() + 1 + node[inside]
        self.numberings.append(number)

    def _divide(self, windows: Windows, split: Split) -> None:
        """Make atoms inside units of several classes: windows or trials, or runs of them where labels cluster."""
        rows = np.flatnonzero(self.atom < 0)
        if not len(rows):
            return
        rows = rows[np.lexsort((windows.starts[rows], self.cell[rows]))]
        cells, trials, labels = self.cell[rows], _trials(windows)[rows], self.labels[rows]
        pieces = _consecutive(cells, trials, labels)
        first = np.flatnonzero(np.diff(pieces, prepend=-1))
        clustered = _clustered(labels[first], cells[first])
        if clustered:
            pieces = _consecutive(cells, labels)
        elif split.unit == TIME_BLOCK:  # neighbors in time resemble each other: labels stay among them
            self.cell[rows] = self.cell.max() + 1 + split.block[rows]
        what = "trials" if len(first) < len(rows) else "windows"
        self.kinds.append(f"runs of {what} of one class" if clustered else what)
        self.atom[rows] = self.atom.max() + 1 + pieces
        number = np.full(len(self.labels), -1, dtype=np.int64)
        number[rows] = pieces
        self.numberings.append(number)

    def known_from(self, trained: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which windows belong to a unit or run of one class that was trained on, shape (n,)."""
        known = np.zeros(len(self.labels), dtype=np.bool_)
        for number in self.numberings:
            known |= (number >= 0) & _one_class(number, self.labels) & np.isin(number, number[trained])
        return known


def _levels(windows: Windows, split: Split) -> list[str]:
    """Return the kinds of units from coarse to fine, without those that part the windows as a coarser one does."""
    own = [split.unit] if split.unit in windows.units and split.unit not in (*LEVELS, "trial") else []
    found: list[str] = []
    known: list[NDArray[np.int64]] = []
    for name in (*own, *(level for level in LEVELS if level in windows.units)):
        try:
            number = unit_numbers(windows, name)[0]
        except DataError:  # not every window has one
            continue
        if not any(np.array_equal(number, other) for other in known):
            found.append(name)
            known.append(number)
    return found


def _trials(windows: Windows) -> NDArray[np.int64]:
    """Return the number of the trial of each window, shape (n,); each its own where none are known."""
    try:
        return unit_numbers(windows, "trial")[0]
    except ScimlError:
        return np.arange(len(windows))


def _one_class(unit: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which windows belong to a unit whose windows are all of one class, shape (n,)."""
    _, first, number = np.unique(unit, return_index=True, return_inverse=True)
    other = labels != labels[first][number]
    return np.asarray(np.bincount(number, other)[number] == 0)


def _consecutive(*keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for each row that grows by one where any of the keys changes from the row before."""
    changes = np.zeros(len(keys[0]), dtype=np.bool_)
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.cumsum(changes)


def _clustered(labels: NDArray[np.int64], cells: NDArray[np.int64]) -> bool:
    """Return whether labels form fewer runs within cells than random order would.

    Mean and variance of the number of runs of several classes: Mood (1940), doi:10.1214/aoms/1177731825.
    """
    runs = mean = variance = 0.0
    for cell in np.unique(cells):
        y = labels[cells == cell]
        n, counts = len(y), np.bincount(y).astype(np.float64)
        if n < 2:
            continue
        squares, cubes = float((counts**2).sum()), float((counts**3).sum())
        runs += 1 + np.count_nonzero(y[1:] != y[:-1])
        mean += n + 1 - squares / n
        variance += (squares * (squares + n * (n + 1)) - 2 * n * cubes - n**3) / (n**2 * (n - 1))
    return variance > 0 and (runs - mean) / np.sqrt(variance) < CLUSTERED
