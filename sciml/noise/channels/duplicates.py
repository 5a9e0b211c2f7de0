"""Duplicate channels: of those that agree up to scale, sign and phase, the first is used."""

from collections.abc import Callable

import numpy as np
import scipy.spatial

from sciml._typing import AnyArray, FloatArray, IntArray

__all__ = ["duplicates", "duplicates_of"]

DUPLICATE = 1e-6  # channels whose correlation comes this close to 1 are one channel recorded twice
N_PROJECTIONS = 4
FURTHEST = 10.0  # standard deviations: with four projections, one pair of duplicates in 1e20 lies further apart
CHANNELS_AT_ONCE = 64


def duplicates(correlation: AnyArray) -> list[tuple[int, int]]:
    """Return pairs (first, later) of duplicates from the correlations (N, N) of channels."""
    every = np.arange(len(correlation))
    return _of_the_first(every, lambda some: (every, np.abs(correlation[some])))


def duplicates_of(values: AnyArray, scatter: FloatArray) -> list[tuple[int, int]]:
    """Return the same from demeaned values (T, N) and their sums of squares, without a matrix of all pairs.

    The projections on a random vector of two unit vectors of correlation 1 - d differ by sqrt(2 d) times a standard
    normal number, up to a phase: only channels whose projections lie within `FURTHEST` of these are compared.
    """
    probes = np.random.default_rng(0).standard_normal((N_PROJECTIONS, len(values)))
    points = np.abs(probes @ values).T / np.sqrt(scatter)[:, None]
    tree, radius = scipy.spatial.KDTree(points), FURTHEST * np.sqrt(2 * DUPLICATE)
    nearest = np.asarray(tree.query(points, k=2, distance_upper_bound=radius)[0])[:, 1]

    def correlations(some: IntArray) -> tuple[IntArray, FloatArray]:
        distances = scipy.spatial.KDTree(points[some]).sparse_distance_matrix(tree, radius, output_type="ndarray")
        near = np.unique(distances["j"])
        products = np.abs(values[:, some].conj().T @ values[:, near])
        return near, products / np.sqrt(np.outer(scatter[some], scatter[near]))

    return _of_the_first(np.flatnonzero(np.isfinite(nearest)), correlations)


def _of_the_first(
    candidates: IntArray, correlations: Callable[[IntArray], tuple[IntArray, FloatArray]]
) -> list[tuple[int, int]]:
    """Return each duplicate with the first channel in use that it agrees with, in order of the duplicates.

    `correlations` returns channels (k,) and the correlations (n, k) of n given channels with these.
    """
    first_of: dict[int, int] = {}
    for start in range(0, len(candidates), CHANNELS_AT_ONCE):
        some = candidates[start : start + CHANNELS_AT_ONCE]
        some = some[[each not in first_of for each in some.tolist()]]
        near, correlation = correlations(some) if len(some) else (some, np.zeros((0, 0)))
        for first, row in zip(some.tolist(), correlation, strict=True):
            if first not in first_of:
                for later in near[(row > 1 - DUPLICATE) & (near > first)].tolist():
                    first_of.setdefault(later, first)
    return [(first, later) for later, first in sorted(first_of.items())]
