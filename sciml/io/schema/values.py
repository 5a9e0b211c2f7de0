"""What the values of a signal are, declared before any is read: scaled, folded into rows, computed, or saved by sciml.

Each constructor (`scaled`, `folded`, `computed`, `saved`) returns a declaration that becomes a lazy array when the
signal is opened. The engine asks a declaration what holds for it; it never asks of which kind it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from sciml.io.arrays import Complex, LazyArray, Mapped, Scale, Stored, physical
from sciml.io.hdf5.tree import Node

__all__ = ["Values", "computed", "folded", "saved", "scaled", "with_order", "with_scale"]


@dataclass(frozen=True, kw_only=True)
class Values:
    """Values that stay in the file until they are asked for.

    Attributes
    ----------
    node
        The dataset that holds them, or the first of those that they are made from.
    scale
        From stored to physical values, where that is all that is done to them.
    order
        The stored axes in the order in which they are presented; None: as stored.
    name
        Of the recording, where it is not that of the signal.
    """

    node: Node
    scale: Scale = field(default_factory=Scale)
    order: tuple[int, ...] | None = None
    name: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as presented."""
        stored = self.node.shape or ()
        return stored if self.order is None else tuple(stored[axis] for axis in self.order)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype as stored."""
        return self.node.dtype or np.dtype(np.void)

    @property
    def item_bytes(self) -> int:
        """The size in memory of one value as it is handed out."""
        return max(self.dtype.itemsize, 1)

    @property
    def chunks(self) -> tuple[int, ...]:
        """The chunks of the file along the presented axes, empty if values lie in one piece."""
        stored = self.node.chunks or ()
        return tuple(stored[axis] for axis in self.order or range(len(stored))) if stored else ()

    @property
    def formula(self) -> str:
        """How stored values become physical ones, in words."""
        return "computed from what is stored"

    @property
    def is_scaled(self) -> bool:
        """Whether values are those of a dataset, scaled: the caller may state another scale, and stack such signals."""
        return False

    @property
    def is_folded(self) -> bool:
        """Whether rows lie one after the other along one stored axis."""
        return False

    @property
    def is_restored(self) -> bool:
        """Whether values come back as they were saved: nothing of them may be overridden."""
        return False

    def array(self, *, raw: bool, dtype: DTypeLike | None) -> LazyArray:
        """Return the values as a lazy array; `raw`: as they are stored, where that is another thing."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class _Scaled(Values):
    """A dataset in physical values; `columns` above 0: one axis that holds a table row after row."""

    columns: int = 0

    @property
    def is_scaled(self) -> bool:
        return True

    @property
    def is_folded(self) -> bool:
        return bool(self.columns)

    @property
    def shape(self) -> tuple[int, ...]:
        if self.columns:
            return math.prod(self.node.shape or ()) // self.columns, self.columns
        return super().shape

    @property
    def item_bytes(self) -> int:
        if self.dtype.kind not in "iufcb":
            return super().item_bytes
        return physical(self.dtype, scaled=not self.scale.identity).itemsize

    @property
    def chunks(self) -> tuple[int, ...]:
        if self.columns and self.node.chunks:
            return max(1, math.prod(self.node.chunks) // self.columns), self.columns
        return super().chunks

    @property
    def formula(self) -> str:
        scale = self.scale
        missing = "" if scale.missing is None else f"; {scale.missing.words}"
        as_stored = scale.identity or scale == Scale(missing=scale.missing, kind=scale.kind)
        kind = {"u": ", read as unsigned integers", "i": ", read as signed integers"}.get(scale.kind, "")
        return f"{'as stored' if as_stored else scale.formula}{kind}{missing}"

    def array(self, *, raw: bool, dtype: DTypeLike | None) -> Stored:
        source = self.node.source()
        source = source.folded(self.columns) if self.columns else source
        return Stored(source, order=self.order, scale=None if raw else self.scale, dtype=dtype)


@dataclass(frozen=True, kw_only=True)
class _Computed(Values):
    """Values that `make` makes when the signal is opened, in the order of `sizes`."""

    make: Callable[[], LazyArray]
    sizes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def item_bytes(self) -> int:
        return max(self.dtype.itemsize, 8 if self.dtype.kind in "iufcb" else 1)

    def array(self, *, raw: bool, dtype: DTypeLike | None) -> LazyArray:  # noqa: ARG002 - made either way
        made = self.make()
        return made if dtype is None else Mapped(made, np.asarray, dtype)


@dataclass(frozen=True, kw_only=True)
class _Saved(Values):
    """A variable of a recording that sciml saved; complex numbers lie in pairs."""

    kept: np.dtype[Any]

    @property
    def is_restored(self) -> bool:
        return True

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.kept

    def array(self, *, raw: bool, dtype: DTypeLike | None) -> LazyArray:  # noqa: ARG002 - kept as they were
        source = self.node.source()
        if self.kept.kind == "c":
            return Complex(Stored(source), dtype or self.kept)
        return Stored(source, dtype=dtype or self.kept)


def scaled(node: Node, scale: Scale | None = None, *, order: Sequence[int] | None = None) -> Values:
    """Return the values of a dataset, scaled to physical ones; `order`: its axes in the order of presentation."""
    return _Scaled(node=node, scale=scale or Scale(), order=None if order is None else tuple(order))


def folded(node: Node, columns: int, scale: Scale | None = None) -> Values:
    """Return the values of a dataset that holds rows of `columns` values one after the other along one axis."""
    return _Scaled(node=node, scale=scale or Scale(), columns=columns)


def computed(
    node: Node, make: Callable[[], LazyArray], shape: Sequence[int], *, order: Sequence[int] | None = None
) -> Values:
    """Return values that are more than a scaled dataset: `make` returns their lazy array when the signal is opened.

    `shape` is that of the array; `order`, where its axes are those of `node`, says which is which.
    """
    return _Computed(node=node, make=make, sizes=tuple(shape), order=None if order is None else tuple(order))


def saved(node: Node, dtype: DTypeLike, *, name: str | None) -> Values:
    """Return the values of a recording that sciml saved, in the dtype and with the name that it had."""
    return _Saved(node=node, kept=np.dtype(dtype), name=name)


def with_scale(values: Values, scale: Scale) -> Values:
    """Return scaled values with another scale."""
    return replace(values, scale=scale)


def with_order(values: Values, order: Sequence[int]) -> Values:
    """Return scaled values with their axes presented in another order."""
    return replace(values, order=tuple(order))
