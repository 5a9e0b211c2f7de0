"""A recording without what its channels share by being neighbors: linear combinations whose noise is independent."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from sciml._typing import AnyArray, BoolArray, FloatArray, IntArray
from sciml.noise.matrix.fourier import FourierCoefficients
from sciml.noise.matrix.gram import Matrix
from sciml.noise.spatial.correlation import LatticeCorrelation
from sciml.noise.spatial.scatter import Removed

__all__ = ["WhitenedMatrix", "Whitening", "local_whitening"]

RADIUS = {1: 24.0, 2: 4.3, 3: 2.3}  # of the neighbors, in steps of the grid, by its number of dims
PATTERNS_AT_ONCE = 1024
NEGLIGIBLE = 1e-4  # correlation
NUGGET = 1e-9  # of a channel's variance is its own
LEAST = 1e-6  # of a channel's variance that neighbors cannot tell


@dataclass(frozen=True)
class Whitening:
    r"""Combinations of N standardized channels in which noise of covariance A is white, and the way back.

    Samples of noise x (a row of N) become x `whiten`, of M uncorrelated entries of variance one, and white noise w
    becomes w `color`, of covariance A. With A = L L^T, `whiten` is L^-T and `color` L^T; the singular values of what is
    whitened are those of any other root. Dense arrays or scipy.sparse ones: only products are taken with them.
    `variances` (N,) are those of the channels where a part of the noise is whitened.
    """

    whiten: Any
    color: Any
    variances: FloatArray | None = None

    @classmethod
    def of(cls, covariance: AnyArray, null: AnyArray | None = None) -> "Whitening":
        """Return the whitening of a covariance (N, N) of which orthonormal directions `null` (N, n) were taken out.

        The noise is that before: what is left of it fills N - n dimensions, and is whitened within these.

        Raises
        ------
        numpy.linalg.LinAlgError
            A covariance that is not positive definite.

        Examples
        --------
        >>> correlation = 0.5 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
        >>> whitening = Whitening.of(correlation)
        >>> bool(np.allclose(whitening.whiten.T @ correlation @ whitening.whiten, np.eye(4)))
        True
        """
        if null is None or not null.shape[1]:
            root = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
            inverse = scipy.linalg.lapack.dtrtri(root, lower=1)[0] if not np.iscomplexobj(root) else _inverse(root)
            return cls(inverse.conj().T, root.conj().T)
        left = np.linalg.qr(null, mode="complete")[0][:, null.shape[1] :]
        inner = cls.of(left.conj().T @ covariance @ left)
        return cls(left @ inner.whiten, inner.color @ left.conj().T)

    @property
    def noise(self) -> FloatArray:
        """Variance of the noise of each channel: of all of it, where only a part was whitened."""
        if self.variances is not None:
            return self.variances
        squares = abs(self.color) ** 2 if isinstance(self.color, np.ndarray) else abs(self.color).power(2)
        return np.asarray(squares.sum(axis=0)).ravel()

    def within(self, basis: AnyArray) -> "Whitening":
        """Return what whitens a part of the noise: that along orthonormal whitened directions (M, K)."""
        return Whitening(self.whiten @ basis, basis.conj().T @ self.color, self.noise)

    def removal(self, directions: AnyArray, dof: float) -> Removed:
        """Return how to remove whitened directions (M, rank) from samples, `dof` of them, that were not whitened."""
        return Removed(self.whiten @ directions, self.color.conj().T @ directions, dof)

    def of_channels_in(self, unit: FloatArray) -> "Whitening":
        """Return the whitening of the same channels counted in units (N,) of their own."""
        variances = None if self.variances is None else self.variances / unit**2
        units, inverse = scipy.sparse.diags_array(unit), scipy.sparse.diags_array(1 / unit)
        return Whitening(units @ self.whiten, self.color @ inverse, variances)

    @property
    def n_dimensions(self) -> int:
        """M, how many combinations there are."""
        return int(self.whiten.shape[1])


def _inverse(root: AnyArray) -> AnyArray:
    return np.asarray(scipy.linalg.lapack.ztrtri(root, lower=1)[0])


class WhitenedMatrix(Matrix):
    """The scatter between whitened channels, and their spectra: that of `plain` standardized ones, whitened.

    The noise of all is of one variance, one if the whitening is right; nothing is left to project out.
    """

    def __init__(self, plain: Matrix, whitening: Whitening) -> None:
        super().__init__(plain.statistics)
        self.plain, self.whitening = plain, whitening
        self.n_channels = whitening.n_dimensions
        self.total_scale = np.ones(self.n_channels)
        self.tall = self.n_channels <= self.dof
        self.null = np.zeros((self.n_channels, 0))

    @cached_property
    def samples(self) -> AnyArray | None:
        """Whitened samples (T, M), where they are held."""
        return None if self.plain.samples is None else np.asarray(self.plain.samples @ self.whitening.whiten)

    @cached_property
    def gram(self) -> AnyArray | None:
        """Their X^H X / dof, where that of the plain channels is there."""
        if self.plain.gram is None:
            return super().gram
        return np.asarray(self.whitening.whiten.conj().T @ (self.plain.gram @ self.whitening.whiten))

    def plain_factors(self, scale: FloatArray, directions: AnyArray) -> tuple[AnyArray, AnyArray]:  # noqa: ARG002
        """Return P and R, by which standardized samples X (T, N) are left with X - X P R; `scale` is common to all."""
        return self.whitening.whiten @ directions, directions.conj().T @ self.whitening.color

    def explained(self, scale: FloatArray, rank: int) -> FloatArray:
        """Return the part of each standardized channel's variance that lies in `rank` components, (N,)."""
        found = self.eigen(scale, rank)
        maps = self.whitening.color.conj().T @ found.directions
        return np.asarray(np.abs(maps) ** 2 @ found.values[:rank] * scale[0] ** 2)

    def transformed(self, rows: AnyArray) -> AnyArray:
        """Return samples (n, N) of the standardized channels whitened, in their own precision."""
        return np.asarray(rows @ self.whitening.whiten.astype(rows.dtype))

    @cached_property
    def fourier(self) -> FourierCoefficients:
        """Fourier coefficients of the whitened channels."""
        return self.plain.fourier.combined(self.whitening.whiten)


# ---- of very many channels


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
