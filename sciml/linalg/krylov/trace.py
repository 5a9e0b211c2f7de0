"""Traces and diagonals by random probes, with standard errors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.linalg.krylov.vectors import Block, Operator, apply, draw, inner_of, like, orthonormal

__all__ = ["METHODS", "Estimate", "diagonal", "hutch_plus_plus", "hutchinson", "xtrace"]

Rng = np.random.Generator | int


@dataclass(frozen=True)
class Estimate:
    """An estimate and its standard error: numbers, or blocks (n,) for a diagonal."""

    value: Block
    standard_error: Block
    n_products: int


def _signs(operator: Operator, n_columns: int, rng: Rng) -> Block:
    values = draw(operator, n_columns, np.random.default_rng(rng))
    return values / abs(values)


def _column_products(operator: Operator, A: Block, B: Block) -> FloatArray:
    inner = inner_of(operator)
    return np.array([inner(A[:, i : i + 1], B[:, i : i + 1])[0, 0] for i in range(A.shape[1])])


def _of_spread(values: FloatArray, n_products: int, exact: float = 0.0) -> Estimate:
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(exact + float(values.mean()), error, n_products)


def _check(n_products: int, least: int) -> None:
    if n_products < least:
        raise ConfigError(f"expected at least {least} products, for fewer give no standard error; got {n_products}")


def hutchinson(operator: Operator, n_products: int, *, rng: Rng = 0) -> Estimate:
    r"""Return the trace by probes of independent signs: the mean of \omega^T A \omega.

    References
    ----------
    Hutchinson (1989), doi:10.1080/03610918908812806.

    Examples
    --------
    >>> hutchinson(np.diag([1.0, 2.0, 3.0]), 4).value
    6.0
    """
    _check(n_products, 2)
    probes = _signs(operator, n_products, rng)
    return _of_spread(_column_products(operator, probes, apply(operator, probes)), n_products)


def hutch_plus_plus(operator: Operator, n_products: int, *, rng: Rng = 0) -> Estimate:
    """Return the trace: that of the range of a sketch exactly, the rest by probes; a third of the products each.

    References
    ----------
    Meyer, Musco, Musco, Woodruff (2021), arXiv:2010.09649, algorithm 1.

    Examples
    --------
    >>> estimate = hutch_plus_plus(np.outer([1.0, 2.0], [1.0, 2.0]), 6)
    >>> round(estimate.value, 9), round(estimate.standard_error, 9)
    (5.0, 0.0)
    """
    _check(n_products, 6)
    third = n_products // 3
    rng = np.random.default_rng(rng)
    inner = inner_of(operator)
    Q, _ = _range(operator, apply(operator, _signs(operator, third, rng)))
    known = float(_column_products(operator, Q, apply(operator, Q)).sum())
    probes = _signs(operator, third, rng)
    for _ in range(2):
        probes = probes - Q @ like(inner(Q, probes), Q)
    return _of_spread(_column_products(operator, probes, apply(operator, probes)), 3 * third, known)


def xtrace(operator: Operator, n_products: int, *, rng: Rng = 0) -> Estimate:
    r"""Return the trace by probes of which each is in turn left out of the sketch that the others make.

    With \Omega of k = n_products / 2 columns, A \Omega = Q R and s_i the unit column of R^{-T}, leaving probe i out
    removes the direction Q s_i from the sketch; all k estimates come from 2 k products. The standard error is that of
    their spread, as the paper takes it.

    References
    ----------
    Epperly, Tropp, Webber (2024), arXiv:2301.07825, sections 2.1 and 2.3.

    Examples
    --------
    >>> A = np.diag(1.0 / np.arange(1, 101) ** 2)
    >>> estimate = xtrace(A, 40)
    >>> bool(abs(estimate.value - np.trace(A)) < 5 * estimate.standard_error)
    True
    """
    _check(n_products, 4)
    sketch = _Sketch(operator, n_products // 2, rng)
    H = inner_of(operator)(sketch.Q, sketch.Z)
    if sketch.complete:
        return Estimate(float(np.trace(H)), 0.0, sketch.n_products)
    S, W = sketch.S, inner_of(operator)(sketch.Q, sketch.probes)
    known = np.trace(H) - np.einsum("ki,kl,li->i", S, H, S)
    M = W - S * (S * W).sum(0)
    quadratic = _column_products(operator, sketch.probes, sketch.Y) - 2 * (M * sketch.R).sum(0)
    quadratic = quadratic + np.einsum("ki,kl,li->i", M, H, M)
    n, k = operator.shape[0], S.shape[1]
    lengths = _column_products(operator, sketch.probes, sketch.probes) - (M**2).sum(0)
    return _of_spread(known + quadratic * (n - k + 1) / lengths, sketch.n_products)


def diagonal(operator: Operator, n_products: int, *, rng: Rng = 0) -> Estimate:
    r"""Return the diagonal (n,), each value with its standard error, by probes left out one at a time.

    .. math:: d_i = \mathrm{diag}(Q_i Q_i^T A) + \omega_i \circ (I - Q_i Q_i^T) A \omega_i

    with signs \omega_i and Q_i the range of the sketch without probe i (see `xtrace`).

    References
    ----------
    Epperly, Tropp, Webber (2024), arXiv:2301.07825, section 2.4.

    Examples
    --------
    >>> A = np.diag(np.arange(50.0))
    >>> estimate = diagonal(A, 20)
    >>> bool(np.mean(abs(estimate.value - np.diag(A)) < 3 * estimate.standard_error) > 0.9)
    True
    """
    _check(n_products, 4)
    sketch = _Sketch(operator, n_products // 2, rng)
    known = (sketch.Q * sketch.Z).sum(1)
    if sketch.complete:
        return Estimate(known, 0 * known, sketch.n_products)
    S = like(sketch.S, sketch.Q)
    removed = sketch.Q @ S
    rest = sketch.probes * removed * like((sketch.S * sketch.R).sum(0), sketch.Q)
    each = rest - removed * (sketch.Z @ S)
    k = each.shape[1]
    mean = each.sum(1) / k
    spread = ((each - mean[:, None]) ** 2).sum(1) / (k * (k - 1))
    return Estimate(known + mean, spread**0.5, sketch.n_products)


def _range(operator: Operator, block: Block) -> tuple[Block, FloatArray]:
    lengths = np.sqrt(_column_products(operator, block, block))
    eps = float(np.finfo(np.float64 if str(block.dtype).endswith("float64") else np.float32).eps)
    return orthonormal(block, inner_of(operator), 1000 * eps * float(lengths.max(initial=0.0)))


class _Sketch:
    """Probes, their products Y = Q R, the products Z of Q, and the directions S that leaving out a probe removes."""

    def __init__(self, operator: Operator, k: int, rng: Rng) -> None:
        n = operator.shape[0]
        probes = _signs(operator, min(k, n), rng)
        independent = _range(operator, probes)[1]
        self.probes = probes[:, np.argmax(independent != 0, axis=1)]  # of few signs some may be combinations of others
        self.Y = apply(operator, self.probes)
        self.Q, self.R = _range(operator, self.Y)
        self.Z = apply(operator, self.Q) if self.Q.shape[1] else self.Q
        rank = self.Q.shape[1]
        self.n_products = self.probes.shape[1] + rank
        self.complete = rank < self.probes.shape[1] or rank == n  # the range of A is that of the sketch
        if not self.complete:
            inverse = linalg.solve_triangular(self.R, np.eye(rank)).T
            self.S: FloatArray = inverse / np.linalg.norm(inverse, axis=0)


METHODS: dict[str, Callable[..., Estimate]] = {
    "xtrace": xtrace,
    "hutch++": hutch_plus_plus,
    "hutchinson": hutchinson,
}
