"""The inner validation part of an estimator: it stops training, and nothing is trained on it."""

import numpy as np
from numpy.typing import NDArray

from sciml._typing import AnyArray
from sciml.errors import DataError

__all__ = ["inner_split"]

FEWEST = 8  # items below which nothing can be held out


def inner_split(
    labels: AnyArray | None,
    groups: AnyArray | None,
    *,
    n: int,
    fraction: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the items to train on and those to validate on.

    Of each class that fraction is held out, at least one item of a class that has several; with groups whole groups,
    chosen so that the classes come out as even as they can. Of fewer than eight items, or with a fraction of zero, all
    are trained on and validated on.

    Raises
    ------
    DataError
        Groups that leave nothing to train on, or a class of which every item would be held out.

    Examples
    --------
    >>> y = np.repeat([0, 1], 10)
    >>> train, validation = inner_split(y, None, n=20, fraction=0.2, rng=np.random.default_rng(0))
    >>> len(train), np.bincount(y[validation]).tolist()
    (16, [2, 2])
    """
    everything = np.arange(n)
    if n < FEWEST or fraction == 0:
        return everything, everything
    classes = np.zeros(n, dtype=np.int64) if labels is None else np.unique(labels, return_inverse=True)[1]
    held = _items(classes, fraction, rng) if groups is None else _groups(classes, groups, fraction, rng)
    return everything[~held], everything[held]


def _items(classes: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    held = np.zeros(len(classes), dtype=bool)
    for each in range(classes.max() + 1):
        members = rng.permutation(np.flatnonzero(classes == each))
        wanted = max(1, round(fraction * len(members))) if len(members) > 1 else 0
        held[members[:wanted]] = True
    return held


def _groups(
    classes: NDArray[np.int64], groups: AnyArray, fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Hold out group after group, each time the one that leaves the classes nearest to their fraction."""
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"expected at least two groups, so that one can be held out for validation, got {len(names)}; "
            "leave groups out, or give validation_fraction=0"
        )
    counts = np.zeros((len(names), classes.max() + 1))
    np.add.at(counts, (group, classes), 1)
    total = counts.sum(axis=0)
    wanted = fraction * total
    chosen: list[int] = []
    remaining = rng.permutation(len(names)).tolist()
    sums = np.zeros_like(wanted)
    while len(remaining) > 1:
        errors = [_distance(sums + counts[g], wanted, total) for g in remaining]
        best = int(np.argmin(errors))
        if chosen and errors[best] >= _distance(sums, wanted, total):
            break
        chosen.append(remaining.pop(best))
        sums = sums + counts[chosen[-1]]
    return np.isin(group, chosen)


def _distance(sums: NDArray[np.float64], wanted: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    """Return how far held-out counts are from those wanted; a class held out whole is the worst of all."""
    whole = np.count_nonzero(sums >= total)
    return float(np.sum(np.square((sums - wanted) / wanted))) + 1e6 * whole
