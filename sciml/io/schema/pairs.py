"""Complex numbers that are stored as records of two numbers, whatever a writer calls real and imaginary part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.arrays import LazyArray, Mapped, Scale, Stored
from sciml.io.hdf5.tree import Node
from sciml.io.schema.values import Values, computed, scaled

__all__ = ["is_complex", "parts", "values"]

# What stands for the real part in a name, and what in the same place for the imaginary one.
SWAPS = (
    ("real", "imag"), ("real", "imaginary"), ("re", "im"), ("r", "i"), ("r", "j"), ("0", "1"), ("i", "q"),
    ("inphase", "quadrature"), ("in_phase", "quadrature"),
)  # fmt: skip


def parts(dtype: np.dtype[Any] | None) -> tuple[str, str] | None:
    """Return the names of the real and the imaginary part of records, None if they are no complex numbers.

    Examples
    --------
    >>> parts(np.dtype([("re", "<i2"), ("im", "<i2")])), parts(np.dtype([("x", "<f4"), ("y", "<f4")]))
    (('re', 'im'), None)
    >>> parts(np.dtype([("imagFloatHalfEven", "<f4"), ("realFloatHalfEven", "<f4")]))
    ('realFloatHalfEven', 'imagFloatHalfEven')
    """
    names = dtype.names if dtype is not None else None
    if dtype is None or names is None or len(names) != 2 or any(dtype[name].kind not in "iuf" for name in names):
        return None
    for real, imaginary in (names, names[::-1]):
        if any(_swapped(real.lower(), imaginary.lower(), *swap) for swap in SWAPS):
            return real, imaginary
    return None


def _swapped(real: str, imaginary: str, one: str, other: str) -> bool:
    """Whether two names differ in one word, which is the real part in one and the imaginary part in the other."""
    if one in ("r", "0", "i"):  # letters stand alone, or at the end behind a separator
        return re.sub(rf"(^|[_. ]){one}$", rf"\g<1>{other}", real) == imaginary != real
    return one in real and real.replace(one, other, 1) == imaginary


def is_complex(node: Node) -> bool:
    """Whether a dataset holds records that are complex numbers."""
    return bool(parts(node.dtype) and node.shape and 0 not in node.shape)


def values(node: Node, scale: Scale | None = None, *, order: Sequence[int] | None = None) -> Values:
    """Return the values of a dataset: as `scaled`, or complex numbers of pairs."""
    if parts(node.dtype) is None:
        return scaled(node, scale, order=order)
    axes = tuple(order or range(len(node.shape or ())))
    return computed(
        node, partial(_made, node, axes), tuple((node.shape or ())[axis] for axis in axes), order=order and axes
    )


def _made(node: Node, order: tuple[int, ...]) -> LazyArray:
    if trouble := node.read_error():
        raise DataError(f"{node.path}: {trouble}")
    names = parts(node.dtype) or ("", "")
    return Mapped(Stored(node.source(), order=order), partial(_complex, names), np.complex128)


def _complex(names: tuple[str, str], stored: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(stored[names[0]] + 1j * stored[names[1]])
