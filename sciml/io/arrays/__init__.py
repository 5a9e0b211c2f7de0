"""Lazy arrays: values that stay in their file until they are indexed, in physical units."""

from sciml.io.arrays.combined import Concatenated, Stacked
from sciml.io.arrays.computed import Computed, Mapped, RegularTimes, Within
from sciml.io.arrays.lazy import LazyArray
from sciml.io.arrays.scale import Missing, Scale, physical
from sciml.io.arrays.stored import Complex, Stored, WithMissing
from sciml.io.arrays.wrap import lazy

__all__ = [
    "Complex",
    "Computed",
    "Concatenated",
    "LazyArray",
    "Mapped",
    "Missing",
    "RegularTimes",
    "Scale",
    "Stacked",
    "Stored",
    "WithMissing",
    "Within",
    "lazy",
    "physical",
]


def __dir__() -> list[str]:
    return sorted(__all__)
