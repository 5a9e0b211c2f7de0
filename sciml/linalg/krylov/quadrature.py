"""Gauss quadrature by Lanczos: the spectral measure of a vector, with bounds on what it gives."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.linalg.krylov.vectors import Block, Inner, Operator, apply, inner_of, like, side_by_side, zeros_like

__all__ = ["Tridiagonal", "tridiagonals"]


@dataclass(frozen=True)
class Tridiagonal:
    """The recurrence of one vector: diagonal (m,) and off-diagonal (m,), the last of which leads out (0: nothing left).

    Examples
    --------
    >>> (run,) = tridiagonals(np.diag([1.0, 3.0]), np.ones((2, 1)), 5)
    >>> [values.round(12).tolist() for values in run.gauss()]
    [[1.0, 3.0], [0.5, 0.5]]
    >>> [round(bound, 12) for bound in run.cumulative(2.0)]
    [0.5, 0.5]
    """

    alpha: FloatArray
    beta: FloatArray

    def gauss(self) -> tuple[FloatArray, FloatArray]:
        """Return nodes, ascending, and weights, of sum one, of the Gauss rule: exact up to degree 2 m - 1."""
        return _rule(self.alpha, self.beta[:-1])

    def radau(self, end: float) -> tuple[FloatArray, FloatArray]:
        r"""Return nodes and weights of the Gauss-Radau rule with one node at `end`, an end of the spectrum or beyond.

        The recurrence is extended by \alpha_{m+1} = a + \delta_m with (T_m - a) \delta = \beta_m^2 e_m.
        """
        if self.beta[-1] == 0:
            return self.gauss()
        shifted = np.diag(self.alpha - end) + np.diag(self.beta[:-1], 1) + np.diag(self.beta[:-1], -1)
        unit = np.zeros(len(self.alpha))
        unit[-1] = self.beta[-1] ** 2
        last = end + np.linalg.solve(shifted, unit)[-1]
        return _rule(np.append(self.alpha, last), self.beta)

    def bracket(self, f: Callable[[FloatArray], FloatArray], lower: float, upper: float) -> tuple[float, float]:
        """Return bounds on v^T f(A) v / v^T v for a function whose derivatives do not change sign on [lower, upper].

        Such are 1/x, log, exp and powers on positive values: Gauss bounds from one side, Radau with a node at either
        end of an interval that holds the spectrum from the other.

        References
        ----------
        Golub, Meurant (2010), Matrices, Moments and Quadrature with Applications, theorems 6.4 and 6.5.
        """
        rules = [self.gauss(), self.radau(lower), self.radau(upper)]
        values = [float(weights @ f(nodes)) for nodes, weights in rules]
        return min(values), max(values)

    def cumulative(self, x: float) -> tuple[float, float]:
        """Return bounds on the vector's weight in eigenvalues at most x (Chebyshev, Stieltjes)."""
        nodes, weights = self.gauss()
        if self.beta[-1] == 0:
            total = float(weights[nodes <= x].sum())
            return total, total
        i = int(np.searchsorted(nodes, x, side="right"))
        return float(weights[: max(i - 1, 0)].sum()), float(weights[: i + 1].sum())


def _rule(alpha: FloatArray, beta: FloatArray) -> tuple[FloatArray, FloatArray]:
    T = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
    nodes, vectors = np.linalg.eigh(T)
    return nodes, vectors[0] ** 2


def tridiagonals(
    operator: Operator,
    starts: Block,
    steps: int,
    *,
    callback: Callable[[int], None] | None = None,
) -> list[Tridiagonal]:
    """Return the Lanczos recurrence of each column of `starts` (n, k), in double precision.

    The columns are multiplied together, each with its own recurrence. Every vector is made orthogonal to all before it
    in its run, twice, so that no value is found again; a run ends where nothing is left (breakdown).

    Parameters
    ----------
    operator
        See `sciml.linalg.krylov`.
    steps
        Number of products a column, at most n.
    callback
        Called with the number of products of each step.

    Raises
    ------
    ConfigError
        No steps.

    Examples
    --------
    >>> runs = tridiagonals(np.diag([1.0, 1.0, 4.0]), np.eye(3)[:, :2] + 1, 10)
    >>> [run.alpha.size for run in runs]
    [2, 2]
    """
    if steps < 1:
        raise ConfigError(f"expected at least one step, got {steps}")
    inner = inner_of(operator)
    steps = min(steps, operator.shape[0])
    runs = [_Run(starts[:, i : i + 1], steps, inner) for i in range(starts.shape[1])]
    for _ in range(steps):
        going = [run for run in runs if not run.ended]
        if not going:
            break
        products = apply(operator, side_by_side([run.vector for run in going], starts))
        for i, run in enumerate(going):
            run.advance(products[:, i : i + 1])
        if callback is not None:
            callback(len(going))
    return [run.recurrence() for run in runs]


class _Run:
    """One recurrence and its vectors."""

    def __init__(self, start: Block, steps: int, inner: Inner) -> None:
        self.inner = inner
        self.basis = zeros_like(start, steps)
        self.vector = start / float(np.sqrt(inner(start, start)[0, 0]))
        self.alpha: list[float] = []
        self.beta: list[float] = []
        self.scale = 0.0
        self.ended = False
        self.tiny = 50 * float(np.finfo(np.float64 if str(start.dtype).endswith("float64") else np.float32).eps)

    def advance(self, product: Block) -> None:
        j = len(self.alpha)
        self.basis[:, j : j + 1] = self.vector
        known = self.basis[:, : j + 1]
        self.scale = max(self.scale, float(np.sqrt(self.inner(product, product)[0, 0])))
        first = self.inner(known, product)
        rest = product - known @ like(first, known)
        second = self.inner(known, rest)
        rest = rest - known @ like(second, known)
        self.alpha.append(float(first[j, 0] + second[j, 0]))
        length = float(np.sqrt(self.inner(rest, rest)[0, 0]))
        self.ended = length <= self.tiny * self.scale or j + 1 == self.basis.shape[1]
        self.beta.append(0.0 if length <= self.tiny * self.scale else length)
        if not self.ended:
            self.vector = rest / length

    def recurrence(self) -> Tridiagonal:
        return Tridiagonal(np.array(self.alpha), np.array(self.beta))
