"""Noise that channels share by their distance, or by a group that they are in, wherever they are."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.spatial.distance
import scipy.special

from sciml._typing import FloatArray, IntArray
from sciml.noise.spatial.lattice import halved
from sciml.noise.spatial.order import loss
from sciml.noise.spatial.scatter import Scatter
from sciml.noise.spatial.scoring import NUGGET, SharedNoise

__all__ = ["SharedByClass", "by_distance", "by_group", "constant_stands_out", "n_needed"]

MOST_PARAMETERS = 8  # of the log spectrum over distance
PER_STEP = 0.75  # parameters for each distance of neighbors that channels span: more would follow single components
COST = 10  # N^{4/3} over so much: more parameters would move the edge by a fifth of its width
MOST_WAVENUMBERS, FEWEST_WAVENUMBERS = 192, 48
BEND = 1.0  # of the largest wavenumber: below, features follow the spectrum more closely
EXACT = 400  # channels, up to which every distance is a class of its own
RESOLUTION = 256  # classes in the distance of nearest neighbors, of more channels
STANDS_OUT = 7.5  # standard deviations: a constant at 1.5 times the limit comes to 9 and more, noise to 6 and less
LARGEST_LOG = 25.0  # of the spectrum over that of independent noise: beyond, rounding hides what is left


@dataclass(frozen=True)
class SharedByClass:
    r"""Correlations of classes of pairs of channels, from the logarithm of a spectrum over basis functions B_k.

    .. math:: R \propto I + \sum_k \mu_k (C_k - 1) B_k, \qquad \log C_k = \sum_l a_l \phi_l(k)

    Of positive semidefinite B_k of unit diagonal with sum_k mu_k B_k at most I, R is positive for all a: it is
    sum_k mu_k C_k B_k and what sum_k mu_k B_k leaves of I. Independent noise has a = 0. On a grid, with waves for B_k,
    that is Bloomfield's exponential spectrum (1973, doi:10.1093/biomet/60.2.217).

    `pairs` (N, N) is the class of each pair, zero for a channel with itself; `basis` (k, n_classes) has mu_k B_k,
    `features` (P, k) the phi_l. Classes are `radii` (n_classes,) apart, infinite where nothing is shared, and typical
    neighbors a `step`, zero where classes are groups. `relation` says in words what neighbors are. `blocks` are
    channels that are near each other, all in some block.
    """

    pairs: IntArray
    basis: FloatArray
    features: FloatArray
    radii: FloatArray
    step: float
    relation: str
    blocks: tuple[IntArray, ...]

    def tables(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the correlation of each class (n_classes,), and its derivatives (1 + P, n_classes)."""
        spectrum = np.exp(np.clip(parameters @ self.features, -LARGEST_LOG, LARGEST_LOG))
        table = (spectrum - 1) @ self.basis
        table[0] += 1
        slopes = (spectrum * self.features) @ self.basis
        return table / table[0], np.vstack([table, slopes]) / table[0]

    def sums(self, matrix: FloatArray) -> FloatArray:
        """Return the sums (n_classes,) of a matrix (N, N) over the pairs of each class."""
        n_classes = self.basis.shape[1]
        return np.asarray(np.bincount(self.pairs.ravel(), matrix.ravel(), minlength=n_classes), np.float64)

    def change(self, step: FloatArray) -> float:
        """Return the largest change of log C by a step of the parameters."""
        return float(np.abs(step @ self.features).max()) if len(step) else 0.0

    def of_channels(self, channels: IntArray) -> "SharedByClass":
        """Return the same correlation between some of the channels."""
        if len(channels) == len(self.pairs):
            return self
        return replace(self, pairs=self.pairs[np.ix_(channels, channels)], blocks=(np.arange(len(channels)),))

    def words(self, parameters: FloatArray) -> str:
        """Say how strongly typical neighbors correlate."""
        return f"correlation {self.by_step(parameters)[1][1]:.2f} {self.relation}"

    def by_step(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return distances in whole steps, and the correlation at each; of groups, within one."""
        table = self.tables(parameters)[0]
        if not self.step:
            return np.array([0.0, 1.0]), table[:2]
        reached = np.isfinite(self.radii)
        lags = self.step * np.arange(max(2.0, 1 + self.radii[reached].max() // self.step))
        order = np.argsort(self.radii[reached])
        return lags, np.interp(lags, self.radii[reached][order], table[reached][order])

    def first(self, n_parameters: int) -> "SharedByClass":
        """Return the family of the first features alone."""
        return replace(self, features=self.features[:n_parameters])


def by_distance(
    positions: FloatArray, *, groups: IntArray | None = None, unit: str = "", n_parameters: int | None = None
) -> SharedByClass:
    r"""Return the family of isotropic noise at `positions` (N, d), one, two or three coordinates in one unit.

    B_k is the correlation of waves of all directions of the wavenumber k (Schoenberg 1938, doi:10.2307/1968466):
    cos k r on a line, J_0(k r) in the plane, sin(k r) / (k r) in space; log C is a sum of cosines of the wavenumber, up
    to one wavelength over the distance of neighbors, bent so that small ones count for more. Where `groups` (N,) are
    given, channels of different ones share nothing.

    Examples
    --------
    >>> positions = np.random.default_rng(0).uniform(0, 9, (80, 2))
    >>> family = by_distance(positions, n_parameters=3)
    >>> table, _ = family.tables(np.array([1.0, 1.0, 0.0]))
    >>> bool(np.linalg.eigvalsh(table[family.pairs]).min() > 0)
    True
    """
    apart = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(positions))
    if groups is not None:
        apart[groups[:, None] != groups] = np.inf
    step = _step(apart)
    pairs, radii = _classes(apart, step)
    reached = np.isfinite(radii)
    span = float(radii[reached].max()) / step
    if n_parameters is None:
        n_parameters = max(1, min(MOST_PARAMETERS, int(PER_STEP * span), int(len(positions) ** (4 / 3) / COST)))
    u, basis = _isotropic(np.where(reached, radii, 0.0) / step, span, positions.shape[1])
    basis[:, ~reached] = 0.0
    basis /= _largest(np.take(basis.sum(axis=0), pairs))
    bent = u * (1 + BEND) / (u + BEND)
    features = np.cos(np.pi * np.outer(np.arange(n_parameters), bent))
    blocks = tuple(halved(positions, np.arange(len(positions))))
    return SharedByClass(pairs, basis, features, radii, step, f"at {step:.3g} {unit}".rstrip(), blocks)


def _step(apart: FloatArray) -> float:
    """Return the typical distance of a channel from its nearest neighbor, at a place of its own."""
    nearest = np.where((apart > 0) & ~np.eye(len(apart), dtype=np.bool_), apart, np.inf).min(axis=1)
    return float(np.median(nearest[np.isfinite(nearest)]))


def _classes(apart: FloatArray, step: float) -> tuple[IntArray, FloatArray]:
    """Return the class of each pair (N, N) and the distance of each class; infinite for what is not shared."""
    n, reached = len(apart), np.isfinite(apart)
    digits = step * 1e-9 if n <= EXACT else step / RESOLUTION
    rounded = np.where(reached, np.round(np.where(reached, apart, 0.0) / digits) * digits, np.inf)
    rounded.flat[:: n + 1] = -1.0
    radii, pairs = np.unique(rounded, return_inverse=True)
    radii[0] = 0.0
    return pairs.reshape(n, n), radii


def _isotropic(radii: FloatArray, span: float, dims: int) -> tuple[FloatArray, FloatArray]:
    """Return wavenumbers (k,) over the largest, and correlations (k, radius) of their waves, weighed by their number.

    Radii are in distances of neighbors; the sum over wavenumbers does not come round within their `span`.
    """
    n = int(np.clip(2 * span, FEWEST_WAVENUMBERS, MOST_WAVENUMBERS))
    u = (np.arange(n) + 0.5) / n
    weights = u ** (dims - 1)
    return u, ISOTROPIC[dims](np.outer(2 * np.pi * u, radii)) * (weights / weights.sum())[:, None]


ISOTROPIC: dict[int, Callable[[FloatArray], FloatArray]] = {
    1: np.cos,
    2: scipy.special.j0,
    3: lambda x: np.sinc(x / np.pi),
}


def _largest(matrix: FloatArray) -> float:
    n = len(matrix)
    return float(scipy.linalg.eigh(matrix, eigvals_only=True, subset_by_index=[n - 1, n - 1], check_finite=False)[0])


def by_group(groups: IntArray, name: str = "group") -> SharedByClass:
    """Return the family of noise that channels of one of the `groups` (N,) share, all alike: tetrodes, converters.

    Examples
    --------
    >>> family = by_group(np.array([0, 0, 0, 1, 1, 2]))
    >>> family.tables(np.array([1.0]))[0].round(3).tolist()
    [1.0, 0.364, 0.0]
    """
    pairs = np.where(groups[:, None] == groups, 1, 2).astype(np.intp)
    pairs.flat[:: len(groups) + 1] = 0
    basis = np.array([[1.0, 1.0, 0.0]]) / np.unique(groups, return_counts=True)[1].max()
    radii, blocks = np.array([0.0, 1.0, np.inf]), tuple(halved(groups[:, None], np.arange(len(groups))))
    return SharedByClass(pairs, basis, np.ones((1, 1)), radii, 0.0, f"within a {name}", blocks)


def n_needed(family: SharedByClass, noise: SharedNoise, scatter: Scatter) -> int:
    """Return how many of the first features noise needs, by the Bayesian information criterion (Schwarz 1978).

    Without the parameters b the maximum of twice the log likelihood is lower by b^T V^{-1} b, V their covariance (Wald
    1943, doi:10.1090/S0002-9947-1943-0012401-3).
    """
    n = len(noise.parameters)
    penalty = float(np.log(len(family.pairs) * max(scatter.n_effective, 2.0)))
    costs = [loss(noise, np.arange(n) >= kept) + penalty * kept for kept in range(n + 1)]
    return int(np.argmin(costs))


def constant_stands_out(family: SharedByClass, noise: SharedNoise, scatter: Scatter, constants: FloatArray) -> bool:
    r"""Return whether directions (N, k) hold more than noise that was fitted to all others says.

    Of noise of covariance A the power of x^H A^{-1} c is c^H A^{-1} c =: p(a). Its logarithm is known to 2 / n from n
    samples, and to g^T V g from the parameters a of covariance V, g the gradient of log p where the level of the noise
    follows: it makes tr A^{-1} dA of no effect.
    """
    table, slopes = family.tables(noise.parameters)
    scale, n = np.exp(noise.log_scale)[:, None], len(noise.log_scale)
    precision = np.linalg.inv(np.take(table, family.pairs) + NUGGET * np.eye(n))
    filters = precision @ (constants / scale)
    expected = np.einsum("ik,ik->k", filters, constants / scale)
    power = np.einsum("ik,ij,jk->k", filters / scale, scatter.block(np.arange(n), None).real, filters / scale)
    gradients = np.zeros((len(slopes) - 1, len(expected)))
    for gradient, slope in zip(gradients, slopes[1:], strict=True):
        each = np.take(slope, family.pairs)
        gradient[:] = np.einsum("ik,ij,jk->k", filters, each, filters) / expected - np.sum(precision * each) / n
    variance = 1 / scatter.weight + np.einsum("lk,lm,mk->k", gradients, np.linalg.pinv(noise.information), gradients)
    return bool((np.log(power / expected) > STANDS_OUT * np.sqrt(variance)).any())
