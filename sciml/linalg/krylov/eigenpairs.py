"""The ends of a spectrum by products alone: each eigenvalue with a bound on its error, copies of multiple ones too."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.errors import ConfigError
from sciml.linalg.krylov.block import Krylov, Ritz
from sciml.linalg.krylov.certificates import error_bounds, missed_chance
from sciml.linalg.krylov.vectors import Block, Operator, draw

__all__ = ["WHICH", "Eigenpairs", "Wanted", "eigenpairs"]

FLOOR = 1e-3  # of the tolerance, of the largest product: below it a value is as good as zero


def _largest(values: FloatArray, k: int) -> IntArray:
    return np.argsort(-values, kind="stable")[:k]


def _smallest(values: FloatArray, k: int) -> IntArray:
    return np.argsort(values, kind="stable")[:k]


def _magnitude(values: FloatArray, k: int) -> IntArray:
    return np.argsort(-np.abs(values), kind="stable")[:k]


def _both(values: FloatArray, k: int) -> IntArray:
    order = np.argsort(-values, kind="stable")
    return order if len(order) <= 2 * k else np.concatenate([order[:k], order[-k:]])


WHICH: dict[str, Callable[[FloatArray, int], IntArray]] = {
    "largest": _largest,
    "smallest": _smallest,
    "magnitude": _magnitude,
    "both": _both,
}


@dataclass(frozen=True)
class Wanted:
    """Which end, how many of it, how well, and what it may cost.

    Attributes
    ----------
    k, which
        Number of values at "largest", "smallest", of largest "magnitude", or at "both" ends (k at each).
    tolerance
        Largest error of a value, relative to the value.
    missed
        Chance that is left that an eigenvalue beyond the wanted ones was missed; None does not look.
    block
        Products at a time.
    max_products
        Where to stop in any case; the values say whether they have converged.
    max_dimension
        Vectors kept; the space is restarted from its best half beyond.
    """

    k: int
    which: str = "magnitude"
    tolerance: float = 1e-3
    missed: float | None = 0.05
    block: int = 1
    max_products: int = 1000
    max_dimension: int | None = None

    def __post_init__(self) -> None:
        if self.which not in WHICH:
            raise ConfigError(f"expected which to be one of {', '.join(WHICH)}, got {self.which!r}")
        if self.k < 1 or self.block < 1 or not 0 < self.tolerance < 1:
            raise ConfigError(
                f"expected k >= 1, block >= 1 and 0 < tolerance < 1, got k={self.k}, block={self.block}, "
                f"tolerance={self.tolerance}"
            )

    @property
    def n_values(self) -> int:
        """Number of values in all."""
        return 2 * self.k if self.which == "both" else self.k


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues (k,) in the order asked for, unit eigenvectors (n, k), and what is known of them.

    Attributes
    ----------
    residuals
        Lengths of A v - lambda v.
    errors
        Bounds on the distance to an eigenvalue, rounding of the products included; see `error_bounds`.
    gaps
        Distances to other values that the bounds rest on; 0 where the residual alone does.
    converged
        Whether the error is within the tolerance.
    missed
        Chance that an eigenvalue beyond these was missed; NaN where it was not looked for.
    rounding
        How far the products were from those of one symmetric matrix.
    """

    values: FloatArray
    vectors: Block
    residuals: FloatArray
    errors: FloatArray
    gaps: FloatArray
    converged: BoolArray
    missed: float
    n_products: int
    rounding: float


def eigenpairs(
    operator: Operator,
    wanted: Wanted,
    *,
    start: Block | None = None,
    rng: np.random.Generator | int = 0,
    space: Krylov | None = None,
    callback: Callable[[Krylov, Eigenpairs], bool | None] | None = None,
) -> Eigenpairs:
    """Return eigenpairs at the ends of a symmetric operator's spectrum, each with a bound on its error.

    Lanczos, or block Lanczos, with full reorthogonalization, until every bound is below the tolerance. Then a random
    vector in the space that is left is followed until the chance that a copy of a multiple eigenvalue, or any value
    beyond the last wanted one, is still hidden in it has fallen to `wanted.missed`.

    Parameters
    ----------
    operator
        See `sciml.linalg.krylov`.
    start
        Vectors (n, s) that the eigenvectors are thought to lie near, such as those of a similar operator; default one
        random vector.
    rng
        Of the random vectors.
    space
        A space to go on from, of the same operator.
    callback
        Called after each step; what is true ends the search.

    Raises
    ------
    ConfigError
        More values than dimensions.
    NumericalError
        A product that is not finite, or products that are not those of one symmetric matrix.

    Examples
    --------
    >>> found = eigenpairs(np.diag(np.array([7.0, 7.0, 3.0] + [0.1] * 40)), Wanted(3, "largest"))
    >>> found.values.round(3).tolist(), bool(found.converged.all())
    ([7.0, 7.0, 3.0], True)
    """
    n = operator.shape[0]
    if wanted.k > n:
        raise ConfigError(f"expected at most {n} eigenvalues of an operator of shape {operator.shape}, got {wanted.k}")
    search = _Search(Krylov(operator) if space is None else space, wanted, np.random.default_rng(rng))
    search.begin(start)
    while not search.finished():
        if callback is not None and callback(search.space, search.result(vectors=False)):
            break
        search.step()
    return search.result()


