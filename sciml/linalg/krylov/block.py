"""A Krylov space that grows by any vectors: its projected matrix, its residuals, its Ritz pairs."""

from dataclasses import dataclass

import numpy as np

from sciml._typing import FloatArray
from sciml.errors import NumericalError
from sciml.linalg.krylov.vectors import Block, Operator, apply, inner_of, like, orthonormal, side_by_side

__all__ = ["Krylov", "Ritz"]


@dataclass(frozen=True)
class Ritz:
    """Eigenvalues (m,) of the projected matrix, ascending; their vectors (m, m); coefficients of residuals (r, m)."""

    values: FloatArray
    vectors: FloatArray
    residuals: FloatArray


class Krylov:
    r"""Orthonormal vectors Q, the projection T = Q^T A Q, and what A Q has outside: A Q = Q T + U S, Q^T U = 0.

    `extend` adds directions of U, or any other vectors, to Q. Those of U alone, one at a time: Lanczos. All of them:
    block Lanczos. Directions can wait in U at no cost, so that each product goes where it is needed. Every vector is
    made orthogonal to all before it, twice: no ghosts. Where A Q adds no new direction, U stays empty: that is
    breakdown, and another start continues in the space that is left, which finds the copies of multiple eigenvalues.

    Parameters
    ----------
    operator
        Symmetric, of shape (n, n).

    Attributes
    ----------
    n_products
        Vectors multiplied so far.
    rounding
        How far products were from those of one symmetric matrix: Q^T A q against (A Q)^T q.

    References
    ----------
    Golub, Van Loan (2013), Matrix Computations, sections 10.1 and 10.3; candidates that wait: Ruhe (1979),
    doi:10.2307/2006308.

    Examples
    --------
    >>> A = np.diag([5.0, 5.0, 1.0])
    >>> space = Krylov(A)
    >>> space.extend(fresh=np.ones((3, 1)))
    >>> while space.n_waiting:
    ...     space.extend()
    >>> space.ritz().values.round(12).tolist()
    [1.0, 5.0]
    >>> space.extend(fresh=np.array([[1.0], [0.0], [0.0]]))
    >>> space.ritz().values.round(12).tolist()
    [1.0, 5.0, 5.0]
    """

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.inner = inner_of(operator)
        self.n_products = 0
        self.rounding = 0.0
        self.scale = 0.0  # largest length of a product: what is small is small beside it
        self.precision = 0.0  # rounding of the vectors' dtype, known with the first
        self.T: FloatArray = np.zeros((0, 0))
        self.S: FloatArray = np.zeros((0, 0))
        self.Q: list[Block] = []
        self.U: list[Block] = []

    @property
    def dimension(self) -> int:
        """Number of vectors in Q."""
        return len(self.T)

    @property
    def n_waiting(self) -> int:
        """Number of directions in U."""
        return len(self.U)

    def extend(self, directions: FloatArray | None = None, *, fresh: Block | None = None) -> None:
        """Add to Q the vectors U D for orthonormal D (r, b), default all of U; or fresh vectors (n, b)."""
        if fresh is not None:
            new, expected = self._from_outside(fresh)
        else:
            new, expected = self._from_waiting(np.eye(self.n_waiting) if directions is None else directions)
        if new:
            self._multiply(new, expected)

    def ritz(self) -> Ritz:
        """Return eigenvalues and vectors of T, with the coefficients of the residuals A Q y - theta Q y in U."""
        values, vectors = np.linalg.eigh(self.T)
        return Ritz(values, vectors, self.S @ vectors)

    def combine(self, coefficients: FloatArray) -> Block:
        """Return Q Y for Y of shape (m, k)."""
        out = 0
        start = 0
        for block in self.Q:
            stop = start + block.shape[1]
            out = out + block @ like(coefficients[start:stop], block)
            start = stop
        return out

    def coefficients(self, block: Block) -> FloatArray:
        """Return Q^T V for V of shape (n, k)."""
        return np.vstack([self.inner(columns, block) for columns in self.Q])

    def restart(self, coefficients: FloatArray) -> None:
        """Keep the part Q Y of the space alone, Y of orthonormal columns of eigenvectors of T."""
        kept = self.combine(coefficients)
        self.Q = _columns(kept)
        self.T = coefficients.T @ self.T @ coefficients
        self.S = self.S @ coefficients

    def _from_waiting(self, D: FloatArray) -> tuple[list[Block], FloatArray]:
        """Take the vectors U D out of U; with them Q^T A U D, which the residuals say already."""
        b = D.shape[1]
        if not b:
            return [], self.S.T @ D
        turn = np.linalg.qr(D, mode="complete")[0]
        turn[:, :b] = D
        U, S = side_by_side(self.U, self.U[0]), turn.T @ self.S
        columns = U @ like(turn, U)
        self.U, self.S = [columns[:, i : i + 1] for i in range(b, len(turn))], S[b:]
        return [columns[:, i : i + 1] for i in range(b)], S[:b].T

    def _from_outside(self, fresh: Block) -> tuple[list[Block], FloatArray]:
        """Return what fresh vectors add to Q, and Q^T A of it; U is made orthogonal to it."""
        self.precision = _precision(fresh)
        new: Block = fresh
        for tiny in (100 * self.precision * float(np.sqrt(np.diag(self.inner(fresh, fresh)).max())), 0.1):
            for _ in range(2):
                new = self._subtract(self.Q, new)[0]
            new, _ = orthonormal(new, self.inner, tiny)
        if not new.shape[1] or not self.U:
            return _columns(new), np.zeros((self.dimension, new.shape[1]))
        U, along = self._subtract([new], side_by_side(self.U, new))
        expected = self.S.T @ along.T
        U, B = orthonormal(U, self.inner, 50 * self.precision)
        self.U, self.S = _columns(U), B @ self.S
        return _columns(new), expected

    def _multiply(self, new: list[Block], expected: FloatArray) -> None:
        """Add orthonormal columns to Q, of which Q^T A q is expected."""
        products = apply(self.operator, side_by_side(new, new[0]))
        self.n_products += len(new)
        lengths = np.sqrt(np.diag(self.inner(products, products)))
        if not np.isfinite(lengths).all():
            raise NumericalError(
                "a product with the operator is not finite: the net's loss or its derivatives overflow; look at the "
                "loss on these data first"
            )
        self.scale = max(self.scale, float(lengths.max()))
        m = self.dimension
        self.Q += new
        rest, coefficients = self._subtract(self.Q, products)
        self._check_symmetry(coefficients[:m] - expected, coefficients[m:])
        self._grow(coefficients, rest)

    def _grow(self, coefficients: FloatArray, rest: Block) -> None:
        b = coefficients.shape[1]
        m = len(coefficients) - b
        corner = (coefficients[m:] + coefficients[m:].T) / 2
        self.T = np.block([[self.T, coefficients[:m]], [coefficients[:m].T, corner]])
        rest, along = self._subtract(self.U, rest)
        U, B = orthonormal(rest, self.inner, 50 * self.precision * self.scale)
        self.S = np.block([[self.S, along], [np.zeros((len(B), m)), B]])
        self.U += _columns(U)

    def _subtract(self, basis: list[Block], block: Block) -> tuple[Block, FloatArray]:
        """Return a block without its parts along orthonormal columns, taken out twice, and those parts."""
        parts = np.zeros((sum(each.shape[1] for each in basis), block.shape[1]))
        for _ in range(2):
            row = 0
            for columns in basis:
                part = self.inner(columns, block)
                parts[row : row + len(part)] += part
                block = block - columns @ like(part, columns)
                row += len(part)
        return block, parts

    def _check_symmetry(self, off: FloatArray, corner: FloatArray) -> None:
        found = max(float(np.abs(off).max(initial=0.0)), float(np.abs(corner - corner.T).max(initial=0.0)) / 2)
        self.rounding = max(self.rounding, found)
        if found > 1e-2 * self.scale:
            raise NumericalError(
                "expected the products of one symmetric matrix, got products that disagree by "
                f"{found / self.scale:.1g} of the largest: either the operator is not symmetric, or it changes from "
                "product to product (random layers, shuffled data that are not held), or its rounding is that large"
            )


def _precision(block: Block) -> float:
    """Return the rounding of a block's dtype; half precision is held as single."""
    return float(np.finfo(np.float64 if str(block.dtype).endswith("float64") else np.float32).eps)


def _columns(block: Block) -> list[Block]:
    return [block[:, i : i + 1] for i in range(block.shape[1])]
