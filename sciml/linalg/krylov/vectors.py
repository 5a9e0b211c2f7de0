"""Tall blocks of vectors, as NumPy arrays or torch tensors, and their small products in double precision."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from sciml._typing import AnyArray, FloatArray

__all__ = ["Block", "Inner", "Operator", "apply", "draw", "inner_of", "like", "orthonormal", "small", "zeros_like"]

Block = Any  # (n, k): a NumPy array or a torch tensor
Inner = Callable[[Block, Block], FloatArray]


class Operator(Protocol):
    """A symmetric matrix (n, n) known by its products.

    It may also have `draw(n_columns, rng)`, standard normal vectors of its kind (default: NumPy arrays in double
    precision), `likely(rng)`, a random vector (n, 1) that holds eigenvectors of large eigenvalues alike, and
    `inner_products(A, B)`, A^T B as a NumPy array (for vectors that several processes hold in parts).
    """

    @property
    def shape(self) -> Any:
        """(n, n)."""

    def __matmul__(self, block: Any, /) -> Any:
        """Product with (n, k)."""


def small(values: Any) -> FloatArray:
    """Return a small array or tensor as a NumPy array in double precision.

    Examples
    --------
    >>> small([[1, 2]])
    array([[1., 2.]])
    """
    if hasattr(values, "detach"):
        values = values.detach().double().cpu().numpy()
    return np.asarray(values, np.float64)


def like(values: AnyArray, block: Block) -> Block:
    """Return a small array as what the block is: array or tensor, its dtype, its device.

    Examples
    --------
    >>> like(np.ones(2), np.zeros(3, np.float32)).dtype
    dtype('float32')
    """
    if hasattr(block, "new_tensor"):
        return block.new_tensor(values)
    return np.asarray(values, dtype=block.dtype)


def zeros_like(block: Block, n_columns: int) -> Block:
    """Return zeros of as many rows as the block.

    Examples
    --------
    >>> zeros_like(np.ones((3, 1)), 2).shape
    (3, 2)
    """
    if hasattr(block, "new_zeros"):
        return block.new_zeros((block.shape[0], n_columns))
    return np.zeros((block.shape[0], n_columns), block.dtype)


def inner(A: Block, B: Block) -> FloatArray:
    """Return A^T B in double precision.

    Examples
    --------
    >>> inner(np.ones((3, 1)), np.ones((3, 2)))
    array([[3., 3.]])
    """
    return small(A.T @ B)


def inner_of(operator: Operator) -> Inner:
    """Return the inner products of an operator's vectors.

    Examples
    --------
    >>> inner_of(np.eye(2))(np.ones((2, 1)), np.ones((2, 1)))
    array([[2.]])
    """
    own: Inner | None = getattr(operator, "inner_products", None)
    return own if callable(own) else inner


def draw(operator: Operator, n_columns: int, rng: np.random.Generator) -> Block:
    """Return standard normal vectors (n, n_columns) of the operator's kind.

    Examples
    --------
    >>> draw(np.eye(4), 2, np.random.default_rng(0)).shape
    (4, 2)
    """
    own = getattr(operator, "draw", None)
    if callable(own):
        return own(n_columns, rng)
    values = rng.standard_normal((operator.shape[0], n_columns))
    return like(values, operator) if hasattr(operator, "new_tensor") else values


def apply(operator: Operator, block: Block) -> Block:
    """Return the product with a block (n, k), k at least one.

    Examples
    --------
    >>> apply(2 * np.eye(2), np.ones((2, 1))).tolist()
    [[2.0], [2.0]]
    """
    return operator @ block


def orthonormal(block: Block, inner: Inner, tiny: float) -> tuple[Block, FloatArray]:
    """Return orthonormal columns U and coefficients B with block = U B, by Gram-Schmidt, twice.

    Columns whose remainder is not longer than `tiny` add no direction: U has as many columns as the rank.

    Examples
    --------
    >>> U, B = orthonormal(np.array([[3.0, 3.0], [4.0, 4.0]]), inner, 1e-12)
    >>> U.shape, B.round(12).tolist()
    ((2, 1), [[5.0, 5.0]])
    """
    columns: list[Block] = []
    n = block.shape[1]
    B = np.zeros((n, n))
    for j in range(n):
        column = block[:, j : j + 1]
        for _ in range(2):  # twice is enough
            for i, earlier in enumerate(columns):
                step = inner(earlier, column)
                B[i, j] += step[0, 0]
                column = column - earlier * float(step[0, 0])
        length = float(np.sqrt(inner(column, column)[0, 0]))
        if length > tiny:
            B[len(columns), j] = length
            columns.append(column / length)
    return side_by_side(columns, block), B[: len(columns)]


def side_by_side(columns: list[Block], block: Block) -> Block:
    """Return blocks beside one another; none at all is no columns, of the kind of `block`.

    Examples
    --------
    >>> side_by_side([np.ones((2, 1)), np.zeros((2, 2))], np.ones((2, 1))).shape
    (2, 3)
    """
    if not columns:
        return zeros_like(block, 0)
    if len(columns) == 1:
        return columns[0]
    together = zeros_like(columns[0], sum(each.shape[1] for each in columns))
    start = 0
    for each in columns:
        together[:, start : start + each.shape[1]] = each
        start += each.shape[1]
    return together
