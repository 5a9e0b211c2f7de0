"""Splits that do not leak: by subject, session, file, trial, a column of events, or blocks of time; and folds."""

from sciml.data.splits.by_time import split_by_time
from sciml.data.splits.by_unit import split_by_unit
from sciml.data.splits.choose import shared_units, split_by
from sciml.data.splits.folds import folds_by
from sciml.data.splits.parts import PARTS, Nearest, class_counts, files_of, nearest_parts, unit_numbers
from sciml.data.splits.split import Block, Split

__all__ = [
    "PARTS",
    "Block",
    "Nearest",
    "Split",
    "class_counts",
    "files_of",
    "folds_by",
    "nearest_parts",
    "shared_units",
    "split_by",
    "split_by_time",
    "split_by_unit",
    "unit_numbers",
]
