"""Whitening of more channels than a dense factor of their covariance allows: each is predicted from its neighbors."""

from itertools import product

import numpy as np
import scipy.sparse

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.noise.spatial.whiten import Whitening

__all__ = ["local_whitening"]

RADIUS = {1: 24.0, 2: 4.3, 3: 2.3}  # of the neighbors, in steps of the grid, by its number of dims
PATTERNS_AT_ONCE = 1024
NEGLIGIBLE = 1e-4  # correlation
NUGGET = 1e-9  # of a channel's variance is its own
LEAST = 1e-6  # of a channel's variance that neighbors cannot tell


def local_whitening(correlation: LatticeCorrelation, places: IntArray, scale: FloatArray) -> Whitening:
    r"""Return sparse factors that whiten noise of a correlation on a grid at `places` (N, d), of any number.

    A channel less its best prediction from the neighbors before it, divided by the error of that, is independent of
    them: with b = R_{nn}^{-1} r_{n i} and v = 1 - r^T b, y_i = (x_i - b^T x_n) / sqrt(v). Were all channels before it
    neighbors, this would be the Cholesky factor (Vecchia 1988, doi:10.1111/j.2517-6161.1988.tb01729.x). Equal patterns
    of neighbors have equal predictions. `color`, the way back, is R whiten, which inverts it as far as it whitens.

    Parameters
    ----------
    correlation
        Correlation by lag; beyond its table noise is independent.
    places
        Of the channels.
    scale
        Standard deviation of the noise of each channel, (N,).

    Examples
    --------
    >>> blurred = LatticeCorrelation((16,), lags=np.array([[1], [2]]), coefficients=np.array([0.8, -0.1]))
    >>> places = np.arange(40)[:, None]
    >>> whitening = local_whitening(blurred, places, np.ones(40))
    >>> covariance = whitening.color.T @ whitening.color
    >>> bool(abs(covariance[3, 4] - blurred.along(0)[1]) < 1e-3)
    True
    """
    grid, n = _Grid(places), len(places)
    before = _ball(places.shape[1], RADIUS[places.shape[1]])
    neighbors = np.stack([grid.channels(places + each) for each in before], axis=1)
    rows, slots = np.nonzero(neighbors >= 0)
    weights, variance = _predictions(correlation, before, neighbors >= 0)
    predicted = scipy.sparse.csr_array((weights[rows, slots], (rows, neighbors[rows, slots])), (n, n))
    whitener = scipy.sparse.diags_array(1 / np.sqrt(variance)) @ (scipy.sparse.eye_array(n) - predicted)
    color = whitener @ _covariance(correlation, grid, places) @ scipy.sparse.diags_array(scale)
    return Whitening((whitener @ scipy.sparse.diags_array(1 / scale)).T.tocsr(), color.tocsr())


class _Grid:
    """Which channel is at a place."""

    def __init__(self, places: IntArray) -> None:
        self.low, high = places.min(axis=0), places.max(axis=0)
        self.numbers = np.full(tuple(high - self.low + 1), -1)
        self.numbers[tuple((places - self.low).T)] = np.arange(len(places))

    def channels(self, places: IntArray) -> IntArray:
        """Return the channels at places (n, d); -1 where there is none."""
        at = places - self.low
        inside = ((at >= 0) & (at < self.numbers.shape)).all(axis=1)
        found = np.full(len(places), -1)
        found[inside] = self.numbers[tuple(at[inside].T)]
        return found


def _ball(n_dims: int, radius: float) -> IntArray:
    """Return the steps (m, d) within a radius to places that come before, in the order of the grid."""
    reach = int(radius)
    every = np.indices((2 * reach + 1,) * n_dims).reshape(n_dims, -1).T - reach
    half = every[: len(every) // 2]
    return np.asarray(half[(half**2).sum(axis=1) <= radius**2])


def _predictions(correlation: LatticeCorrelation, before: IntArray, here: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return weights (N, m) of the neighbors that are `here`, and the variance (N,) that they leave unpredicted."""
    packed, pattern = np.unique(np.packbits(here, axis=1), axis=0, return_inverse=True)
    present = np.unpackbits(packed, axis=1, count=len(before)).astype(np.bool_)
    steps = np.concatenate([before, np.zeros((1, before.shape[1]), np.int64)])
    table = correlation.widened(np.ptp(steps, axis=0) + 1)
    shared = table.between(steps - steps.min(axis=0))
    shared.flat[:: len(shared) + 1] += NUGGET
    weights, variance = np.zeros(present.shape), np.ones(len(present))
    for start in range(0, len(present), PATTERNS_AT_ONCE):
        some = slice(start, start + PATTERNS_AT_ONCE)
        both = present[some, :, None] & present[some, None, :]
        system = np.where(both, shared[:-1, :-1], np.eye(len(before)))
        right = np.where(present[some], shared[-1, :-1], 0.0)
        weights[some] = np.linalg.solve(system, right[..., None])[..., 0]
        variance[some] = np.maximum(1 - (weights[some] * right).sum(axis=1), LEAST)
    every = pattern.ravel()
    return weights[every], variance[every]


def _covariance(correlation: LatticeCorrelation, grid: _Grid, places: IntArray) -> scipy.sparse.csr_array:
    """Return the correlation between all channels, zero where it is negligible."""
    table = correlation.table
    strong = np.argwhere(np.abs(table) >= NEGLIGIBLE)
    parts = []
    for lag in strong:
        signs = product(*([-1, 1] if each else [1] for each in lag))
        for step in (lag * np.array(sign) for sign in signs):
            other = grid.channels(places + step)
            rows = np.flatnonzero(other >= 0)
            parts.append((np.full(len(rows), table[tuple(lag)]), rows, other[rows]))
    values, rows, columns = (np.concatenate(each) for each in zip(*parts, strict=True))
    return scipy.sparse.csr_array((values, (rows, columns)), (len(places), len(places)))
