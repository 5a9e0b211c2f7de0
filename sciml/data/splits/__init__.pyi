from .by_time import split_by_time
from .by_unit import split_by_unit
from .choose import shared_units, split_by
from .folds import folds_by
from .parts import (
    PARTS,
    Nearest,
    class_counts,
    files_of,
    nearest_parts,
    unit_numbers,
)
from .split import Block, Split

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
