"""Lazy arrays as xarray holds them; xarray is loaded when the first one is wrapped."""

from __future__ import annotations

from typing import Any

from sciml.io.arrays.lazy import LazyArray

__all__ = ["lazy"]


def lazy(array: LazyArray) -> Any:
    """Wrap an array so that xarray's own indexing stays lazy."""
    from sciml.io.arrays.indexing import indexed  # it derives from classes of xarray, and so loads it

    return indexed(array)