class _Search:
    """State of one search: the space, and the chain that looks for what was missed."""

    def __init__(self, space: Krylov, wanted: Wanted, rng: np.random.Generator) -> None:
        self.space = space
        self.wanted = wanted
        self.rng = rng
        self.n = space.operator.shape[0]
        self.pure = not space.dimension  # one Lanczos run from a random vector so far
        self.chain: int | None = None  # where in Q the chain of a later random vector begins
        self.weight = 0.0  # what an eigenvector is expected to weigh in that vector
        self.distinct = self.chance = float("nan")
        self.found_more = False

    def begin(self, start: Block | None) -> None:
        if start is not None:
            self.pure = False
            self.space.extend(fresh=start)
        if not self.space.dimension:
            self.space.extend(fresh=draw(self.space.operator, self.wanted.block, self.rng))
        self.update()

    def update(self) -> None:
        """Evaluate the Ritz pairs of the space."""
        self.pairs: Ritz = self.space.ritz()
        self.index = WHICH[self.wanted.which](self.pairs.values, self.wanted.k)
        bounds, self.gaps = error_bounds(self.pairs.values, self.pairs.residuals, self.index)
        self.errors = bounds + self.space.rounding
        allowed = self.wanted.tolerance * np.maximum(np.abs(self.pairs.values[self.index]), FLOOR * self.space.scale)
        self.converged = self.errors <= np.maximum(allowed, 100 * self.space.precision * self.space.scale)
        self.found_more = False
        self.exhausted = self.space.dimension >= self.n
        self.distinct = self._missed_apart() if self.pure else 0.0
        if self.chain is not None:
            self.chance = self.distinct + self._chance(self.chain)

    @property
    def all_converged(self) -> bool:
        enough = bool(self.converged.all()) and len(self.index) >= min(self.wanted.n_values, self.n)
        return enough and (self.wanted.missed is None or self.distinct <= self.wanted.missed / 2)

    def finished(self) -> bool:
        """Whether all is found, or all that may be spent is."""
        if self.exhausted:
            self.chance = 0.0
            return True
        if self.space.n_products >= self.wanted.max_products:
            return True
        if not self.all_converged:
            return False
        return self.wanted.missed is None or self.chance <= self.wanted.missed

    def step(self) -> None:
        """Extend the space where the wanted pairs need it, or by the chain."""
        limit = self.wanted.max_dimension
        if limit is not None and self.space.dimension + self.wanted.block > limit:
            self._restart(max(self.wanted.n_values + 1, limit // 2))
        directions = self._last_residual() if self.all_converged else self._most_needed()
        if not directions.shape[1]:
            self.pure = self.pure and self.all_converged
        if not directions.shape[1] or (self.all_converged and (self.chain is None or self.found_more)):
            self._begin_chain()
        else:
            if self.chain is not None and not _same(directions, self._last_residual()):
                self.chain, self.chance = None, float("nan")
            self.space.extend(directions)
        self.update()

    def _begin_chain(self) -> None:
        """Follow another random vector: any, or, if only copies are to be found, where those are likely."""
        likely = getattr(self.space.operator, "likely", None) if self.pure else None
        fresh = draw(self.space.operator, 1, self.rng) if likely is None else likely(self.rng)
        known = self.space.coefficients(fresh)
        parts = self.pairs.vectors[:, self.index].T @ known
        rest = float(self.space.inner(fresh, fresh)[0, 0] - (known**2).sum())
        self.chain = self.space.dimension
        self.space.extend(fresh=fresh)
        self.weight = 1.0 / (self.n - self.chain) if likely is None else float((parts**2).mean()) / max(rest, 1e-300)
        if likely is not None and self.space.dimension == self.chain:  # all of it was known: take any direction
            self.pure = False
            self._begin_chain()

    def _missed_apart(self) -> float:
        """Return the chance that the run from one random vector hides an eigenvalue apart from all those found."""
        values, k = self.pairs.values, self.wanted.n_values
        if len(values) < k + 2 or not self.space.n_waiting:
            return 1.0 if self.space.n_waiting else 0.0
        order = np.sort(self.index)
        T = self.space.T
        beta = np.append(np.diag(T, 1), np.linalg.norm(self.space.S[:, -1]))
        below, above = values - np.roll(values, 1), np.roll(values, -1) - values
        below[0], above[-1] = above[0], below[-1]
        points = np.concatenate([values[order] - below[order] / 4, values[order] + above[order] / 4])
        return max(missed_chance(np.diag(T), beta, points[i : i + 1], 1.0 / self.n) for i in range(len(points)))

    def _last_residual(self) -> FloatArray:
        """Return the direction in which the vector added last goes on, (r, 1); (r, 0) where there is none."""
        return _unit(self.space.S[:, -1:])

    def _most_needed(self) -> FloatArray:
        """Return the directions (r, block) that hold most of the residuals of wanted pairs."""
        short = len(self.index) < min(self.wanted.n_values, self.n)
        if short and self.wanted.block == 1:
            return self._last_residual()
        needed = self.pairs.residuals[:, self.index if short else self.index[~self.converged]]
        if not self.space.n_waiting or not needed.any():
            return np.zeros((self.space.n_waiting, 0))
        left, sizes, _ = np.linalg.svd(needed, full_matrices=short)
        return left[:, : self.wanted.block] if short else left[:, sizes > 1e-8 * sizes[0]][:, : self.wanted.block]

    def _chance(self, start: int) -> float:
        """Return the chance that the chain hides a value beyond the wanted ones; 1 if it has shown such a value."""
        T = self.space.T[start:, start:]
        if not len(T):  # a random vector added nothing: there is nothing left
            return 0.0
        beta = np.append(np.diag(T, 1), np.linalg.norm(self.space.S[:, -1]) if self.space.n_waiting else 0.0)
        ends = np.linalg.eigvalsh(T)[[0, -1]]
        upper, lower = self._levels()
        self.found_more = bool(ends[1] > upper or ends[0] < lower)
        if self.pure:  # what lies apart from the values found is known from the first run: only their copies can hide
            upper, lower = self._nearest_beyond(upper, lower)
        levels = np.array([level for level in (upper, lower) if np.isfinite(level)])
        return 1.0 if self.found_more else missed_chance(np.diag(T), beta, levels, self.weight)

    def _levels(self) -> tuple[float, float]:
        """Return beyond which values, above and below, an eigenvalue would be one of the wanted."""
        values, k = self.pairs.values[self.index], min(self.wanted.k, len(self.index))
        apart = self.wanted.tolerance
        if self.wanted.which == "magnitude":
            least = float(np.abs(values).min()) * (1 + apart)
            return least, -least
        upper, lower = float(values[:k].min()), float(values[-k:].max())
        upper, lower = upper + apart * abs(upper), lower - apart * abs(lower)
        return (
            np.inf if self.wanted.which == "smallest" else upper,
            -np.inf if self.wanted.which == "largest" else lower,
        )

    def _nearest_beyond(self, upper: float, lower: float) -> tuple[float, float]:
        """Return the values found that are nearest to the levels, beyond them."""
        values = self.pairs.values[self.index]
        above, below = values[values > upper], values[values < lower]
        return float(above.min(initial=np.inf)), float(below.max(initial=-np.inf))

    def _restart(self, n_kept: int) -> None:
        order = WHICH[self.wanted.which](self.pairs.values, n_kept)
        self.space.restart(self.pairs.vectors[:, order])
        self.chain, self.pure = None, False
        self.update()

    def result(self, *, vectors: bool = True) -> Eigenpairs:
        """Return the pairs found so far."""
        chosen = self.pairs.vectors[:, self.index]
        return Eigenpairs(
            values=self.pairs.values[self.index],
            vectors=self.space.combine(chosen) if vectors else None,
            residuals=np.linalg.norm(self.pairs.residuals[:, self.index], axis=0),
            errors=self.errors,
            gaps=self.gaps,
            converged=self.converged,
            missed=self.chance,
            n_products=self.space.n_products,
            rounding=self.space.rounding,
        )


def _unit(direction: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(direction))
    return direction / length if length > 0 else direction[:, :0]


def _same(A: FloatArray, B: FloatArray) -> bool:
    return A.shape == B.shape and np.allclose(np.abs(A.T @ B), 1.0)
