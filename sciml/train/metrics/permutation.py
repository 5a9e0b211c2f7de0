"""Whether exchanged labels score as well."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PermutationTest", "permutation_test"]


@dataclass(frozen=True)
class PermutationTest:
    """Probability that exchanged labels score as well; NaN where nothing could be exchanged, `note` says why."""

    p_value: float
    n_permutations: int
    n_units: int
    note: str


def permutation_test(
    labels: ArrayLike,
    predicted: ArrayLike,
    *,
    blocks: ArrayLike,
    rng: np.random.Generator,
    n_permutations: int = 2000,
) -> PermutationTest:
    """Test an accuracy by exchanging labels at the unit of independence.

    Where every block holds one class, whole blocks exchange their labels; else labels are exchanged within blocks,
    so that what differs between blocks cannot pass for recognition. p = (1 + k) / (1 + n).

    Parameters
    ----------
    labels, predicted, blocks
        Label, prediction and number of the block of each window, shape (n,).

    Examples
    --------
    >>> y = np.arange(40) % 2
    >>> permutation_test(y, y, blocks=np.arange(40) // 10, rng=np.random.default_rng(0)).p_value < 0.001
    True
    """
    y, z, unit = (np.asarray(array) for array in (labels, predicted, blocks))
    names, first, unit = np.unique(unit, return_index=True, return_inverse=True)
    pure = bool(np.all(y == y[first][unit]))
    if len(np.unique(y[first] if pure else y)) < 2 or (pure and len(names) < 4):
        note = f"not testable: {len(names)} blocks of one class each leave nothing to exchange"
        return PermutationTest(float("nan"), 0, len(names), note)
    n_right = np.count_nonzero(y == z)
    as_good = 0
    for _ in range(n_permutations):
        exchanged = rng.permutation(y[first])[unit] if pure else _within(y, unit, rng)
        as_good += int(np.count_nonzero(exchanged == z) >= n_right)
    what = "labels of whole blocks exchanged" if pure else "labels exchanged within blocks"
    return PermutationTest((1 + as_good) / (1 + n_permutations), n_permutations, len(names), what)


def _within(y: NDArray[Any], unit: NDArray[np.int64], rng: np.random.Generator) -> NDArray[Any]:
    """Return the labels in random order within each unit: a shuffle, sorted back by unit."""
    shuffled = np.lexsort((rng.random(len(y)), unit))
    exchanged = np.empty_like(y)
    exchanged[np.argsort(unit, kind="stable")] = y[shuffled]
    return exchanged
